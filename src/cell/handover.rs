//! Gives an entity to another cell. Both exist side by side; nothing is ever under way.

use bevy_ecs::prelude::Entity;
use glam::Vec3;
use smallvec::SmallVec;

use crate::ids::NetId;
use crate::space::Position;

use super::Cell;
use super::kinds::Changed;
use super::markers::{Ghost, NO_EXPORT, NO_LINK, Owned, OwnedData};
use super::requests::Requests;

/// Moves one owned entity from a cell to another.
///
/// Where the new owner has a ghost of it, that ghost is promoted in place; where the old owner is still within
/// the margin, the original is demoted in place and becomes its ghost. Components move by value: nothing is
/// encoded, and since their bytes stay equal nothing is sent to anybody who sees the entity.
///
/// # Panics
/// When `from` does not own the entity: the registry and the cells disagree, a fault of the engine.
pub fn hand_over(from: &mut Cell, to: &mut Cell, net_id: NetId, position: Vec3) -> Entity {
    let source = from.by_net_id[&net_id];
    let (owned, data) = from.give_away(source);
    set_engine_moves(from, to, true);
    let summed: SmallVec<[bool; 32]> = data.prints.iter().map(|&print| print != 0).collect();
    for (sum, print) in to.sums.iter_mut().zip(data.prints.iter().chain([&owned.print])) {
        *sum = sum.wrapping_add(*print);
    }
    let row = owned.row;
    // All at once: every change of an entity's set of components moves the whole entity in memory.
    let all = (Position(position), Owned { export: NO_EXPORT, anchor: position, ..owned }, data);
    let target = match to.by_net_id.get(&net_id) {
        Some(&ghost) => {
            let mut promoted = to.world.entity_mut(ghost);
            if let Some(ghost) = promoted.take::<Ghost>() {
                to.links.forget(&ghost);
            }
            promoted.insert(all);
            ghost
        }
        None => {
            let entity = to.world.spawn((net_id, all)).id();
            to.by_net_id.insert(net_id, entity);
            entity
        }
    };
    let leave_ghost = from.leaf.area.contains_within(position, from.limits.ghost_margin_m);
    let mut promoted = to.world.entity_mut(target);
    let mut original = from.world.entity_mut(source);
    for ((index, kind), is_summed) in from.game.kinds.iter().enumerate().zip(summed) {
        let is_there = kind.transfer(&mut original, &mut promoted, leave_ghost);
        // Taken off since the last survey: the old cell will not notice any more, so the new one must.
        if is_summed && !is_there {
            to.lost_on_the_way.push(Changed { entity: target, kind: index as u16 });
        }
    }
    if leave_ghost {
        original.remove::<(Owned, OwnedData)>();
        original.insert((Position(position), Ghost { row, link: NO_LINK, export: 0 }));
        from.links.adopt_later(source);
    } else {
        original.despawn();
        from.by_net_id.remove(&net_id);
    }
    set_engine_moves(from, to, false);
    target
}

/// While set, what loses its authority has not died and what ceases to be a ghost is not lost.
fn set_engine_moves(from: &mut Cell, to: &mut Cell, set: bool) {
    for cell in [from, to] {
        cell.world.resource_mut::<Requests>().engine_moves = set;
    }
}
