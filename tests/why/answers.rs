//! What else an answer says: how far things have come, who has no room, and what cannot be asked.

use terrane::ids::{FieldName, PartyId};
use terrane::prelude::*;
use terrane::replication::Rows;
use terrane::replication::why::{Level, Told, Verdict, Why, WhyError, WhyQuery};
use terrane::session::Sessions;
use terrane::testing::TestWorld;

use crate::game::*;

#[test]
fn what_shows_is_told_with_its_policy_and_how_far_it_has_been_sent() {
    let (mut world, alice, wagon) = alice_and_a_wagon();
    change::<Wagon>(&mut world, wagon, |wagon| {
        wagon.purse = 456;
        wagon.crew = vec![Member { name: "Ann".into(), wage: 5 }, Member { name: "Bea".into(), wage: 6 }];
    });
    world.tick();
    let purse = why(&mut world, "alice", wagon, Some("Wagon.purse"));
    assert!(purse.result.sees && purse.result.told == Told::InFlight, "{purse}");
    assert!(purse.to_string().contains("Wagon.purse (masked): what a function makes of it"), "{purse}");
    let crew = why(&mut world, "alice", wagon, Some("Wagon.crew"));
    assert!(crew.to_string().contains("hidden within it: crew[0].wage, crew[1].wage"), "{crew}");
    assert!(crew.result.sees, "what is hidden within a field does not hide the field");
    world.run(3);
    let purse = why(&mut world, "alice", wagon, Some("Wagon.purse"));
    assert_eq!(purse.result.told, Told::Acknowledged, "{purse}");

    let mut boxes = Boxes::default();
    for _ in 0..20 {
        boxes = Boxes { inner: vec![boxes], gold: 1 };
    }
    change::<Wagon>(&mut world, wagon, |wagon| wagon.box_of_boxes = boxes);
    world.tick();
    let boxes = why(&mut world, "alice", wagon, Some("Wagon.box_of_boxes"));
    assert!(boxes.result.sees, "{boxes}");
    assert!(boxes.to_string().contains("visible, but for what is nested too deeply"), "{boxes}");

    // A name that the player does not see is not told.
    let far = NetId(0x1234);
    change::<Wagon>(&mut world, wagon, |wagon| wagon.follows = far);
    world.tick();
    let follows = why(&mut world, "alice", wagon, Some("Wagon.follows"));
    assert!(
        follows.to_string().contains("names 1 entities, 1 of which the player does not see"),
        "{follows}"
    );
    let own = world[alice].avatar().expect("alice is in");
    change::<Wagon>(&mut world, wagon, |wagon| wagon.follows = own);
    world.tick();
    let follows = why(&mut world, "alice", wagon, Some("Wagon.follows"));
    assert!(follows.to_string().contains("names 1 entities, 0 of which"), "{follows}");
}

/// Hysteresis, and reasons to be seen wherever one is.
#[test]
fn near_enough_depends_on_who_is_held_and_far_does_not_matter_for_what_is_always_relevant() {
    let mut world = TestWorld::new(game(1, 52.0), WorldSettings::default());
    world.connect("alice");
    world.run(8);
    let wagon = called(&mut world, "wagon 1");
    let answer = why(&mut world, "alice", wagon, None);
    assert_eq!(
        answer.result.hidden_by,
        [Level::Distance],
        "52 m is near enough only for who is held: {answer}"
    );

    let move_to = |world: &mut TestWorld, x: f32| {
        let mut at = f32::NAN;
        change::<Position>(world, wagon, |position| at = position.0.x);
        while at != x {
            at += (x - at).clamp(-0.4, 0.4);
            change::<Position>(world, wagon, |position| position.0.x = at);
            world.tick();
        }
    };
    move_to(&mut world, 549.0);
    move_to(&mut world, 552.0);
    let answer = why(&mut world, "alice", wagon, None);
    assert!(answer.result.sees && answer.to_string().contains("52.00 m apart"), "{answer}");
    assert!(answer.to_string().contains("it is held"), "{answer}");
    move_to(&mut world, 560.0);
    assert!(!why(&mut world, "alice", wagon, None).result.sees);

    for (reason, set) in [
        (
            "the player's own",
            (|world, wagon| {
                mark(world, wagon, |subject| subject.set_owner(Some(player("alice"))));
            }) as fn(&mut TestWorld, NetId),
        ),
        ("kept in this player's view for 2 reasons", |world, wagon| {
            let mut sessions = world.server_mut().node_mut().resource_mut::<Sessions>();
            sessions.iter_mut().for_each(|session| (0..2).for_each(|_| session.pinned.pin(wagon)));
        }),
        ("kept in everybody's view", |world, wagon| {
            world.server_mut().node_mut().resource_mut::<Sessions>().pinned_for_all.pin(wagon);
        }),
    ] {
        set(&mut world, wagon);
        world.run(2);
        let answer = why(&mut world, "alice", wagon, None);
        assert!(answer.result.sees && answer.to_string().contains(reason), "{reason}: {answer}");
        assert!(answer.decisions.iter().any(|decision| decision.verdict == Verdict::Overruled), "{answer}");
    }
    let bob = world.connect("bob");
    world.run(8);
    for name in ["alice", "bob"] {
        context(&mut world, name, |context| context.set_party(Some(PartyId(9))));
    }
    world.run(2);
    let avatar = world[bob].avatar().expect("bob is in");
    let answer = why(&mut world, "alice", avatar, None);
    assert!(answer.to_string().contains("the avatar of somebody in the player's party 9"), "{answer}");
    let market = names(&world).into_iter().find(|&name| {
        let rows = world.server().node().resource::<Rows>();
        rows.row(name).is_some_and(|row| rows.placeless[row.index()])
    });
    let answer = why(&mut world, "alice", market.expect("a market"), Some("Market.forecast"));
    assert_eq!(answer.result.hidden_by, [Level::Field], "{answer}");
    assert!(answer.to_string().contains("it is node-wide state"), "{answer}");
}

#[test]
fn who_has_no_room_in_a_full_view_is_told_its_place() {
    let settings = WorldSettings { view_entities_max: 5, ..WorldSettings::default() };
    let mut world = TestWorld::new(game(10, 2.0), settings);
    world.connect("alice");
    world.run(8);
    // The avatar and the market are before the others.
    for number in 1..=10 {
        let wagon = called(&mut world, &format!("wagon {number}"));
        let answer = why(&mut world, "alice", wagon, None);
        assert_eq!(answer.result.sees, number <= 3, "wagon {number}: {answer}");
        let expected = format!("number {} of 12 that could be seen", number + 2);
        assert!(answer.to_string().contains(&expected), "wagon {number}: {answer}");
        if number > 3 {
            assert_eq!(answer.result.hidden_by, [Level::Cap], "{answer}");
        }
    }
}

/// A client that never acknowledges a leave, and an avatar that is taken from crowd to crowd.
#[test]
fn who_is_left_without_a_short_name_is_told_so() {
    let crowd = |builder: ServerBuilder| {
        builder.populate(|world| {
            for number in 0..4_320u32 {
                let (crowd, within) = (number / 240, number % 240);
                let at = place_of(crowd) + Vec3::new((within % 16) as f32, (within / 16) as f32, 0.0);
                world.spawn(SpawnRequest::new(NetId::WORLD, at, Flag { colour: 1 }));
            }
        })
    };
    let mut world = TestWorld::new(crowd(game(0, 1.0)), WorldSettings::default());
    let alice = world.connect("alice");
    world.run(4);
    let avatar = world[alice].avatar().expect("alice is in");
    let deaf = |world: &mut TestWorld| {
        world.tick_with(|input| input.acks.clear());
    };
    for crowd in 0..18 {
        change::<Notebook>(&mut world, avatar, |notebook| notebook.0 = Some(crowd));
        (0..8).for_each(|_| deaf(&mut world));
    }
    let answers: Vec<Why> =
        names(&world).into_iter().map(|name| why(&mut world, "alice", name, None)).collect();
    let without: Vec<_> = answers.iter().filter(|answer| answer.result.hidden_by == [Level::Alias]).collect();
    assert!(!without.is_empty(), "all short names are in use");
    assert!(without[0].to_string().contains("all 4096 short names are in use"), "{}", without[0]);
}

#[test]
fn an_update_that_is_full_makes_others_wait_and_the_answer_says_for_how_long() {
    let mut world = TestWorld::new(game(120, 0.3), WorldSettings::default());
    world.connect("alice");
    world.run(40);
    for tick in 0..4u64 {
        for name in names(&world) {
            let is_wagon = world
                .server()
                .node()
                .resource::<Rows>()
                .row(name)
                .is_some_and(|row| !world.server().node().resource::<Rows>().placeless[row.index()]);
            if is_wagon {
                change::<Wagon>(&mut world, name, |wagon| wagon.name = format!("{name} in its tick {tick}"));
            }
        }
        world.tick();
    }
    let told: Vec<Told> =
        names(&world).into_iter().map(|name| why(&mut world, "alice", name, None).result.told).collect();
    assert!(told.iter().any(|told| matches!(told, Told::Waits { ticks } if *ticks > 0)), "{told:?}");
    assert!(told.contains(&Told::InFlight), "{told:?}");
}

#[test]
fn what_cannot_be_asked_is_told_clearly() {
    let (mut world, _, wagon) = alice_and_a_wagon();
    let mut ask = |name: &str, entity, field: Option<&str>| {
        let field = field.map(|field| field.parse().expect("a field"));
        world
            .server_mut()
            .why(&WhyQuery { player: player(name), entity, field })
            .expect_err("no answer")
            .to_string()
    };
    assert_eq!(
        ask("bob", wagon, None),
        "no player `bob` is in the world: 1 others are; give the name of one who plays now"
    );
    assert!(ask("alice", NetId(5), None).contains("nothing in the world is named #0000000000000005"));
    assert!(ask("alice", wagon, Some("Waggon.name")).contains("this game has Attached, Wagon, Orders"));
    assert!(ask("alice", wagon, Some("Wagon.nam")).contains("it has name, purse, cargo"));
    assert!(
        "Wagon".parse::<FieldName>().expect_err("no field").to_string().contains("expected Component.field")
    );
    assert!("a.b.c".parse::<FieldName>().expect_err("too deep").to_string().contains("lies within a field"));
    assert!(matches!(
        world.server_mut().why(&WhyQuery { player: player("carol"), entity: wagon, field: None }),
        Err(WhyError::UnknownPlayer { playing: 1, .. })
    ));
}

#[test]
fn the_answer_is_json_with_a_level_a_verdict_and_a_text_for_each_decision() {
    let (mut world, _, wagon) = alice_and_a_wagon();
    let answer = why(&mut world, "alice", wagon, Some("Wagon.cargo"));
    let json = serde_json::to_value(&answer).expect("it is JSON");
    assert_eq!(json["player"], "alice");
    assert_eq!(json["result"]["sees"], false);
    assert_eq!(json["result"]["hidden_by"], serde_json::json!(["field"]));
    let decisions = json["decisions"].as_array().expect("a list");
    let levels: Vec<&str> = decisions.iter().filter_map(|decision| decision["level"].as_str()).collect();
    assert_eq!(
        levels,
        ["session", "entity", "cell", "distance", "always", "cap", "component", "field", "budget"]
    );
    for decision in decisions {
        assert!(decision["verdict"].is_string() && decision["text"].is_string(), "{decision}");
    }
    assert_eq!(decisions[7]["depends"], serde_json::json!(["subject's owner"]));
}
