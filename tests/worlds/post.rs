//! Letters of the shipped game: out of the outbox, into the post office, to the player, once.

use std::path::Path;

use terrane::action::reason_of;
use terrane::caravan::{
    Buy, Character, CreateCharacter, DeleteCharacter, Deliver, Errand, ErrandRefusal, Errands, GiveUpErrand,
    Letters, Lore, Market, NodeId, Post, PostOffice, Purse, Received, Roads, Steer, TakeErrand,
    caravan_plugins, caravan_world, lore::OriginId, roads::TradeNode,
};
use terrane::prelude::*;
use terrane::testing::{ClientId, TestPlayers, TestWorld};

/// A map of two places, a few steps from one another.
fn two_places() -> Roads {
    let node = |name: &str, x: f32, other: u16| {
        let (slug, place) = (name.to_lowercase(), Vec3::new(x, 500.0, 0.0));
        TradeNode { name: name.into(), slug, place, neighbours: vec![NodeId(other)] }
    };
    Roads { nodes: vec![node("Here", 500.0, 1), node("There", 516.0, 0)] }
}

pub(crate) fn world(office: &PostOffice, kept: Option<TestPlayers>) -> TestWorld {
    let game = caravan_world(caravan_plugins(ServerBuilder::default()), two_places(), office.clone());
    let settings = WorldSettings { npcs: Some(0), ..WorldSettings::default() };
    match kept {
        None => TestWorld::new(game, settings),
        Some(kept) => TestWorld::restart(game, settings, None, kept),
    }
}

/// What is in a player's box, as that player is told.
fn letters(world: &TestWorld, client: ClientId) -> Vec<Received> {
    let player = &world[client];
    let letters = player.view().entities().find_map(|entity| entity.component::<Letters>(player.schema()));
    letters.into_iter().flat_map(|letters| letters.boxes.into_values()).flatten().collect()
}

/// What the post has told a player since the last look.
fn told(world: &mut TestWorld, client: ClientId) -> Vec<String> {
    let schema = world[client].schema().clone();
    let posts = world[client].events().filter_map(|event| event.read::<Post>(&schema)?.ok());
    posts.map(|post| post.about.to_string()).collect()
}

fn errands(world: &TestWorld, client: ClientId) -> Errands {
    world.component(client, world[client].avatar().expect("in")).expect("its own")
}

/// The errand that a player takes where it is.
pub(crate) fn takes_errand(world: &mut TestWorld, client: ClientId) -> Errand {
    world[client].act(&TakeErrand).expect("sent");
    world.run(3);
    errands(world, client).current().expect("it has taken one")
}

/// Lets a player walk to where its errand is wanted.
pub(crate) fn goes_where_it_is_wanted(world: &mut TestWorld, client: ClientId) {
    let errand = errands(world, client).current().expect("it has one");
    let to = two_places().node(errand.to).place.truncate();
    for _ in 0..200 {
        let place = world[client].view().get(world[client].avatar().expect("in")).expect("it sees itself");
        let way = to - place.lattice().to_place().truncate();
        let speed_m_s = if way.length() < 1.0 { 0.0 } else { 4.0 };
        world[client].want(&Steer { heading: way.to_angle(), speed_m_s }).expect("sent");
        world.tick();
        if speed_m_s == 0.0 {
            world.run(3);
            return;
        }
    }
    panic!("it does not get there");
}

/// A player comes in, takes an errand, has the goods for it, twice, and is where they are wanted.
fn comes_with_the_goods(world: &mut TestWorld, name: &str) -> ClientId {
    let client = world.connect(name);
    world.run(30);
    let Errand { good, loads, .. } = takes_errand(world, client);
    for _ in 0..2 {
        world[client].act(&Buy { good, loads, at_most: u32::MAX }).expect("sent");
        world.run(5);
    }
    let replies: Vec<_> = world[client].replies().collect();
    assert!(replies.iter().all(|reply| reply.result.is_ok()), "{replies:?}");
    goes_where_it_is_wanted(world, client);
    client
}

/// E9: an errand is never wanted where it is taken; who asks again keeps the one it has; and who gives it up waits for another, however
/// often it asks.
#[test]
fn an_errand_stays_the_same_and_who_gives_it_up_waits() {
    let mut world = world(&PostOffice::in_memory(), None);
    let anna = world.connect("anna");
    world.run(30);
    let offered = errands(&world, anna).offered.expect("she is told what is offered where she is");
    let taken = takes_errand(&mut world, anna);
    assert_eq!(taken, offered);
    assert_ne!(taken.from, taken.to);
    for _ in 0..5 {
        world.run(25);
        assert_eq!(takes_errand(&mut world, anna), taken, "asking again changes nothing");
    }
    world[anna].act(&Buy { good: taken.good, loads: taken.loads, at_most: u32::MAX }).expect("sent");
    world.run(25);
    drop(world[anna].replies().collect::<Vec<_>>());
    world[anna].act(&Deliver).expect("sent");
    world.run(25);
    let reason =
        |world: &mut TestWorld| world[anna].replies().last().expect("answered").result.expect_err("refused");
    assert_eq!(reason_of::<Deliver>(&reason(&mut world)), Some(ErrandRefusal::Elsewhere { to: taken.to }));

    world[anna].act(&GiveUpErrand).expect("sent");
    world.run(25);
    assert_eq!((errands(&world, anna).current(), errands(&world, anna).offered), (None, None));
    assert!(world[anna].replies().last().expect("answered").result.is_ok());
    world[anna].act(&GiveUpErrand).expect("sent");
    world.run(25);
    assert_eq!(reason_of::<GiveUpErrand>(&reason(&mut world)), Some(ErrandRefusal::None));
    let mut waits = 0;
    while errands(&world, anna).offered.is_none() {
        world[anna].act(&TakeErrand).expect("sent");
        world.run(100);
        let Some(Err(refusal)) = world[anna].replies().last().map(|reply| reply.result) else { break };
        assert!(matches!(reason_of::<TakeErrand>(&refusal), Some(ErrandRefusal::Rests { wait_s: 1..=180 })));
        waits += 1;
        assert!(waits < 40, "it ends");
    }
    assert!(waits > 30, "three minutes, five seconds each: {waits}");
}

/// C8, E2: a letter tells of what is committed, of nothing before, and of nothing that was refused; its player is told at once and finds
/// it in its box, and nobody else does.
#[test]
fn a_letter_comes_when_its_errand_is_committed_and_not_before() {
    let office = PostOffice::in_memory();
    let mut world = world(&office, None);
    let anna = comes_with_the_goods(&mut world, "anna");
    let bob = comes_with_the_goods(&mut world, "bob");
    // The store takes its time: what was asked for twice is done once.
    world.players_mut().set_delay_ticks(20);
    for _ in 0..2 {
        world[anna].act(&Deliver).expect("sent");
    }
    world.run(15);
    assert!(office.boxes().is_empty() && told(&mut world, anna).is_empty(), "it is not committed");
    world.players_mut().set_delay_ticks(0);
    world.run(60);
    let replies: Vec<_> = world[anna].replies().map(|reply| reply.result).collect();
    assert!(replies.len() == 2 && replies[0].is_ok(), "{replies:?}");
    let reason = replies[1].as_ref().err().and_then(reason_of::<Deliver>);
    assert_eq!(reason, Some(ErrandRefusal::Done));
    assert_eq!(office.boxes().len(), 1, "one was done, and one was not");
    let news = told(&mut world, anna);
    assert!(news.len() == 1 && news[0].contains("thanks you for your errand"), "{news:?}");
    assert_eq!(letters(&world, anna).len(), 1);
    assert_eq!((letters(&world, bob), told(&mut world, bob)), (Vec::new(), Vec::new()));
    assert_eq!(world.players().bank().query("SELECT count(*) FROM outbox"), [["0"]]);
}

/// C8: what is delivered again is no other letter, whether it comes to the office or to the world.
#[test]
fn a_letter_that_comes_again_is_told_of_once() {
    let office = PostOffice::in_memory();
    let mut world = world(&office, None);
    let anna = comes_with_the_goods(&mut world, "anna");
    world[anna].act(&Deliver).expect("sent");
    let mut delivered = Vec::new();
    for _ in 0..20 {
        world.tick_with(|input| delivered.extend(input.delivered.iter().cloned()));
    }
    assert_eq!((delivered.len(), told(&mut world, anna).len()), (1, 1));
    let before = letters(&world, anna);
    world.tick_with(|input| input.delivered.append(&mut delivered));
    world.run(30);
    assert_eq!((letters(&world, anna), told(&mut world, anna)), (before, Vec::new()));
}

/// Lets the world run until something holds.
fn run_until(world: &mut TestWorld, what: &str, mut holds: impl FnMut(&TestWorld) -> bool) {
    for _ in 0..200 {
        if holds(world) {
            return;
        }
        world.tick();
    }
    panic!("never: {what}");
}

/// C8, D3: killed when the letter is committed and not yet delivered, or delivered and the world has not heard of it: it is in the
/// player's box after the restart, once.
#[test]
fn a_letter_outlasts_a_kill_at_any_point_of_its_way() {
    for is_delivered in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("post/letters");
        let open = |file: &Path| PostOffice::open(file.to_owned()).expect("readable");
        let office = open(&file);
        if is_delivered {
            std::fs::create_dir(folder.path().join("post")).expect("made");
        }
        let mut first = world(&office, None);
        let anna = comes_with_the_goods(&mut first, "anna");
        first[anna].act(&Deliver).expect("sent");
        let committed = |world: &TestWorld| {
            world.players().bank().query("SELECT sum(done) FROM game_caravan_errand") == [["1"]]
        };
        run_until(&mut first, "the errand is done", committed);
        assert_eq!(office.boxes().len(), usize::from(is_delivered));
        assert!(told(&mut first, anna).is_empty(), "the world has not heard of it");
        let mut kept = first.players().clone();
        kept.lose_what_waits();
        drop((first, office));

        if !is_delivered {
            std::fs::create_dir(folder.path().join("post")).expect("made");
        }
        let office = open(&file);
        let mut second = world(&office, Some(kept));
        let anna = second.connect("anna");
        run_until(&mut second, "she finds it", |world| {
            world[anna].avatar().is_some() && !letters(world, anna).is_empty()
        });
        second.run(60);
        assert_eq!((letters(&second, anna).len(), office.boxes().len()), (1, 1));
        // Of what came while she was away she is not told: it lies there. What comes now she is told of.
        assert_eq!(told(&mut second, anna).len(), usize::from(!is_delivered));
        let text = std::fs::read_to_string(&file).expect("text");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

/// E9: an errand takes all its goods, whatever the quota, and pays what it says: more to who can reckon. It teaches.
#[test]
fn an_errand_takes_its_goods_and_pays_what_it_says() {
    let mut world = world(&PostOffice::in_memory(), None);
    let anna = world.connect("anna");
    world.run(30);
    let origin = OriginId::new("trader").expect("a name");
    world[anna].act(&CreateCharacter { origin, skills: Vec::new() }).expect("sent");
    world.run(10);
    let own = |world: &TestWorld| -> (Purse, Character) {
        let avatar = world[anna].avatar().expect("in");
        let purse = world.component(anna, avatar).expect("its own");
        (purse, world.component(anna, avatar).expect("its own"))
    };
    let Errand { good, loads, to, .. } = takes_errand(&mut world, anna);
    let had = own(&world).0.goods.loads(good);
    world[anna].act(&Buy { good, loads, at_most: u32::MAX }).expect("sent");
    world.run(5);
    goes_where_it_is_wanted(&mut world, anna);
    let traded = |world: &TestWorld| {
        let market = world.server().node().resource::<Market>();
        market.store(&two_places().node(to).slug, good).expect("a store").taken
    };
    let before = (own(&world).0, traded(&world));
    world[anna].act(&Deliver).expect("sent");
    world.run(10);
    let (purse, character) = own(&world);
    // Twice what the goods usually cost and ten for the way, and a tenth more for a trader's child.
    let pay = 2 * u64::from(Lore::shipped().usual_price(good)) * u64::from(loads) + 10;
    assert_eq!(*purse.silver, *before.0.silver + pay + pay / 10);
    assert_eq!((purse.goods.loads(good), *character.experience), (had, 20));
    assert_eq!(traded(&world), before.1, "what was asked for does not count against the quota");
}

/// E2, E9: the errands that were done go with their character, in the save as in memory; who begins anew begins with the first.
#[test]
fn errands_go_with_their_character() {
    let mut world = world(&PostOffice::in_memory(), None);
    let anna = world.connect("anna");
    world.run(30);
    let origin = OriginId::new("trader").expect("a name");
    let create = CreateCharacter { origin, skills: Vec::new() };
    world[anna].act(&create).expect("sent");
    world.run(10);
    let Errand { good, loads, .. } = takes_errand(&mut world, anna);
    world[anna].act(&Buy { good, loads, at_most: u32::MAX }).expect("sent");
    world.run(5);
    goes_where_it_is_wanted(&mut world, anna);
    world[anna].act(&Deliver).expect("sent");
    world.run(10);
    assert_eq!(*errands(&world, anna).done, 1);
    assert_eq!(takes_errand(&mut world, anna).number, 1);
    let name = PlayerId::new("anna").expect("a name");
    world[anna].act(&DeleteCharacter { name }).expect("sent");
    world.run(10);
    assert_eq!(*errands(&world, anna).done, 0);
    assert_eq!(world.players().bank().conservation(), Vec::<String>::new());
    world[anna].act(&create).expect("sent");
    world.run(10);
    assert_eq!(takes_errand(&mut world, anna).number, 0);
}

/// An errand is for a node of the map, whatever its number.
#[test]
fn an_errand_is_for_a_node_of_the_map_whatever_its_number() {
    let errand = Errand { to: NodeId(7), ..Errand::default() };
    assert_eq!(terrane::caravan::place_of(&errand, &two_places()), NodeId(1));
}
