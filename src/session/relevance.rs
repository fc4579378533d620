//! What a player sees wherever it is: for each entity there may be several reasons, and it is always relevant as long
//! as there is one.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::ids::{NetId, PartyId, Row};
use crate::replication::Rows;

use super::{Session, Sessions};

/// Entities that are kept in view, and for how many reasons each. Who dies is unpinned whatever the reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pins(BTreeMap<NetId, u32>);

impl Pins {
    /// One more reason to keep the entity in view. It need not be alive yet.
    pub fn pin(&mut self, net_id: NetId) {
        *self.0.entry(net_id).or_default() += 1;
    }

    /// One reason less; without any, the entity is seen only when it is near. `false` when there was none.
    pub fn unpin(&mut self, net_id: NetId) -> bool {
        let Some(reasons) = self.0.get_mut(&net_id) else { return false };
        *reasons -= 1;
        if *reasons == 0 {
            self.0.remove(&net_id);
        }
        true
    }

    /// Forgets who has died; the names must be ascending. A name is never given again.
    pub(crate) fn forget(&mut self, died: &[NetId]) {
        self.0.retain(|net_id, _| died.binary_search(net_id).is_err());
    }

    /// For how many reasons the entity is kept in view.
    #[must_use]
    pub fn reasons(&self, net_id: NetId) -> u32 {
        self.0.get(&net_id).copied().unwrap_or_default()
    }

    /// Whether nothing is pinned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn rows<'a>(&'a self, rows: &'a Rows) -> impl Iterator<Item = Row> + 'a {
        self.0.keys().filter_map(|&net_id| rows.row(net_id))
    }
}

/// A reason for which a player sees an entity wherever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum AlwaysReason {
    /// It is node-wide state, which has no place.
    NodeWide,
    /// The game keeps it in everybody's view.
    PinnedForAll {
        /// For how many reasons.
        reasons: u32,
    },
    /// The game keeps it in this player's view.
    Pinned {
        /// For how many reasons.
        reasons: u32,
    },
    /// It is the avatar of somebody in the player's party.
    Party {
        /// The party.
        party: PartyId,
    },
    /// It belongs to the player.
    Owned,
}

/// Who is always relevant to whom in one tick.
#[derive(Debug, Default)]
pub struct Relevance {
    /// Node-wide state, and what is pinned for everybody.
    everybody: Vec<Row>,
    /// The avatars of each party.
    parties: FxHashMap<PartyId, Vec<Row>>,
}

impl Relevance {
    /// Looks at all sessions. O(sessions + what is pinned for everybody).
    #[must_use]
    pub fn of(sessions: &Sessions, rows: &Rows) -> Self {
        let mut relevance = Self::default();
        relevance.everybody.extend(rows.placeless_rows());
        relevance.everybody.extend(sessions.pinned_for_all.rows(rows));
        for session in sessions.iter() {
            if let Some(party) = session.context.party()
                && session.avatar_row != Row::NONE
            {
                relevance.parties.entry(party).or_default().push(session.avatar_row);
            }
        }
        relevance
    }

    /// What one player always sees, ascending: what is pinned for all and for this one, the avatars of its party, and
    /// what it owns. O(of them · log).
    pub fn rows_for(&self, session: &Session, rows: &Rows, into: &mut Vec<Row>) {
        into.clear();
        into.extend(&self.everybody);
        into.extend(session.pinned.rows(rows));
        if let Some(party) = session.context.party() {
            into.extend(self.parties.get(&party).into_iter().flatten());
        }
        into.extend(rows.owned_by(&session.player));
        into.sort_unstable();
        into.dedup();
    }

    /// For which reasons [`rows_for`](Self::rows_for) names an entity; none when it does not. O(what is always relevant).
    #[must_use]
    pub fn reasons(
        &self,
        sessions: &Sessions,
        session: &Session,
        rows: &Rows,
        net_id: NetId,
    ) -> Vec<AlwaysReason> {
        let Some(row) = rows.row(net_id) else { return Vec::new() };
        let pinned = |pins: &Pins| Some(pins.reasons(net_id)).filter(|&reasons| reasons > 0);
        let party = session
            .context
            .party()
            .filter(|party| self.parties.get(party).is_some_and(|avatars| avatars.contains(&row)));
        [
            rows.placeless[row.index()].then_some(AlwaysReason::NodeWide),
            pinned(&sessions.pinned_for_all).map(|reasons| AlwaysReason::PinnedForAll { reasons }),
            pinned(&session.pinned).map(|reasons| AlwaysReason::Pinned { reasons }),
            party.map(|party| AlwaysReason::Party { party }),
            rows.owned_by(&session.player).contains(&row).then_some(AlwaysReason::Owned),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pinned_for_two_reasons_stays_until_both_are_gone() {
        let mut pins = Pins::default();
        let boss = NetId(7);
        pins.pin(boss);
        pins.pin(boss);
        assert!(pins.unpin(boss));
        assert_eq!(pins.reasons(boss), 1);
        assert!(pins.unpin(boss));
        assert!(pins.is_empty() && !pins.unpin(boss), "there is nothing below none");
    }
}
