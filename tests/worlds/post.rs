//! Letters of the shipped game: out of the outbox, into the post office, to the player, once.

use std::path::Path;

use terrane::action::reason_of;
use terrane::caravan::{
    Buy, Deliver, Errand, ErrandRefusal, Errands, Letters, NodeId, Post, PostOffice, Received, Roads,
    TakeErrand, caravan_plugins, caravan_world, roads::TradeNode,
};
use terrane::prelude::*;
use terrane::testing::{ClientId, TestPlayers, TestWorld};

/// A map of one place, where every errand is wanted.
fn one_place() -> Roads {
    let place = Vec3::new(500.0, 500.0, 0.0);
    let node = TradeNode { name: "Here".into(), slug: "here".into(), place, neighbours: Vec::new() };
    Roads { nodes: vec![node] }
}

pub(crate) fn world(office: &PostOffice, kept: Option<TestPlayers>) -> TestWorld {
    let game = caravan_world(caravan_plugins(ServerBuilder::default()), one_place(), office.clone());
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

/// A player comes in, takes an errand and has the goods for it, twice.
fn comes_with_the_goods(world: &mut TestWorld, name: &str) -> ClientId {
    let client = world.connect(name);
    world.run(30);
    world[client].act(&TakeErrand).expect("sent");
    world.run(3);
    let own = world[client].avatar().expect("in");
    let errands: Errands = world.component(client, own).expect("its own");
    let Errand { good, loads, .. } = errands.current().expect("it has taken one");
    for _ in 0..2 {
        world[client].act(&Buy { good, loads, at_most: u32::MAX }).expect("sent");
        world.run(5);
    }
    let replies: Vec<_> = world[client].replies().collect();
    assert!(replies.iter().all(|reply| reply.result.is_ok()), "{replies:?}");
    client
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

/// An errand is for a node of the map, whatever its number.
#[test]
fn on_a_map_of_one_place_every_errand_is_wanted_there() {
    let errand = Errand { to: NodeId(7), ..Errand::default() };
    assert_eq!(terrane::caravan::place_of(&errand, &one_place()), NodeId(0));
}
