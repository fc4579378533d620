//! Quantiles of a run of any length in constant space.

/// Sub-buckets per power of two: a bucket is 1/128 of its lower edge wide, so its middle is off by less than 0.4 %.
const STEPS: u64 = 128;
const STEPS_BITS: u32 = STEPS.trailing_zeros();
/// Values below `2 * STEPS` have a bucket each; each of the 56 powers of two above is cut into `STEPS`.
const BUCKETS: usize = (64 - STEPS_BITS as usize + 1) * STEPS as usize;

/// A log-linear histogram of `u64` values (nanoseconds, bytes). Quantiles are off by less than 0.4 % of the value;
/// count, sum, smallest and largest are exact. It takes 59 kB and never allocates after its creation.
#[derive(Clone, Debug)]
pub struct Quantiles {
    counts: Box<[u64]>,
    count: u64,
    sum: u128,
    max: u64,
}

impl Default for Quantiles {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS].into_boxed_slice(), count: 0, sum: 0, max: 0 }
    }
}

impl Quantiles {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one value. O(1).
    pub fn record(&mut self, value: u64) {
        self.counts[bucket_of(value)] += 1;
        self.count += 1;
        self.sum += u128::from(value);
        self.max = self.max.max(value);
    }

    /// How many values were taken.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest value, exactly; `None` when nothing was taken.
    #[must_use]
    pub fn max(&self) -> Option<u64> {
        (self.count > 0).then_some(self.max)
    }

    /// The mean; `None` when nothing was taken.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// The smallest value that at least the share `q` (0 to 1) of all values do not exceed, within 0.4 %; `None` when
    /// nothing was taken. O(buckets).
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let rank = ((q.clamp(0.0, 1.0) * self.count as f64).ceil() as u64).clamp(1, self.count);
        let mut seen = 0;
        let bucket = self.counts.iter().position(|&count| {
            seen += count;
            seen >= rank
        })?;
        Some(middle_of(bucket).min(self.max))
    }
}

fn bucket_of(value: u64) -> usize {
    if value < 2 * STEPS {
        return value as usize;
    }
    let shift = 63 - value.leading_zeros() - STEPS_BITS;
    let step = (value >> shift) - STEPS;
    ((u64::from(shift) + 1) * STEPS + step) as usize
}

fn middle_of(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < 2 * STEPS {
        return bucket;
    }
    let shift = bucket / STEPS - 1;
    let lower = (bucket % STEPS + STEPS) << shift;
    lower + (1u64 << shift) / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, by sorting.
    fn exact(values: &mut [u64], q: f64) -> u64 {
        values.sort_unstable();
        let rank = ((q * values.len() as f64).ceil() as usize).clamp(1, values.len());
        values[rank - 1]
    }

    proptest! {
        #[test]
        fn quantiles_are_within_half_a_percent_of_sorting(
            mut values in prop::collection::vec(prop_oneof![0u64..300, 0u64..1_000_000_000_000, any::<u64>()], 1..400),
            q in 0.0f64..=1.0,
        ) {
            let mut quantiles = Quantiles::new();
            values.iter().for_each(|&value| quantiles.record(value));
            let (told, expected) = (quantiles.quantile(q).unwrap(), exact(&mut values, q));
            prop_assert!(
                told.abs_diff(expected) as f64 <= expected as f64 * 0.004 + 0.5,
                "quantile {q} told as {told}, sorting says {expected}"
            );
            prop_assert_eq!(quantiles.max(), values.last().copied());
            prop_assert_eq!(quantiles.count(), values.len() as u64);
        }

        #[test]
        fn every_value_has_a_bucket(value: u64) {
            let bucket = bucket_of(value);
            prop_assert!(bucket < BUCKETS);
            prop_assert_eq!(bucket_of(middle_of(bucket)), bucket, "a bucket's middle lies in it");
        }
    }

    #[test]
    fn an_empty_histogram_tells_nothing() {
        let quantiles = Quantiles::new();
        assert_eq!((quantiles.quantile(0.5), quantiles.max(), quantiles.mean()), (None, None, None));
    }
}
