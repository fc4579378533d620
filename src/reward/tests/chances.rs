//! Chance is fair, and stays what it is.

use super::super::chance::Chance;
use super::tables::{Drop, LootTable};
use super::*;

/// A drawing of `counts` times is as fair as may be: each within four standard deviations of what its weight makes of it, and
/// the sum of all squares below what one in a thousand exceeds.
fn check_fair(counts: &[u64], weights: &[u64], chi_square_max: f64) {
    let (drawn, total) = (counts.iter().sum::<u64>() as f64, weights.iter().sum::<u64>() as f64);
    let mut chi_square = 0.0;
    for (count, weight) in counts.iter().zip(weights) {
        let share = *weight as f64 / total;
        let (expected, variance) = (drawn * share, drawn * share * (1.0 - share));
        let off = *count as f64 - expected;
        assert!(off * off <= 16.0 * variance, "{count} of {drawn}, expected {expected}");
        chi_square += off * off / expected;
    }
    assert!(chi_square < chi_square_max, "{counts:?} against {weights:?}: {chi_square}");
}

/// F3: every row comes as often as its weight says, over many claims.
#[test]
fn rows_come_as_often_as_their_weights_say() {
    let weights = [1, 2, 0, 5, 12, 80];
    let mut tables = RewardTables::builder();
    let mut loot = LootTable::of("wild");
    for (number, weight) in weights.iter().enumerate() {
        let asset = name(&format!("a{number}"));
        tables = tables.asset(&asset, AssetClass::Currency { cap: 1 << 40 });
        loot = loot.row(*weight, Drop::Asset { asset, least: 1, most: 1 });
    }
    let tables = Arc::new(tables.loot("wild", loot).build().expect("good tables"));
    let request = PlanRequest::new("hunt", account("alice")).loot("wild", 10);
    let mut counts = [0; 6];
    for key in 0..4_000 {
        for line in plan_of(&tables, key, Holdings::default(), &request).expect("planned").lines {
            let number: usize = line.asset.as_str()[1..].parse().expect("a number");
            counts[number] += line.amount;
        }
    }
    assert_eq!(counts[2], 0, "what has no weight never comes");
    // Four degrees of freedom.
    let of = |values: [u64; 6]| [values[0], values[1], values[3], values[4], values[5]];
    check_fair(&of(counts), &of(weights.map(u64::from)), 18.47);
}

#[test]
fn amounts_are_drawn_evenly_with_both_ends() {
    let mut chance = Chance::new(3);
    let mut counts = [0; 7];
    for _ in 0..70_000 {
        counts[(chance.between(4..=10) - 4) as usize] += 1;
    }
    check_fair(&counts, &[1; 7], 22.46);
    assert_eq!(chance.between(9..=9), 9);
}

/// Multiplication alone would draw every third number twice as often here.
#[test]
fn a_draw_below_a_large_bound_is_not_biased() {
    let mut chance = Chance::new(8);
    let mut counts = [0; 3];
    for _ in 0..30_000 {
        counts[(chance.below(3 << 62) % 3) as usize] += 1;
    }
    check_fair(&counts, &[1; 3], 13.82);
}

/// F3: what a key draws is promised beyond one version of this program: a claim that is repeated after an update must not roll
/// anew.
#[test]
fn a_seed_draws_the_same_in_every_version() {
    let mut chance = Chance::new(0x7e22_a9e5);
    let drawn: Vec<u64> = (0..8).map(|_| chance.below(1_000)).collect();
    assert_eq!(drawn, [526, 698, 754, 817, 51, 352, 142, 941]);
    let claim = claim(&account("alice"), 1);
    assert_eq!(claim.seed(2), 8_384_182_232_140_973_706);
}
