//! `Commit`: components of avatars that changed are on their way to the store, by their classes.

use bevy_ecs::prelude::{Mut, Resource, World};

use crate::cell::persist::DurabilityClass;
use crate::cell::pool::{Cells, NodeContext, with_cells};
use crate::cell::registration::Game;
use crate::ids::{PlayerId, TickNumber};
use crate::limits::ROWS_PER_CHUNK;
use crate::players::{ComponentRow, PlayerRequest, RowsSave};
use crate::replication::Rows;
use crate::server::io::OutputSoFar;
use crate::server::{GameOf, WorldSettings};

use super::Sessions;

/// How far the scan for what changed has come.
#[derive(Resource, Debug, Default)]
pub struct DirtyScan {
    /// When the next one begins.
    due: TickNumber,
    /// One is under way, and has seen all players up to this one.
    under_way: Option<Option<PlayerId>>,
}

/// Hands over the rows of what changed: everything immediate, and of what is periodic as much as the scan comes to in this
/// tick. O(players) where anything is immediate.
pub fn keep_rows(world: &mut World) {
    let game = world.resource::<GameOf>().0.clone();
    if game.persisted().is_empty() || !world.resource::<WorldSettings>().keeps_players {
        return;
    }
    world.resource_scope(|world, mut sessions: Mut<Sessions>| {
        world.resource_scope(|world, mut scan: Mut<DirtyScan>| {
            let has = |class| game.persisted().iter().any(|persisted| persisted.class == class);
            if has(DurabilityClass::Immediate) {
                let rows = with_cells(world, |world, cells| {
                    let mut changed = Vec::new();
                    for place in sessions.places_after(None) {
                        let class = DurabilityClass::Immediate;
                        changed_of(world.resource(), cells, &game, class, &mut sessions, place, &mut changed);
                    }
                    changed
                });
                hand_over(world, rows, true);
            }
            if has(DurabilityClass::Periodic) {
                let rows = scan.go_on(world, &game, &mut sessions);
                hand_over(world, rows, false);
            }
        });
    });
}

impl DirtyScan {
    /// Begins where one is due, and goes on player by player, until there are as many rows as fit one transaction. All of a
    /// player's are of one tick.
    fn go_on(&mut self, world: &mut World, game: &Game, sessions: &mut Sessions) -> Vec<ComponentRow> {
        let tick = world.resource::<NodeContext>().0.tick;
        if self.under_way.is_none() && tick >= self.due {
            let settings = world.resource::<WorldSettings>();
            self.due = TickNumber(tick.0 + u64::from(settings.periodic_every_s) * u64::from(settings.hz));
            self.under_way = Some(None);
        }
        let mut changed = Vec::new();
        let Some(after) = self.under_way.take() else { return changed };
        with_cells(world, |world, cells| {
            for place in sessions.places_after(after.as_ref()) {
                let class = DurabilityClass::Periodic;
                changed_of(world.resource(), cells, game, class, sessions, place, &mut changed);
                if changed.len() >= ROWS_PER_CHUNK {
                    self.under_way = sessions.at(place).map(|session| Some(session.player.clone()));
                    break;
                }
            }
        });
        changed
    }
}

/// Appends what changed of the avatar of the session at a place. One that is dead has left nothing to be written.
fn changed_of(
    rows: &Rows,
    cells: &Cells,
    game: &Game,
    class: DurabilityClass,
    sessions: &mut Sessions,
    place: u32,
    changed: &mut Vec<ComponentRow>,
) {
    let Some(session) = sessions.at_mut(place) else { return };
    let Some(row) = rows.row(session.avatar) else { return };
    let Some(cell) = cells.get(rows.owner[row.index()]) else { return };
    let Some(entity) =
        cell.by_net_id.get(&session.avatar).and_then(|&entity| cell.world.get_entity(entity).ok())
    else {
        return;
    };
    let whose = (&session.player, session.profile.version);
    session.rows.take_changed(game, class, whose, &entity, changed);
}

fn hand_over(world: &mut World, rows: Vec<ComponentRow>, is_immediate: bool) {
    if !rows.is_empty() {
        let save = RowsSave { is_immediate, rows };
        world.resource_mut::<OutputSoFar>().players.push(PlayerRequest::SaveRows(save));
    }
}
