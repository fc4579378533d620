//! What became of actions, by kind and scope, for `/metrics` and the report.

use serde::ser::{Serialize, SerializeMap, Serializer};

/// What became of one kind of action since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActionSummary {
    /// Its name.
    pub action: &'static str,
    /// Whose data it may reach: `self`, `group` or `global`.
    pub scope: &'static str,
    /// Whether it is continuous input.
    pub latest_wins: bool,
    /// How many ended how, by name.
    pub outcomes: [(&'static str, u64); 6],
}

impl Serialize for ActionSummary {
    /// One flat object.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3 + self.outcomes.len()))?;
        map.serialize_entry("action", self.action)?;
        map.serialize_entry("scope", self.scope)?;
        map.serialize_entry("latest_wins", &self.latest_wins)?;
        for (outcome, count) in &self.outcomes {
            map.serialize_entry(outcome, count)?;
        }
        map.end()
    }
}

impl ActionSummary {
    /// Whether anybody has called it.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.outcomes.iter().any(|(_, count)| *count > 0)
    }

    /// How many a handler has run.
    fn run(&self) -> u64 {
        let run = self.outcomes.iter().filter(|(outcome, _)| ["done", "refused"].contains(outcome));
        run.map(|(_, count)| count).sum()
    }
}

/// Of the actions that handlers have done or refused, the share that could reach no further than a group. Continuous input
/// does not count: there is so much of it that nothing else would. 1 as long as there were none.
#[must_use]
pub fn local_share(summaries: &[ActionSummary]) -> f64 {
    let single = || summaries.iter().filter(|summary| !summary.latest_wins);
    let all: u64 = single().map(ActionSummary::run).sum();
    let local: u64 = single().filter(|summary| summary.scope != "global").map(ActionSummary::run).sum();
    if all == 0 { 1.0 } else { local as f64 / all as f64 }
}
