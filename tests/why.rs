//! Why a player sees what: the answer names the level that hides, and agrees with what the player's client holds.

use std::collections::BTreeMap;

use terrane::cell::pool::with_cells;
use terrane::ids::{FactKey, FieldName, PartyId, TeamId};
use terrane::prelude::*;
use terrane::replication::Rows;
use terrane::replication::policy::ComponentRule;
use terrane::replication::why::{Conclusion, Finding, Level, Told, Verdict, Why, WhyError, WhyQuery};
use terrane::session::Sessions;
use terrane::testing::{ClientId, TestWorld};

const SCOUT: FactKey = FactKey(1);

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Wagon {
    #[sync(broadcast)]
    name: String,
    #[sync(masked = to_tens)]
    purse: u32,
    #[sync(custom = for_its_owner)]
    cargo: u32,
    #[sync(custom = for_scouts)]
    route: Vec<u16>,
    #[sync(per_player = for_whom)]
    offer: String,
    #[sync(per_player_slice)]
    bids: BTreeMap<PlayerId, u32>,
    #[sync(broadcast, nested)]
    crew: Vec<Member>,
    #[sync(broadcast, max_bytes = 20)]
    note: String,
    #[sync(custom = always, max_bytes = 20)]
    diary: String,
    #[sync(broadcast)]
    follows: NetId,
    #[sync(broadcast, nested)]
    box_of_boxes: Boxes,
    #[sync(server_only)]
    seed: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Member {
    #[sync(broadcast)]
    name: String,
    #[sync(custom = for_its_owner)]
    wage: u32,
}

/// Contains itself.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Boxes {
    #[sync(broadcast, nested)]
    inner: Vec<Boxes>,
    #[sync(custom = for_its_owner)]
    gold: u32,
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(role = Gm)]
struct Orders {
    #[sync(broadcast)]
    text: String,
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(server_only)]
struct Plot {
    #[sync(server_only)]
    text: String,
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Flag {
    #[sync(broadcast)]
    colour: u8,
}

#[derive(Component, Clone, Debug, Default, Serialize, Deserialize)]
struct Notebook(Option<u32>);

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Heavy {
    #[sync(broadcast, max_bytes = 3_000)]
    one: Vec<u8>,
    #[sync(broadcast, max_bytes = 3_000)]
    two: Vec<u8>,
}

#[derive(Resource, Clone, Debug, Default, PartialEq, Replicate)]
struct Market {
    #[sync(broadcast)]
    round: u64,
    #[sync(custom = for_scouts)]
    forecast: Vec<u16>,
}

fn to_tens(purse: &u32) -> u32 {
    purse / 10 * 10
}

fn for_its_owner(_: &u32, viewing: &Viewing) -> bool {
    viewing.is_owner()
}

fn for_scouts(viewing: &Viewing) -> bool {
    viewing.viewer.fact(SCOUT).is_some() || viewing.same_party()
}

#[expect(clippy::ptr_arg, reason = "policies are given the field as it is")]
fn for_whom(offer: &String, player: &PlayerId) -> Option<String> {
    offer.starts_with(player.as_str()).then(|| offer.clone())
}

fn always(_: &Viewing) -> bool {
    true
}

struct Wagons;
impl Plugin for Wagons {
    fn build(&self, app: &mut App) {
        app.replicate::<Wagon>()
            .replicate::<Orders>()
            .replicate::<Plot>()
            .replicate::<Flag>()
            .replicate::<Heavy>()
            .server_only::<Notebook>()
            .add_systems(Simulate, jump);
    }
}

/// Takes who has a crowd's number in the notebook to that crowd.
fn jump(mut all: Query<(&NetId, &mut Notebook)>, mut world: WorldRequests) {
    for (&net_id, mut notebook) in &mut all {
        if let Some(crowd) = notebook.0.take() {
            world.teleport(net_id, place_of(crowd));
        }
    }
}

/// Crowds are 200 m apart.
fn place_of(crowd: u32) -> Vec3 {
    Vec3::new(100.0 + 200.0 * (crowd % 5) as f32, 100.0 + 200.0 * (crowd / 5) as f32, 0.0)
}

struct Markets;
impl Plugin for Markets {
    fn build(&self, app: &mut App) {
        app.replicate_global::<Market>();
    }
}

/// Avatars stand at (500, 500); the other wagons in a row to the east, so many metres apart.
fn game(wagons: u64, apart_m: f32) -> ServerBuilder {
    ServerBuilder::default()
        .add_cell_plugins(Wagons)
        .add_plugins(Markets)
        .avatars(|request| {
            let wagon = Wagon { name: request.player.to_string(), ..Wagon::default() };
            let place = Vec3::new(500.0, 500.0, 0.0);
            let subject = Subject::owned_by(request.player.clone());
            SpawnRequest::new(NetId::WORLD, place, (wagon, subject, Notebook(None)))
        })
        .populate(move |world| {
            for number in 1..=wagons {
                let wagon =
                    Wagon { name: format!("wagon {number}"), purse: 123, cargo: 7, ..Wagon::default() };
                let place = Vec3::new(500.0 + apart_m * number as f32, 500.0, 0.0);
                let parts = (wagon, Flag { colour: 1 }, Plot::default(), Orders::default(), Notebook(None));
                world.spawn(SpawnRequest::new(NetId::WORLD, place, (parts, Subject::default())));
            }
        })
}

fn player(name: &str) -> PlayerId {
    PlayerId::new(name).expect("a name")
}

/// Changes a component of an entity, wherever it is.
fn change<C: Component<Mutability = bevy_ecs::component::Mutable>>(
    world: &mut TestWorld,
    net_id: NetId,
    change: impl FnOnce(&mut C),
) {
    with_cells(world.server_mut().node_mut(), |node, cells| {
        let rows = node.resource::<Rows>();
        let row = rows.row(net_id).expect("it lives");
        let cell = cells.at(rows.owner[row.index()]);
        let entity = cell.by_net_id[&net_id];
        change(&mut cell.world.get_mut::<C>(entity).expect("it has one"));
    });
}

fn with_entity(
    world: &mut TestWorld,
    net_id: NetId,
    edit: impl FnOnce(&mut bevy_ecs::world::EntityWorldMut<'_>),
) {
    with_cells(world.server_mut().node_mut(), |node, cells| {
        let rows = node.resource::<Rows>();
        let row = rows.row(net_id).expect("it lives");
        let cell = cells.at(rows.owner[row.index()]);
        let entity = cell.by_net_id[&net_id];
        edit(&mut cell.world.entity_mut(entity));
    });
}

fn context(world: &mut TestWorld, name: &str, change: impl FnOnce(&mut ViewerContext)) {
    let mut sessions = world.server_mut().node_mut().resource_mut::<Sessions>();
    let session = sessions.iter_mut().find(|session| session.player.as_str() == name);
    change(&mut session.expect("the player is in").context);
}

fn names(world: &TestWorld) -> Vec<NetId> {
    let mut all: Vec<NetId> = world.server().node().resource::<Rows>().iter().map(|(name, _)| name).collect();
    all.sort_unstable();
    all
}

fn called(world: &mut TestWorld, wanted: &str) -> NetId {
    let mut found = None;
    with_cells(world.server_mut().node_mut(), |_, cells| {
        for cell in cells.iter_mut() {
            let mut wagons =
                cell.world.query_filtered::<(&NetId, &Wagon), With<terrane::cell::markers::Owned>>();
            found = found
                .or(wagons.iter(&cell.world).find(|(_, wagon)| wagon.name == wanted).map(|(name, _)| *name));
        }
    });
    found.unwrap_or_else(|| panic!("no {wanted}"))
}

fn why(world: &mut TestWorld, name: &str, entity: NetId, field: Option<&str>) -> Why {
    let field = field.map(|field| field.parse::<FieldName>().expect("a field"));
    let answer = world.server_mut().why(&WhyQuery { player: player(name), entity, field });
    answer.unwrap_or_else(|error| panic!("{error}"))
}

/// A world with alice and one wagon ten metres from her.
fn alice_and_a_wagon() -> (TestWorld, ClientId, NetId) {
    let mut world = TestWorld::new(game(1, 10.0), WorldSettings::default());
    let alice = world.connect("alice");
    world.run(8);
    let wagon = called(&mut world, "wagon 1");
    (world, alice, wagon)
}

/// What hides alone, and is then the one that is named.
struct Case {
    what: &'static str,
    field: Option<&'static str>,
    hide: fn(&mut TestWorld, NetId),
    level: Level,
    says: &'static str,
}

fn mark(world: &mut TestWorld, wagon: NetId, set: impl FnOnce(&mut Subject)) {
    change::<Subject>(world, wagon, set);
}

const CASES: &[Case] = &[
    Case {
        what: "distance",
        field: None,
        hide: |world, wagon| change::<Wagon>(world, wagon, |wagon| wagon.seed = 1),
        level: Level::Distance,
        says: "90.00 m apart; in view below 50 m, out of it from 55 m; it is not held",
    },
    Case {
        what: "owner_only",
        field: None,
        hide: |world, wagon| mark(world, wagon, |subject| subject.set_owner_only(true)),
        level: Level::Marker,
        says: "owner_only: the player is not its owner, nobody",
    },
    Case {
        what: "party_only",
        field: None,
        hide: |world, wagon| {
            mark(world, wagon, |subject| {
                subject.set_party(Some(PartyId(3)));
                subject.set_party_only(true);
            });
        },
        level: Level::Marker,
        says: "party_only: the player is not in its party, party 3",
    },
    Case {
        what: "team_only",
        field: None,
        hide: |world, wagon| {
            mark(world, wagon, |subject| {
                subject.set_team(Some(TeamId(4)));
                subject.set_team_only(true);
            });
        },
        level: Level::Marker,
        says: "team_only: the player is not in its team, team 4",
    },
    Case {
        what: "hidden_from",
        field: None,
        hide: |world, wagon| mark(world, wagon, |subject| subject.set_hidden_from(player("alice"), true)),
        level: Level::Marker,
        says: "hidden_from: the player",
    },
    Case {
        what: "visible_to_role",
        field: None,
        hide: |world, wagon| mark(world, wagon, |subject| subject.set_visible_to_role(Some(Role::Gm))),
        level: Level::Marker,
        says: "visible_to_role: Gm is needed, and the player has less",
    },
    Case {
        what: "too many bytes",
        field: Some("Heavy.two"),
        hide: |world, wagon| {
            with_entity(world, wagon, |entity| {
                entity.insert(Heavy { one: vec![1; 2_900], two: vec![2; 2_900] });
            });
        },
        level: Level::Field,
        says: "Heavy.two (broadcast): left out, 2903 of at most 3000 bytes: what this player may see of the entity is more than a record takes",
    },
    Case {
        what: "component policy",
        field: Some("Orders.text"),
        hide: |_, _| {},
        level: Level::Component,
        says: "Orders: hidden by its policy, role = Gm (went by: viewer's role)",
    },
    Case {
        what: "component override",
        field: Some("Flag.colour"),
        hide: |world, wagon| {
            mark(world, wagon, |subject| subject.override_component::<Flag>(Some(ComponentRule::Party)));
        },
        level: Level::Component,
        says: "Flag: hidden by this entity's override, party (went by: viewer's party, subject's party)",
    },
    Case {
        what: "no such component on it",
        field: Some("Heavy.one"),
        hide: |_, _| {},
        level: Level::Component,
        says: "Heavy: the entity does not have it",
    },
    Case {
        what: "a component kept on the server",
        field: Some("Notebook.0"),
        hide: |_, _| {},
        level: Level::Component,
        says: "Notebook: hidden by its policy, server_only",
    },
    Case {
        what: "custom",
        field: Some("Wagon.cargo"),
        hide: |_, _| {},
        level: Level::Field,
        says: "Wagon.cargo (custom): hidden from this player (went by: subject's owner)",
    },
    Case {
        what: "custom by facts",
        field: Some("Wagon.route"),
        hide: |_, _| {},
        level: Level::Field,
        says: "(went by: viewer's party, viewer's facts, subject's party)",
    },
    Case {
        what: "per_player",
        field: Some("Wagon.offer"),
        hide: |_, _| {},
        level: Level::Field,
        says: "Wagon.offer (per_player): hidden from this player",
    },
    Case {
        what: "server_only",
        field: Some("Wagon.seed"),
        hide: |_, _| {},
        level: Level::Field,
        says: "Wagon.seed (server_only): never sent to anybody",
    },
    Case {
        what: "a public field too long",
        field: Some("Wagon.note"),
        hide: |world, wagon| change::<Wagon>(world, wagon, |wagon| wagon.note = "x".repeat(30)),
        level: Level::Field,
        says: "Wagon.note (broadcast): longer than its 20 bytes, so not sent",
    },
    Case {
        what: "a personal field too long",
        field: Some("Wagon.diary"),
        hide: |world, wagon| change::<Wagon>(world, wagon, |wagon| wagon.diary = "x".repeat(30)),
        level: Level::Field,
        says: "Wagon.diary (custom): longer than its 20 bytes, so not sent",
    },
];

/// Point by point: one level hides, and it alone is named; before, nothing hid.
#[test]
fn the_level_that_hides_alone_is_the_one_that_is_named() {
    for case in CASES {
        let far = case.level == Level::Distance;
        let apart = if far { 90.0 } else { 10.0 };
        let mut world = TestWorld::new(game(1, apart), WorldSettings::default());
        let alice = world.connect("alice");
        world.run(8);
        let wagon = called(&mut world, "wagon 1");
        if !far && case.field.is_none() {
            let before = why(&mut world, "alice", wagon, None);
            assert!(before.result.sees && before.result.hidden_by.is_empty(), "{}: {before}", case.what);
        }
        (case.hide)(&mut world, wagon);
        world.run(3);
        let answer = why(&mut world, "alice", wagon, case.field);
        assert_eq!(answer.result.hidden_by, [case.level], "{}:\n{answer}", case.what);
        assert!(!answer.result.sees, "{}", case.what);
        assert!(answer.to_string().contains(case.says), "{}: {:?} is not in\n{answer}", case.what, case.says);
        assert_eq!(
            world[alice].view().get(wagon).is_some(),
            case.field.is_some(),
            "{}: the client holds what the answer says",
            case.what
        );
    }
}

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

/// Chance for histories: everything follows from the seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

const PLAYERS: [&str; 3] = ["alice", "bob", "carol"];

fn something_happens(world: &mut TestWorld, wagons: &[NetId], dice: &mut Dice) {
    let wagon = wagons[dice.below(wagons.len() as u64) as usize];
    let name = PLAYERS[dice.below(3) as usize];
    let (yes, number) = (dice.one_in(2), dice.below(3));
    let party = (number > 0).then_some(PartyId(number));
    let team = (number > 0).then_some(TeamId(number as u32));
    match dice.below(14) {
        0 => mark(world, wagon, |subject| subject.set_owner(yes.then(|| player(name)))),
        1 => mark(world, wagon, |subject| subject.set_party(party)),
        2 => mark(world, wagon, |subject| subject.set_team(team)),
        3 => mark(world, wagon, |subject| subject.set_owner_only(yes && number == 0)),
        4 => mark(world, wagon, |subject| subject.set_party_only(yes && number == 0)),
        5 => mark(world, wagon, |subject| subject.set_team_only(yes && number == 0)),
        6 => mark(world, wagon, |subject| subject.set_hidden_from(player(name), yes)),
        7 => mark(world, wagon, |subject| {
            subject.set_visible_to_role((yes && number == 0).then_some(Role::Gm))
        }),
        8 => {
            let rules = [None, Some(ComponentRule::Owner), Some(ComponentRule::Everyone)];
            let rule = rules[number as usize];
            let which = dice.below(3);
            mark(world, wagon, |subject| match which {
                0 => subject.override_component::<Flag>(rule),
                1 => subject.override_component::<Orders>(rule),
                _ => subject.override_component::<Wagon>(rule),
            });
        }
        9 => context(world, name, |context| context.set_party(party)),
        10 => context(world, name, |context| context.set_team(team)),
        11 => context(world, name, |context| context.set_role(if yes { Role::Gm } else { Role::Player })),
        12 => context(world, name, |context| context.set_fact(SCOUT, yes.then_some(1))),
        _ => change::<Wagon>(world, wagon, |wagon| {
            wagon.offer = format!("{name} for {number}");
            wagon.crew = vec![Member { name: "Ann".into(), wage: 1 }; number as usize];
            wagon.note = "x".repeat(if yes { 30 } else { 3 });
            wagon.bids.insert(player(name), number as u32);
        }),
    }
    let step = Vec3::new(dice.below(9) as f32 / 10.0 - 0.4, 0.0, 0.0);
    change::<Position>(world, wagon, |position| position.0 += step / 2.0);
}

/// On a perfect network with room for everything: whatever `why` says, the client holds just that.
#[test]
fn why_says_what_the_client_holds() {
    let mut compared = 0;
    for seed in 0..12 {
        let grid = if seed % 2 == 0 { [1, 1] } else { [5, 5] };
        let mut world = TestWorld::new(game(14, 7.0), WorldSettings { grid, ..WorldSettings::default() });
        let clients: Vec<ClientId> = PLAYERS.iter().map(|name| world.connect(name)).collect();
        world.run(10);
        let wagons: Vec<NetId> =
            (1..=14).map(|number| called(&mut world, &format!("wagon {number}"))).collect();
        let schema = world.server().game().schema.clone();
        let dice = &mut Dice(seed);
        for _ in 0..40 {
            for _ in 0..3 {
                something_happens(&mut world, &wagons, dice);
            }
            world.tick();
            for _ in 0..25 {
                let which = dice.below(3) as usize;
                let all = names(&world);
                let entity = all[dice.below(all.len() as u64) as usize];
                let whole = why(&mut world, PLAYERS[which], entity, None);
                let held = world[clients[which]].view().get(entity).cloned();
                assert_eq!(whole.result.sees, held.is_some(), "seed {seed}:\n{whole}");
                assert_eq!(whole.result.sees, whole.result.hidden_by.is_empty(), "seed {seed}:\n{whole}");
                let is_told = matches!(whole.result.told, Told::InFlight | Told::Acknowledged);
                assert_eq!(is_told, held.is_some(), "there is room for everything:\n{whole}");

                let component = dice.below(schema.components.len() as u64) as usize;
                let fields = schema.components[component].fields;
                if fields.is_empty() {
                    continue;
                }
                let spec = &fields[dice.below(fields.len() as u64) as usize];
                let field = format!("{}.{}", schema.components[component].name, spec.name);
                let answer = why(&mut world, PLAYERS[which], entity, Some(&field));
                let sent = schema.components[component].sent.iter().position(|sent| sent.name == spec.name);
                let holds = held.as_ref().is_some_and(|held| {
                    held.components() >> component & 1 == 1
                        && sent.is_some_and(|sent| !held.is_hidden(&schema, component, sent))
                });
                assert_eq!(answer.result.sees, holds, "seed {seed}:\n{answer}");
                assert_eq!(holds, answer.result.hidden_by.is_empty(), "seed {seed}:\n{answer}");
                if holds && schema.components[component].name == "Wagon" {
                    let told = hidden_within(&answer);
                    let held = held.expect("it holds the field");
                    let expected = paths_hidden(&schema, &held, component, sent.expect("it is sent"));
                    assert_eq!(told, expected, "seed {seed}:\n{answer}");
                }
                compared += 1;
            }
        }
    }
    assert!(compared > 8_000, "only {compared} comparisons");
}

fn hidden_within(answer: &Why) -> Vec<String> {
    let nested = answer.decisions.iter().find_map(|decision| match &decision.finding {
        Finding::Nested { hidden, .. } => Some(hidden.clone()),
        _ => None,
    });
    nested.unwrap_or_default()
}

fn paths_hidden(
    schema: &terrane::replication::Schema,
    held: &terrane::client::mirror::MirrorEntity,
    component: usize,
    sent: usize,
) -> Vec<String> {
    let bits = terrane::replication::mask::FIELD_FIRST..;
    let (bit, _) = bits
        .zip(schema.fields_of(held.components()))
        .find(|(_, (of, field, _))| (*of, *field) == (component, sent))
        .expect("the client holds it");
    <Wagon as terrane::replication::SyncFields>::hidden_paths(sent, held.encoded().field(bit))
        .expect("sound bytes")
}

/// A component that stays on the server stays there whatever an entity's subject says, even that it exists.
#[test]
fn no_override_shows_what_is_server_only() {
    let (mut world, alice, wagon) = alice_and_a_wagon();
    mark(&mut world, wagon, |subject| subject.override_component::<Plot>(Some(ComponentRule::Everyone)));
    world.run(3);
    let plot = world.server().game().schema.component("Plot").expect("it is registered");
    let held = world[alice].view().get(wagon).expect("alice sees the wagon");
    assert_eq!(held.components() >> plot & 1, 0, "not even that there is one");
    let answer = why(&mut world, "alice", wagon, Some("Plot.text"));
    assert_eq!(
        answer.result,
        Conclusion { sees: false, told: Told::Never, hidden_by: vec![Level::Component, Level::Field] }
    );
}
