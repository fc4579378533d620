//! How urgent the changes of a component are, where an update cannot take everything.

use crate::limits::{PENDING_TICKS_MAX, URGENCY_PRIORITY_MAX};

/// How urgent the changes of a component are: `#[sync(priority = 4, max_staleness = 10)]` on its type.
///
/// Entities wait, not fields: what is urgent of an entity takes the rest of it along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Urgency {
    /// How many times as fast as usual an entity with such a change comes to its turn, 1 to
    /// [`URGENCY_PRIORITY_MAX`].
    pub priority: u8,
    /// For how many ticks such a change may wait, 1 to [`PENDING_TICKS_MAX`]; then it goes before everything but the
    /// player's own avatar, whatever the distance, and in a smaller update if the bytes per tick allow no full one. What
    /// waits longer all the same, because those that are due are more than an update takes, is counted.
    pub staleness_ticks_max: Option<u16>,
}

impl Default for Urgency {
    fn default() -> Self {
        Self::USUAL
    }
}

impl Urgency {
    /// That of a component which says nothing about it.
    pub const USUAL: Self = Self { priority: 1, staleness_ticks_max: None };

    /// For `derive(Replicate)`.
    ///
    /// # Panics
    /// Beyond the bounds, which is when the component is compiled.
    #[must_use]
    pub const fn new(priority: u8, staleness_ticks_max: Option<u16>) -> Self {
        assert!(
            priority > 0 && priority <= URGENCY_PRIORITY_MAX,
            "a component's priority is 1 to terrane::limits::URGENCY_PRIORITY_MAX"
        );
        if let Some(ticks) = staleness_ticks_max {
            assert!(
                ticks > 0 && ticks <= PENDING_TICKS_MAX,
                "a component's max_staleness is 1 to terrane::limits::PENDING_TICKS_MAX ticks"
            );
        }
        Self { priority, staleness_ticks_max }
    }

    /// What holds for both together: the more urgent of each.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let staleness = [self.staleness_ticks_max, other.staleness_ticks_max].into_iter().flatten().min();
        Self { priority: self.priority.max(other.priority), staleness_ticks_max: staleness }
    }

    /// Whether a change that has waited for so many ticks goes before all others now.
    #[must_use]
    pub fn is_due(self, waited_ticks: u16) -> bool {
        self.staleness_ticks_max.is_some_and(|most| waited_ticks >= most)
    }

    /// Whether a change has waited for longer than it may.
    #[must_use]
    pub fn is_overdue(self, waited_ticks: u16) -> bool {
        self.staleness_ticks_max.is_some_and(|most| waited_ticks > most)
    }
}
