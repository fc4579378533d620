//! What a load costs: what is scarce is dear, what a node makes is cheap there, and what it wants is dear there.
//!
//! Pure arithmetic in whole numbers: nothing in here knows of a world.

use crate::prelude::*;

use super::lore::Stock;

/// What a load costs at a node that makes the good, of what it usually costs, percent; there is as much as there usually is.
const MADE_PERCENT: u64 = 75;
/// What it costs at a node that wants the good.
const WANTED_PERCENT: u64 = 130;
/// An empty store makes a good so many times as dear as it usually is there; a full one makes it as many times as cheap.
pub const SCARCE_TIMES: u64 = 2;
/// Once the whole quota of a period is used up, a node would ask so much more of players, and give so much less, percent.
const MARGIN_PERCENT_MAX: u64 = 10;
/// Of what a store has beyond what there usually is, or lacks, one part in so many is used up or brought in each time.
const DRIFT_PART: i64 = 64;
/// The same where a node makes what is lacking, or wants what there is too much of.
const FAST_DRIFT_PART: i64 = 32;

/// What a good is to a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bent {
    /// Nothing special.
    #[default]
    None,
    /// The node makes it.
    Made,
    /// The node wants it.
    Wanted,
}

/// How a node trades in a good, as the files say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What a load usually costs anywhere, silver.
    pub usual: u32,
    /// What the good is to the node.
    pub bent: Bent,
    /// Loads that there usually are: so many the store opens with, and about so many it finds back to.
    pub rest: u32,
    /// Most loads that the store takes.
    pub most: u32,
    /// Most loads that players take out of the store in a period, all in all, or bring into it.
    pub quota: u32,
}

impl Terms {
    /// Those of a node that trades like this in a good that usually costs so much.
    #[must_use]
    pub fn new(usual: u32, bent: Bent, stock: Stock) -> Self {
        let Stock { opening, most, quota } = stock;
        Self { usual, bent, rest: opening.min(most), most, quota }
    }

    /// What a load costs while so many are in store, silver: the usual price of the node when there are as many as usual, twice as
    /// much when there is none, half as much when there is no room for more, evenly in between. At least one silver.
    #[must_use]
    pub fn price(&self, loads: u32) -> u32 {
        let percent = match self.bent {
            Bent::None => 100,
            Bent::Made => MADE_PERCENT,
            Bent::Wanted => WANTED_PERCENT,
        };
        let (loads, rest, most) =
            (u64::from(loads.min(self.most)), u64::from(self.rest), u64::from(self.most));
        // What the usual price of the node is multiplied with, as a fraction.
        let (share, of) = match (loads < rest, most - rest) {
            (true, _) => (SCARCE_TIMES * rest - (SCARCE_TIMES - 1) * loads, rest),
            (false, 0) => (1, 1),
            (false, room) => (SCARCE_TIMES * room - (SCARCE_TIMES - 1) * (loads - rest), SCARCE_TIMES * room),
        };
        let (silver, by) = (u64::from(self.usual) * percent * share, 100 * of);
        ((silver + by / 2) / by).max(1) as u32
    }

    /// What a load costs whoever buys so many, silver: what it costs once they are gone. So nobody gains by buying and selling again.
    #[must_use]
    pub fn asked(&self, stored: u32, loads: u32) -> u32 {
        self.price(stored.saturating_sub(loads))
    }

    /// What a load brings whoever sells so many, silver: what it costs once they are there.
    #[must_use]
    pub fn given(&self, stored: u32, loads: u32) -> u32 {
        self.price(stored.saturating_add(loads))
    }

    /// What the node keeps of a trade with a player, percent: the more, the more of the period's quota is used up.
    #[must_use]
    pub fn margin_percent(&self, traded: u32) -> u32 {
        let share = MARGIN_PERCENT_MAX * u64::from(traded.min(self.quota));
        share.checked_div(u64::from(self.quota)).unwrap_or(MARGIN_PERCENT_MAX) as u32
    }

    /// [`asked`](Self::asked) of a player, after so many loads of this period's quota were used up.
    #[must_use]
    pub fn asked_of_players(&self, stored: u32, loads: u32, traded: u32) -> u32 {
        let percent = u64::from(100 + self.margin_percent(traded));
        (u64::from(self.asked(stored, loads)) * percent).div_ceil(100) as u32
    }

    /// [`given`](Self::given) to a player, after so many loads of this period's quota were used up.
    #[must_use]
    pub fn given_to_players(&self, stored: u32, loads: u32, traded: u32) -> u32 {
        let percent = u64::from(100 - self.margin_percent(traded));
        (u64::from(self.given(stored, loads)) * percent / 100).max(1) as u32
    }

    /// How many loads the node itself brings in (more than nothing) or uses up at a time. It never overshoots what
    /// there usually is.
    #[must_use]
    pub fn drift(&self, loads: u32) -> i64 {
        let lacks = i64::from(self.rest) - i64::from(loads);
        let is_fast = match self.bent {
            Bent::None => false,
            Bent::Made => lacks > 0,
            Bent::Wanted => lacks < 0,
        };
        let part = if is_fast { FAST_DRIFT_PART } else { DRIFT_PART };
        (lacks.abs() + part - 1) / part * lacks.signum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn terms() -> impl Strategy<Value = Terms> {
        let bent = prop_oneof![Just(Bent::None), Just(Bent::Made), Just(Bent::Wanted)];
        (1..=100_000u32, bent, 0..=1_000_000u32, 1..=1_000_000u32, 1..=1_000_000u32).prop_map(
            |(usual, bent, opening, most, quota)| Terms::new(usual, bent, Stock { opening, most, quota }),
        )
    }

    fn salt(bent: Bent) -> Terms {
        Terms::new(8, bent, Stock { opening: 500, most: 1_000, quota: 200 })
    }

    #[test]
    fn what_is_scarce_is_dear_and_what_is_made_there_cheap() {
        let at = |bent, loads| salt(bent).price(loads);
        assert_eq!([0, 250, 500, 750, 1_000].map(|loads| at(Bent::None, loads)), [16, 12, 8, 6, 4]);
        assert_eq!([0, 500, 1_000].map(|loads| at(Bent::Made, loads)), [12, 6, 3]);
        assert_eq!([0, 500, 1_000].map(|loads| at(Bent::Wanted, loads)), [21, 10, 5]);
    }

    #[test]
    fn who_has_used_up_the_quota_pays_a_margin() {
        let silk = Terms { usual: 100, ..salt(Bent::None) };
        assert_eq!(
            [0, 100, 200, 900].map(|traded| silk.asked_of_players(500, 0, traded)),
            [100, 105, 110, 110]
        );
        assert_eq!([0, 100, 200, 900].map(|traded| silk.given_to_players(500, 0, traded)), [100, 95, 90, 90]);
    }

    proptest! {
        /// E9: more in store never makes a good dearer, and no price is beyond its bounds.
        #[test]
        fn a_price_falls_with_what_is_in_store_and_stays_within_bounds(
            terms in terms(), a in 0..=1_100_000u32, b in 0..=1_100_000u32,
        ) {
            let (fewer, more) = (terms.price(a.min(b)), terms.price(a.max(b)));
            prop_assert!(fewer >= more, "{fewer} {more}");
            let rounded = |percent: u64, times: u64, by: u64| {
                (u64::from(terms.usual) * percent * times + 50 * by) / (100 * by)
            };
            prop_assert!(u64::from(more) >= rounded(MADE_PERCENT, 1, SCARCE_TIMES).max(1));
            prop_assert!(u64::from(fewer) <= rounded(WANTED_PERCENT, SCARCE_TIMES, 1).max(1));
        }

        /// E9: whoever buys and sells as it likes, at one node and while nobody else does anything, has never more silver than before
        /// with as many goods.
        #[test]
        fn nobody_gains_by_trading_to_and_fro_at_one_node(
            terms in terms(), opening in 0..=1_000_000u32, trades in prop::collection::vec(-50..=50i64, 1..40),
        ) {
            let mut stored = opening.min(terms.most);
            let (first, mut silver, mut traded) = (stored, 0i64, 0u32);
            // In the end everything is brought back, or fetched again.
            let mut trades = trades;
            trades.push(0);
            let last = trades.len() - 1;
            for (place, loads) in trades.into_iter().enumerate() {
                let loads = if place == last { i64::from(stored) - i64::from(first) } else { loads };
                let after = i64::from(stored) - loads;
                if !(0..=i64::from(terms.most)).contains(&after) {
                    continue;
                }
                let many = loads.unsigned_abs() as u32;
                let price = match loads > 0 {
                    true => terms.asked_of_players(stored, many, traded),
                    false => terms.given_to_players(stored, many, traded),
                };
                silver -= loads * i64::from(price);
                (stored, traded) = (after as u32, traded.saturating_add(many));
            }
            prop_assert!(stored == first && silver <= 0, "{silver}");
        }

        /// E9: left alone, a store finds back to what there usually is, and never leaves its bounds.
        #[test]
        fn a_store_that_is_left_alone_finds_back(terms in terms(), loads in 0..=1_000_000u32) {
            let mut loads = loads.min(terms.most);
            let mut gap = loads.abs_diff(terms.rest);
            for _ in 0..20 {
                loads = loads.checked_add_signed(terms.drift(loads) as i32).expect("never below nothing");
                prop_assert!(loads <= terms.most);
                let now = loads.abs_diff(terms.rest);
                prop_assert!(now < gap || now == 0);
                gap = now;
            }
        }
    }
}
