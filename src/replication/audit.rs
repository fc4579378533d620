//! Whether both ends hold the same: sums over what is held, views against the oracle; and what audits find.

use bevy_ecs::prelude::Resource;
use xxhash_rust::xxh3::Xxh3Default;

use crate::ids::{NetId, PlayerId, Row};
use crate::space::LatticePoint;

use super::rows::Rows;
use super::view::View;

pub use crate::telemetry::{AuditFault, AuditFinding, PLAYERS_NAMED_MAX};

/// The sum of one entity as a view shows it. Sums of entities add up, wrapping, in any order.
///
/// `components` are those that are seen and those that are withdrawn; `fields` are all its fields but the position, in wire form, in mask order.
#[must_use]
pub fn entity_sum(net_id: NetId, lattice: LatticePoint, components: [u64; 2], fields: &[u8]) -> u64 {
    let mut head = [0u8; 36];
    head[..8].copy_from_slice(&net_id.0.to_le_bytes());
    head[8..16].copy_from_slice(&components[0].to_le_bytes());
    head[16..24].copy_from_slice(&components[1].to_le_bytes());
    for (bytes, axis) in head[24..].as_chunks_mut::<4>().0.iter_mut().zip(lattice.0) {
        *bytes = axis.to_le_bytes();
    }
    let mut hasher = Xxh3Default::new();
    hasher.update(&head);
    hasher.update(fields);
    hasher.digest()
}

/// The [`entity_sum`] of a row.
#[must_use]
pub fn row_sum(rows: &Rows, row: Row) -> u64 {
    let index = row.index();
    let encoded = &rows.encoded[index];
    entity_sum(rows.net_id[index], rows.lattice[index], [encoded.components, 0], &encoded.bytes)
}

/// What the server finds when it looks at one of its own views.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewAudit {
    /// Expected but not in the view, ascending.
    pub missing: Vec<NetId>,
    /// In the view but not expected, ascending.
    pub surplus: Vec<NetId>,
    /// For how many ticks the longest-waiting entity has had something pending.
    pub oldest_pending_ticks: u16,
    /// Whether that is longer than allowed.
    pub late: bool,
}

impl ViewAudit {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.missing.is_empty() && self.surplus.is_empty() && !self.late
    }
}

/// Compares a view with what the oracle expects in it, and the age of what is pending with a bound. Call after
/// the tick's last `assemble`.
#[must_use]
pub fn audit_view(view: &View, rows: &Rows, expected: &[NetId], pending_ticks_max: u16) -> ViewAudit {
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    let mut held: Vec<NetId> = view.rows().map(|row| rows.net_id[row.index()]).collect();
    held.sort_unstable();
    let without = |from: &[NetId], other: &[NetId]| {
        from.iter().filter(|net_id| other.binary_search(net_id).is_err()).copied().collect()
    };
    let oldest_pending_ticks = view.oldest_pending_ticks();
    ViewAudit {
        missing: without(&expected, &held),
        surplus: without(&held, &expected),
        oldest_pending_ticks,
        late: oldest_pending_ticks > pending_ticks_max,
    }
}

/// What audits have found since the start, each thing once: the first few.
#[derive(Resource, Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFindings(Vec<AuditFinding>);

impl AuditFindings {
    /// Findings that are kept, and told in the log.
    pub const KEPT_MAX: usize = 64;

    /// Takes note of a finding, and logs it the first time, and the first time that anybody is concerned.
    pub(super) fn note(&mut self, finding: AuditFinding) {
        if let Some(known) = self.0.iter_mut().find(|known| known.is_as(&finding)) {
            let new = finding.players.into_iter().filter(|player| !known.players.contains(player));
            let new: Vec<PlayerId> = new.collect();
            let concerns_first = known.players.is_empty() && !new.is_empty();
            known.players.extend(new);
            known.players.truncate(PLAYERS_NAMED_MAX);
            if concerns_first {
                log(known);
            }
            return;
        }
        if self.0.len() == Self::KEPT_MAX {
            return;
        }
        log(&finding);
        self.0.push(finding);
    }

    /// All of them, in the order in which they were found first.
    #[must_use]
    pub fn all(&self) -> &[AuditFinding] {
        &self.0
    }
}

fn log(finding: &AuditFinding) {
    tracing::error!(
        field = finding.what(),
        entity = finding.entity.map(tracing::field::display),
        players = finding.players.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        tick = %finding.tick,
        "audit: {}",
        finding.fault.text()
    );
}
