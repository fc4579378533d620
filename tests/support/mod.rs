//! Shared by the tests of whole worlds.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]

pub mod ants;
pub mod ants_checks;
pub mod ants_worlds;
pub mod sights;

use std::path::Path;

use terrane::caravan::{Caravan, Roads, caravan_game};
use terrane::cell::markers::Owned;
use terrane::cell::pool::with_cells;
use terrane::ids::PlayerId;
use terrane::prelude::*;
use terrane::replication::oracle::{self, ExpectedEntity, Oracle, OracleViewer};
use terrane::replication::{Rows, ViewSettings};
use terrane::session::Sessions;
use terrane::testing::TestWorld;

/// The shipped game on the shipped map.
pub fn caravan_builder(settings: &WorldSettings) -> ServerBuilder {
    let roads = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/config/roads.toml");
    let roads = Roads::load(&roads, settings.area).expect("the shipped map is sound");
    caravan_game(ServerBuilder::default(), roads)
}

/// A test world of it.
pub fn caravan_world(settings: WorldSettings, npcs: u64) -> TestWorld {
    TestWorld::new(caravan_builder(&settings), WorldSettings { npcs: Some(npcs), ..settings })
}

/// Lets every caravan stand where it is.
pub fn stop_the_caravans(world: &mut TestWorld) {
    with_cells(world.server_mut().node_mut(), |_, cells| {
        for cell in cells.iter_mut() {
            let mut caravans = cell.world.query_filtered::<&mut Caravan, With<Owned>>();
            for mut caravan in caravans.iter_mut(&mut cell.world) {
                caravan.speed_m_s = 0.0;
            }
        }
    });
}

/// The oracle's memory of every player, and what it expected last.
pub struct OracleViews {
    rule: ViewSettings,
    memories: std::collections::BTreeMap<(PlayerId, u32), Oracle>,
    expected: std::collections::BTreeMap<PlayerId, Vec<ExpectedEntity>>,
}

pub fn oracle_views(world: &TestWorld) -> OracleViews {
    let settings = world.server().settings();
    OracleViews {
        rule: ViewSettings::new(settings.enter_radius_m, settings.leave_radius_m, settings.view_entities_max),
        memories: Default::default(),
        expected: Default::default(),
    }
}

impl OracleViews {
    /// Lets the oracle see the tick that just ran.
    pub fn follow(&mut self, world: &mut TestWorld) {
        self.expected.clear();
        with_cells(world.server_mut().node_mut(), |node, cells| {
            let rows = node.resource::<Rows>();
            for session in node.resource::<Sessions>().iter() {
                let key = (session.player.clone(), session.id.epoch);
                let memory = self.memories.entry(key).or_default();
                let viewer = OracleViewer {
                    position: rows.position[session.avatar_row.index()],
                    own: Some(session.avatar),
                    context: Some(&session.context),
                    always: sights::always(node, session),
                };
                let seen = memory.membership(oracle::world(rows), &viewer, &self.rule);
                let expected = oracle::world(rows)
                    .filter(|entity| seen.binary_search(&entity.net_id).is_ok())
                    .map(|entity| {
                        let plain = oracle::expected_of(&entity, &seen);
                        sights::expected_of(node, cells, session, &entity, &seen).unwrap_or(plain)
                    })
                    .collect::<Vec<_>>();
                self.expected.insert(session.player.clone(), sorted(expected));
            }
        });
    }

    /// Every client holds what the oracle expected of it.
    pub fn assert_equal(&self, world: &TestWorld, when: &str) {
        let schema = &world.server().game().schema;
        assert_eq!(self.expected.len(), world.clients().len(), "{when}: everybody is in");
        for client in world.clients() {
            let player = &client.welcome().expect("everybody is in").player;
            let held = client.view().entities().map(|entity| {
                let encoded = entity.encoded();
                let mut begin = 0;
                let fields = encoded.ends.iter().map(|&end| {
                    let field = encoded.bytes[begin..usize::from(end)].to_vec();
                    begin = usize::from(end);
                    field
                });
                let plain = ExpectedEntity {
                    net_id: entity.net_id(),
                    lattice: entity.lattice().0,
                    components: entity.components(),
                    fields: fields.collect(),
                };
                sights::held(schema, entity).unwrap_or(plain)
            });
            let held = sorted(held.collect());
            let expected = &self.expected[player];
            let missing: Vec<_> = expected.iter().filter(|entity| !held.contains(entity)).collect();
            let surplus: Vec<_> = held.iter().filter(|entity| !expected.contains(entity)).collect();
            assert!(
                missing.is_empty() && surplus.is_empty(),
                "{when}: {player} should hold {missing:?} and not {surplus:?}"
            );
        }
    }
}

fn sorted(mut entities: Vec<ExpectedEntity>) -> Vec<ExpectedEntity> {
    entities.sort_unstable();
    entities
}
