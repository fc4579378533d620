//! Everything of 128 bits in the game is a canary. None is ever where it may not be.

use std::collections::BTreeSet;

use terrane::cell::markers::{Ghost, Owned};
use terrane::cell::pool::with_cells;
use terrane::prelude::*;

use crate::game::{Plan, layouts};
use crate::stage::{Network, Stage};
use crate::things::{PRIVATE, PUBLIC};
use crate::truth::Sight;
use crate::{seeds, ticks};

/// All canaries in some bytes, by their marks.
pub fn canaries_in(bytes: &[u8], marks: &[u128]) -> BTreeSet<u128> {
    let whole = |window: &[u8]| u128::from_le_bytes(window.try_into().expect("16 bytes"));
    bytes.windows(16).map(whole).filter(|value| marks.contains(&(value >> 80))).collect()
}

/// The canaries that a player may see now.
fn allowed(sight: &Sight) -> BTreeSet<u128> {
    let told = sight.values().flat_map(|seen| seen.components.values());
    told.flat_map(|told| told.parts.iter().flat_map(|part| canaries_in(part, &[PRIVATE, PUBLIC]))).collect()
}

/// Every name that stands in what a player may see now.
fn names_allowed(sight: &Sight, names: &BTreeSet<NetId>) -> BTreeSet<NetId> {
    let told = sight.values().flat_map(|seen| seen.components.values());
    let mut allowed: BTreeSet<NetId> =
        told.flat_map(|told| told.parts.iter().flat_map(|part| names_in(part, names))).collect();
    allowed.extend(sight.keys());
    allowed
}

fn names_in(bytes: &[u8], names: &BTreeSet<NetId>) -> Vec<NetId> {
    let whole = |window: &[u8]| NetId(u64::from_le_bytes(window.try_into().expect("8 bytes")));
    bytes.windows(8).map(whole).filter(|name| names.contains(name)).collect()
}

/// Fails when a ghost holds what is private of a field or of a component, or less than the canaries that everybody may
/// see; gives how many canaries the ghosts hold, and how many private ones there are to be betrayed.
fn assert_ghosts(stage: &mut Stage, when: &str) -> (usize, usize) {
    let game = stage.server.game().clone();
    with_cells(stage.server.node_mut(), |_, cells| {
        let (mut public, mut private) = (0, 0);
        for cell in cells.iter_mut() {
            let mut owned = cell.world.query_filtered::<Entity, With<Owned>>();
            let owned: Vec<Entity> = owned.iter(&cell.world).collect();
            let mut ghosts = cell.world.query_filtered::<(Entity, &NetId), With<Ghost>>();
            let ghosts: Vec<(Entity, NetId)> =
                ghosts.iter(&cell.world).map(|(entity, &net_id)| (entity, net_id)).collect();
            let saved = |entity: Entity| {
                let mut bytes = Vec::new();
                for kind in &game.kinds {
                    kind.save(&cell.world.entity(entity), &mut bytes);
                }
                bytes
            };
            for entity in owned {
                private += canaries_in(&saved(entity), &[PRIVATE]).len();
            }
            for (entity, net_id) in ghosts {
                let bytes = saved(entity);
                let betrayed = canaries_in(&bytes, &[PRIVATE]);
                assert!(betrayed.is_empty(), "{when}: the ghost of {net_id} holds {betrayed:x?}");
                public += canaries_in(&bytes, &[PUBLIC]).len();
            }
        }
        (public, private)
    })
}

/// B11, B1: what is private is never in anybody else's bytes: not in an update, a record or a control message, whatever
/// is lost and sent again; nor is the name of an entity that the player does not see, unless a field reveals it; nor is
/// anything private in a ghost.
#[test]
fn what_is_private_never_shows_in_anybodys_bytes_nor_in_a_ghost() {
    let (mut told, mut ghosts, mut secrets, mut names_told) = (0, 0, 0, 0);
    for seed in seeds(2) {
        for (number, (layout, settings)) in layouts(seed + 200).into_iter().enumerate() {
            let mut stage = Stage::new(Plan::new(seed + 200), settings);
            if number % 2 == 1 {
                stage.network = Network { loss: 0.15, duplicate: 0.05, delay: 1, jitter: 2 };
            }
            let mut names = BTreeSet::new();
            for tick in 1..=ticks(100) {
                stage.come_and_go(tick);
                stage.tick();
                let when = format!("seed {seed}, {layout}, tick {tick}");
                with_cells(stage.server.node_mut(), |_, cells| {
                    for cell in cells.iter_mut() {
                        names.extend(cell.world.query::<&NetId>().iter(&cell.world).copied());
                    }
                });
                for client in &stage.clients {
                    let Some(memory) = stage.memories.get(&client.name) else { continue };
                    let may = allowed(&memory.sight);
                    let mut may_name = names_allowed(&memory.sight, &names);
                    // The own avatar is named in the welcome.
                    may_name.extend(client.avatar);
                    for bytes in &client.sent {
                        let found = canaries_in(bytes, &[PRIVATE, PUBLIC]);
                        let betrayed: Vec<_> = found.difference(&may).collect();
                        assert!(betrayed.is_empty(), "{when}: {} is sent {betrayed:x?}", client.name);
                        told += found.len();
                        for name in names_in(bytes, &names) {
                            assert!(
                                may_name.contains(&name),
                                "{when}: {} is sent the name {name}",
                                client.name
                            );
                            names_told += 1;
                        }
                    }
                }
                let (public, private) = assert_ghosts(&mut stage, &when);
                ghosts += public;
                secrets += private;
            }
        }
    }
    assert!(
        told > 5_000 && ghosts > 10_000 && secrets > 100_000 && names_told > 3_000,
        "{told} canaries told, {ghosts} in ghosts, {secrets} to be betrayed, {names_told} names"
    );
}
