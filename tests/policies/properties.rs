//! Random values, viewers and subjects: what is told is what the sieve says, and not a byte more.

use std::collections::BTreeSet;

use proptest::prelude::*;
use terrane::replication::SyncFields;

use super::support::{CANARY, Dice, expected, looking, row, seen};
use super::world::{Camp, camp, context, subject};

/// All canaries in a value.
fn canaries(value: &Camp) -> BTreeSet<u128> {
    let mut bytes = Vec::new();
    value.save(&mut bytes);
    let numbers =
        bytes.windows(16).map(|window| u128::from_le_bytes(window.try_into().expect("sixteen bytes")));
    numbers.filter(|number| number >> 16 & u128::from(u64::MAX >> 16) == CANARY).collect()
}

fn holds(bytes: &[u8], canary: u128) -> bool {
    bytes.windows(16).any(|window| window == canary.to_le_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// B7, B10, B12: value and hidden paths, public and personal fields.
    #[test]
    fn a_client_holds_what_the_naive_sieve_says(seed in any::<u64>()) {
        let dice = &mut Dice(seed);
        let (camp, context, subject) = (camp(dice), context(dice), subject(dice));
        looking(&context, &subject, |viewing| {
            let seen = seen(&camp, viewing);
            assert!(!seen.cut_short);
            let (value, hidden) = expected(&camp, viewing, &seen.too_long);
            assert_eq!(seen.value, value);
            assert_eq!(seen.hidden, hidden);
        });
    }

    /// B1, B3, B6, B11: neither a viewer's bytes nor a row nor a ghost hold a number that is not for them.
    #[test]
    fn no_bytes_hold_a_canary_of_somebody_elses(seed in any::<u64>()) {
        let dice = &mut Dice(seed);
        let (camp, context, subject) = (camp(dice), context(dice), subject(dice));
        let all = canaries(&camp);
        prop_assert!(all.len() >= 10);
        let mut ghost = camp.clone();
        camp.project(&mut ghost);
        let (public, _) = row(&camp);
        let public = public.concat();
        let (told, visible) = looking(&context, &subject, |viewing| {
            (seen(&camp, viewing).fields.concat(), canaries(&camp.sieve(viewing).value))
        }).0;
        let (in_ghost, mut kept) = (canaries(&ghost), 0);
        for canary in all {
            prop_assert!(visible.contains(&canary) || !holds(&told, canary), "this viewer is sent it");
            prop_assert!(in_ghost.contains(&canary) || !holds(&public, canary), "the row holds it");
            prop_assert!(visible.contains(&canary) || !in_ghost.contains(&canary), "a ghost holds it");
            kept += usize::from(!visible.contains(&canary));
        }
        prop_assert!(kept > 0, "something is always kept back: what is server_only");
    }

    /// B11: what a ghost holds is what every viewer sees, whoever it is.
    #[test]
    fn a_ghost_holds_defaults_where_viewers_differ_and_what_is_told_elsewhere(seed in any::<u64>()) {
        let camp = camp(&mut Dice(seed));
        let mut ghost = camp.clone();
        camp.project(&mut ghost);
        prop_assert_eq!((ghost.omen, ghost.lot, ghost.rumour, ghost.seed), (0, 0, 0, 0));
        prop_assert_eq!((&ghost.rival, &ghost.shares), (&Default::default(), &Default::default()));
        prop_assert_eq!((&ghost.reserve, &ghost.bids), (&Vec::new(), &Default::default()));
        prop_assert_eq!(&ghost.gates, &<[super::world::Chest; 2]>::default());
        prop_assert_eq!((&ghost.name, ghost.purse), (&camp.name, camp.purse >> 64));
        prop_assert_eq!(ghost.size, camp.wagons.len() as u64);
        for (mine, theirs) in camp.wagons.iter().zip(&ghost.wagons) {
            prop_assert_eq!((mine.label, &theirs.chests), (theirs.label, &Vec::new()));
            prop_assert_eq!((theirs.rule, theirs.secret, theirs.own.len()), (0, 0, 0));
        }
        prop_assert_eq!(ghost.open.light, camp.open.light);
        prop_assert_eq!(ghost.open.oil, 0);
    }

    /// Rows are compared: equal sources must be equal, and any difference in a source must show.
    #[test]
    fn equal_values_have_equal_rows_and_a_changed_secret_changes_its_own_field_alone(seed in any::<u64>()) {
        let camp = camp(&mut Dice(seed));
        let (before, _) = row(&camp);
        prop_assert_eq!(&before, &row(&camp.clone()).0);
        let (after, _) = row(&Camp { omen: camp.omen ^ 1, seed: !camp.seed, ..camp });
        let differ: Vec<_> = (0..before.len()).filter(|&field| before[field] != after[field]).collect();
        prop_assert_eq!(differ, [2]);
    }

    #[test]
    fn a_saved_camp_is_loaded_as_it_was(seed in any::<u64>(), tail in any::<[u8; 3]>()) {
        let camp = camp(&mut Dice(seed));
        let mut bytes = Vec::new();
        camp.save(&mut bytes);
        let length = bytes.len();
        bytes.extend(tail);
        prop_assert_eq!(Camp::load(&bytes), Ok((camp, length)));
        prop_assert!(Camp::load(&bytes[..length - 1]).is_err());
    }
}
