//! What is kept of players: who comes back is who it was, whatever happened to the world or to the store meanwhile.

use terrane::cell::markers::Owned;
use terrane::cell::pool::with_cells;
use terrane::ids::PlayerId;
use terrane::limits::PROFILE_WAIT_S;
use terrane::players::{Order, OrderKind, Profile, SanctionKind};
use terrane::prelude::*;
use terrane::server::TickInput;
use terrane::session::Sessions;
use terrane::testing::{ClientId, TestPlayers, TestWorld};

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Purse {
    #[sync(broadcast)]
    coins: u64,
    #[sync(server_only)]
    secret: String,
}

/// Lost within the first ticks of a life.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Newcomer {
    #[sync(broadcast)]
    shown: bool,
}

/// Stays in its cell, so it is never saved.
#[derive(Component, Debug)]
struct Warm;

#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = u64, rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Earn {
    coins: u64,
}

fn live(mut avatars: Query<(Entity, &mut Position, &Purse, Option<&Newcomer>)>, mut commands: Commands) {
    for (entity, mut place, purse, newcomer) in &mut avatars {
        let wanted = 20.0 + purse.coins as f32 * 0.05;
        place.0.x += (wanted - place.0.x).clamp(-1.0, 1.0);
        if newcomer.is_some() && purse.coins > 0 {
            commands.entity(entity).remove::<Newcomer>();
        }
    }
}

#[derive(Debug)]
struct Purses;

impl Plugin for Purses {
    fn build(&self, app: &mut App) {
        app.replicate::<Purse>()
            .replicate::<Newcomer>()
            .cell_local::<Warm>()
            .add_own_action::<Earn, Purse>(|earn, purse, _| {
                purse.coins += earn.coins;
                purse.secret = format!("{} coins", purse.coins);
                Ok(purse.coins)
            })
            .add_systems(Simulate, live);
    }
}

fn game() -> ServerBuilder {
    ServerBuilder::default().add_cell_plugins(Purses).avatars(|_| {
        let parts = (Purse::default(), Newcomer::default(), Warm);
        SpawnRequest::new(NetId::WORLD, Vec3::new(20.0, 20.0, 0.0), parts)
    })
}

fn settings() -> WorldSettings {
    let area = Area { min: Vec2::ZERO, max: Vec2::splat(100.0) };
    WorldSettings { area, grid: [2, 2], grace_s: 2, check_invariants: true, ..WorldSettings::default() }
        .with_distances(20.0, 24.0, 40.0, 2.0)
}

fn player(name: &str) -> PlayerId {
    PlayerId::new(name).expect("a name")
}

/// The avatar of a player as the server has it: coins, secret, place, newcomer, warm.
fn avatar(world: &mut TestWorld, name: &str) -> (u64, String, f32, bool, bool) {
    let node = world.server_mut().node_mut();
    let avatar = node.resource::<Sessions>().of_player(&player(name)).expect("in the world").avatar;
    with_cells(node, |_, cells| {
        let find = |cell: &mut terrane::cell::Cell| {
            let entity = cell.world.entity(*cell.by_net_id.get(&avatar)?);
            entity.get::<Owned>()?;
            let purse = entity.get::<Purse>().expect("it has one");
            let x = entity.get::<Position>().expect("it is somewhere").0.x;
            Some((
                purse.coins,
                purse.secret.clone(),
                x,
                entity.contains::<Newcomer>(),
                entity.contains::<Warm>(),
            ))
        };
        cells.iter_mut().find_map(find).expect("somebody owns it")
    })
}

fn earn(world: &mut TestWorld, client: ClientId, coins: u64) {
    world[client].act(&Earn { coins }).expect("sent");
    world.run(4);
}

fn counter(world: &mut TestWorld, name: &str) -> u64 {
    let report = world.tick().report;
    report.counters.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no counter {name}")).1
}

#[track_caller]
fn ended(world: &TestWorld, client: ClientId, told: &str) {
    let end = world[client].ended().map(ToString::to_string).unwrap_or_default();
    assert!(end.contains(told), "{end:?} says {told:?}");
}

/// D1: who leaves and comes back is who it was: place, values, and what it had lost stays lost.
#[test]
fn who_comes_back_has_what_it_left_with() {
    let mut world = TestWorld::new(game(), settings());
    let alice = world.connect("alice");
    world.run(6);
    earn(&mut world, alice, 40);
    world[alice].leave();
    world.run(4);
    assert_eq!(world.last_tick().0, 14);
    let stored = world.players().profile(&player("alice")).expect("it was saved").clone();
    assert!(stored.version == 1 && stored.first_seen_ms < stored.last_seen_ms, "{stored:?}");
    let back = world.connect("alice");
    world.run(6);
    assert_eq!(world[back].queued_behind(), None, "the few ticks of a load are not worth a word");
    assert_eq!(avatar(&mut world, "alice"), (40, "40 coins".into(), 22.0, false, true));
    assert_eq!(world[back].view().entities().count(), 1, "one avatar, and no more");
    earn(&mut world, back, 1);
    world[back].leave();
    world.run(4);
    let again = world.players().profile(&player("alice")).expect("saved");
    assert_eq!((again.version, again.first_seen_ms), (2, stored.first_seen_ms));
    assert!(world.players().conflicts().is_empty());
}

/// D1: a lost connection is saved as well, once the grace time is over; so is everybody when the world ends.
#[test]
fn who_is_lost_or_drained_is_saved_too() {
    let mut world = TestWorld::new(game(), settings());
    let [alice, bob] = ["alice", "bob"].map(|name| world.connect(name));
    world.run(6);
    earn(&mut world, alice, 5);
    earn(&mut world, bob, 7);
    world.cut(alice, 1);
    world.run(35);
    assert_eq!(world.players().saves(), 0, "alice may come back");
    world.run(10);
    assert_eq!(world.players().saves(), 1);
    let tick = world.server().next_tick();
    let output = world.server_mut().close(TickInput { tick, ..TickInput::default() });
    assert_eq!(output.players.len(), 1, "bob: {:?}", output.players);
}

/// D1: a profile that cannot be read is not written over, and nobody begins empty in its place.
#[test]
fn an_unreadable_profile_is_refused_and_never_written_over() {
    let mut world = TestWorld::new(game(), settings());
    let alice = world.connect("alice");
    world.run(6);
    earn(&mut world, alice, 9);
    world[alice].leave();
    world.run(4);
    let whole = world.players().profile(&player("alice")).expect("saved").clone();
    let avatar_bytes = whole.avatar.clone().expect("it has one");
    let mut newer = avatar_bytes.clone();
    newer[0] = 9;
    // (what, the bytes): damaged, of a newer program, cut off, with components that no game of ours knows.
    let unknown = {
        let at = avatar_bytes.windows(5).position(|window| window == b"Purse").expect("by name");
        let mut bytes = avatar_bytes.clone();
        bytes[at] = b'X';
        bytes
    };
    let cut = avatar_bytes[..avatar_bytes.len() - 3].to_vec();
    for (bytes, told) in [(newer, "form 9"), (cut, "profile"), (unknown, "Xurse"), (Vec::new(), "empty")] {
        let profile = Profile { avatar: Some(bytes), ..whole.clone() };
        world.players_mut().set_profile(player("alice"), profile.clone());
        let again = world.connect("alice");
        world.run(6);
        ended(&world, again, told);
        ended(&world, again, "nothing of it is lost or changed");
        assert_eq!(world.players().profile(&player("alice")), Some(&profile), "as it was");
        assert_eq!(world.tick().report.entities, 0, "nothing of it is in the world");
    }
    world.players_mut().set_profile(player("alice"), whole);
    world.players_mut().damage(&player("alice"));
    let again = world.connect("alice");
    world.run(6);
    ended(&world, again, "it was damaged");
    assert_eq!(world.players().saves(), 1, "nothing was written since");
    assert_eq!(counter(&mut world, "profiles_refused"), 5);
}

/// D5: while the store is slow players wait and are told; while it fails they are refused after a while, those inside
/// play on, and when it works again nothing is missing.
#[test]
fn a_slow_or_failing_store_keeps_players_waiting_and_loses_nothing() {
    let mut world = TestWorld::new(game(), settings());
    let alice = world.connect("alice");
    world.run(6);
    earn(&mut world, alice, 3);
    world.players_mut().set_delay_ticks(30);
    let bob = world.connect("bob");
    world.run(15);
    assert_eq!((world[bob].queued_behind(), world[bob].welcome().is_none()), (Some(0), true));
    world.run(30);
    assert!(world[bob].welcome().is_some(), "slow is not never");
    world.players_mut().set_delay_ticks(0);
    world.players_mut().set_failing(true);
    world[bob].leave();
    let carol = world.connect("carol");
    world.run(PROFILE_WAIT_S * 20 - 10);
    assert!(world[carol].ended().is_none() && world[carol].welcome().is_none());
    earn(&mut world, alice, 4);
    assert_eq!(avatar(&mut world, "alice").0, 7, "who is in plays on");
    world.run(20);
    ended(&world, carol, "it fails in this test");
    assert_eq!(world.players().saves(), 0);
    world.players_mut().set_failing(false);
    let carol = world.connect("carol");
    world.run(8);
    assert!(world[carol].welcome().is_some());
    assert!(world.players().profile(&player("bob")).is_some(), "what was to be written is written");
}

/// D2: a session that rests on an older profile does not write over a newer one.
#[test]
fn a_save_replaces_the_very_version_it_rests_on() {
    let mut world = TestWorld::new(game(), settings());
    let alice = world.connect("alice");
    world.run(6);
    earn(&mut world, alice, 3);
    let newer = Profile { version: 5, ..Profile::default() };
    world.players_mut().set_profile(player("alice"), newer.clone());
    world[alice].leave();
    world.run(4);
    assert_eq!(world.players().conflicts(), [player("alice")]);
    assert_eq!(world.players().profile(&player("alice")), Some(&newer));
}

/// D3: after a crash there is one avatar for a player, with the newest that was written of it, and none for who is away.
#[test]
fn after_a_crash_a_player_has_the_newest_of_image_and_profile() {
    let mut world = TestWorld::new(game(), settings());
    let [stayed, left, came] = ["stayed", "left", "came"].map(|name| world.connect(name));
    world.run(6);
    for client in [stayed, left, came] {
        earn(&mut world, client, 10);
    }
    world[came].leave();
    world.run(4);
    let image = world.image();
    assert_eq!(image.entities, 0, "avatars are not among the entities");
    for client in [stayed, left] {
        earn(&mut world, client, 5);
    }
    world[left].leave();
    world.run(4);
    let back = world.connect("came");
    world.run(6);
    earn(&mut world, back, 1);
    // Killed here: what the store has, and the image.
    let players: TestPlayers = world.players().clone();
    let mut world = TestWorld::restart(game(), settings(), Some(&image), players.clone());
    assert_eq!(world.tick().report.entities, 0, "who is away has no avatar in the world");
    let image_of_none = world.image();
    let players_of_none = world.players().clone();
    for name in ["stayed", "left", "came"] {
        world.connect(name);
    }
    world.run(6);
    assert_eq!(world.tick().report.entities, 3);
    assert_eq!(avatar(&mut world, "stayed").0, 10, "as of the image: what came after it is lost");
    assert_eq!(avatar(&mut world, "left").0, 15, "it left after the image, with this");
    assert_eq!(avatar(&mut world, "came").0, 10, "it left before the image, and what it did since is lost");

    // Nobody came back before the next crash: the start had made profiles of them, and the next image holds nobody.
    let mut world = TestWorld::restart(game(), settings(), Some(&image_of_none), TestPlayers::default());
    world.connect("stayed");
    world.run(6);
    assert_eq!(avatar(&mut world, "stayed").0, 0, "the image does not know it any more");
    assert_eq!(
        players_of_none.conflicts(),
        [],
        "who was saved after the image is newer, and that is no conflict"
    );
    let mut world = TestWorld::restart(game(), settings(), Some(&image_of_none), players_of_none);
    world.connect("stayed");
    world.run(6);
    assert_eq!(avatar(&mut world, "stayed").0, 10);
    let image = world.image();
    let (players, client) = (world.players().clone(), ClientId::default());
    earn(&mut world, client, 100);
    let mut world = TestWorld::restart(game(), settings(), Some(&image), players);
    world.connect("stayed");
    world.run(6);
    assert_eq!(avatar(&mut world, "stayed").0, 10, "in the image that was made of it while it played");
}

fn order(world: &mut TestWorld, number: u64, kind: OrderKind, name: &str, for_s: Option<u64>) {
    let (player, why) = (player(name), format!("{} it was", kind.name()));
    let order = Order { number, kind, player, why, for_s, by: "operator".into() };
    world.tick_with(|input| input.orders.push(order));
    world.run(3);
}

/// H3: an order ends a session with its reason, keeps out whom it is to keep out for as long as it says, and is recorded.
#[test]
fn orders_about_players_are_carried_out_and_recorded() {
    let mut world = TestWorld::new(game(), settings());
    let alice = world.connect("alice");
    world.run(6);
    earn(&mut world, alice, 4);
    order(&mut world, 1, OrderKind::Kick, "alice", None);
    ended(&world, alice, "kick it was");
    assert_eq!(world.players().saves(), 1, "she keeps what she had");
    let alice = world.connect("alice");
    world.run(6);
    assert!(world[alice].welcome().is_some(), "a kick is no ban");
    order(&mut world, 2, OrderKind::Mute, "alice", Some(2));
    let muted = |world: &TestWorld| {
        let sessions = world.server().node().resource::<Sessions>();
        sessions.of_player(&player("alice")).and_then(|session| session.muted.clone())
    };
    assert_eq!(muted(&world).as_deref(), Some("mute it was"));
    world.run(40);
    assert_eq!(muted(&world), None, "two seconds are over");
    order(&mut world, 3, OrderKind::Ban, "alice", Some(3));
    ended(&world, alice, "ban it was");
    let alice = world.connect("alice");
    world.run(6);
    ended(&world, alice, "banned from this world until");
    // The sanction outlives the process.
    let players = world.players().clone();
    assert!(players.sanction(&player("alice"), SanctionKind::Ban).is_some());
    world.run(60);
    let alice = world.connect("alice");
    world.run(6);
    assert_eq!(avatar(&mut world, "alice").0, 4, "three seconds are over");
    assert_eq!(world.players().sanctions(), [], "what has ended is not kept");
    order(&mut world, 4, OrderKind::Ban, "stranger", None);
    let stranger = world.connect("stranger");
    world.run(6);
    ended(&world, stranger, "ban it was");
    order(&mut world, 5, OrderKind::Unban, "stranger", None);
    order(&mut world, 6, OrderKind::Unban, "stranger", None);
    order(&mut world, 7, OrderKind::Kick, "nobody", None);
    let done: Vec<bool> = world.players().outcomes().iter().map(|outcome| outcome.done).collect();
    assert_eq!(done, [true, true, true, true, true, false, false]);
    let rows = world.players().audit();
    assert_eq!(rows.len(), 7);
    assert_eq!(
        (rows[2].who.as_str(), rows[2].what.as_str(), rows[2].target.as_str()),
        ("operator", "ban", "alice")
    );
    assert!(rows[2].detail.contains("ban it was for 3 s") && rows[2].now_ms > 0, "{:?}", rows[2]);
    let _ = alice;
    let mut world = TestWorld::restart(game(), settings(), None, players);
    let alice = world.connect("alice");
    world.run(6);
    ended(&world, alice, "ban it was");
    world.run(300);
    assert_eq!(world.players().sanctions(), [], "nor is what was read at the start, once it has ended");
}
