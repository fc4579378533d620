//! Classes of durability: each component of an avatar survives what its class promises, and no more.

use bevy_ecs::change_detection::DetectChangesMut;
use proptest::prelude::*;
use terrane::cell::markers::Owned;
use terrane::cell::pool::with_cells;
use terrane::cell::registration::GameError;
use terrane::ids::PlayerId;
use terrane::players::PlayerRequest;
use terrane::prelude::*;
use terrane::protocol::codec;
use terrane::server::{TickInput, WorldImage};
use terrane::session::Sessions;
use terrane::testing::{ClientId, TestPlayers, TestWorld};

#[derive(Component, Clone, Debug, Default, PartialEq, Serialize, Deserialize, Persist)]
#[persist(immediate)]
struct Quests(u64);

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate, Persist)]
#[persist(periodic)]
struct Mood {
    #[sync(broadcast)]
    value: u64,
}

#[derive(Component, Clone, Debug, Default, PartialEq, Serialize, Deserialize, Persist)]
#[persist(on_disconnect)]
struct Habits(u64);

/// Taken off by who is told to: an immediate change as well.
#[derive(Component, Clone, Debug, Default, PartialEq, Serialize, Deserialize, Persist)]
#[persist(immediate)]
struct Newcomer(bool);

#[derive(Debug)]
struct Classes;

impl Plugin for Classes {
    fn build(&self, app: &mut App) {
        app.persist::<Mood>()
            .server_only::<Quests>()
            .replicate::<Mood>()
            .server_only::<Habits>()
            .server_only::<Newcomer>()
            .persist::<Quests>()
            .persist::<Habits>()
            .persist::<Newcomer>();
    }
}

fn game() -> ServerBuilder {
    ServerBuilder::default().add_cell_plugins(Classes).avatars(|_| {
        let parts = (Quests(0), Mood { value: 0 }, Habits(0), Newcomer(true));
        SpawnRequest::new(NetId::WORLD, Vec3::new(20.0, 20.0, 0.0), parts)
    })
}

/// A scan every two seconds: 40 ticks.
fn settings() -> WorldSettings {
    let area = Area { min: Vec2::ZERO, max: Vec2::splat(100.0) };
    let settings = WorldSettings { area, grid: [2, 2], periodic_every_s: 2, ..WorldSettings::default() };
    WorldSettings { check_invariants: true, ..settings }.with_distances(20.0, 24.0, 40.0, 2.0)
}

const SCAN_TICKS: u64 = 40;

fn player(name: &str) -> PlayerId {
    PlayerId::new(name).expect("a name")
}

/// Does something to the avatar of a player, between two ticks.
fn with_avatar<T>(
    world: &mut TestWorld,
    name: &str,
    look: impl FnOnce(bevy_ecs::world::EntityWorldMut<'_>) -> T,
) -> T {
    let node = world.server_mut().node_mut();
    let avatar = node.resource::<Sessions>().of_player(&player(name)).expect("in the world").avatar;
    with_cells(node, |_, cells| {
        let owns = |cell: &terrane::cell::Cell| {
            let entity = *cell.by_net_id.get(&avatar)?;
            cell.world.get::<Owned>(entity).map(|_| entity)
        };
        let (cell, entity) = cells
            .iter_mut()
            .find_map(|cell| owns(cell).map(|entity| (cell, entity)))
            .expect("somebody owns it");
        look(cell.world.entity_mut(entity))
    })
}

/// By class: immediate, periodic, on disconnect.
type Values = [u64; 3];

fn values(world: &mut TestWorld, name: &str) -> Values {
    with_avatar(world, name, |avatar| {
        let quests = avatar.get::<Quests>().expect("it has them").0;
        [
            quests,
            avatar.get::<Mood>().expect("it has one").value,
            avatar.get::<Habits>().expect("it has them").0,
        ]
    })
}

fn set(world: &mut TestWorld, name: &str, values: Values) {
    with_avatar(world, name, |mut avatar| {
        let [quests, mood, habits] = values;
        avatar.get_mut::<Quests>().expect("it has them").0 = quests;
        avatar.get_mut::<Mood>().expect("it has one").value = mood;
        avatar.get_mut::<Habits>().expect("it has them").0 = habits;
    });
}

fn is_newcomer(world: &mut TestWorld, name: &str) -> bool {
    with_avatar(world, name, |avatar| avatar.contains::<Newcomer>())
}

/// Runs a world that began with tick 1 until a scan has just been through, and what it found is written.
fn run_to_scan(world: &mut TestWorld) {
    // The first begins with the first tick, and one follows every so many ticks.
    let since = (world.last_tick().0 + SCAN_TICKS - 1) % SCAN_TICKS;
    world.run(SCAN_TICKS - since + 2);
}

/// Kills a world and starts it again, with an image or none.
fn crash(world: TestWorld, image: Option<&WorldImage>) -> TestWorld {
    let mut players: TestPlayers = world.players().clone();
    drop(world);
    players.lose_what_waits();
    TestWorld::restart(game(), settings(), image, players)
}

/// D4, E3: a world that is killed, of which there is no image, and which nobody has left.
#[test]
fn each_class_survives_a_kill_as_it_promises_and_no_more() {
    let mut world = TestWorld::new(game(), settings());
    world.connect("alice");
    world.run(6);
    set(&mut world, "alice", [1, 1, 1]);
    with_avatar(&mut world, "alice", |mut avatar| {
        avatar.remove::<Newcomer>();
    });
    run_to_scan(&mut world);
    set(&mut world, "alice", [2, 2, 2]);
    world.tick();
    // The store does what it was asked for in the next one.
    set(&mut world, "alice", [3, 3, 3]);
    world.tick();
    let mut world = crash(world, None);
    world.connect("alice");
    world.run(6);
    assert_eq!(
        values(&mut world, "alice"),
        [2, 1, 0],
        "the tick that was not written, the last scan, nothing"
    );
    assert!(!is_newcomer(&mut world, "alice"), "what it lost does not come back with the recipe");
}

/// D4: whoever leaves, and everybody when the world closes, has everything in the profile, and no rows are left over.
#[test]
fn who_leaves_has_every_class_in_the_profile_and_no_rows() {
    let mut world = TestWorld::new(game(), settings());
    let alice = world.connect("alice");
    world.connect("bob");
    world.run(6);
    for name in ["alice", "bob"] {
        set(&mut world, name, [5, 6, 7]);
    }
    world.run(2);
    assert_eq!(world.players().rows_of(&player("alice")).count(), 2, "the immediate ones");
    world[alice].leave();
    world.run(4);
    assert_eq!(world.players().rows_of(&player("alice")).count(), 0);
    let tick = world.server().next_tick();
    let output = world.server_mut().close(TickInput { tick, ..TickInput::default() });
    assert!(matches!(&output.players[..], [PlayerRequest::Save(save)] if save.player == player("bob")));
    let mut world = crash(world, None);
    world.connect("alice");
    world.run(6);
    assert_eq!(values(&mut world, "alice"), [5, 6, 7]);
}

/// D3, D4: rows that are newer than the image count, older ones do not, whichever image it is that the world goes on with.
#[test]
fn after_a_crash_what_is_newer_than_the_image_is_laid_over_it() {
    let mut world = TestWorld::new(game(), settings());
    world.connect("alice");
    world.run(6);
    set(&mut world, "alice", [1, 1, 1]);
    world.run(2);
    let first = world.image();
    set(&mut world, "alice", [2, 2, 2]);
    run_to_scan(&mut world);
    set(&mut world, "alice", [3, 3, 3]);
    world.run(2);
    let second = world.image();
    let players = world.players().clone();
    for (image, expected) in [(&first, [3, 2, 1]), (&second, [3, 3, 3])] {
        let mut world = TestWorld::restart(game(), settings(), Some(image), players.clone());
        world.connect("alice");
        world.run(6);
        assert_eq!(values(&mut world, "alice"), expected);
        // The numbers of the ticks run backwards, what is written of the player does not.
        set(&mut world, "alice", [9, 9, 9]);
        world.run(2);
        let mut world = crash(world, Some(image));
        world.connect("alice");
        world.run(6);
        assert_eq!(values(&mut world, "alice"), [9, expected[1], expected[2]]);
    }
}

/// E3: what did not change is not written again: not by a handover, nor by who comes back, nor where it is again what it was.
#[test]
fn what_is_as_it_was_written_is_not_written_again() {
    let mut world = TestWorld::new(game(), settings());
    let alice = world.connect("alice");
    world.run(6);
    let rows_in = |world: &mut TestWorld, ticks: u64| -> Vec<String> {
        let mut rows = Vec::new();
        for _ in 0..ticks {
            world.tick();
            rows.extend(world.players().waiting_rows().into_iter().map(|row| row.component));
        }
        rows
    };
    run_to_scan(&mut world);
    with_avatar(&mut world, "alice", |mut avatar| {
        let mut quests = avatar.get_mut::<Quests>().expect("it has them");
        quests.0 += 0;
        quests.set_changed();
        avatar.get_mut::<Mood>().expect("it has one").set_changed();
    });
    assert_eq!(rows_in(&mut world, SCAN_TICKS + 2), Vec::<String>::new(), "touched, and the same");
    with_avatar(&mut world, "alice", |mut avatar| avatar.get_mut::<Quests>().expect("it has them").0 = 8);
    assert_eq!(rows_in(&mut world, 3).len(), 1, "the store is open to what changed");
    let handovers = world.tick().report.handovers;
    for step in 0..40 {
        with_avatar(&mut world, "alice", |mut avatar| {
            avatar.get_mut::<Position>().expect("it is somewhere").0.x = 20.0 + step as f32;
        });
        assert_eq!(rows_in(&mut world, 1), Vec::<String>::new(), "it walks, into another cell too");
    }
    assert!(world.tick().report.handovers > handovers, "it has crossed the border");
    world[alice].leave();
    world.run(4);
    world.connect("alice");
    assert_eq!(rows_in(&mut world, SCAN_TICKS + 6), Vec::<String>::new(), "all of it is in the profile");
}

/// E3: many rows of one scan are spread over ticks, in the order of players and components, the same in every run.
#[test]
fn a_scan_is_spread_over_ticks_in_a_fixed_order() {
    const PLAYERS: usize = 450;
    let run = || {
        let mut world = TestWorld::new(game(), settings());
        for number in 0..PLAYERS {
            // Not in the order of their names.
            world.connect(&format!("player {:03}", number * 7 % PLAYERS));
        }
        while world.tick().report.players < PLAYERS as u64 {}
        // Those of the newcomers.
        run_to_scan(&mut world);
        world.run(10);
        for number in 0..PLAYERS {
            set(&mut world, &format!("player {number:03}"), [0, 1, 0]);
        }
        let mut chunks: Vec<(u64, Vec<String>)> = Vec::new();
        for _ in 0..SCAN_TICKS {
            let tick = world.last_tick().0 + 1;
            world.tick();
            let asked = world.players().waiting_rows();
            if !asked.is_empty() {
                chunks.push((tick, asked.iter().map(|row| row.player.to_string()).collect()));
            }
        }
        chunks
    };
    let chunks = run();
    assert_eq!(chunks.iter().map(|(_, rows)| rows.len()).collect::<Vec<_>>(), [200, 200, 50]);
    let ticks: Vec<u64> = chunks.iter().map(|(tick, _)| *tick).collect();
    assert_eq!(ticks, [ticks[0], ticks[0] + 1, ticks[0] + 2]);
    let all: Vec<&String> = chunks.iter().flat_map(|(_, rows)| rows).collect();
    assert!(all.is_sorted() && all.len() == PLAYERS);
    assert_eq!(chunks, run());
}

/// D5: while the store fails nothing is lost of what changes, and of each component the newest is written when it works again.
#[test]
fn what_changes_while_the_store_fails_is_written_when_it_works() {
    let mut world = TestWorld::new(game(), settings());
    world.connect("alice");
    world.run(6);
    world.players_mut().set_failing(true);
    for value in 1..=20 {
        set(&mut world, "alice", [value, 0, 0]);
        world.tick();
    }
    world.players_mut().set_failing(false);
    world.run(2);
    let mut world = crash(world, None);
    world.connect("alice");
    world.run(6);
    assert_eq!(values(&mut world, "alice"), [20, 0, 0]);
}

/// D1: a row of a component that the game does not register any more is no reason to begin empty.
#[test]
fn a_row_that_the_game_does_not_know_keeps_its_player_out() {
    let mut world = TestWorld::new(game(), settings());
    world.connect("alice");
    world.run(6);
    let players = world.players().clone();
    drop(world);
    #[derive(Debug)]
    struct Older;
    impl Plugin for Older {
        fn build(&self, app: &mut App) {
            app.server_only::<Quests>();
        }
    }
    let older = ServerBuilder::default()
        .add_cell_plugins(Older)
        .avatars(|_| SpawnRequest::new(NetId::WORLD, Vec3::new(20.0, 20.0, 0.0), Quests(0)));
    let mut world = TestWorld::restart(older, settings(), None, players.clone());
    let alice = world.connect("alice");
    world.run(6);
    let end = world[alice].ended().map(ToString::to_string).unwrap_or_default();
    assert!(end.contains("Newcomer") && end.contains("does not register"), "{end}");
    assert_eq!(world.tick().report.entities, 0, "nothing of it is in the world");
}

/// D4: a class needs a registered component, and one class alone.
#[test]
fn a_class_is_refused_where_nothing_would_be_saved() {
    #[derive(Component, Clone, Debug, Default, Serialize, Deserialize, Persist)]
    #[persist(immediate)]
    struct Stray;
    fn learn(plugin: impl Plugin) -> String {
        match ServerBuilder::default().add_cell_plugins(plugin).learn() {
            Ok(_) => "nothing is wrong".into(),
            Err(error) => error.to_string(),
        }
    }
    struct Once<F>(F);
    impl<F: Fn(&mut App) + Send + Sync + 'static> Plugin for Once<F> {
        fn build(&self, app: &mut App) {
            (self.0)(app);
        }
    }
    let error = learn(Once(|app: &mut App| {
        app.persist::<Stray>();
    }));
    assert!(error.contains("Stray") && error.contains("call `replicate` or `server_only`"), "{error}");
    let error = learn(Once(|app: &mut App| {
        app.server_only::<Stray>().persist::<Stray>().persist::<Stray>();
    }));
    assert!(error.contains("Stray") && error.contains("twice"), "{error}");
    let error = learn(Once(|app: &mut App| {
        app.cell_local::<Stray>().persist::<Stray>();
    }));
    assert!(error.contains("Stray") && error.contains("cell_local"), "{error}");
    assert_eq!(GameError::DuplicatePersist("Stray").to_string().lines().count(), 1);
}

/// One thing that happens to a world and one of its two players.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// These classes change, of the player.
    Change(usize, [bool; 3]),
    Run(u64),
    Scan,
    Image,
    /// The player leaves, or comes back.
    Toggle(usize),
    /// The world is killed and goes on with its newest image, or with the one before.
    Crash(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => (0..2usize, any::<[bool; 3]>()).prop_map(|(who, classes)| Step::Change(who, classes)),
        3 => (1..4u64).prop_map(Step::Run),
        2 => Just(Step::Scan),
        2 => Just(Step::Image),
        3 => (0..2usize).prop_map(Step::Toggle),
        2 => any::<bool>().prop_map(Step::Crash),
    ];
    proptest::collection::vec(step, 1..40)
}

/// What must be true of one player.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    client: Option<ClientId>,
    /// What its avatar is, or was when it left.
    now: Values,
    /// When it left last.
    left_with: Values,
    /// How often it has left.
    leaves: u64,
}

const NAMES: [&str; 2] = ["alice", "bob"];

/// What is written of a player by itself, and not void.
fn written(players: &TestPlayers, name: &str) -> Values {
    let mut values = [0; 3];
    for row in players.rows_of(&player(name)) {
        let Some(data) = &row.data else { continue };
        let place = match row.component.rsplit("::").next() {
            Some("Quests") => 0,
            Some("Mood") => 1,
            _ => continue,
        };
        values[place] = codec::decode_prefix::<u64, 16>("a row", data).expect("a number").0;
    }
    values
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// D3, D4, E3: values only grow, so that an older state in the place of a newer one is a smaller number. Who comes back has
    /// of each component exactly the newest that was written of it: in a row, in the image that the world went on with, or in
    /// the profile.
    #[test]
    fn no_older_state_ever_takes_the_place_of_a_newer_one(steps in steps()) {
        let mut world = TestWorld::new(game(), settings());
        let mut known = [Known::default(); 2];
        // With each image what it holds of whom, and how often that one had left by then.
        let mut images: Vec<(WorldImage, [Option<(Values, u64)>; 2])> = Vec::new();
        let mut counter = 0;
        let come = |world: &mut TestWorld, known: &mut [Known; 2], who: usize| {
            known[who].client = Some(world.connect(NAMES[who]));
            world.run(6);
        };
        for step in steps.into_iter().chain([Step::Crash(false)]) {
            match step {
                Step::Change(who, classes) if known[who].client.is_some() => {
                    counter += 1;
                    for (value, _) in known[who].now.iter_mut().zip(classes).filter(|(_, changes)| *changes) {
                        *value = counter;
                    }
                    set(&mut world, NAMES[who], known[who].now);
                }
                Step::Change(..) => {}
                Step::Run(ticks) => {
                    world.run(ticks);
                }
                Step::Scan => {
                    // Wherever in between two the world is: it may have begun with any tick.
                    world.run(SCAN_TICKS + 3);
                }
                Step::Image => {
                    let of = known.map(|known| known.client.map(|_| (known.now, known.leaves)));
                    images.push((world.image(), of));
                }
                Step::Toggle(who) => match known[who].client.take() {
                    Some(client) => {
                        world[client].leave();
                        world.run(4);
                        (known[who].left_with, known[who].leaves) = (known[who].now, known[who].leaves + 1);
                    }
                    None => {
                        come(&mut world, &mut known, who);
                        prop_assert_eq!(values(&mut world, NAMES[who]), known[who].now);
                    }
                },
                Step::Crash(with_older) => {
                    let newest = images.len().saturating_sub(1);
                    images.truncate(if with_older { newest.max(1) } else { images.len() });
                    let image = images.last();
                    let mut players = world.players().clone();
                    players.lose_what_waits();
                    for (who, known) in known.iter_mut().enumerate() {
                        let rows = written(&players, NAMES[who]);
                        let in_image = image.and_then(|(_, of)| of[who]).filter(|(_, leaves)| *leaves == known.leaves);
                        let in_image = in_image.map_or([0; 3], |(values, _)| values);
                        known.now = std::array::from_fn(|class| rows[class].max(in_image[class]).max(known.left_with[class]));
                        known.client = None;
                        // The profile that is made of the image.
                        known.left_with = std::array::from_fn(|class| known.left_with[class].max(in_image[class]));
                    }
                    world = TestWorld::restart(game(), settings(), image.map(|(image, _)| image), players);
                    world.run(2);
                    for who in 0..2 {
                        come(&mut world, &mut known, who);
                        prop_assert_eq!(values(&mut world, NAMES[who]), known[who].now, "{}", NAMES[who]);
                    }
                }
            }
        }
    }
}
