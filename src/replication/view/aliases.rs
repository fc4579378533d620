//! The names of a view: dense arrays by alias, the sets of aliases, and the quarantine.

use crate::ids::{Alias, NetId, Row};
use crate::limits::ALIASES_MAX;
use crate::replication::mask::{FieldMask, RESEND};
use crate::replication::policy::Depends;

use super::held::Helds;

/// What the accumulator of a waiting entity can reach.
pub(super) const PRIORITY_MAX: u8 = 253;
/// What of an urgent component has waited for as long as it may.
pub(super) const PRIORITY_OF_DUE: u8 = 254;
/// The own avatar.
pub(super) const PRIORITY_OF_AVATAR: u8 = 255;
/// What a loss adds: it ends most waits at the next update.
const PRIORITY_OF_LOSS: u8 = 64;

/// An alias out of use that the client may still hold.
///
/// It is quarantined until the client has acknowledged the leave: were it given to another entity before, a
/// leave sent again would take that other entity away from the client for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Leaving {
    pub(super) alias: Alias,
    /// Who left; [`NetId::WORLD`] when it died.
    pub(super) net_id: NetId,
    /// Whether the leave is still to be sent, for the first time or again.
    pub(super) pending: bool,
}

/// All arrays are as long as there are bits in the sets: a multiple of 64. A free alias names [`Row::NONE`],
/// where nothing ever changes, so that loops over aliases need no branch.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    /// One behind the highest alias in use.
    pub(super) end: usize,
    pub(super) rows: Vec<Row>,
    /// Fields to be sent; [`RESEND`] for a whole enter record.
    pub(super) pending: Vec<FieldMask>,
    /// How urgent the pending is; 0 unless something had to wait or was lost.
    pub(super) priority: Vec<u8>,
    /// What the priority grows by per update in which the entity waits.
    pub(super) weight: Vec<u8>,
    /// Ticks for which something has been pending.
    pub(super) waited: Vec<u16>,
    /// Number of the last enter record sent under the alias; it goes on counting when the alias changes hands.
    pub(super) structure: Vec<u8>,
    /// The update with that record: what was sent before it matters no more, whether it arrived or not.
    pub(super) told_in: Vec<u32>,
    /// Not free: in the view or quarantined.
    pub(super) used: Vec<u64>,
    /// In the view.
    pub(super) held: Vec<u64>,
    /// The client may have heard of it.
    pub(super) sent: Vec<u64>,
    /// In the view, and with something that differs from viewer to viewer.
    pub(super) special: Vec<u64>,
    /// In the view wherever it is, and too far for the low bits of its position.
    pub(super) wide: Vec<u64>,
    /// What the viewer holds of special entities.
    pub(super) personal: Helds,
    /// Of special entities: what must change before they are looked into, while only their place does.
    pub(super) wakes: Vec<Option<Depends>>,
    /// The last enter record is not acknowledged: the client may have another layout, or none.
    pub(super) unsettled: Vec<u64>,
    pub(super) leaving: Vec<Leaving>,
    /// How many are in the view.
    pub(super) held_count: usize,
    /// Test-only: give aliases away before the leave is acknowledged.
    #[cfg(test)]
    pub(super) quarantine_off: bool,
}

#[inline]
pub(super) fn has(set: &[u64], alias: usize) -> bool {
    set[alias >> 6] >> (alias & 63) & 1 == 1
}

#[inline]
pub(super) fn put(set: &mut [u64], alias: usize) {
    set[alias >> 6] |= 1 << (alias & 63);
}

#[inline]
pub(super) fn take(set: &mut [u64], alias: usize) {
    set[alias >> 6] &= !(1 << (alias & 63));
}

/// The aliases in one word of a set, ascending.
#[inline]
pub(super) fn aliases_of(word: usize, mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (bits != 0).then(|| {
            let alias = word * 64 + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            alias
        })
    })
}

impl Aliases {
    /// How many words the sets have up to the highest alias in use.
    #[inline]
    pub(super) fn words(&self) -> usize {
        self.end.div_ceil(64)
    }

    fn allocate(&mut self) -> Option<usize> {
        let word = self.used.iter().position(|&bits| bits != u64::MAX).unwrap_or(self.used.len());
        if word == self.used.len() {
            let length = (word + 1) * 64;
            if length > ALIASES_MAX {
                return None;
            }
            for set in [
                &mut self.used,
                &mut self.held,
                &mut self.sent,
                &mut self.unsettled,
                &mut self.special,
                &mut self.wide,
            ] {
                set.push(0);
            }
            self.rows.resize(length, Row::NONE);
            self.pending.resize(length, 0);
            self.priority.resize(length, 0);
            self.weight.resize(length, 0);
            self.waited.resize(length, 0);
            self.structure.resize(length, 0);
            self.told_in.resize(length, 0);
            self.personal.resize(length);
            self.wakes.resize(length, None);
        }
        let alias = word * 64 + self.used[word].trailing_ones() as usize;
        put(&mut self.used, alias);
        self.end = self.end.max(alias + 1);
        Some(alias)
    }

    fn free(&mut self, alias: usize) {
        take(&mut self.used, alias);
        take(&mut self.sent, alias);
        take(&mut self.unsettled, alias);
        while self.end > 0 && !has(&self.used, self.end - 1) {
            self.end -= 1;
        }
    }

    /// Takes an entity into the view; `None` when there is no alias left for it. One that comes back before its leave is
    /// acknowledged gets another alias: a client that has not heard of the leave sees by it that the entity had left, and
    /// does not take what is missing now for what was taken off meanwhile.
    pub(super) fn enter(&mut self, row: Row, weight: u8) -> Option<usize> {
        let alias = self.allocate()?;
        self.rows[alias] = row;
        self.pending[alias] = RESEND;
        self.priority[alias] = 0;
        self.weight[alias] = weight;
        self.waited[alias] = 0;
        put(&mut self.held, alias);
        self.held_count += 1;
        Some(alias)
    }

    /// Takes an entity out of the view.
    pub(super) fn leave(&mut self, alias: usize, net_id: NetId) {
        take(&mut self.held, alias);
        self.held_count -= 1;
        self.rows[alias] = Row::NONE;
        self.pending[alias] = 0;
        self.waited[alias] = 0;
        self.forget_personal(alias);
        take(&mut self.wide, alias);
        if !has(&self.sent, alias) {
            self.free(alias);
            return;
        }
        self.leaving.push(Leaving { alias: Alias(alias as u16), net_id, pending: true });
        #[cfg(test)]
        if self.quarantine_off {
            self.leaving.last_mut().expect("just pushed").net_id = NetId::WORLD;
            self.free(alias);
        }
    }

    /// An update with the leave of `alias` was applied by the client. It is the only one: a leave is sent again only when the
    /// update before is lost for good.
    pub(super) fn leave_acknowledged(&mut self, alias: usize) {
        let is_it = |leaving: &Leaving| usize::from(leaving.alias.0) == alias;
        if let Some(index) = self.leaving.iter().position(is_it) {
            self.leaving.swap_remove(index);
            #[cfg(test)]
            if self.quarantine_off {
                return;
            }
            self.free(alias);
        }
    }

    /// An update with the leave of `alias` was lost.
    pub(super) fn leave_lost(&mut self, alias: usize) {
        if let Some(leaving) = self.leaving.iter_mut().find(|leaving| usize::from(leaving.alias.0) == alias) {
            leaving.pending = true;
        }
    }

    /// Makes lost fields pending again; `false` when the alias is out of use.
    pub(super) fn restore(&mut self, alias: usize, mask: FieldMask) -> bool {
        if self.rows[alias] == Row::NONE {
            return false;
        }
        self.pending[alias] |= mask;
        true
    }

    /// Makes something more urgent of which a part was lost: once per update, in however many parts it was sent.
    pub(super) fn hurry(&mut self, alias: usize) {
        if self.rows[alias] != Row::NONE {
            self.priority[alias] = self.priority[alias].saturating_add(PRIORITY_OF_LOSS).min(PRIORITY_MAX);
        }
    }
}
