//! Sessions and avatars learn whose party has changed.

use bevy_ecs::prelude::{Mut, World};

use crate::cell::pool::{NodeContext, with_cells};
use crate::party::Parties;
use crate::replication::Rows;
use crate::replication::policy::Subject;

use super::Sessions;

/// Tells sessions and avatars whose party has changed, and those that have come in: sync policies, always-relevant sets and the
/// scope of actions go by it from here on. Members who stay away for too long are none any more. O(those whose party has
/// changed, who come and who go · log).
pub fn follow_parties(world: &mut World) {
    let mut sessions = world.resource_mut::<Sessions>();
    let came_or_went = sessions.take_came_or_went();
    let changed = world.resource_scope(|world, mut parties: Mut<Parties>| {
        let (context, sessions) = (&world.resource::<NodeContext>().0, world.resource::<Sessions>());
        parties.forget_old(context);
        let changed = parties.take_changed(came_or_went);
        for player in &changed {
            parties.note_presence(player, sessions.of_player(player).is_some(), context.tick);
        }
        changed
    });
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
