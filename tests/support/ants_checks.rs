//! What must hold of ants after every tick, found out naively.

use std::collections::BTreeMap;

use terrane::cell::attached::CHAIN_MAX;
use terrane::cell::markers::{Ghost, Owned};
use terrane::cell::pool::with_cells;
use terrane::prelude::*;
use terrane::server::Server;

use super::ants::{Ant, Diary, Dusty, Load};

/// Everything that is kept of an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    pub place: Vec3,
    /// (component, saved form).
    pub components: Vec<(&'static str, Vec<u8>)>,
}

/// All entities, by name.
pub fn everything(server: &mut Server) -> BTreeMap<NetId, Kept> {
    let game = server.game().clone();
    let mut all = BTreeMap::new();
    with_cells(server.node_mut(), |_, cells| {
        for cell in cells.iter_mut() {
            let mut owned = cell.world.query_filtered::<Entity, With<Owned>>();
            let owned: Vec<Entity> = owned.iter(&cell.world).collect();
            for entity in owned {
                let entity = cell.world.entity(entity);
                let mut components = Vec::new();
                for kind in &game.kinds {
                    let mut bytes = Vec::new();
                    if kind.save(&entity, &mut bytes) {
                        components.push((kind.name(), bytes));
                    }
                }
                let net_id = *entity.get::<NetId>().expect("every entity has a name");
                let place = entity.get::<Position>().expect("every entity is somewhere").0;
                let before = all.insert(net_id, Kept { place, components });
                assert!(before.is_none(), "{net_id} has two owners");
            }
        }
    });
    all
}

/// What a neighbour may know of an entity, written out by hand.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    pub place: Vec3,
    pub ant: Option<Ant>,
    pub load: Option<Load>,
    pub attached: Option<Attached>,
}

impl Known {
    fn of(place: &Position, ant: Option<&Ant>, load: Option<&Load>, attached: Option<&Attached>) -> Self {
        Self {
            place: place.0,
            ant: ant.map(|ant| Ant { secret: 0, friends: Vec::new(), ..ant.clone() }),
            load: load.map(|load| Load { origin: 0, ..load.clone() }),
            attached: attached.copied(),
        }
    }

    /// Whether this may be what a client holds of `real`: quantised values differ by half a step at most.
    pub fn is_as_told_of(&self, real: &Self) -> bool {
        let rounded = |ant: &Ant, real: &Ant| Ant { heading: real.heading, ..ant.clone() };
        let (ant, heading) = match (&self.ant, &real.ant) {
            (Some(ant), Some(real)) => (Some(rounded(ant, real)), (ant.heading - real.heading).abs()),
            (ant, _) => (ant.clone(), 0.0),
        };
        (self.place - real.place).abs().max_element() < 0.006
            && heading < 0.0051
            && (ant, &self.load, self.attached) == (real.ant.clone(), &real.load, real.attached)
    }
}

/// The public part of everybody, read from the components, by name.
pub fn everybody(server: &mut Server) -> BTreeMap<NetId, Known> {
    with_cells(server.node_mut(), |_, cells| {
        let mut all = BTreeMap::new();
        for cell in cells.iter_mut() {
            let mut owned = cell
                .world
                .query_filtered::<(&NetId, &Position, Option<&Ant>, Option<&Load>, Option<&Attached>), With<Owned>>();
            for (&net_id, place, ant, load, attached) in owned.iter(&cell.world) {
                all.insert(net_id, Known::of(place, ant, load, attached));
            }
        }
        all
    })
}

/// The naive answer to which ghosts there must be: for each cell, exactly the entities of other cells within
/// the margin, with the sent fields by value and everything else at its default.
pub fn assert_ghosts(server: &mut Server, when: &str) -> usize {
    let margin = server.settings().ghost_margin_m;
    let mut ghosts_seen = 0;
    with_cells(server.node_mut(), |_, cells| {
        let mut everybody = Vec::new();
        for cell in cells.iter_mut() {
            let mut owned = cell
                .world
                .query_filtered::<(&NetId, &Position, Option<&Ant>, Option<&Load>, Option<&Attached>), With<Owned>>();
            for (&net_id, place, ant, load, attached) in owned.iter(&cell.world) {
                everybody.push((cell.leaf.id, net_id, Known::of(place, ant, load, attached)));
            }
        }
        for cell in cells.iter_mut() {
            let (id, area) = (cell.leaf.id, cell.leaf.area);
            let is_near = |place: Vec3| {
                place.x >= area.min.x - margin
                    && place.x <= area.max.x + margin
                    && place.y >= area.min.y - margin
                    && place.y <= area.max.y + margin
            };
            let expected: BTreeMap<NetId, Known> = everybody
                .iter()
                .filter(|(owner, _, known)| *owner != id && is_near(known.place))
                .map(|(_, net_id, known)| (*net_id, known.clone()))
                .collect();
            let mut ghosts = cell.world.query_filtered::<(
                &NetId,
                &Position,
                Option<&Ant>,
                Option<&Load>,
                Option<&Attached>,
                bevy_ecs::query::Has<Diary>,
                bevy_ecs::query::Has<Dusty>,
                bevy_ecs::query::Has<Owned>,
            ), With<Ghost>>();
            let mut held = BTreeMap::new();
            for (&net_id, place, ant, load, attached, diary, dusty, owned) in ghosts.iter(&cell.world) {
                assert!(
                    !diary && !dusty && !owned,
                    "{when}: cell {id}: the ghost {net_id} has what no ghost may have"
                );
                let known = Known {
                    place: place.0,
                    ant: ant.cloned(),
                    load: load.cloned(),
                    attached: attached.copied(),
                };
                assert!(held.insert(net_id, known).is_none(), "{when}: cell {id}: two ghosts of {net_id}");
            }
            for (net_id, known) in &expected {
                assert_eq!(held.get(net_id), Some(known), "{when}: cell {id}: the ghost of {net_id}");
            }
            for (net_id, known) in &held {
                assert!(
                    expected.contains_key(net_id),
                    "{when}: cell {id}: the ghost {net_id} {known:?} is left over"
                );
            }
            ghosts_seen += held.len();
        }
    });
    ghosts_seen
}

/// Whom everybody joined is joined to is in the same cell and within reach, and no chain is too long.
pub fn assert_groups(server: &mut Server, when: &str) -> usize {
    let mut joined = 0;
    let mut leaders = BTreeMap::new();
    with_cells(server.node_mut(), |_, cells| {
        for cell in cells.iter_mut() {
            let mut owned = cell.world.query::<(&NetId, &Owned)>();
            for (&net_id, owned) in owned.iter(&cell.world) {
                leaders.insert(net_id, (owned.leader, cell.leaf.id));
            }
        }
    });
    for (net_id, (leader, cell)) in &leaders {
        if *leader == NetId::WORLD {
            continue;
        }
        joined += 1;
        let mut chain = vec![*net_id];
        let mut at = *leader;
        // One whose leader has just died is let go at the next Partition.
        while let Some((next, home)) = leaders.get(&at) {
            assert_eq!(home, cell, "{when}: {net_id} is in another cell than {at}, to whom it is joined");
            chain.push(at);
            assert!(chain.len() <= 3 * CHAIN_MAX, "{when}: {chain:?} does not end");
            at = *next;
        }
    }
    joined
}
