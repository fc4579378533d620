//! A stable radix sort of small integer keys: what brings the entities of one bucket together.

/// Widest digit of one pass: its table of counts stays inside the first-level cache.
const DIGIT_BITS_MAX: u32 = 12;

/// An entity's bucket and where it stands among the entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Keyed {
    /// What is sorted by.
    pub(super) key: u32,
    /// What is carried along.
    pub(super) entry: u32,
}

/// Memory of the sort, kept between ticks.
#[derive(Debug, Default)]
pub(super) struct RadixScratch {
    spare: Vec<Keyed>,
    counts: Vec<u32>,
}

/// Sorts by key; equal keys keep their order. `key_max` is at least the largest key: up to 4,095 takes one
/// pass, whatever is larger at most three. O(items + table) per pass.
pub(super) fn sort(items: &mut Vec<Keyed>, key_max: u32, scratch: &mut RadixScratch) {
    let bits = u32::BITS - key_max.leading_zeros();
    let passes = bits.div_ceil(DIGIT_BITS_MAX);
    if passes == 0 {
        return;
    }
    let digit_bits = bits.div_ceil(passes);
    let digit_mask = (1u32 << digit_bits) - 1;
    scratch.spare.resize(items.len(), Keyed::default());
    for pass in 0..passes {
        let digit = |item: &Keyed| ((item.key >> (pass * digit_bits)) & digit_mask) as usize;
        scratch.counts.clear();
        scratch.counts.resize(1 << digit_bits, 0);
        for item in items.iter() {
            scratch.counts[digit(item)] += 1;
        }
        let mut begin = 0;
        for count in &mut scratch.counts {
            begin += std::mem::replace(count, begin);
        }
        for item in items.iter() {
            let place = &mut scratch.counts[digit(item)];
            scratch.spare[*place as usize] = *item;
            *place += 1;
        }
        std::mem::swap(items, &mut scratch.spare);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_sorts_like_the_stable_sort_of_std(
            (keys, key_max) in prop_oneof![Just(0u32), Just(1), Just(4_095), Just(4_096), Just(1 << 25), Just(u32::MAX)]
                .prop_flat_map(|max| (prop::collection::vec(0..=max, 0..200), Just(max))),
        ) {
            let mut items: Vec<Keyed> =
                keys.iter().enumerate().map(|(entry, &key)| Keyed { key, entry: entry as u32 }).collect();
            let mut wanted = items.clone();
            wanted.sort_by_key(|item| item.key);
            let mut scratch = RadixScratch::default();
            sort(&mut items, key_max, &mut scratch);
            prop_assert_eq!(&items, &wanted);
        }
    }
}
