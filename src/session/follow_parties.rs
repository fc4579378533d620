//! Sessions and avatars learn whose party has changed.

use bevy_ecs::prelude::{Mut, World};

use crate::cell::pool::with_cells;
use crate::party::Parties;
use crate::replication::Rows;
use crate::replication::policy::Subject;

use super::Sessions;

/// Tells sessions and avatars whose party has changed, and those that have come in: sync policies, always-relevant sets and the
/// scope of actions go by it from here on. O(those whose party has changed · log).
pub fn follow_parties(world: &mut World) {
    let mut sessions = world.resource_mut::<Sessions>();
    let came_in = sessions.take_came_in();
    let changed = world.resource_mut::<Parties>().take_changed(came_in);
    if changed.is_empty() {
        return;
    }
    with_cells(world, |world, cells| {
        world.resource_scope(|world, mut sessions: Mut<Sessions>| {
            let (rows, parties) = (world.resource::<Rows>(), world.resource::<Parties>());
            for player in &changed {
                let party = parties.of(player);
                let Some(session) = sessions.of_player_mut(player) else { continue };
                session.context.set_party(party);
                let Some(row) = rows.row(session.avatar) else { continue };
                let cell = cells.at(rows.owner[row.index()]);
                let Some(&entity) = cell.by_net_id.get(&session.avatar) else { continue };
                if let Some(mut subject) = cell.world.get_mut::<Subject>(entity)
                    && subject.party() != party
                {
                    subject.set_party(party);
                }
            }
        });
    });
}
