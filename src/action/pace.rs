//! How often one caller may call each kind of action: token buckets that are filled by world time.

use crate::ids::TickNumber;

use super::declare::Limit;

/// One caller's buckets, by index of the kind of action. Full until first used.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Buckets(Vec<Option<Bucket>>);

/// A bucket of billionths of an action: whole numbers, so that it fills the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bucket {
    held: u64,
    at: TickNumber,
}

const WHOLE: u64 = 1_000_000_000;

impl Buckets {
    /// Bytes of memory that they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.len() * size_of::<Option<Bucket>>()
    }

    /// Takes one action of that kind out of its bucket, at a tick of a world with `hz` ticks a second.
    ///
    /// # Errors
    /// When there is less than one in it: after how many milliseconds of world time there will be one.
    pub fn take(&mut self, kind: u16, limit: &Limit, tick: TickNumber, hz: u16) -> Result<(), u32> {
        let index = usize::from(kind);
        if self.0.len() <= index {
            self.0.resize(index + 1, None);
        }
        let most = u64::from(limit.burst) * WHOLE;
        let per_second = (limit.rate_per_s * WHOLE as f64).round() as u64;
        let bucket = self.0[index].get_or_insert(Bucket { held: most, at: tick });
        let elapsed = tick.0.saturating_sub(bucket.at.0);
        let added = elapsed.saturating_mul(per_second) / u64::from(hz);
        // What a division drops is less than a billionth of an action.
        *bucket = Bucket { held: bucket.held.saturating_add(added).min(most), at: tick };
        if bucket.held >= WHOLE {
            bucket.held -= WHOLE;
            return Ok(());
        }
        let missing = WHOLE - bucket.held;
        Err(u32::try_from(missing.saturating_mul(1_000).div_ceil(per_second.max(1))).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::super::declare::Coalesce;
    use super::*;
    use proptest::prelude::*;

    fn limit(rate_per_s: f64, burst: u16) -> Limit {
        Limit { rate_per_s, burst, coalesce: Coalesce::None }
    }

    /// C6.
    #[test]
    fn a_burst_passes_at_once_and_then_as_many_as_time_brings() {
        let (mut buckets, limit) = (Buckets::default(), limit(5.0, 3));
        let mut take = |tick: u64| buckets.take(2, &limit, TickNumber(tick), 20);
        assert_eq!([take(7), take(7), take(7)], [Ok(()); 3]);
        assert_eq!(take(7), Err(200), "5 a second: one in 200 ms");
        assert_eq!(take(9), Err(100));
        assert_eq!(take(11), Ok(()), "4 ticks of 50 ms later");
        assert_eq!(take(11), Err(200));
        assert_eq!([take(1_000), take(1_000), take(1_000)], [Ok(()); 3], "no more than the burst is kept");
        assert!(take(1_000).is_err());
    }

    #[test]
    fn kinds_have_buckets_of_their_own() {
        let (mut buckets, limit) = (Buckets::default(), limit(1.0, 1));
        assert_eq!(buckets.take(0, &limit, TickNumber(1), 20), Ok(()));
        assert!(buckets.take(0, &limit, TickNumber(1), 20).is_err());
        assert_eq!(buckets.take(3, &limit, TickNumber(1), 20), Ok(()));
    }

    proptest! {
        /// C6: however calls are spread, in any span no more than the burst and what the rate brings pass, and no fewer than
        /// an ideal bucket would pass of a steady demand.
        #[test]
        fn in_any_span_no_more_than_burst_and_rate_pass(
            calls in proptest::collection::vec(0..6u64, 1..400),
            rate in 0.05..40.0f64,
            burst in 1..20u16,
            hz in 5..60u16,
        ) {
            let (mut buckets, limit) = (Buckets::default(), limit(rate, burst));
            let mut passed: Vec<u64> = Vec::new();
            for (tick, &count) in (1u64..).zip(&calls) {
                for _ in 0..count {
                    if buckets.take(0, &limit, TickNumber(tick), hz).is_ok() {
                        passed.push(tick);
                    }
                }
            }
            for (index, &first) in passed.iter().enumerate() {
                for (more, &last) in passed[index..].iter().enumerate() {
                    let span_s = (last - first) as f64 / f64::from(hz);
                    prop_assert!((more + 1) as f64 <= f64::from(burst) + rate * span_s + 1e-3);
                }
            }
            // A caller who always asks gets what an ideal bucket gives, but for one that rounding may take.
            let (mut eager, mut ideal, mut held) = (Buckets::default(), 0u32, f64::from(burst));
            let mut got = 0u32;
            for tick in 1..=300u64 {
                held = (held + if tick == 1 { 0.0 } else { rate / f64::from(hz) }).min(f64::from(burst));
                ideal += held.floor() as u32;
                held -= held.floor();
                while eager.take(0, &limit, TickNumber(tick), hz).is_ok() {
                    got += 1;
                }
                prop_assert!(got.abs_diff(ideal) <= 1, "{} of {} by tick {}", got, ideal, tick);
            }
        }
    }
}
