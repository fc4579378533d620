//! Percentiles of any number of values in little memory.

/// Steps between a power of two and the next: a percentile is at most 1/64 too large.
const STEPS: u64 = 64;

/// Counts of whole numbers, exact below 128 and with an error of at most 1.6 % above.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    most: u64,
}

/// The place of a value among the counts.
fn place(value: u64) -> usize {
    let power = (value / STEPS).checked_ilog2().unwrap_or(0);
    // Below 2 * STEPS every value has its own place; each power of two above has STEPS of them.
    (u64::from(power) * STEPS + (value >> power)) as usize
}

/// The largest value with that place.
fn largest(place: usize) -> u64 {
    let place = place as u64;
    let power = (place / STEPS).saturating_sub(1);
    let step = place - power * STEPS;
    (step << power) + ((1 << power) - 1)
}

impl Histogram {
    /// Counts a value, `times` times.
    pub(crate) fn add(&mut self, value: u64, times: u64) {
        let place = place(value);
        if self.counts.len() <= place {
            self.counts.resize(place + 1, 0);
        }
        self.counts[place] += times;
        self.total += times;
        self.most = self.most.max(value);
    }

    /// Counts everything that another one has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.counts.len() < other.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.most = self.most.max(other.most);
    }

    /// The smallest value that at least `percent` of all values do not exceed; `None` without any.
    pub(crate) fn percentile(&self, percent: u64) -> Option<u64> {
        let wanted = (self.total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let place = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(largest(place).min(self.most))
    }

    /// The largest value; `None` without any.
    pub(crate) fn max(&self) -> Option<u64> {
        (self.total > 0).then_some(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        values.into_iter().for_each(|value| histogram.add(value, 1));
        histogram
    }

    #[test]
    fn nothing_has_no_percentiles() {
        assert_eq!(Histogram::default().percentile(50), None);
        assert_eq!(Histogram::default().max(), None);
    }

    #[test]
    fn small_values_are_exact() {
        let histogram = of(1..=100);
        assert_eq!(histogram.percentile(50), Some(50));
        assert_eq!(histogram.percentile(99), Some(99));
        assert_eq!(histogram.percentile(100), Some(100));
        assert_eq!(of([7]).percentile(0), Some(7));
        assert_eq!(of([3, 3, 3, 9]).percentile(75), Some(3));
        assert_eq!(of([3, 3, 3, 9]).percentile(76), Some(9));
    }

    /// Against the naive way: sort and count.
    #[test]
    fn large_values_are_within_a_64th() {
        let mut state = 1u64;
        let mut values: Vec<u64> = (0..10_000)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) >> (state % 31)
            })
            .collect();
        let histogram = of(values.iter().copied());
        values.sort_unstable();
        for percent in [1, 10, 50, 90, 99, 100] {
            let exact = values[values.len() * percent as usize / 100 - 1];
            let told = histogram.percentile(percent).unwrap();
            assert!(told >= exact && told <= exact + exact / 64 + 1, "p{percent}: {told} for {exact}");
        }
        assert_eq!(histogram.max(), values.last().copied());
    }

    #[test]
    fn every_value_lies_at_its_place() {
        for value in (0..5_000).chain([u64::from(u32::MAX), 1 << 40, u64::MAX]) {
            let top = largest(place(value));
            assert!(top >= value && place(top) == place(value), "{value}: {top}");
        }
    }

    #[test]
    fn merging_counts_everything_once() {
        let mut merged = of(1..=50);
        merged.merge(&of(51..=100));
        assert_eq!(merged, of(1..=100));
        let mut weighted = Histogram::default();
        weighted.add(5, 3);
        assert_eq!(weighted, of([5, 5, 5]));
    }
}
