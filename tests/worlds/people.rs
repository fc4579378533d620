//! Characters and what they wear: they come with one plan and go with one, whatever is asked for at the same time, and are the same
//! after every end of the world.

use std::sync::Arc;

use crate::support::caravan_world;
use terrane::action::{Action, reason_of};
use terrane::caravan::bots::{BotBrain, BotMap, BotProfile};
use terrane::caravan::lore::{ItemId, OriginId, SkillId, Slot};
use terrane::caravan::{
    Band, Buy, Campaign, Character, CharacterRefusal, CreateCharacter, DeleteCharacter, Fight, GearRefusal,
    Good, Hand, Hire, Learn, LearnRefusal, Lore, March, Mend, NodeId, Order, Outfit, Pack, Purse, Retinue,
    Study, TakeOff, Treat, Wear, level_of,
};
use terrane::cell::pool::NodeContext;
use terrane::prelude::*;
use terrane::reference::{Reference, ReferenceFiles};
use terrane::reward::{Account, AssetClass, Claim, CommitBatch, Lot, Name, PlanContext, Submission, plan};
use terrane::store::Bank;
use terrane::testing::{ClientId, TestWorld};

fn world_of(name: &str) -> (TestWorld, ClientId) {
    let mut world = caravan_world(WorldSettings::default(), 0);
    let client = world.connect(name);
    world.run(20);
    (world, client)
}

fn own<C: Component + Replicate>(world: &TestWorld, client: ClientId) -> C {
    let avatar = world[client].avatar().expect("it is in");
    world.component(client, avatar).expect("it sees itself")
}

fn named(player: &str) -> PlayerId {
    PlayerId::new(player).expect("a name")
}

fn create(origin: &str) -> CreateCharacter {
    CreateCharacter { origin: OriginId::new(origin).expect("a name"), skills: Vec::new() }
}

fn wear(item: &str) -> Wear {
    Wear { item: ItemId::new(item).expect("a name") }
}

/// What came of what was asked for, in order: done, or the reason why not.
fn asked<A: Action>(world: &mut TestWorld, client: ClientId, actions: &[A]) -> Vec<Option<A::Refusal>> {
    let ids: Vec<_> = actions.iter().map(|action| world[client].act(action).expect("sent")).collect();
    world.run(12);
    let replies: Vec<_> = world[client].replies().collect();
    let of = |id| &replies.iter().find(|reply| reply.id == id).expect("it is answered").result;
    let why = |refusal| reason_of::<A>(refusal).unwrap_or_else(|| panic!("{refusal}"));
    ids.into_iter().map(|id| of(id).as_ref().err().map(why)).collect()
}

fn one<A: Action>(world: &mut TestWorld, client: ClientId, action: &A) -> Option<A::Refusal> {
    asked(world, client, std::slice::from_ref(action)).remove(0)
}

fn held(bank: &Bank, player: &str) -> Vec<(String, u64)> {
    let holdings = bank.holdings(&Account::from(&PlayerId::new(player).expect("a name")));
    holdings.lots.iter().map(|((asset, _), amount)| (asset.to_string(), *amount)).collect()
}

/// Of every asset there is as much as was given out, and every table of the game agrees with what is held.
fn assert_conserved(bank: &Bank) {
    let unequal = "SELECT asset.name FROM holding JOIN asset ON asset.id = holding.asset
                   GROUP BY asset.id HAVING sum(holding.amount) <> 0";
    assert_eq!(bank.query(unequal), Vec::<Vec<String>>::new());
    assert_eq!(bank.conservation(), Vec::<String>::new());
}

/// E2: of two characters that are asked for at once one begins, whatever was known when they were asked for.
#[test]
fn of_two_characters_asked_for_at_once_one_begins() {
    let (mut world, anna) = world_of("anna");
    let came = asked(&mut world, anna, &[create("soldier"), create("runner"), create("soldier")]);
    assert_eq!(came, [None, Some(CharacterRefusal::HasOne), Some(CharacterRefusal::HasOne)]);
    let held = held(world.players().bank(), "anna");
    let origins: Vec<_> = held.iter().filter(|(asset, _)| asset.starts_with("origin/")).collect();
    assert_eq!(origins, [&("origin/soldier".to_owned(), 1)]);
    assert_conserved(world.players().bank());
}

/// E2, E8: with its character a player gives back everything, in one plan: what it bought, hired and wears. It may begin anew, but
/// not as often as it likes.
#[test]
fn a_character_that_goes_leaves_nothing_and_another_may_begin() {
    let (mut world, anna) = world_of("anna");
    for life in 1..=3 {
        assert_eq!(one(&mut world, anna, &create("soldier")), None, "life {life}");
        let character: Character = own(&world, anna);
        assert_eq!((*character.level, character.origin.as_str()), (1, "soldier"));
        assert_eq!(*own::<Purse>(&world, anna).silver, 400, "life {life}: that of its origin and no more");
        assert_eq!(one(&mut world, anna, &wear("spear")), None);
        assert_eq!(own::<Outfit>(&world, anna).worn.iter().count(), 1);
        assert_eq!(one(&mut world, anna, &Buy { good: Good::Salt, loads: 2, at_most: 99 }), None);
        assert_eq!(one(&mut world, anna, &Hire { hand: Hand::Archer, count: 2 }), None);
        let name = || named("anna");
        let wrong = DeleteCharacter { name: named("Anna") };
        assert_eq!(one(&mut world, anna, &wrong), Some(CharacterRefusal::Name));
        assert_eq!(one(&mut world, anna, &DeleteCharacter { name: name() }), None);
        let lives = ("lives".to_owned(), life);
        let left = held(world.players().bank(), "anna");
        let left: Vec<_> = left.into_iter().filter(|(asset, _)| asset != "fresh-starts").collect();
        assert_eq!(left, [lives], "all but the count of its lives is gone");
        assert_eq!(own::<Outfit>(&world, anna), Outfit::default());
        assert_eq!(own::<Character>(&world, anna), Character::default());
        assert_conserved(world.players().bank());
        world.run(100);
    }
    assert_eq!(one(&mut world, anna, &create("soldier")), Some(CharacterRefusal::TooSoon));
    let (_, bank) = (own::<Purse>(&world, anna), world.players().bank());
    assert_eq!(held(bank, "anna"), [("lives".to_owned(), 3)], "what is refused changes nothing");
}

/// E2: what waits before the end of a character is part of what goes with it, or it does not go: nothing is left behind.
#[test]
fn what_comes_in_between_keeps_a_character_from_going() {
    let (mut world, anna) = world_of("anna");
    assert_eq!(one(&mut world, anna, &create("trader")), None);
    world[anna].act(&Buy { good: Good::Wine, loads: 1, at_most: 99 }).expect("sent");
    let delete = DeleteCharacter { name: named("anna") };
    assert_eq!(one(&mut world, anna, &delete), Some(CharacterRefusal::AskAgain));
    assert_eq!(own::<Purse>(&world, anna).goods.loads(Good::Wine), 1);
    assert_eq!(*own::<Character>(&world, anna).level, 1, "it is all there");
    assert_eq!(one(&mut world, anna, &delete), None, "now nothing comes in between");
    assert_eq!(own::<Purse>(&world, anna), Purse::default());
    assert_conserved(world.players().bank());
}

/// The files, with an origin that brings much and may learn much.
fn with_hero() -> ReferenceFiles {
    let files = ReferenceFiles::shipped(Lore::FILES);
    let origins = format!(
        "{}\n[[origin]]\nid = \"hero\"\nname = \"Hero\"\nsilver = 900\npoints = 9\nattributes = [[\"strength\", 9]]\n\
         items = [[\"spear\", 1], [\"sabre\", 1], [\"leather\", 1], [\"saddlebags\", 2]]\n",
        files.text("origins.toml").text()
    );
    files.with("origins.toml", origins)
}

/// E2, E7: what a first character begins with includes what its player was given when it came, and not what the files say that players
/// are given by then: neither too much for who came before that was less, nor a debt for who came before it was more.
#[test]
fn a_first_character_reckons_with_what_its_player_was_given() {
    for (usual, origin, silver) in
        [(100, "trader", 700), (100, "wanderer", 100), (900, "trader", 700), (900, "wanderer", 900)]
    {
        let (mut world, anna) = world_of("anna");
        assert_eq!(*own::<Purse>(&world, anna).silver, 500);
        let files = ReferenceFiles::shipped(Lore::FILES);
        let origins = files.text("origins.toml").text();
        let origins = origins.replacen("silver = 500", &format!("silver = {usual}"), 1);
        world.reload(files.with("origins.toml", origins)).expect("it is sound");
        world.run(5);
        assert_eq!(one(&mut world, anna, &create(origin)), None, "{origin}, {usual}");
        assert_eq!(*own::<Purse>(&world, anna).silver, silver, "{origin}, {usual}");
        assert!(held(world.players().bank(), "anna").iter().all(|(asset, _)| asset != "gift"));
        assert_conserved(world.players().bank());
    }
}

fn world_of_hero() -> (TestWorld, ClientId) {
    let (mut world, anna) = world_of("anna");
    world.reload(with_hero()).expect("it is sound");
    world.run(5);
    assert_eq!(one(&mut world, anna, &create("hero")), None);
    (world, anna)
}

/// E2, E7: what the files have no more goes with its character all the same, so the next one comes from its own origin and knows
/// what it has learned itself.
#[test]
fn what_the_files_have_no_more_goes_with_its_character() {
    let (mut world, anna) = world_of_hero();
    assert_eq!(one(&mut world, anna, &wear("sabre")), None);
    let before = held(world.players().bank(), "anna");
    assert!(before.contains(&("origin/hero".to_owned(), 1)), "{before:?}");
    world.reload(ReferenceFiles::shipped(Lore::FILES)).expect("it is sound");
    world.run(5);
    assert_eq!(own::<Character>(&world, anna).origin.as_str(), "hero", "she stays who she is");
    assert_eq!(one(&mut world, anna, &DeleteCharacter { name: named("anna") }), None);
    let left = held(world.players().bank(), "anna");
    let left: Vec<_> = left.into_iter().filter(|(asset, _)| asset != "fresh-starts").collect();
    assert_eq!(left, [("lives".to_owned(), 1)]);
    assert_eq!(own::<Character>(&world, anna), Character::default());
    assert_eq!(one(&mut world, anna, &create("soldier")), None);
    assert_eq!(own::<Character>(&world, anna).origin.as_str(), "soldier");
    assert_conserved(world.players().bank());
}

/// E2: what everybody is given is part of what the first character begins with: who has spent it comes from nowhere poorer.
#[test]
fn who_has_spent_the_gift_does_not_begin_with_less() {
    let (mut world, anna) = world_of("anna");
    assert_eq!(one(&mut world, anna, &Hire { hand: Hand::Healer, count: 10 }), None);
    let has = *own::<Purse>(&world, anna).silver;
    assert!(has < 350, "{has}");
    let spent = CharacterRefusal::GiftSpent { needs: 350, has };
    assert_eq!(one(&mut world, anna, &create("outlaw")), Some(spent));
    assert_eq!(*own::<Purse>(&world, anna).silver, has, "what is refused changes nothing");
    assert_eq!(one(&mut world, anna, &create("wanderer")), None);
    assert_eq!(*own::<Purse>(&world, anna).silver, has, "that of its origin, but for what was spent");
    assert_conserved(world.players().bank());
}

/// E10: each place takes one thing, also of two that are put on at once; what is worn has left the pack, and comes back into it.
#[test]
fn each_place_takes_one_thing_also_of_two_that_are_put_on_at_once() {
    let (mut world, anna) = world_of_hero();
    let came = asked(&mut world, anna, &[wear("spear"), wear("sabre"), wear("leather"), wear("spear")]);
    let taken = || Some(GearRefusal::Taken { slot: Slot::Hand });
    assert_eq!(came, [None, taken(), None, Some(GearRefusal::NotHeld)]);
    let bank = |world: &TestWorld, asset: &str| {
        let held = held(world.players().bank(), "anna");
        held.into_iter().find(|(name, _)| name == asset).map_or(0, |(_, amount)| amount)
    };
    assert_eq!((bank(&world, "spear"), bank(&world, "sabre"), bank(&world, "leather")), (0, 1, 0));
    let takes = [TakeOff { slot: Slot::Hand }, TakeOff { slot: Slot::Hand }];
    assert_eq!(asked(&mut world, anna, &takes), [None, Some(GearRefusal::Bare { slot: Slot::Hand })]);
    assert_eq!((bank(&world, "spear"), bank(&world, "worn/spear")), (1, 0));
    let pack: Pack = own(&world, anna);
    let items: Vec<_> = pack.items.iter().map(|(id, count)| format!("{id} {count}")).collect();
    assert_eq!(items, ["sabre 1", "saddlebags 2", "spear 1"], "she is told what is in her pack");
    assert_eq!((pack.slots_used, pack.slots), (4, 24));
    assert_eq!(one(&mut world, anna, &wear("sabre")), None);
    assert_conserved(world.players().bank());
}

/// E10: what is learned costs points, goes no further than the file says, and needs what the file says; of what is asked for at once
/// no more is learned than there are points for.
#[test]
fn no_more_is_learned_than_there_are_points_for() {
    let (mut world, anna) = world_of_hero();
    let skill = |name: &str| Learn { what: Study::Skill(SkillId::new(name).expect("a name")) };
    let strength = || Learn {
        what: Study::Attribute(terrane::caravan::lore::AttributeId::new("strength").expect("a name")),
    };
    let fighting = SkillId::new("fighting").expect("a name");
    assert_eq!(one(&mut world, anna, &skill("command")), Some(LearnRefusal::Needs { skill: fighting }));
    assert_eq!(one(&mut world, anna, &strength()), None);
    assert_eq!(one(&mut world, anna, &strength()), Some(LearnRefusal::Highest { most: 10 }));
    assert_eq!(*own::<Character>(&world, anna).points, 7);
    world.run(60);
    // Five levels are the most, and all six are asked for before the first is known.
    let came = asked(&mut world, anna, &std::array::from_fn::<_, 6, _>(|_| skill("fighting")));
    assert!(came[..5].iter().all(Option::is_none), "{came:?}");
    assert_eq!(came[5], Some(LearnRefusal::Highest { most: 5 }));
    world.run(60);
    let came = asked(&mut world, anna, &[skill("riding"), skill("riding"), skill("riding")]);
    assert_eq!(came, [None, None, Some(LearnRefusal::Points { has: 0, needs: 1 })]);
    let character: Character = own(&world, anna);
    let levels: Vec<_> = character.skills.iter().map(|(id, level)| (id.to_string(), level)).collect();
    assert_eq!(levels, [("fighting".to_owned(), 5), ("riding".to_owned(), 2)]);
}

/// E2: who fights keeps its character and its clothes until the fight is over.
#[test]
fn nobody_leaves_a_character_or_changes_clothes_in_a_fight() {
    let (mut world, anna) = world_of_hero();
    assert_eq!(one(&mut world, anna, &wear("leather")), None);
    let mut marched = 0_u16;
    for _ in 0..8_000 {
        let campaign: Campaign = own(&world, anna);
        if campaign.is_fighting() {
            break;
        }
        if campaign.to.is_none() {
            world[anna].act(&March { to: NodeId(marched % 17) }).expect("sent");
            marched += 5;
            world.run(10);
        }
        world.tick();
    }
    let campaign: Campaign = own(&world, anna);
    assert!(campaign.is_fighting(), "somebody lies in wait sooner or later");
    assert_eq!(campaign.health, 30);
    // It goes on for as long as it takes to ask.
    super::war::with_campaigns(&mut world, |_, campaign| campaign.round_ends += 10_000);
    let name = named("anna");
    assert_eq!(one(&mut world, anna, &DeleteCharacter { name }), Some(CharacterRefusal::Fighting));
    assert!(own::<Campaign>(&world, anna).is_fighting());
    assert_eq!(one(&mut world, anna, &wear("spear")), Some(GearRefusal::Fighting));
    assert_eq!(one(&mut world, anna, &TakeOff { slot: Slot::Body }), Some(GearRefusal::Fighting));
    let _ = world[anna].act(&Fight { order: Order::Flee });
    world.run(10);
}

/// Gives a player something behind the back of its world, which hears of it with the next change.
fn give(world: &TestWorld, player: &str, asset: &'static str, amount: u64) {
    let (player, bank) = (named(player), world.players().bank());
    let now_ms = world.server().node().resource::<NodeContext>().0.now_ms;
    let claim = Claim::new(&player, ClaimKey::named("gift", asset.as_bytes()), b"");
    let tables = Arc::new(Lore::shipped().reward_tables().clone());
    let holdings = bank.holdings(&Account::from(&player));
    let context = PlanContext::new(tables, now_ms, &claim, 1).with(&player, holdings);
    let request = PlanRequest::new("gift", &player).grant(asset, amount, "treasury");
    let plan = plan(&context, &claim, &request).expect("a plan");
    let plans = vec![Submission { number: 1, plan: plan.into() }];
    let done = bank.commit(&CommitBatch { tick: world.last_tick(), now_ms, plans });
    assert!(done[0].result.is_ok(), "{done:?}");
}

/// E10: a bandage mends one of the wounded wherever one is, and whoever is at a node has them mended for silver: each of them is a guard
/// again. In a fight nobody is mended.
#[test]
fn the_wounded_are_mended_with_bandages_or_for_silver() {
    let (mut world, anna) = world_of("anna");
    assert_eq!(one(&mut world, anna, &create("outlaw")), None);
    give(&world, "anna", "wounded", 5);
    assert_eq!(one(&mut world, anna, &Hire { hand: Hand::Guard, count: 1 }), None);
    let stands = |world: &TestWorld| {
        let (retinue, purse): (Retinue, Purse) = (own(world, anna), own(world, anna));
        let bandages = own::<Pack>(world, anna).items.count(&ItemId::new("bandage").expect("a name"));
        (retinue.hands.guards, retinue.wounded, bandages, *purse.silver)
    };
    assert_eq!(stands(&world), (1, 5, 2, 150 - 15));
    let treat = |count: u16| Treat { item: ItemId::new("bandage").expect("a name"), count };
    assert_eq!(one(&mut world, anna, &treat(1)), None);
    assert_eq!(stands(&world), (2, 4, 1, 135));
    // Eight silver each, and twelve percent less for who knows how to heal.
    assert_eq!(one(&mut world, anna, &Mend { count: 3 }), None);
    assert_eq!(stands(&world), (5, 1, 1, 135 - 22));
    assert_eq!(one(&mut world, anna, &treat(2)), Some(GearRefusal::Unhurt));
    crate::war::with_campaigns(&mut world, |_, campaign| {
        (campaign.band, campaign.foes, campaign.round_ends) = (Some(Band::Raiders), 9, u64::MAX);
    });
    assert_eq!(one(&mut world, anna, &treat(1)), Some(GearRefusal::Fighting));
    assert_eq!(stands(&world), (5, 1, 1, 113), "what is refused changes nothing");
    assert_conserved(world.players().bank());
}

/// E10: what one wears is taken off only where there is room for it, and what the files say of room holds at once.
#[test]
fn what_is_worn_needs_room_in_the_pack_when_it_is_taken_off() {
    let (mut world, anna) = world_of_hero();
    assert_eq!(one(&mut world, anna, &wear("leather")), None);
    // Her sabre, her spear and her saddlebags take four of 24 slots.
    give(&world, "anna", "guard", 199);
    assert_eq!(one(&mut world, anna, &Hire { hand: Hand::Guard, count: 1 }), None);
    assert_eq!(own::<Pack>(&world, anna).slots_used, 24);
    let refused = one(&mut world, anna, &TakeOff { slot: Slot::Body });
    assert!(matches!(refused, Some(GearRefusal::Value(PlanRefusal::NoRoom { .. }))), "{refused:?}");
    assert_eq!(own::<Outfit>(&world, anna).worn.iter().count(), 1, "it is worn as before");
    let items = with_hero()
        .text("items.toml")
        .text()
        .replace("id = \"saddlebags\"", "id = \"saddlebags\"\nstack = 2");
    world.reload(with_hero().with("items.toml", items)).expect("it is sound");
    world.run(5);
    assert_eq!(own::<Pack>(&world, anna).slots_used, 23, "two of them share a slot now");
    assert_eq!(one(&mut world, anna, &TakeOff { slot: Slot::Body }), None);
    assert_conserved(world.players().bank());
}

/// E2: what an earlier character lived through does not come to the next one, also if it comes when that has gone.
#[test]
fn a_character_begins_without_what_an_earlier_one_lived_through() {
    let (mut world, anna) = world_of("anna");
    for (asset, amount) in [("experience", 70), ("level", 1), ("points", 2)] {
        give(&world, "anna", asset, amount);
    }
    assert_eq!(one(&mut world, anna, &Hire { hand: Hand::Guard, count: 1 }), None);
    assert_eq!(*own::<Character>(&world, anna).experience, 70, "it came");
    assert_eq!(one(&mut world, anna, &create("soldier")), None);
    let character: Character = own(&world, anna);
    assert_eq!((*character.level, *character.experience, *character.points), (1, 0, 0));
    assert_conserved(world.players().bank());
}

/// D5: while the store keeps nothing, nobody becomes or learns anything or changes clothes, and is told why.
#[test]
fn while_nothing_can_be_kept_nobody_changes() {
    let (mut world, anna) = world_of_hero();
    let (before, clothes) = (own::<Character>(&world, anna), own::<Outfit>(&world, anna));
    let mut refused = |ask: &mut dyn FnMut(&mut TestWorld)| {
        ask(&mut world);
        for _ in 0..5 {
            world.tick_with(|input| input.value_refused = Some("the disk is full".into()));
        }
        world[anna].replies().last().expect("answered").result.expect_err("refused")
    };
    let is_why =
        |why: &PlanRefusal| matches!(why, PlanRefusal::Degraded { why } if why == "the disk is full");
    let why = refused(&mut |world| drop(world[anna].act(&DeleteCharacter { name: named("anna") })));
    let why = reason_of::<DeleteCharacter>(&why);
    assert!(matches!(&why, Some(CharacterRefusal::Value(why)) if is_why(why)), "{why:?}");
    let what = Study::Skill(SkillId::new("riding").expect("a name"));
    let why = refused(&mut |world| drop(world[anna].act(&Learn { what: what.clone() })));
    let why = reason_of::<Learn>(&why);
    assert!(matches!(&why, Some(LearnRefusal::Value(why)) if is_why(why)), "{why:?}");
    let why = refused(&mut |world| drop(world[anna].act(&wear("leather"))));
    let why = reason_of::<Wear>(&why);
    assert!(matches!(&why, Some(GearRefusal::Value(why)) if is_why(why)), "{why:?}");
    assert_eq!((own::<Character>(&world, anna), own::<Outfit>(&world, anna)), (before, clothes));
}

/// E8: a character, what it has learned and what it wears are there after the world was killed, without any image of it.
#[test]
fn a_character_is_there_after_the_world_was_killed() {
    let (mut world, anna) = world_of("anna");
    assert_eq!(one(&mut world, anna, &create("runner")), None);
    assert_eq!(one(&mut world, anna, &wear("knife")), None);
    let before = (own::<Character>(&world, anna), own::<Outfit>(&world, anna));
    assert_eq!((before.0.skills.iter().count(), before.1.worn.iter().count()), (3, 1));
    let settings = WorldSettings { npcs: Some(0), ..WorldSettings::default() };
    let players = world.players().clone();
    let game = crate::support::caravan_builder(&settings);
    let mut world = TestWorld::restart(game, settings, None, players);
    let anna = world.connect("anna");
    world.run(20);
    assert_eq!((own::<Character>(&world, anna), own::<Outfit>(&world, anna)), before);
    assert_eq!(one(&mut world, anna, &create("runner")), Some(CharacterRefusal::HasOne));
}

/// E8: over every border of cells a character goes along, and who sees it is told its origin and no number.
#[test]
fn a_character_goes_along_over_borders() {
    let (mut world, anna) = world_of("anna");
    assert_eq!(one(&mut world, anna, &create("drover")), None);
    let before: Character = own(&world, anna);
    // Nobody attacks her: who fights gets no coach.
    crate::war::with_campaigns(&mut world, |_, campaign| campaign.safe_until = u64::MAX);
    world[anna].act(&March { to: NodeId(0) }).expect("sent");
    world.run(400);
    let bob = world.connect("bob");
    for client in [anna, bob] {
        world[client].act(&terrane::caravan::TakeCoach).expect("sent");
    }
    world.run(40);
    // What it has lived through on the way is another matter.
    let after: Character = own(&world, anna);
    assert_eq!(
        (&after.origin, &after.attributes, &after.skills),
        (&before.origin, &before.attributes, &before.skills)
    );
    let avatar = world[anna].avatar().expect("she is in");
    let seen: Character = world.component(bob, avatar).expect("bob sees her");
    assert_eq!(seen.origin, before.origin);
    assert_eq!((*seen.level, *seen.points, seen.skills.iter().count()), (0, 0, 0), "he is told no number");
}

/// What a world of bots came to: who everybody is, and what everybody holds.
fn lived(grid: [u32; 2], threads: usize) -> (Vec<Vec<String>>, Vec<(u64, u64)>) {
    const PLAYERS: u64 = 16;
    let map = Arc::new(BotMap::shipped());
    let mut world = caravan_world(WorldSettings { grid, threads, ..WorldSettings::default() }, 40);
    let clients: Vec<_> = (0..PLAYERS).map(|number| world.connect(&format!("settler {number}"))).collect();
    let mut brains: Vec<_> =
        (0..PLAYERS).map(|number| BotBrain::new(BotProfile::Trade, map.clone(), 8, number)).collect();
    for tick in 1..=2_400 {
        for (brain, &client) in brains.iter_mut().zip(&clients) {
            brain.think(&mut world[client], tick);
        }
        world.tick();
    }
    world.run(150);
    let bank = world.players().bank();
    assert_conserved(bank);
    let books = bank.query(
        "SELECT account.name, asset.name, holding.amount FROM holding
         JOIN account ON account.id = holding.account JOIN asset ON asset.id = holding.asset
         WHERE account.kind = 'player' AND holding.amount <> 0 ORDER BY account.name, asset.name",
    );
    let levels = clients.iter().map(|&client| {
        let character: Character = own(&world, client);
        (*character.level, *character.experience)
    });
    (books, levels.collect())
}

/// E10, C5: whoever has lived through enough has the level of it, once; and people become the same on every layout and number of
/// threads.
#[test]
fn people_become_the_same_on_every_layout() {
    let (books, levels) = lived([1, 1], 1);
    assert!(levels.iter().all(|&(level, experience)| level == level_of(experience)), "{levels:?}");
    assert!(levels.iter().any(|&(level, _)| level > 1), "{levels:?}");
    let with = |prefix: &str| books.iter().filter(|row| row[1].starts_with(prefix)).count();
    assert_eq!((with("character"), with("origin/")), (16, 16), "everybody is somebody");
    assert!(with("worn/") > 4 && with("skill/") > 20, "{books:?}");
    for (grid, threads) in [([2, 2], 2), ([5, 5], 2)] {
        let other = lived(grid, threads);
        assert_eq!(other.0, books, "{grid:?}");
        assert_eq!(other.1, levels, "{grid:?}");
    }
}

/// E8: the assets of characters are in no way to be had twice: what one is comes once, and what fills up by itself is bounded.
#[test]
fn what_a_character_is_made_of_is_bounded_by_the_tables() {
    let lore = Lore::shipped();
    let class = |asset: &str| lore.reward_tables().asset(&Name::new(asset).expect("a name")).cloned();
    for asset in ["character", "origin/soldier", "worn/spear", "slot/hand"] {
        assert_eq!(class(asset), Some(AssetClass::Unlock), "{asset}");
    }
    assert_eq!(class("skill/command"), Some(AssetClass::Currency { cap: 3 }));
    assert_eq!(class("worn/relic"), None);
    assert_eq!(Lot::PLAIN, Lot::default());
}
