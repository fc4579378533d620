//! A node's store of a good, in memory: what is there, what of it the save knows of, and what of its quota is used up.

use crate::prelude::*;

use super::price::Terms;

/// The quota of a store begins anew so often, by the calendar.
pub const QUOTA_EVERY_MS: u64 = 10 * 60 * 1_000;
/// Caravans leave so many loads, and room for so many, to people on foot.
const KEPT_BACK: u32 = 20;

/// What a node has of a good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// How the node trades in it.
    pub terms: Terms,
    /// Loads that are there.
    pub loads: u32,
    /// Loads that are there as the save says. Not part of an image: what is not in the save when a world ends is lost.
    #[serde(skip)]
    pub kept: i64,
    /// The period of the quota in which players traded last.
    pub period: u64,
    /// Loads that they took out of the store in it, all in all: below nothing where they brought more.
    pub taken: i32,
}

/// Loads that players may still take out of a store with this quota, or bring into it, once they have taken so many out all in all, below
/// nothing where they brought more. What one has taken and another brings back uses up nothing: or a few who buy and sell again and again
/// would keep everybody from trading.
#[must_use]
pub(super) fn quota_left(quota: u32, taken: i64, way: Way) -> u32 {
    let used = match way {
        Way::Out => taken,
        Way::In => -taken,
    };
    (i64::from(quota) - used).clamp(0, u32::MAX.into()) as u32
}

/// Which way goods go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Players buy them.
    Out,
    /// Players sell them.
    In,
}

/// The period of quotas in which this moment lies.
#[must_use]
pub fn quota_period(now_ms: u64) -> u64 {
    now_ms / QUOTA_EVERY_MS
}

impl Store {
    /// One that opens now.
    #[must_use]
    pub fn open(terms: Terms) -> Self {
        Self { terms, loads: terms.rest, kept: terms.rest.into(), ..Self::default() }
    }

    /// Loads that a player can buy.
    #[must_use]
    pub fn for_sale(&self) -> u32 {
        self.kept.clamp(0, self.loads.into()) as u32
    }

    /// Loads for which there is room when a player sells.
    #[must_use]
    pub fn room(&self) -> u32 {
        (i64::from(self.terms.most) - self.kept.max(self.loads.into())).max(0) as u32
    }

    /// Loads that a caravan can buy.
    #[must_use]
    pub fn for_caravans(&self) -> u32 {
        self.loads.saturating_sub(KEPT_BACK)
    }

    /// Loads for which there is room when a caravan sells.
    #[must_use]
    pub fn room_for_caravans(&self) -> u32 {
        self.terms.most.saturating_sub(self.loads).saturating_sub(KEPT_BACK)
    }

    /// Loads of the quota that players have used up in this period: those that they took out, all in all, or brought.
    #[must_use]
    pub fn quota_used(&self, period: u64) -> u32 {
        self.taken_in(period).unsigned_abs()
    }

    /// Loads that players may still buy in this period, or sell.
    #[must_use]
    pub fn quota_left(&self, period: u64, way: Way) -> u32 {
        quota_left(self.terms.quota, self.taken_in(period).into(), way)
    }

    fn taken_in(&self, period: u64) -> i32 {
        if self.period == period { self.taken } else { 0 }
    }

    /// What a load costs, silver.
    #[must_use]
    pub fn price(&self) -> u32 {
        self.terms.price(self.loads)
    }

    /// So many loads come in, or leave, below nothing: but never more than there are, nor more than there is room for. Gives how many
    /// did.
    pub(super) fn move_loads(&mut self, loads: i64) -> i64 {
        let before = i64::from(self.loads);
        let most = before.max(self.terms.most.into());
        self.loads = (before + loads).clamp(0, most) as u32;
        i64::from(self.loads) - before
    }

    /// So many loads came in, or left, as the save says now: those of players, unless it was what this market had known of before.
    pub(super) fn hear(&mut self, loads: i64, is_known: bool) -> i64 {
        self.kept += loads;
        if is_known { 0 } else { self.move_loads(loads) - loads }
    }

    /// So many loads are there, as the save says: beside those that nobody has written yet. Gives how many the country must bring so
    /// that there are not fewer than none, or take so that there is room.
    pub(super) fn count(&mut self, kept: i64) -> i64 {
        let unwritten = i64::from(self.loads) - self.kept;
        self.kept = kept;
        let (there, most) = (kept + unwritten, kept.max(self.terms.most.into()).min(u32::MAX.into()));
        self.loads = there.clamp(0, most) as u32;
        i64::from(self.loads) - there
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::price::Bent;
    use super::*;

    fn salt() -> Store {
        Store::open(Terms { usual: 8, bent: Bent::None, rest: 50, most: 100, quota: 20 })
    }

    /// What happens to a store.
    #[derive(Clone, Debug)]
    enum Step {
        /// Others than players bring loads, or take them, below nothing.
        Others(i64),
        /// A player's trade is committed: loads come in, or leave, below nothing.
        Player(i64),
        /// A player brings what was asked for, whether there is room or not.
        Brought(i64),
        /// What others did is committed.
        Net,
        /// The world was killed and starts again: what was not committed is lost, the image is older.
        Start(u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            4 => (-40..40i64).prop_map(Step::Others),
            4 => (-50..50i64).prop_map(Step::Player),
            1 => (1..4i64).prop_map(Step::Brought),
            1 => Just(Step::Net),
            1 => (0..=100u32).prop_map(Step::Start),
        ];
        prop::collection::vec(step, 1..60)
    }

    proptest! {
        /// E9: whatever caravans, players and crashes do, memory holds what the save says and what is owed beside it, never less than
        /// nothing, and never more than there is room for, but for what was brought where there was none.
        #[test]
        fn what_memory_holds_is_what_the_save_says_and_what_is_owed(steps in steps()) {
            let mut store = salt();
            let (mut saved, mut owed) = (50i64, 0i64);
            for step in steps {
                match step {
                    Step::Others(loads) => owed += store.move_loads(loads),
                    Step::Player(loads) => {
                        // The save lets through what it can.
                        if saved + loads < 0 || (loads > 0 && saved + loads > 100) {
                            continue;
                        }
                        saved += loads;
                        owed += store.hear(loads, false);
                    }
                    Step::Brought(loads) => {
                        saved += loads;
                        owed += store.hear(loads, false);
                    }
                    Step::Net => {
                        saved += owed;
                        let written = std::mem::take(&mut owed);
                        prop_assert_eq!(store.hear(written, true), 0);
                    }
                    Step::Start(loads) => {
                        // Of the image it is not known how much of it was written.
                        store = Store { loads, kept: loads.into(), ..store };
                        let others = store.move_loads(3);
                        owed = others + store.count(saved);
                    }
                }
                prop_assert_eq!(store.kept, saved);
                prop_assert_eq!(i64::from(store.loads), saved + owed);
                // A world that begins finds what was brought beyond that, which may leave.
                prop_assert!(i64::from(store.loads) <= saved.max(100));
                prop_assert!(i64::from(store.for_sale()) <= saved.min(store.loads.into()));
                prop_assert!(i64::from(store.room()) <= (100 - saved.max(store.loads.into())).max(0));
            }
        }
    }

    #[test]
    fn a_quota_is_of_its_period() {
        let store = Store { period: 7, taken: 15, ..salt() };
        assert_eq!([7, 8].map(|period| store.quota_left(period, Way::Out)), [5, 20]);
        assert_eq!([7, 8].map(|period| store.quota_used(period)), [15, 0]);
        let shrunk = Store { terms: Terms { quota: 10, ..store.terms }, ..store };
        assert_eq!(shrunk.quota_left(7, Way::Out), 0, "what the files say now holds");
    }

    /// E9: what was taken out of a store may come back beside the quota for what is brought, and the other way round.
    #[test]
    fn what_comes_back_gives_back_what_it_used_of_a_quota() {
        for (taken, out, back) in [(0, 20, 20), (15, 5, 35), (-15, 35, 5), (20, 0, 40), (-20, 40, 0)] {
            let store = Store { period: 7, taken, ..salt() };
            assert_eq!([Way::Out, Way::In].map(|way| store.quota_left(7, way)), [out, back], "{taken}");
        }
    }
}
