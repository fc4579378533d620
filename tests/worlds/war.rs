//! Battles, as players learn of them: settled once and told then, whatever the store does; and shared with fellows alone.

use terrane::action::reason_of;
use terrane::caravan::console::battle_line;
use terrane::caravan::lore::OriginId;
use terrane::caravan::roads::TradeNode;
use terrane::caravan::{
    Band, BattleNews, Battles, Campaign, Character, Chronicle, CreateCharacter, DeleteCharacter, End, Hand,
    HandsRefusal, Hire, JoinParty, Mend, NodeId, Order, Pack, Ranks, Retinue, Roads, VIGOUR_MAX, WOUNDED,
    Walker, caravan_game,
};
use terrane::cell::markers::Owned;
use terrane::cell::pool::{NodeContext, with_cells};
use terrane::prelude::*;
use terrane::reward::Account;
use terrane::store::MutationSummary;
use terrane::testing::{ClientId, TestWorld};

/// Two nodes so near to each other that whoever begins at one sees whoever begins at the other.
fn hamlet() -> Roads {
    let node = |name: &str, x: f32, other: u16| TradeNode {
        name: name.into(),
        slug: name.into(),
        place: Vec3::new(x, 500.0, 0.0),
        neighbours: vec![NodeId(other)],
    };
    Roads { nodes: vec![node("here", 300.0, 1), node("there", 301.0, 0)] }
}

fn world_of(names: &[&str], npcs: u64) -> (TestWorld, Vec<ClientId>) {
    let game = caravan_game(ServerBuilder::default(), hamlet());
    let mut world = TestWorld::new(game, WorldSettings { npcs: Some(npcs), ..WorldSettings::default() });
    let clients = names.iter().map(|name| world.connect(name)).collect();
    world.run(30);
    (world, clients)
}

/// Does something to the campaigns of players, between two ticks.
pub(crate) fn with_campaigns(world: &mut TestWorld, mut change: impl FnMut(&str, &mut Campaign)) {
    with_cells(world.server_mut().node_mut(), |_, cells| {
        for cell in cells.iter_mut() {
            let mut campaigns = cell.world.query_filtered::<(&Walker, &mut Campaign), With<Owned>>();
            for (walker, mut campaign) in campaigns.iter_mut(&mut cell.world) {
                change(&walker.name, &mut campaign);
            }
        }
    });
}

/// A player is attacked by so many foes, each of whom strikes so hard.
fn attack(world: &mut TestWorld, player: &str, band: Band, (foes, strength): (u16, f32)) {
    let context = world.server().node().resource::<NodeContext>().0.clone();
    with_cells(world.server_mut().node_mut(), |_, cells| {
        for cell in cells.iter_mut() {
            let mut players =
                cell.world.query_filtered::<(&Walker, &Character, &mut Campaign), With<Owned>>();
            for (walker, character, mut campaign) in players.iter_mut(&mut cell.world) {
                if walker.name != player {
                    continue;
                }
                (campaign.band, campaign.foes, campaign.strength, campaign.health) =
                    (Some(band), foes, strength, 40);
                (campaign.round, campaign.order) = (1, Order::Attack);
                (campaign.begun, campaign.begun_ms) = (context.tick.0, context.now_ms);
                campaign.injuries = character.vigour.injuries(context.now_ms);
                campaign.round_ends = context.tick.0 + 1;
            }
        }
    });
}

fn own<C: Component + Replicate>(world: &TestWorld, client: ClientId) -> C {
    world.component(client, world[client].avatar().expect("it is in")).expect("it sees itself")
}

fn news(world: &mut TestWorld, client: ClientId) -> Vec<BattleNews> {
    let schema = world[client].schema().clone();
    world[client].events().filter_map(|event| event.read::<BattleNews>(&schema)?.ok()).collect()
}

/// Rows of battles that are over.
fn rows(world: &TestWorld) -> usize {
    world.players().bank().query("SELECT id FROM game_caravan_battle WHERE ended IS NOT NULL").len()
}

/// D5, E2: while nothing of value changes hands a battle that is over waits, however long; it is settled when the store works, and told then.
#[test]
fn a_battle_that_ends_while_the_store_does_not_work_is_settled_when_it_does() {
    let (mut world, clients) = world_of(&["anna"], 0);
    let anna = clients[0];
    attack(&mut world, "anna", Band::Raiders, (1, 0.1));
    for _ in 0..600 {
        world.tick_with(|input| input.value_refused = Some("the disk is full".into()));
        assert_eq!(news(&mut world, anna), [], "nothing has come of it yet");
    }
    assert!(!own::<Campaign>(&world, anna).is_fighting(), "it is over");
    let battles = |world: &TestWorld| {
        let battles = world.server().node().resource::<Battles>();
        (battles.settled(), battles.waiting(), battles.given_up())
    };
    assert_eq!(battles(&world), (0, 1, 0));
    assert_eq!((rows(&world), *own::<Retinue>(&world, anna).renown), (0, 0));
    world.run(250);
    let told = news(&mut world, anna);
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].end, told[0].is_void), (End::Won, false));
    assert_eq!((battles(&world), rows(&world)), ((1, 0, 0), 1));
    assert_eq!(*own::<Retinue>(&world, anna).renown, Band::Raiders.fame());
    // Its rounds waited as well.
    world.run(250);
    let rounds = world.players().bank().query("SELECT id FROM game_caravan_round");
    assert!(!rounds.is_empty(), "they were written at last");
    let chronicle = world.server().node().resource::<Chronicle>();
    assert_eq!((chronicle.waiting(), chronicle.left_out()), (0, 0));
}

/// E2, E10: nobody gets out of a defeat by leaving before it is settled, and nobody loses a victory: it is settled when the player is back.
#[test]
fn a_battle_of_whoever_leaves_before_it_is_settled_is_settled_on_return() {
    let (mut world, clients) = world_of(&["anna"], 0);
    let silver = |world: &TestWorld| {
        let bank = world.players().bank();
        bank.holdings(&Account::from(&PlayerId::new("anna").expect("a name"))).amount(&"silver".into())
    };
    let before = silver(&world);
    assert!(before >= 100, "{before}");
    attack(&mut world, "anna", Band::Cutpurses, (9, 1_000.0));
    for _ in 0..40 {
        world.tick();
        if !own::<Campaign>(&world, clients[0]).is_fighting() {
            break;
        }
    }
    assert!(!own::<Campaign>(&world, clients[0]).is_fighting(), "she is beaten");
    world[clients[0]].leave();
    world.run(300);
    let waiting = world.server().node().resource::<Battles>().waiting();
    assert_eq!((waiting, silver(&world)), (1, before), "it was not asked for in the tick in which it ended");
    let back = world.connect("anna");
    world.run(20);
    let told = news(&mut world, back);
    assert!(matches!(&told[..], [BattleNews { end: End::Lost, is_void: false, .. }]), "{told:?}");
    assert_eq!((silver(&world), rows(&world)), (before - before / 10, 1));
    let battles = world.server().node().resource::<Battles>();
    assert_eq!((battles.settled(), battles.waiting(), battles.given_up()), (1, 0, 0));
}

/// E8, E10: who leaves in the middle of a battle finds it as it was, and has time for an order; what injuries it had is not forgotten, however
/// long it was away.
#[test]
fn a_battle_waits_for_whoever_leaves_it() {
    let (mut world, clients) = world_of(&["anna"], 0);
    let origin = OriginId::new("soldier").expect("a name");
    world[clients[0]].act(&CreateCharacter { origin, skills: Vec::new() }).expect("sent");
    world.run(20);
    attack(&mut world, "anna", Band::Cutpurses, (9, 1_000.0));
    with_campaigns(&mut world, |_, campaign| {
        // Enough of them to die of one more, for sure.
        campaign.injuries = 20;
        campaign.round_ends += 100;
    });
    world[clients[0]].leave();
    world.run(300);
    let back = world.connect("anna");
    world.run(3);
    let now = world.server().node().resource::<NodeContext>().0.tick.0;
    let found: Campaign = own(&world, back);
    assert_eq!((found.band, found.foes, found.round), (Some(Band::Cutpurses), 9, 1));
    assert!(found.round_ends > now + 4, "round 1 ends in {}, it is {now}", found.round_ends);
    world.run(60);
    let told = news(&mut world, back);
    assert!(matches!(&told[..], [BattleNews { end: End::Lost, died: true, .. }]), "{told:?}");
}

/// E10: of a battle everybody in view is told whose it was, and its player alone what it cost.
#[test]
fn everybody_is_told_whose_battle_it_was() {
    let (mut world, clients) = world_of(&["anna", "bob"], 0);
    attack(&mut world, "anna", Band::Raiders, (1, 0.1));
    world.run(400);
    let [of_anna, of_bob] = [0, 1].map(|client: usize| news(&mut world, clients[client]));
    assert_eq!((of_anna.len(), of_bob.len()), (1, 1));
    assert_eq!((of_anna[0].player.as_str(), of_anna[0].is_own), ("anna", true));
    assert_eq!((of_bob[0].player.as_str(), of_bob[0].is_own), ("anna", false));
    assert!(battle_line(&of_anna[0]).starts_with("you won against raiders after "));
    assert!(battle_line(&of_bob[0]).starts_with("anna won against raiders after "));
}

/// E10: a skirmish between players brings fame to nobody who lost none of its people: two could have as many as they like.
#[test]
fn a_skirmish_that_cost_nobody_brings_no_fame() {
    let (mut world, clients) = world_of(&["anna", "bob"], 0);
    let origin = OriginId::new("soldier").expect("a name");
    for &client in &clients {
        world[client].act(&CreateCharacter { origin: origin.clone(), skills: Vec::new() }).expect("sent");
    }
    world[clients[1]].act(&Hire { hand: Hand::Guard, count: 2 }).expect("sent");
    world.run(20);
    let experience = |world: &TestWorld, client| *own::<Character>(world, client).experience;
    let before = clients.iter().map(|&client| experience(&world, client)).collect::<Vec<_>>();
    attack(&mut world, "anna", Band::Rivals, (1, 0.1));
    attack(&mut world, "bob", Band::Rivals, (2, 12.0));
    world.run(400);
    let ends: Vec<_> =
        clients.iter().flat_map(|&client| news(&mut world, client)).filter(|news| news.is_own).collect();
    assert_eq!(ends.len(), 2, "{ends:?}");
    assert!(ends.iter().all(|news| news.end == End::Won), "{ends:?}");
    assert_eq!((ends[0].lost, ends[1].lost > 0), (0, true), "{ends:?}");
    let renown = |client| *own::<Retinue>(&world, client).renown;
    assert_eq!((renown(clients[0]), renown(clients[1])), (0, Band::Rivals.fame()));
    assert_eq!(experience(&world, clients[0]), before[0]);
    assert_eq!(experience(&world, clients[1]), before[1] + Band::Rivals.experience());
}

/// E2: nobody is told how a battle ended before that is committed.
#[test]
fn nobody_is_told_of_a_battle_before_it_is_committed() {
    let (mut world, clients) = world_of(&["anna", "bob"], 0);
    world.players_mut().set_delay_ticks(40);
    attack(&mut world, "anna", Band::Bandits, (1, 0.1));
    let (mut over_in, mut told_in) = (None, None);
    for tick in 0..400 {
        world.tick();
        if over_in.is_none() && !own::<Campaign>(&world, clients[0]).is_fighting() {
            over_in = Some(tick);
        }
        for &client in &clients {
            if !news(&mut world, client).is_empty() {
                assert_eq!(rows(&world), 1, "what is told is in the save");
                told_in = told_in.or(Some(tick));
            }
        }
    }
    let (over_in, told_in) = (over_in.expect("it ends"), told_in.expect("it is told"));
    assert!(told_in >= over_in + 40, "over in {over_in}, told in {told_in}");
}

/// E10: fellows of the party who are near add to the fame of a victory; strangers, caravans and the player itself do not.
#[test]
fn fellows_who_are_near_add_to_fame_and_nobody_else_does() {
    let (mut world, clients) = world_of(&["anna", "bob", "carol"], 30);
    let parties = [Some(PartyId(7)), Some(PartyId(7)), None];
    for (&client, party) in clients.iter().zip(parties) {
        world[client].act(&JoinParty { party }).expect("sent");
    }
    world.run(10);
    let seen = world[clients[2]].view().entities().count();
    assert!(seen > 20, "there are caravans: {seen}");
    for name in ["anna", "carol"] {
        attack(&mut world, name, Band::Raiders, (1, 0.1));
    }
    world.run(900);
    let renown = |client: ClientId| *own::<Retinue>(&world, client).renown;
    let fame = Band::Raiders.fame();
    assert_eq!([renown(clients[0]), renown(clients[2])], [fame * 110 / 100, fame]);
}

/// E2, E10: each defeat leaves an injury, which heals in time; whoever is beaten while it is injured may die of it: its character goes in the
/// plan of the battle, with all it has, and another may begin.
#[test]
fn whoever_is_beaten_again_and_again_is_injured_and_dies_in_the_end() {
    let (mut world, clients) = world_of(&["anna"], 0);
    let anna = clients[0];
    let begin = || CreateCharacter { origin: OriginId::new("soldier").expect("a name"), skills: Vec::new() };
    world[anna].act(&begin()).expect("sent");
    world[anna].act(&Hire { hand: Hand::Guard, count: 4 }).expect("sent");
    world.run(20);
    let now_ms = |world: &TestWorld| world.server().node().resource::<NodeContext>().0.now_ms;
    let mut defeats = 0;
    loop {
        let before: Character = own(&world, anna);
        let injuries = before.vigour.injuries(now_ms(&world));
        assert_eq!(injuries, VIGOUR_MAX.min(defeats));
        attack(&mut world, "anna", Band::Cutpurses, (9, 1_000.0));
        world.run(40);
        let told = news(&mut world, anna);
        assert!(matches!(&told[..], [BattleNews { end: End::Lost, is_void: false, .. }]), "{told:?}");
        assert!(injuries > 0 || !told[0].died, "nobody dies of the first");
        if told[0].died {
            break;
        }
        assert_eq!(*own::<Character>(&world, anna).level, 1, "she lives");
        defeats += 1;
        assert!(defeats < 150, "she dies in the end");
    }
    let anna_is = own::<Character>(&world, anna);
    assert_eq!((*anna_is.level, anna_is.origin.as_str()), (0, ""));
    let held = world.players().bank().holdings(&Account::from(&PlayerId::new("anna").expect("a name")));
    let left: Vec<&str> = held.lots.keys().map(|(asset, _)| asset.as_str()).collect();
    assert!(left.iter().all(|asset| ["fresh-starts", "lives", "vigour"].contains(asset)), "{left:?}");
    assert_eq!(world.players().bank().conservation(), Vec::<String>::new());
    // Time heals, and she may be somebody else.
    let injured = anna_is.vigour;
    assert_eq!(injured.injuries(now_ms(&world)), VIGOUR_MAX.min(defeats));
    assert_eq!(injured.injuries(now_ms(&world) + 3_600_000), 0);
    world[anna].act(&begin()).expect("sent");
    world.run(20);
    assert_eq!(*own::<Character>(&world, anna).level, 1);
}

/// Three of the caller's people are hurt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = (), refusal = HandsRefusal, rate = 5, burst = 10, coalesce = none,
    durability = immediate)]
struct Stumble;

fn stumble(_: &Stumble, _: &Campaign, context: &AskContext<'_>) -> Result<PlanRequest, HandsRefusal> {
    Ok(context.request("stumble").grant(WOUNDED, 3, "npc/hands"))
}

fn stumbled(_: &Stumble, outcome: Result<&MutationSummary, &PlanRefusal>) -> Result<(), HandsRefusal> {
    outcome.map(|_| ()).map_err(|why| HandsRefusal::Value(why.clone()))
}

struct Stumbles;

impl Plugin for Stumbles {
    fn build(&self, app: &mut App) {
        app.add_immediate_action::<Stumble, Campaign>(stumble, stumbled);
    }
}

/// E10: who is hurt and not mended in time is gone then: nobody is shown any more, takes a slot or is mended. They stayed on show until
/// something else of their player's was written.
#[test]
fn the_wounded_who_were_not_mended_in_time_are_gone() {
    let game = caravan_game(ServerBuilder::default(), hamlet()).add_cell_plugins(Stumbles);
    let mut world = TestWorld::new(game, WorldSettings { npcs: Some(0), ..WorldSettings::default() });
    let anna = world.connect("anna");
    world.run(30);
    world[anna].act(&Stumble).expect("sent");
    world.run(12);
    let seen = |world: &TestWorld| (own::<Retinue>(world, anna).wounded, own::<Pack>(world, anna).slots_used);
    assert_eq!(seen(&world), (3, 1));
    assert!(own::<Retinue>(&world, anna).to_string().ends_with(", 3 wounded"));
    let later = |world: &mut TestWorld, ms: u64| {
        for _ in 0..12 {
            world.tick_with(|input| input.now_ms += ms);
        }
    };
    later(&mut world, 9 * 60_000);
    assert_eq!(seen(&world), (3, 1), "there is a minute left");
    later(&mut world, 10 * 60_000);
    assert_eq!(seen(&world), (0, 0));
    let player = PlayerId::new("anna").expect("a name");
    let kept = world.players().bank().holdings(&Account::from(&player)).amount(&WOUNDED.into());
    assert_eq!(kept, 3, "nothing was written since");
    world[anna].act(&Mend { count: 3 }).expect("sent");
    later(&mut world, 10 * 60_000);
    let reply = world[anna].replies().last().expect("answered");
    let why = reason_of::<Mend>(&reply.result.expect_err("nobody is hurt"));
    assert_eq!(why, Some(HandsRefusal::Unhurt { wounded: 0 }));
}

/// E10: whoever has lived through enough is given each level with its points once in each life, and not once for ever.
#[test]
fn every_life_has_its_own_levels() {
    let (mut world, clients) = world_of(&["anna"], 0);
    let anna = clients[0];
    for life in 1..=2 {
        let origin = OriginId::new("soldier").expect("a name");
        world[anna].act(&CreateCharacter { origin, skills: Vec::new() }).expect("sent");
        world.run(20);
        attack(&mut world, "anna", Band::Raiders, (1, 0.1));
        world.run(900);
        let character: Character = own(&world, anna);
        let lived = (*character.level, *character.experience, *character.points);
        assert_eq!(lived, (2, Band::Raiders.experience(), 2), "life {life}");
        let name = PlayerId::new("anna").expect("a name");
        world[anna].act(&DeleteCharacter { name }).expect("sent");
        world.run(20);
        assert_eq!(own::<Character>(&world, anna), Character::default(), "life {life}");
    }
}

/// E1: who is famous and away when the world begins again keeps its place.
#[test]
fn the_famous_keep_their_places_over_a_restart() {
    let (mut world, clients) = world_of(&["anna"], 0);
    attack(&mut world, "anna", Band::Raiders, (1, 0.1));
    world.run(900);
    world[clients[0]].leave();
    world.run(60);
    let best = |world: &TestWorld| world.server().node().resource::<Ranks>().best.clone();
    assert_eq!(best(&world), [("anna".to_owned(), Band::Raiders.fame())]);
    let (image, players) = (world.image(), world.players().clone());
    let settings = WorldSettings { npcs: Some(0), ..WorldSettings::default() };
    let game = caravan_game(ServerBuilder::default(), hamlet());
    let mut world = TestWorld::restart(game, settings, Some(&image), players);
    world.run(60);
    assert_eq!(best(&world), [("anna".to_owned(), Band::Raiders.fame())]);
}
