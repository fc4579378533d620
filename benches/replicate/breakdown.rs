//! What the parts of a tick cost. On every other tick each part runs by itself before the set that it belongs to,
//! over all cells or sessions, timed; the set then runs as ever and finds nothing left to do. Such a tick does
//! parts of its work twice, so it counts for nothing else.

use bevy_app::{App, Plugin};
use bevy_ecs::prelude::{IntoScheduleConfigs, Mut, Resource, World};
use terrane::cell::pool::with_cells;
use terrane::ghost::import::PublishedExports;
use terrane::interest::{InterestSettings, Viewers};
use terrane::replication::personal::{EntitiesOfRows, OwnersComponents};
use terrane::replication::policy::Depends;
use terrane::replication::stage;
use terrane::replication::view::Look;
use terrane::replication::{Rows, ViewScratch, ViewSettings, Viewer};
use terrane::server::WorldSettings;
use terrane::session::Sessions;
use terrane::tick::{Tick, TickSystems};

use super::common::timed_ms;

/// CPU milliseconds of the parts of the last tick that ran them.
#[derive(Resource, Default)]
pub(crate) struct Parts {
    /// Whether the next tick runs them by themselves.
    pub(crate) apart: bool,
    pub(crate) import_ms: f64,
    pub(crate) cells_encode_ms: f64,
    pub(crate) publish_ms: f64,
    pub(crate) aoi_ms: f64,
    pub(crate) diff_ms: f64,
    scratch: ViewScratch,
    found: EntitiesOfRows,
}

/// Adds the parts.
pub(crate) struct Breakdown;

impl Plugin for Breakdown {
    fn build(&self, app: &mut App) {
        app.init_resource::<Parts>();
        let cells = cells_apart.in_set(TickSystems::Mirror).after(stage::mirror);
        let views = views_apart.in_set(TickSystems::Assemble).before(stage::assemble);
        app.add_systems(Tick, cells).add_systems(Tick, views);
    }
}

fn cells_apart(world: &mut World) {
    world.resource_scope(|world, mut parts: Mut<Parts>| {
        if !parts.apart {
            return;
        }
        with_cells(world, |world, cells| {
            let published = world.resource::<PublishedExports>();
            let (viewers, settings) = (world.resource::<Viewers>(), world.resource::<InterestSettings>());
            parts.import_ms = timed_ms(|| cells.iter_mut().for_each(|cell| cell.import_ghosts(published))).0;
            parts.cells_encode_ms = timed_ms(|| cells.iter_mut().for_each(|cell| cell.encode_changed())).0;
            let gather = |cell: &mut terrane::cell::Cell| {
                cell.gather_candidates(viewers.of(cell.leaf.slot), settings);
            };
            parts.aoi_ms = timed_ms(|| cells.iter_mut().for_each(gather)).0;
        });
    });
}

/// Publishes what was encoded, which counts as encoding, then follows every view.
fn views_apart(world: &mut World) {
    world.resource_scope(|world, mut parts: Mut<Parts>| {
        if !parts.apart {
            return;
        }
        let settings = world.resource::<WorldSettings>();
        let rule =
            ViewSettings::new(settings.enter_radius_m, settings.leave_radius_m, settings.view_entities_max);
        with_cells(world, |world, cells| {
            let mut rows = world.resource_mut::<Rows>();
            let publish = || {
                for cell in cells.iter_mut() {
                    rows.publish_subjects(&mut cell.subjects);
                    rows.publish(&mut cell.deltas);
                }
            };
            parts.publish_ms = timed_ms(publish).0;
            world.resource_scope(|world, mut sessions: Mut<Sessions>| {
                let rows = world.resource::<Rows>();
                let cells = &*cells;
                parts.diff_ms = timed_ms(|| {
                    let Parts { scratch, found, .. } = &mut *parts;
                    found.clear(rows.len());
                    for (session, hits) in cells.iter().flat_map(|cell| cell.interest.candidates.iter()) {
                        let Some(session) = sessions.at_mut(session) else { continue };
                        let row = session.avatar_row;
                        let viewer = Viewer { position: rows.position[row.index()], avatar: row };
                        let source = OwnersComponents::new(world, cells, &session.context, found);
                        let (context, changes) = (&session.context, Depends::NONE);
                        let look = Look { viewer, context, changes, always: &[], source: &source };
                        session.view.update_membership(rows, &look, hits, &rule, scratch);
                    }
                })
                .0;
            });
        });
    });
}
