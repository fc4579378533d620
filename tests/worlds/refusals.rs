//! Every reason for which the shipped game refuses something is shown: by a scenario, where the console can ask for it, or else by a test.

use std::collections::BTreeSet;
use std::path::Path;

use crate::post;
use terrane::action::{Action, reason_of};
use terrane::caravan::{
    BOUNTY_LOADS, Band, Buy, Campaign, CoachRefusal, Deliver, ErrandRefusal, Good, Halt, Hand, HandIn,
    HandsRefusal, Hire, March, MarchRefusal, Mend, NodeId, PayOff, PostOffice, TakeCoach, TradeRefusal,
    asked_for, bounty_period,
};
use terrane::cell::markers::Owned;
use terrane::cell::pool::{NodeContext, with_cells};
use terrane::prelude::*;
use terrane::testing::{ClientId, TestWorld};

/// Where a reason is shown.
enum Shown {
    /// In `tests/scenarios`: the file, and what players are told, which stands in the source as well.
    In(&'static str, &'static str),
    /// By a test, since the console does not ask for it, or chance or hours would have to bring it about.
    By(&'static str),
}

use Shown::{By, In};

const SHOWN: &[(&str, Shown)] = &[
    ("TradeRefusal::NoNode", In("trade.txt", "there is no trade node within")),
    ("TradeRefusal::Loads", By("what_the_console_does_not_ask_for_is_refused_by_the_world")),
    ("TradeRefusal::Price", In("trade.txt", "a load costs")),
    ("TradeRefusal::SoldOut", In("trade_refused.txt", " loads left")),
    ("TradeRefusal::StoreFull", In("trade_refused.txt", "the node has room for")),
    (
        "TradeRefusal::QuotaUsed",
        In("trade_refused.txt", " more loads with players until its quota begins anew in"),
    ),
    ("TradeRefusal::HadAlready", By("who_asks_for_a_bounty_again_is_told_that_it_had_it")),
    ("TradeRefusal::BoughtHere", In("a_bounty.txt", "you bought that good here")),
    ("TradeRefusal::Value", In("trade.txt", " and need")),
    ("HandsRefusal::NoNode", In("hiring.txt", "there is no trade node within")),
    ("HandsRefusal::Count", By("what_the_console_does_not_ask_for_is_refused_by_the_world")),
    ("HandsRefusal::Fighting", By("in_a_battle_nobody_comes_goes_or_marches")),
    ("HandsRefusal::Unhurt", In("hiring.txt", "none of your people is wounded")),
    ("HandsRefusal::Value", In("hiring.txt", " and need ")),
    ("MarchRefusal::Fighting", By("in_a_battle_nobody_comes_goes_or_marches")),
    ("MarchRefusal::Still", In("a_march.txt", "not marching")),
    ("CoachRefusal::Fighting", By("in_a_battle_nobody_comes_goes_or_marches")),
    ("CoachRefusal::Waits", In("the_coach.txt", "the next coach leaves in")),
    ("FightRefusal::Peace", In("a_march.txt", "nobody to fight")),
    ("ErrandRefusal::None", In("errands.txt", "you have taken no errand")),
    ("ErrandRefusal::NoOffer", In("errands.txt", "errands are offered within")),
    ("ErrandRefusal::Rests", In("errands.txt", "nobody offers you another for")),
    ("ErrandRefusal::Elsewhere", In("errands.txt", "it is wanted within")),
    ("ErrandRefusal::Done", By("a_letter_comes_when_its_errand_is_committed_and_not_before")),
    ("ErrandRefusal::BoughtHere", In("an_errand_for_what_is_there.txt", "you bought that good here")),
    ("ErrandRefusal::Value", By("an_errand_without_its_goods_is_not_done")),
    ("CharacterRefusal::UnknownOrigin", In("a_character.txt", "no such origin")),
    ("CharacterRefusal::UnknownSkill", In("a_character.txt", "there is no skill ")),
    ("CharacterRefusal::Twice", In("a_character.txt", " once")),
    ("CharacterRefusal::Highest", In("a_character.txt", " is the highest of ")),
    ("CharacterRefusal::Needs", In("a_character.txt", "nobody learns ")),
    ("CharacterRefusal::Points", In("a_character.txt", "your origin gives ")),
    ("CharacterRefusal::GiftSpent", In("a_character.txt", "of what you were given")),
    ("CharacterRefusal::HasOne", In("a_character.txt", "you have a character")),
    ("CharacterRefusal::HasNone", In("a_character.txt", "you have no character")),
    ("CharacterRefusal::Name", In("a_character.txt", "that is not its name")),
    ("CharacterRefusal::Fighting", By("nobody_leaves_a_character_or_changes_clothes_in_a_fight")),
    ("CharacterRefusal::TooSoon", By("a_character_that_goes_leaves_nothing_and_another_may_begin")),
    ("CharacterRefusal::AskAgain", By("what_comes_in_between_keeps_a_character_from_going")),
    ("CharacterRefusal::Value", By("while_nothing_can_be_kept_nobody_changes")),
    ("LearnRefusal::NoCharacter", In("a_character.txt", "you have no character to learn with")),
    ("LearnRefusal::Unknown", In("a_character.txt", "there is nothing of that name to learn")),
    ("LearnRefusal::Highest", By("no_more_is_learned_than_there_are_points_for")),
    ("LearnRefusal::Needs", By("no_more_is_learned_than_there_are_points_for")),
    ("LearnRefusal::Points", In("a_character.txt", " points and need ")),
    ("LearnRefusal::Value", By("while_nothing_can_be_kept_nobody_changes")),
    ("GearRefusal::Unknown", In("what_is_worn.txt", "there is no such item")),
    ("GearRefusal::NotWorn", In("what_is_worn.txt", "nobody wears such a thing")),
    ("GearRefusal::NotHeld", In("what_is_worn.txt", "you have none of it")),
    ("GearRefusal::Taken", In("what_is_worn.txt", "take off ")),
    ("GearRefusal::Bare", In("what_is_worn.txt", "you wear nothing there")),
    ("GearRefusal::MendsNobody", In("what_is_worn.txt", "it mends nobody")),
    ("GearRefusal::Unhurt", In("what_is_worn.txt", "there are not so many wounded")),
    ("GearRefusal::Count", In("what_is_worn.txt", " are used at once")),
    ("GearRefusal::Fighting", By("nobody_leaves_a_character_or_changes_clothes_in_a_fight")),
    ("GearRefusal::Value", By("while_nothing_can_be_kept_nobody_changes")),
    ("PartyRefusal::NoParty", In("a_party_ends.txt", "you are in no party")),
    ("PartyRefusal::NotLeader", In("a_party_ends.txt", "only the leader of the party may do that")),
    ("PartyRefusal::NotHere", In("refusals.txt", "is not here")),
    ("PartyRefusal::NoMember", In("a_party_ends.txt", "is not in your party")),
    ("PartyRefusal::Yourself", In("refusals.txt", "that is you")),
    ("PartyRefusal::AlreadyIn", In("invitations.txt", "is in your party already")),
    ("PartyRefusal::NotInvited", In("an_invitation.txt", "there is no invitation to that party any more")),
    ("PartyRefusal::TooManyInvitations", In("invitations.txt", "has too many invitations already")),
    ("PartyRefusal::Full", By("a_party_is_full_at_some_point_and_who_leaves_makes_room")),
    ("PartyRefusal::NotOpen", By("a_party_is_full_at_some_point_and_who_leaves_makes_room")),
];

fn text_files(folder: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files = Vec::new();
    for entry in folder.read_dir().unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        match path.is_dir() {
            true => files.extend(text_files(path.to_str().expect("text"))),
            false => files.push((name, std::fs::read_to_string(&path).expect("text"))),
        }
    }
    files
}

/// `Enum::Variant` of every public enum of refusals in a source.
fn refusals_in(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (_, rest) in source.match_indices("pub enum ").map(|(at, begin)| source.split_at(at + begin.len())) {
        let Some((name, rest)) = rest.split_once(" {\n") else { continue };
        if !name.ends_with("Refusal") {
            continue;
        }
        let (body, _) = rest.split_once("\n}").expect("it ends");
        let variants = body.lines().filter_map(|line| line.strip_prefix("    "));
        let variants = variants.filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
        let name_of = |line: &str| line.split([',', ' ', '(']).next().unwrap_or(line).to_owned();
        found.extend(variants.map(|line| format!("{name}::{}", name_of(line))));
    }
    found
}

#[test]
fn refusals_are_found_in_a_source() {
    let source = "/// Why.\npub enum HornRefusal {\n    /// It is.\n    #[error(\"x\")]\n    Cracked,\n    /// So.\n    Far {\n        \
                  /// How.\n        m: u32,\n    },\n    Value(PlanRefusal),\n}\npub enum Other {\n    A,\n}\n";
    assert_eq!(refusals_in(source), ["HornRefusal::Cracked", "HornRefusal::Far", "HornRefusal::Value"]);
}

/// C5, H4: a reason without a scenario, or a test where no scenario can bring it about, is named here.
#[test]
fn every_refusal_of_the_game_is_shown() {
    let mut sources = text_files("src/caravan");
    sources.extend(text_files("src/party"));
    let declared: BTreeSet<String> = sources.iter().flat_map(|(_, source)| refusals_in(source)).collect();
    let listed: BTreeSet<String> = SHOWN.iter().map(|(refusal, _)| (*refusal).to_owned()).collect();
    assert!(declared.len() > 20, "{declared:?}");
    assert_eq!(declared, listed, "a new reason needs a scenario in tests/scenarios, and a row in SHOWN");
    sources.extend(text_files("src/reward"));
    let scenarios = text_files("tests/scenarios");
    let tests: Vec<_> = text_files("tests").into_iter().chain(text_files("src/party")).collect();
    for (refusal, shown) in SHOWN {
        match shown {
            In(file, text) => {
                let (_, scenario) =
                    scenarios.iter().find(|(name, _)| name == file).unwrap_or_else(|| panic!("no {file}"));
                let is_told = |line: &str| line.starts_with("expect refused ") && line.contains(text);
                assert!(scenario.lines().any(is_told), "{refusal}: {file} has no `expect refused {text}`");
                let is_said = sources.iter().any(|(_, source)| source.contains(text));
                assert!(is_said, "{refusal}: nothing in the sources says `{text}`");
            }
            By(test) => {
                let is_there = tests.iter().any(|(_, source)| source.contains(&format!("fn {test}(")));
                assert!(is_there, "{refusal}: there is no test `{test}`");
            }
        }
    }
}

/// The reason for which a player is refused something.
fn refused<A: Action>(world: &mut TestWorld, client: ClientId, action: &A) -> Option<A::Refusal> {
    world[client].act(action).expect("sent");
    world.run(5);
    let reply = world[client].replies().last().expect("answered");
    reason_of::<A>(&reply.result.expect_err("it is refused"))
}

fn world_of_anna() -> (TestWorld, ClientId) {
    let mut world = post::world(&PostOffice::in_memory(), None);
    let anna = world.connect("anna");
    world.run(30);
    (world, anna)
}

#[test]
fn what_the_console_does_not_ask_for_is_refused_by_the_world() {
    let (mut world, anna) = world_of_anna();
    for loads in [0, 51, u16::MAX] {
        let buy = Buy { good: Good::Salt, loads, at_most: u32::MAX };
        assert_eq!(refused(&mut world, anna, &buy), Some(TradeRefusal::Loads), "{loads}");
    }
    for count in [0, 11, u16::MAX] {
        let hire = Hire { hand: Hand::Guard, count };
        assert_eq!(refused(&mut world, anna, &hire), Some(HandsRefusal::Count), "{count}");
    }
}

#[test]
fn in_a_battle_nobody_comes_goes_or_marches() {
    let (mut world, anna) = world_of_anna();
    with_cells(world.server_mut().node_mut(), |_, cells| {
        for cell in cells.iter_mut() {
            let mut campaigns = cell.world.query_filtered::<&mut Campaign, With<Owned>>();
            for mut campaign in campaigns.iter_mut(&mut cell.world) {
                (campaign.band, campaign.foes, campaign.health) = (Some(Band::Raiders), 9, 100);
                (campaign.round, campaign.round_ends) = (1, u64::MAX);
            }
        }
    });
    let hand = Hand::Guard;
    let fighting = Some(HandsRefusal::Fighting);
    assert_eq!(refused(&mut world, anna, &Hire { hand, count: 1 }), fighting);
    assert_eq!(refused(&mut world, anna, &PayOff { hand, count: 1 }), fighting);
    assert_eq!(refused(&mut world, anna, &Mend { count: 1 }), fighting);
    assert_eq!(refused(&mut world, anna, &March { to: NodeId(0) }), Some(MarchRefusal::Fighting));
    assert_eq!(refused(&mut world, anna, &Halt), Some(MarchRefusal::Fighting));
    assert_eq!(refused(&mut world, anna, &TakeCoach), Some(CoachRefusal::Fighting));
}

#[test]
fn an_errand_without_its_goods_is_not_done() {
    let (mut world, anna) = world_of_anna();
    post::takes_errand(&mut world, anna);
    post::goes_where_it_is_wanted(&mut world, anna);
    let why = refused(&mut world, anna, &Deliver);
    assert!(matches!(why, Some(ErrandRefusal::Value(PlanRefusal::TooLittle { .. }))), "{why:?}");
}

/// E9: a bounty is paid once, whatever one brings: who asks again is told that, also where it has bought of the good meanwhile.
#[test]
fn who_asks_for_a_bounty_again_is_told_that_it_had_it() {
    let (mut world, anna) = world_of_anna();
    let to = post::takes_errand(&mut world, anna).to;
    let now_ms = world.server().node().resource::<NodeContext>().0.now_ms;
    let good = asked_for(WorldSettings::default().seed, to, bounty_period(now_ms));
    let buy = Buy { good, loads: BOUNTY_LOADS, at_most: u32::MAX };
    world[anna].act(&buy).expect("sent");
    world.run(5);
    post::goes_where_it_is_wanted(&mut world, anna);
    for action in 0..2 {
        // The second time for loads that were bought here: that it was paid already is what it is told.
        match action {
            0 => world[anna].act(&HandIn).expect("sent"),
            _ => world[anna].act(&buy).expect("sent"),
        };
        world.run(5);
    }
    let replies: Vec<_> = world[anna].replies().map(|reply| reply.result).collect();
    assert!(replies.iter().all(Result::is_ok), "{replies:?}");
    assert_eq!(refused(&mut world, anna, &HandIn), Some(TradeRefusal::HadAlready));
}
