//! Everything of 128 bits in the game is a canary. None is ever where it may not be.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use terrane::cell::markers::{Ghost, Owned};
use terrane::cell::pool::with_cells;
use terrane::ids::ConnectionId;
use terrane::limits::UPDATE_BYTES_MAX;
use terrane::prelude::*;
use terrane::replication::policy::Depends;
use terrane::session::{Session, Sessions};

use crate::game::{Plan, SECRET, Said, layouts};
use crate::stage::{Network, Sent, Stage, What};
use crate::things::{PRIVATE, PUBLIC};
use crate::truth::{Sight, is_admitted as admits};
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

/// The canaries in what a player may hear of what was said in this tick: with the update, and reliably; `dying` are those
/// of the tick before who died before the player's eyes, and `subjects` includes what they were.
fn heard(
    said: &[Said],
    session: &Session,
    sight: &Sight,
    dying: &BTreeSet<NetId>,
    subjects: &BTreeMap<NetId, Subject>,
) -> [BTreeSet<u128>; 2] {
    let mut heard = [BTreeSet::new(), BTreeSet::new()];
    let (viewer, plain) = (&session.context, Subject::default());
    for one in said {
        let is_meant = match &one.to {
            Audience::ViewersOf(net_id) => sight.contains_key(net_id) || dying.contains(net_id),
            Audience::Player(player) => *player == session.player,
            Audience::Party(party) => viewer.party() == Some(*party),
            Audience::Team(team) => viewer.team() == Some(*team),
            Audience::All => true,
        };
        if is_meant {
            let (subject, reads) = (subjects.get(&one.about).unwrap_or(&plain), Cell::new(Depends::NONE));
            let bytes = (one.heard)(&Viewing::new(viewer, one.about, subject, &reads));
            heard[usize::from(one.reliable)].extend(canaries_in(&bytes, &[PRIVATE, PUBLIC]));
        }
    }
    heard
}

/// What was found where.
#[derive(Debug, Default)]
struct Found {
    /// Canaries by the kind of message, and in messages larger than any update.
    by_kind: BTreeMap<What, usize>,
    large: usize,
    /// Of the world's state, and in events.
    of_world: usize,
    of_events: usize,
    /// Who died before somebody's eyes.
    dying: usize,
    names: usize,
    in_ghosts: usize,
    /// Private ones that there were to be betrayed.
    secrets: usize,
    audits: usize,
}

/// B11, B1, B14: what is private is never in anybody else's bytes: not in an update, a record of any size, an event, the
/// state of the world, an audit or any control message, whatever is lost and sent again; nor is the name of an entity that
/// the player does not see, unless a field reveals it; nor is anything private in a ghost.
#[test]
fn what_is_private_never_shows_in_anybodys_bytes_nor_in_a_ghost() {
    let mut found = Found::default();
    for seed in seeds(2) {
        for (number, (layout, settings)) in layouts(seed + 200).into_iter().enumerate() {
            let said = Arc::new(Mutex::new(Vec::new()));
            let mut stage = Stage::new(Plan { said: Some(said.clone()), ..Plan::new(seed + 200) }, settings);
            if number % 2 == 1 {
                stage.network = Network { loss: 0.15, duplicate: 0.05, delay: 1, jitter: 2 };
            }
            let almanac = NetId::of_global(SECRET, "Almanac");
            let mut names = BTreeSet::new();
            // What is on its way reliably, by connection.
            let mut letters: BTreeMap<ConnectionId, BTreeSet<u128>> = BTreeMap::new();
            // Who saw whom a tick before.
            let mut seen: BTreeMap<PlayerId, BTreeSet<NetId>> = BTreeMap::new();
            for tick in 1..=ticks(100) {
                stage.come_and_go(tick);
                stage.tick();
                let when = format!("seed {seed}, {layout}, tick {tick}");
                with_cells(stage.server.node_mut(), |_, cells| {
                    for cell in cells.iter_mut() {
                        names.extend(cell.world.query::<&NetId>().iter(&cell.world).copied());
                    }
                });
                let said: Vec<Said> = std::mem::take(&mut *said.lock().expect("nobody panicked"));
                let dead = std::mem::take(&mut *stage.plan.dead.lock().expect("nobody panicked"));
                let mut subjects = stage.subjects();
                subjects.extend(dead.iter().map(|(&me, subject)| (me, subject.clone())));
                let sessions = stage.server.node().resource::<Sessions>();
                for client in &stage.clients {
                    let Some(memory) = stage.memories.get(&client.name) else { continue };
                    let session = sessions.of_player(&client.name).expect("who is remembered is in");
                    let saw = seen.insert(client.name.clone(), memory.sight.keys().copied().collect());
                    let mut dying: BTreeSet<NetId> = saw.unwrap_or_default();
                    dying.retain(|me| dead.get(me).is_some_and(|who| admits(who, &session.context)));
                    found.dying += dying.len();
                    let [in_update, reliable] = heard(&said, session, &memory.sight, &dying, &subjects);
                    let letters = letters.entry(client.connection).or_default();
                    letters.extend(reliable);
                    let of_sight = allowed(&memory.sight);
                    let of_world =
                        memory.sight.get(&almanac).map(|seen| allowed(&[(almanac, seen.clone())].into()));
                    let of_world = of_world.unwrap_or_default();
                    let mut may_name = names_allowed(&memory.sight, &names);
                    // The own avatar is named in the welcome.
                    may_name.extend(client.avatar);
                    may_name.extend(&dying);
                    for Sent { what, bytes } in &client.sent {
                        let canaries = canaries_in(bytes, &[PRIVATE, PUBLIC]);
                        let of_events = if *what == What::Event { &*letters } else { &in_update };
                        let may = |canary: &u128| match what {
                            What::Event => of_events.contains(canary),
                            What::Record => of_sight.contains(canary),
                            What::Update => of_sight.contains(canary) || of_events.contains(canary),
                            What::Audit | What::Other => false,
                        };
                        let betrayed: Vec<_> = canaries.iter().filter(|canary| !may(canary)).collect();
                        assert!(
                            betrayed.is_empty(),
                            "{when}: {} is sent {betrayed:x?}, {what:?}",
                            client.name
                        );
                        *found.by_kind.entry(*what).or_default() += canaries.len();
                        found.large += if bytes.len() > UPDATE_BYTES_MAX { canaries.len() } else { 0 };
                        found.of_world += canaries.intersection(&of_world).count();
                        found.of_events += canaries.intersection(of_events).count();
                        found.audits += usize::from(*what == What::Audit);
                        for name in names_in(bytes, &names) {
                            assert!(
                                may_name.contains(&name) || *what == What::Event,
                                "{when}: {} is sent the name {name}",
                                client.name
                            );
                            found.names += 1;
                        }
                    }
                }
                let (public, private) = assert_ghosts(&mut stage, &when);
                found.in_ghosts += public;
                found.secrets += private;
            }
        }
    }
    let of = |what: What| found.by_kind.get(&what).copied().unwrap_or_default();
    assert!(
        of(What::Update) > 5_000 && of(What::Record) > 200 && of(What::Event) > 500 && found.large > 200,
        "{found:?}"
    );
    assert!(
        found.of_world > 200
            && found.of_events > 500
            && found.dying > 50
            && found.names > 3_000
            && found.audits > 1_000,
        "{found:?}"
    );
    assert!(found.in_ghosts > 10_000 && found.secrets > 100_000, "{found:?}");
}
