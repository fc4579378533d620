//! What changed in the mirror, as a game wants to be told.

use crate::ids::NetId;

/// Most events kept between two drains; of what comes after only the number is kept.
pub const EVENTS_MAX: usize = 16_384;

/// Something a client's game may react to. Derived from state, so nothing is told twice, and what happened
/// and was undone between two drains may not be told at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MirrorEvent {
    /// The entity is there now, with all its components.
    Entered {
        /// Which.
        net_id: NetId,
    },
    /// The entity is not there any longer: too far, dead or hidden.
    Left {
        /// Which.
        net_id: NetId,
    },
    /// A component has come to an entity that was there before.
    ComponentAdded {
        /// Whose.
        net_id: NetId,
        /// Its index in the schema.
        component: usize,
    },
    /// A component that was there before is hidden from this client from now on.
    ComponentHidden {
        /// Whose.
        net_id: NetId,
        /// Its index in the schema.
        component: usize,
    },
    /// A component that was hidden is shown again.
    ComponentGranted {
        /// Whose.
        net_id: NetId,
        /// Its index in the schema.
        component: usize,
    },
    /// A component is gone from an entity that stays.
    ComponentRemoved {
        /// Whose.
        net_id: NetId,
        /// Its index in the schema.
        component: usize,
    },
    /// The entity is elsewhere.
    Moved {
        /// Which.
        net_id: NetId,
    },
    /// A field that was there before is hidden from this client from now on; it reads as its default.
    FieldHidden {
        /// Whose.
        net_id: NetId,
        /// The component's index in the schema.
        component: usize,
        /// The field's index among the component's sent fields.
        field: usize,
    },
    /// A field that was hidden is shown.
    FieldGranted {
        /// Whose.
        net_id: NetId,
        /// The component's index in the schema.
        component: usize,
        /// The field's index among the component's sent fields.
        field: usize,
    },
    /// A field of an entity that was there before has another value.
    FieldChanged {
        /// Whose.
        net_id: NetId,
        /// The component's index in the schema.
        component: usize,
        /// The field's index among the component's sent fields.
        field: usize,
    },
}

/// What [`Mirror::drain_events`](super::Mirror::drain_events) gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DrainedEvents {
    /// In order; moves and changed fields last.
    pub events: Vec<MirrorEvent>,
    /// How many more there were than [`EVENTS_MAX`].
    pub dropped: u64,
}

impl DrainedEvents {
    pub(super) fn push(&mut self, event: MirrorEvent) {
        if self.events.len() < EVENTS_MAX {
            self.events.push(event);
        } else {
            self.dropped += 1;
        }
    }
}
