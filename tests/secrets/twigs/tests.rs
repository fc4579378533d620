//! Random trees of policies, random viewers and subjects: what encoders, decoders, the derived sieve and ghosts make of
//! them is what the oracle finds.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use terrane::ids::Role;
use terrane::limits::NODE_LEVELS_MAX;
use terrane::prelude::*;
use terrane::replication::field::{put_prefixed, sent_fields};
use terrane::replication::policy::{Depends, Sieved, Subject, ViewerContext, Viewing};
use terrane::replication::{FieldWriter, SyncFields};

use super::{Grove, How, Twig};
use crate::canaries::canaries_in;
use crate::game::{Dice, Plan, change_context, name_of};
use crate::seeds;
use crate::things::{NAMES, PRIVATE};

/// One of each, in a random state.
struct Scene {
    dice: Dice,
    viewer: ViewerContext,
    subject: Subject,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let plan = Plan::new(seed);
        let mut dice = plan.dice(name_of(1), TickNumber(1), 0);
        let name = PlayerId::new(NAMES[dice.open.below(NAMES.len())]).expect("a name");
        let mut viewer = ViewerContext::new(name, Role::Player);
        for tick in 0..60 {
            change_context(&plan, &mut viewer, TickNumber(tick));
        }
        let mut subject = Subject::default();
        for _ in 0..12 {
            dice.change_subject(&mut subject);
        }
        Self { dice, viewer, subject }
    }

    fn looking<R>(&self, look: impl FnOnce(&Viewing<'_>) -> R) -> R {
        let reads = Cell::new(Depends::NONE);
        look(&Viewing::new(&self.viewer, name_of(1), &self.subject, &reads))
    }
}

/// Through the encoder and the decoder.
fn sent<T: SyncFields>(value: &T, viewing: &Viewing<'_>) -> Sieved<T> {
    value.encode_sent(&mut FieldWriter::default());
    let mut told = Sieved { value: T::default(), hidden: Vec::new() };
    for (number, spec) in sent_fields::<T>().enumerate() {
        assert!(spec.personal, "{} depends on who looks", spec.name);
        let (mut payload, mut bytes) = (Vec::new(), Vec::new());
        let shown = value.encode_personal(number, viewing, &mut payload, &mut Vec::new());
        put_prefixed(&mut bytes, shown.is_visible().then_some(&payload[..]));
        told.value.decode_sent(number, &bytes).expect("an honest field");
        told.hidden.extend(T::hidden_paths(number, &bytes).expect("an honest field"));
    }
    told
}

fn saved(value: &impl SyncFields) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.save(&mut bytes);
    bytes
}

/// Counts what the trees were made of: how often each field of each kind had anything in it, at which level.
#[derive(Default)]
struct Census {
    fields: BTreeMap<(How, bool, String), [usize; 2]>,
    levels: BTreeMap<usize, usize>,
}

impl Census {
    fn take(&mut self, twig: &Twig, level: usize) {
        for piece in twig.pieces() {
            let deep = usize::from(level >= 4);
            let form = format!("{:?}", piece.value.empty());
            if piece.value != piece.value.empty() {
                self.fields.entry((piece.how, piece.nested, form)).or_default()[deep] += 1;
            }
            if piece.nested {
                piece.value.twigs().iter().for_each(|(_, twig)| self.take(twig, level + 1));
            }
        }
    }
}

/// B7, B10, B11, B12: any policy over any other, over every shape, to any depth and beyond what is told: each viewer decodes
/// the values and hidden paths that the oracle finds, the derived sieve says the same, and a ghost holds what is everybody's
/// and nothing else; also while trees grow, shrink and change.
#[test]
fn a_random_tree_of_policies_is_told_as_the_oracle_says() {
    let (mut census, mut trees, mut hidden, mut betrayable, mut cut) = (Census::default(), 0, 0, 0, 0);
    let mut kinds = BTreeSet::new();
    for seed in 1..=seeds(1).end().max(&50) * 100 {
        let mut scene = Scene::new(seed);
        let mut grove = scene.dice.grove();
        for step in 0..4 {
            if step > 0 {
                scene.dice.change_twig(&mut grove.root);
                scene.dice.reseal_twig(&mut grove.root);
            }
            let when = format!("seed {seed}, step {step}");
            let oracle = scene.looking(|viewing| grove.seen(viewing));
            let (told, sieved) = scene.looking(|viewing| (sent(&grove, viewing), grove.sieve(viewing)));
            assert_eq!(told, oracle, "{when}: decoded (left) and true (right)");
            assert_eq!(sieved, oracle, "{when}: sieved (left) and true (right)");
            // An enum that is itself the component.
            let mut paths = Vec::new();
            let value = scene.looking(|viewing| grove.root.seen(viewing, 1, "value", &mut paths));
            let oracle_of_root = Sieved { value, hidden: paths };
            assert_eq!(scene.looking(|viewing| sent(&grove.root, viewing)), oracle_of_root, "{when}");

            let mut ghost = scene.dice.grove();
            grove.project(&mut ghost);
            assert_eq!(ghost, Grove { root: grove.root.public(), seed: 0 }, "{when}: what a ghost holds");
            let betrayed = canaries_in(&saved(&ghost), &[PRIVATE]);
            assert!(betrayed.is_empty(), "{when}: a ghost holds {betrayed:x?}");
            betrayable += canaries_in(&saved(&grove), &[PRIVATE]).len();

            let bytes = saved(&grove);
            assert_eq!(Grove::load(&bytes), Ok((grove.clone(), bytes.len())), "{when}: saved and loaded");
            census.take(&grove.root, 1);
            *census.levels.entry(grove.root.levels()).or_default() += 1;
            kinds.insert(format!(
                "{:?}",
                Twig::with(
                    &grove.root,
                    grove.root.pieces().iter().map(|piece| piece.value.empty()).collect()
                )
            ));
            (trees, hidden) = (trees + 1, hidden + oracle.hidden.len());
            // Fields of the last twig that is told.
            let is_last = |path: &&String| path.matches('.').count() == NODE_LEVELS_MAX;
            cut += oracle.hidden.iter().filter(is_last).count();
        }
    }
    assert_eq!(kinds.len(), Twig::kinds().len(), "every kind is a root");
    // Five policies over six shapes, nested or not (what is computed is nested), and what stands alone.
    let rare: Vec<_> =
        census.fields.iter().filter(|(_, times)| times.iter().any(|&times| times < 12)).collect();
    assert!(rare.is_empty(), "{rare:?}");
    let mut seen_policies: BTreeMap<(How, bool), usize> = BTreeMap::new();
    census.fields.keys().for_each(|(how, nested, _)| *seen_policies.entry((*how, *nested)).or_default() += 1);
    for how in [How::broadcast, How::masked, How::per_player, How::custom] {
        assert!(seen_policies[&(how, true)] >= 6 && seen_policies[&(how, false)] >= 6, "{seen_policies:?}");
    }
    let deep = |levels: std::ops::RangeFrom<usize>| {
        census.levels.range(levels).map(|(_, times)| times).sum::<usize>()
    };
    assert!(
        deep(4..) > trees / 8 && deep(NODE_LEVELS_MAX + 1..) > 40 && census.levels[&1] > 100,
        "{trees} trees by levels: {:?}",
        census.levels
    );
    assert!(cut > 100, "{cut} fields cut off for their depth");
    assert!(
        hidden > trees / 2 && betrayable > trees,
        "{hidden} hidden, {betrayable} private of {trees} trees"
    );
}
