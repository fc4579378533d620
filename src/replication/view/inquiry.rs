//! What a view can be asked about one entity, for who wants to know why a player sees what.

use crate::ids::{NetId, Row};
use crate::limits::ALIASES_MAX;
use crate::replication::mask::{FIELDS_OF_PLACE, FieldMask, RESEND, SUBJECT};
use crate::replication::rows::Rows;

use super::View;
use super::in_flight::Sent;

/// How far one entity of a view has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inquiry {
    /// Its short name within the view.
    pub alias: u16,
    /// All of it is still to be told, as on entering.
    pub enters: bool,
    /// All of it is on its way.
    pub enter_in_flight: bool,
    /// Fields that are to be told, by the bits of the row's mask.
    pub pending: FieldMask,
    /// Fields that are on their way, by the same bits.
    pub in_flight: FieldMask,
    /// For how many ticks something of it has been waiting.
    pub waited_ticks: u16,
    /// The components that the viewer sees, and those that it has seen and does not any more; `None` where everybody
    /// who sees the entity sees the same.
    pub personal: Option<(u64, u64)>,
    /// Fields that were left out, by the same bits, because what the viewer may see of the entity is more than a record
    /// takes.
    pub left_out: FieldMask,
}

/// How far the leave of an entity that the client may still hold has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// It is still to be sent.
    Waits,
    /// It is on its way.
    InFlight,
}

impl View {
    /// How far an entity has been told; `None` when it is not in the view. Call after the tick's last
    /// [`assemble`](Self::assemble). O(view).
    #[must_use]
    pub fn inquire(&self, rows: &Rows, row: Row) -> Option<Inquiry> {
        let aliases = &self.aliases;
        let alias = (0..aliases.end).find(|&alias| aliases.rows[alias] == row && row != Row::NONE)?;
        let pending = aliases.pending[alias];
        let (mut in_flight, mut enter_in_flight) = (0, false);
        for (mask, rare) in self.in_flight.carried(alias, aliases.told_in[alias]) {
            in_flight |= mask;
            for sent in rare {
                match *sent {
                    Sent::Fields(of, mask) if usize::from(of.0) == alias => in_flight |= mask,
                    Sent::Shown(of, component, fields) if usize::from(of.0) == alias => {
                        let bits =
                            Sent::keys(component, fields).filter_map(|key| rows.layout(row).bit_of(key));
                        in_flight |= bits.fold(0, |mask, bit| mask | 1 << bit);
                    }
                    Sent::Enter(of, structure) if usize::from(of.0) == alias => {
                        enter_in_flight |= structure == aliases.structure[alias];
                    }
                    _ => {}
                }
            }
        }
        let fields = rows.encoded[row.index()].all_fields() | FIELDS_OF_PLACE;
        let held = aliases.personal.get(alias);
        let cut = held.into_iter().flat_map(|held| &held.fields).filter(|field| field.is_left_out());
        let left_out =
            cut.filter_map(|field| rows.layout(row).bit_of(field.key)).fold(0, |mask, bit| mask | 1 << bit);
        let personal = held;
        Some(Inquiry {
            alias: alias as u16,
            enters: pending & RESEND != 0,
            enter_in_flight,
            pending: pending & fields & !(RESEND | SUBJECT),
            in_flight: in_flight & fields,
            waited_ticks: aliases.waited[alias],
            personal: personal.map(|held| (held.components, held.withdrawn)),
            left_out,
        })
    }

    /// How far the leave of an entity has been told; `None` when the client cannot hold it any more. Of a dead entity
    /// the view has forgotten the name. O(what has left).
    #[must_use]
    pub fn inquire_leave(&self, net_id: NetId) -> Option<Leave> {
        let leaving = self.aliases.leaving.iter().find(|leaving| leaving.net_id == net_id)?;
        Some(if leaving.pending { Leave::Waits } else { Leave::InFlight })
    }

    /// Whether there is no alias for one more entity.
    #[must_use]
    pub fn is_out_of_aliases(&self) -> bool {
        let used: u32 = self.aliases.used.iter().map(|word| word.count_ones()).sum();
        used as usize >= ALIASES_MAX
    }
}
