//! Bots: deterministic, and real enough that every view must equal the oracle's.

use crate::support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::support::{caravan_world, oracle_views};
use terrane::caravan::allegiance::SUSPECT;
use terrane::caravan::bots::{BotBrain, BotMap, BotProfile, Bots, HeardByBot};
use terrane::caravan::{Burden, Caravan, Charter, Market, Steer};
use terrane::cell::markers::Owned;
use terrane::cell::pool::with_cells;
use terrane::client::{Connection, Player};
use terrane::driver::Exchange;
use terrane::net::loopback::LoopbackPort;
use terrane::net::{Identity, Loopback, LoopbackConditions};
use terrane::prelude::*;
use terrane::replication::{Rows, Schema};
use terrane::server::{Server, TickInput};
use terrane::session::Sessions;
use terrane::testing::{ClientId, TestWorld};

const PROFILES: [BotProfile; 5] =
    [BotProfile::Walk, BotProfile::Crowd, BotProfile::Border, BotProfile::Trade, BotProfile::Caravan];

struct Played {
    world: TestWorld,
    clients: Vec<ClientId>,
    brains: Vec<BotBrain>,
}

fn place(world: &TestWorld, client: ClientId) -> Vec2 {
    let avatar = world[client].avatar().expect("in");
    world[client].view().get(avatar).expect("everybody sees themselves").lattice().to_place().truncate()
}

/// Lets eight bots play, with the oracle looking at every tick, and `each` too.
fn play(profile: BotProfile, ticks: u64, mut each: impl FnMut(&TestWorld, &[ClientId])) -> Played {
    let settings = WorldSettings { audit_every: Some(5), ..WorldSettings::default() };
    let mut world = caravan_world(settings, 600);
    let map = Arc::new(BotMap::shipped());
    let connect = |number| world.connect_as(&format!("bot {number}"), BotBrain::role(profile, number));
    let clients: Vec<_> = (0..8).map(connect).collect();
    let mut brains: Vec<_> = (0..8).map(|number| BotBrain::new(profile, map.clone(), 7, number)).collect();
    let mut oracles = oracle_views(&world);
    for tick in 1..=ticks {
        for (brain, &client) in brains.iter_mut().zip(&clients) {
            brain.think(&mut world[client], tick);
        }
        world.tick();
        oracles.follow(&mut world);
        if tick > 6 {
            oracles.assert_equal(&world, &format!("{profile:?}, tick {tick}"));
            each(&world, &clients);
        }
    }
    Played { world, clients, brains }
}

/// A13, B9: whatever bots do, every view equals the oracle's on every tick, audits find nothing, and what bots say
/// is answered.
#[test]
fn views_of_playing_bots_equal_the_oracles() {
    for profile in PROFILES {
        let mut played = play(profile, 300, |_, _| {});
        let report = played.world.tick().report;
        assert_eq!(report.audits.failures, 0, "{profile:?}");
        assert!(report.audits.conclusive > 300, "{profile:?}: {:?}", report.audits);
        for (brain, &client) in played.brains.iter_mut().zip(&played.clients) {
            assert!(brain.legs() > 0 && brain.round_trips().count() >= 2, "{profile:?}");
            assert_eq!(played.world[client].counts().decode_errors, 0);
        }
    }
}

/// What of a world's policies, and of what they decide by, has changed since the last look.
#[derive(Default)]
struct Changes {
    last: BTreeMap<(&'static str, String), String>,
    seen: BTreeSet<&'static str>,
}

impl Changes {
    fn note(&mut self, what: &'static str, whose: impl ToString, value: impl std::fmt::Debug) {
        let value = format!("{value:?}");
        let last = self.last.insert((what, whose.to_string()), value.clone());
        if last.is_some_and(|last| last != value) {
            self.seen.insert(what);
        }
    }

    fn look(&mut self, world: &TestWorld) {
        let node = world.server().node();
        for session in node.resource::<Sessions>().iter() {
            let (player, viewer) = (&session.player, &session.context);
            self.note("party", player, viewer.party());
            self.note("role", player, viewer.role());
            self.note("scouts", player, viewer.facts().collect::<Vec<_>>());
        }
        let market = node.resource::<Market>();
        self.note("market.prices", "", market.prices.values().map(|price| price.silver).collect::<Vec<_>>());
        self.note(
            "market.stock",
            "",
            market.prices.values().map(|price| price.stock / 100).collect::<Vec<_>>(),
        );
        self.note(
            "market.stores",
            "",
            market
                .stores
                .values()
                .flat_map(|stores| stores.values().map(|store| store.loads))
                .collect::<Vec<_>>(),
        );
        let cells = node.resource::<Rows>();
        for (net_id, row) in cells.iter() {
            let subject = cells.subjects[row.index()].as_deref();
            self.note("subject.owner", net_id, subject.and_then(Subject::owner));
            self.note("subject.party", net_id, subject.and_then(Subject::party));
            self.note("subject.tags", net_id, subject.map(|subject| subject.has_tag(SUSPECT)));
        }
    }

    fn look_at_caravans(&mut self, world: &mut TestWorld) {
        let mut caravans = Vec::new();
        with_cells(world.server_mut().node_mut(), |_, cells| {
            for cell in cells.iter_mut() {
                let mut all =
                    cell.world.query_filtered::<(&NetId, &Caravan, Option<&Charter>), With<Owned>>();
                let copy = |(net_id, caravan, charter): (&NetId, &Caravan, Option<&Charter>)| {
                    (*net_id, caravan.clone(), charter.is_some())
                };
                caravans.extend(all.iter(&cell.world).map(copy));
            }
        });
        for (net_id, caravan, chartered) in caravans {
            self.note("purse", net_id, caravan.purse / 100);
            self.note("burden", net_id, Burden::of(caravan.weight_kg));
            self.note("cargo", net_id, &caravan.cargo);
            self.note("route", net_id, &caravan.route);
            self.note("offer", net_id, &caravan.offer);
            self.note("bids", net_id, &caravan.bids);
            self.note("crew", net_id, &caravan.crew);
            self.note("seed", net_id, caravan.seed);
            self.note("charter", net_id, chartered);
        }
    }
}

/// B9: under the caravan profile nothing that policies hide or decide by stays as it is, and audits find nothing.
#[test]
fn of_all_that_policies_decide_by_nothing_stays_as_it_is() {
    let mut changes = Changes::default();
    let settings = WorldSettings { audit_every: Some(5), ..WorldSettings::default() };
    let mut world = caravan_world(settings, 900);
    let map = Arc::new(BotMap::shipped());
    let profile = BotProfile::Caravan;
    let connect = |number| world.connect_as(&format!("bot {number}"), BotBrain::role(profile, number));
    let clients: Vec<_> = (0..24).map(connect).collect();
    let mut brains: Vec<_> = (0..24).map(|number| BotBrain::new(profile, map.clone(), 7, number)).collect();
    for tick in 1..=700 {
        for (brain, &client) in brains.iter_mut().zip(&clients) {
            brain.think(&mut world[client], tick);
        }
        world.tick();
        if tick % 10 == 0 {
            changes.look(&world);
            changes.look_at_caravans(&mut world);
        }
    }
    let all = [
        "bids",
        "burden",
        "cargo",
        "charter",
        "crew",
        "market.prices",
        "market.stock",
        "market.stores",
        "offer",
        "party",
        "purse",
        "role",
        "route",
        "scouts",
        "seed",
        "subject.owner",
        "subject.party",
        "subject.tags",
    ];
    assert_eq!(changes.seen.into_iter().collect::<Vec<_>>(), all);
    let heard = |of: fn(HeardByBot) -> u64| brains.iter().map(|brain| of(brain.heard())).sum::<u64>();
    assert!(heard(|heard| heard.around) > 100, "{}", heard(|heard| heard.around));
    assert!(heard(|heard| heard.in_party) > 50, "{}", heard(|heard| heard.in_party));
    let report = world.tick().report;
    assert_eq!(report.audits.failures, 0, "{:?}", report.audits);
    assert!(report.audits.conclusive > 24 * 100, "{:?}", report.audits);
}

/// C1: what bots do follows from seed, number and tick.
#[test]
fn the_same_bots_do_the_same() {
    for profile in PROFILES {
        let [a, b] = [(); 2].map(|()| play(profile, 150, |_, _| {}).world.tick().report.fingerprint);
        assert_eq!(a, b, "{profile:?}");
    }
}

/// The coach brings a crowd together within seconds, and there it stays.
#[test]
fn a_crowd_gathers_in_the_middle_of_the_map() {
    let played = play(BotProfile::Crowd, 250, |_, _| {});
    for &client in &played.clients {
        let to_middle = place(&played.world, client).distance(Vec2::splat(500.0));
        assert!(to_middle < 40.0, "{to_middle} m from the middle");
    }
}

/// A4: on the border profile bots change cells all the time.
#[test]
fn bots_on_the_border_cross_it_again_and_again() {
    let mut sides: Vec<Vec<(i32, i32)>> = vec![Vec::new(); 8];
    play(BotProfile::Border, 700, |world, clients| {
        for (sides, &client) in sides.iter_mut().zip(clients) {
            let cell = (place(world, client) / 200.0).floor();
            let cell = (cell.x as i32, cell.y as i32);
            if sides.last() != Some(&cell) {
                sides.push(cell);
            }
        }
    });
    let crossings: usize = sides.iter().map(|cells| cells.len() - 1).sum();
    assert!(crossings > 40, "{crossings} crossings");
    assert!(
        sides.iter().any(|cells| cells.iter().collect::<std::collections::BTreeSet<_>>().len() >= 4),
        "somebody goes around a corner"
    );
}

/// A server in lockstep with what its network connects.
struct InProcess {
    server: Server,
    exchange: Exchange,
    port: LoopbackPort,
    schema: Arc<Schema>,
}

impl InProcess {
    fn new() -> Self {
        let settings = WorldSettings { npcs: Some(300), audit_every: Some(5), ..WorldSettings::default() };
        let server = support::caravan_builder(&settings).build(settings, None).expect("sound");
        let schema = Arc::new(server.game().schema.clone());
        let network = Loopback::new(schema.hash(), terrane::VERSION, 100, LoopbackConditions::default(), 1);
        let port = network.port();
        let mut exchange = Exchange::default();
        exchange.add(Box::new(network));
        Self { server, exchange, port, schema }
    }

    fn tick(&mut self) {
        let tick = self.server.next_tick();
        let mut input = TickInput { tick, now_ms: tick.0 * 50, ..TickInput::default() };
        self.exchange.gather(&mut input);
        let mut output = self.server.tick(input);
        self.exchange.dispatch(&mut output.messages);
    }
}

const TICK: Duration = Duration::from_millis(50);

/// A13: `--bots N` is N players through full encode and decode, and what they find is counted.
#[test]
fn bots_in_the_process_play_and_are_counted() {
    let mut world = InProcess::new();
    let mut bots = Bots::new(&world.port, &world.schema, &Arc::new(BotMap::shipped()), 20, 1);
    for _ in 0..120 {
        bots.send();
        world.tick();
        bots.receive(TICK);
    }
    let counts = bots.counts();
    assert_eq!((counts.playing, counts.lost, counts.decode_errors, counts.audit_failures), (20, 0, 0, 0));
    assert!(counts.updates > 20 * 100 && counts.audits > 20 * 15, "{counts:?}");
}

/// Between two updates a client shows what moves on the line between; who does not ask for it does not pay for it.
#[test]
fn positions_between_updates_lie_on_the_way() {
    let mut world = InProcess::new();
    let link = world.port.connect(Identity::player(PlayerId::new("anna").expect("a name")));
    let connection = Connection::over(Box::new(link), world.schema.hash(), terrane::VERSION);
    let mut player = Player::new(connection, world.schema.clone(), 1);
    assert!(player.interpolation().is_none());
    player = player.with_interpolation();
    for _ in 0..20 {
        let _ = player.want(&Steer { heading: 0.0, speed_m_s: 6.0 });
        player.send();
        world.tick();
        player.receive(TICK);
    }
    let interpolation = player.interpolation().expect("asked for");
    let newest = interpolation.newest();
    let avatar = player.avatar().expect("in");
    let x = |tick: f64| interpolation.position_at(avatar, tick).expect("in view").x;
    let (before, between, after) =
        (x(newest.0 as f64 - 2.0), x(newest.0 as f64 - 1.5), x(newest.0 as f64 - 1.0));
    assert!((after - before - 0.3).abs() < 0.02, "6 m/s are 0.3 m a tick, not {}", after - before);
    assert!((between - (before + after) / 2.0).abs() < 1e-3);
    assert_eq!(interpolation.tick_to_show(0.05), newest.0 as f64 - 1.0);
    assert_eq!(interpolation.position_at(NetId(1), 0.0), None);
}
