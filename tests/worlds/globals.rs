//! Node-wide state: the same policies, no place.

use terrane::prelude::*;
use terrane::session::Sessions;
use terrane::testing::{ClientId, TestWorld};
use terrane::tick::{Tick, TickSystems};

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Stall {
    #[sync(broadcast)]
    name: String,
}

#[derive(Resource, Clone, Debug, Default, PartialEq, Replicate)]
struct Market {
    #[sync(broadcast)]
    round: u64,
    #[sync(masked = to_tens)]
    price: u32,
    #[sync(per_player = whispered)]
    whisper: String,
    #[sync(custom = for_masters)]
    forecast: u64,
    #[sync(server_only)]
    seed: u64,
}

fn to_tens(price: &u32) -> u32 {
    price / 10 * 10
}

#[expect(clippy::ptr_arg, reason = "policies are given the field as it is")]
fn whispered(text: &String, player: &PlayerId) -> Option<String> {
    text.starts_with(player.as_str()).then(|| text.clone())
}

fn for_masters(viewing: &Viewing) -> bool {
    viewing.viewer.role() >= Role::Gm
}

struct Stalls;
impl Plugin for Stalls {
    fn build(&self, app: &mut App) {
        app.replicate::<Stall>();
    }
}

fn trade(context: Res<terrane::cell::pool::NodeContext>, mut market: ResMut<Market>) {
    let tick = context.0.tick.0;
    market.price = 100 + (tick % 30) as u32;
    if tick.is_multiple_of(5) {
        market.round += 1;
        market.forecast = market.round * 7;
        let names = ["alice", "bob", "nobody"];
        market.whisper = format!("{} hears {}", names[market.round as usize % 3], market.round);
    }
}

struct Markets;
impl Plugin for Markets {
    fn build(&self, app: &mut App) {
        app.replicate_global::<Market>().add_systems(Tick, trade.in_set(TickSystems::Settle));
    }
}

fn game() -> ServerBuilder {
    ServerBuilder::default().add_cell_plugins(Stalls).add_plugins(Markets).avatars(|request| {
        // Far from one another: node-wide state is in every view, wherever it is looked at from.
        let x = 20.0 + 300.0 * f32::from(request.player.as_str().as_bytes()[0] % 4);
        SpawnRequest::new(NetId::WORLD, Vec3::new(x, 20.0, 0.0), Stall { name: request.player.to_string() })
    })
}

fn market_of(world: &TestWorld, client: ClientId) -> Option<Market> {
    let schema = &world.server().game().schema;
    let entities = world[client].view().entities();
    let mut found = entities.filter_map(|entity| entity.component::<Market>(schema));
    let market = found.next();
    assert!(found.next().is_none(), "there is one market");
    market
}

/// B13: everybody has it, everybody by the policies, whatever the layout; an equal value sends nothing.
#[test]
fn node_wide_state_is_in_every_view_by_its_policies() {
    for grid in [[1, 1], [5, 5]] {
        let mut world = TestWorld::new(game(), WorldSettings { grid, ..WorldSettings::default() });
        let (alice, bob) = (world.connect("alice"), world.connect("bob"));
        let master = world.connect_as("carol", Role::Gm);
        world.run(6);
        for _ in 0..60 {
            world.tick();
            let real = world.server().node().resource::<Market>().clone();
            for (client, name) in [(alice, "alice"), (bob, "bob"), (master, "carol")] {
                let whisper =
                    if real.whisper.starts_with(name) { real.whisper.clone() } else { String::new() };
                let forecast = if client == master { real.forecast } else { 0 };
                let expected =
                    Market { round: real.round, price: real.price / 10 * 10, whisper, forecast, seed: 0 };
                assert_eq!(market_of(&world, client), Some(expected), "{name}");
            }
        }
    }
}

/// B12: a role that is given brings what it may see at once.
#[test]
fn who_becomes_a_master_sees_what_masters_see() {
    let mut world = TestWorld::new(game(), WorldSettings::default());
    let alice = world.connect("alice");
    world.run(12);
    assert_eq!(market_of(&world, alice).expect("everybody has it").forecast, 0);
    let give = |world: &mut TestWorld, role| {
        let mut sessions = world.server_mut().node_mut().resource_mut::<Sessions>();
        sessions.iter_mut().for_each(|session| session.context.set_role(role));
    };
    give(&mut world, Role::Gm);
    world.tick();
    let real = world.server().node().resource::<Market>().forecast;
    assert!(real > 0 && market_of(&world, alice).expect("everybody has it").forecast == real);
    give(&mut world, Role::Player);
    world.tick();
    assert_eq!(market_of(&world, alice).expect("everybody has it").forecast, 0, "and no longer afterwards");
}

/// D3: it is part of an image, and of the fingerprint.
#[test]
fn node_wide_state_survives_a_restart() {
    let settings = WorldSettings { seed: 3, ..WorldSettings::default() };
    let mut whole = TestWorld::new(game(), settings.clone());
    let expected = whole.run(40).report.fingerprint;

    let mut first = TestWorld::new(game(), settings.clone());
    first.run(17);
    let image = first.image();
    let mut second = TestWorld::restore(game(), settings, &image);
    let report = second.run(40 - image.tick.0 + 1).report;
    assert_eq!(second.last_tick().0, 40);
    assert_eq!(second.server().node().resource::<Market>(), whole.server().node().resource::<Market>());
    assert_eq!(report.fingerprint, expected);
}

#[derive(Resource, Clone, Debug, Default, PartialEq, Replicate)]
struct Notice {
    #[sync(broadcast, max_bytes = 8)]
    text: String,
    #[sync(broadcast)]
    number: u64,
}

/// What is too long is not told, and counted, as it is of components.
#[test]
fn a_value_that_is_too_long_is_counted() {
    fn write(mut notice: ResMut<Notice>) {
        notice.number += 1;
        notice.text = "x".repeat(if notice.number > 10 { 30 } else { 3 });
    }
    fn notices(app: &mut App) {
        app.replicate_global::<Notice>().add_systems(Tick, write.in_set(TickSystems::Settle));
    }
    let mut world = TestWorld::new(game().add_plugins(notices), WorldSettings::default());
    let alice = world.connect("alice");
    let oversized = |report: &terrane::server::TickReport| {
        report.counters.iter().find(|(name, _)| *name == "fields_oversized").expect("it is counted").1
    };
    assert_eq!(oversized(&world.run(10).report), 0);
    assert_eq!(oversized(&world.run(5).report), 5, "once in each tick in which it is told");
    let schema = world.server().game().schema.clone();
    let notices = world[alice].view().entities().filter_map(|entity| entity.component::<Notice>(&schema));
    assert_eq!(notices.collect::<Vec<_>>(), [Notice { text: String::new(), number: 15 }]);
}
