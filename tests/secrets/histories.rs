//! Every client holds what the truth is for its player, after every tick.

use terrane::limits::NODE_LEVELS_MAX;
use terrane::prelude::*;

use crate::game::{Plan, layouts};
use crate::stage::{Network, Stage};
use crate::truth::{Seen, Sight};
use crate::{seeds, ticks};

/// Fails with what is different, and nothing else.
pub fn assert_equal(stage: &Stage, held: &Sight, expected: &Sight, when: &str) {
    let name = |component: usize| stage.schema.components[component].name;
    for (net_id, seen) in expected {
        let Some(told) = held.get(net_id) else {
            panic!(
                "{when}: {net_id} is missing: {:?}",
                seen.components.keys().map(|&it| name(it)).collect::<Vec<_>>()
            )
        };
        assert_eq!(told.lattice, seen.lattice, "{when}: the place of {net_id}");
        let names = |seen: &Seen| seen.components.keys().map(|&it| name(it)).collect::<Vec<_>>();
        assert_eq!(
            names(told),
            names(seen),
            "{when}: the components of {net_id}, told (left) and true (right)"
        );
        assert_eq!(told.withdrawn, seen.withdrawn, "{when}: what is withdrawn of {net_id}");
        for (component, truth) in &seen.components {
            let told = &told.components[component];
            assert_eq!(told.hidden, truth.hidden, "{when}: what {net_id} hides of {}", name(*component));
            for (number, field) in truth.names.iter().enumerate() {
                let what = format!("{when}: {net_id}, {}.{field}", name(*component));
                assert_eq!(told.parts[number], truth.parts[number], "{what}, told (left) and true (right)");
            }
            assert_eq!(told.whole, truth.whole, "{when}: what is never sent of {net_id}");
        }
    }
    for (net_id, seen) in held {
        assert!(
            expected.contains_key(net_id),
            "{when}: {net_id} at {:?} is not to be seen",
            seen.lattice.map(|v| v as f32 / 128.0)
        );
    }
}

/// Of four seeds and 350 ticks; more and longer histories in proportion.
const CHANGES: u64 = 100_000;
const USUAL: [u64; 2] = [4, 350];

/// B3–B9, B12: on a network that loses nothing, on every layout, after every tick, whatever has changed about values,
/// subjects, components, random trees of policies, state of the world, contexts, places and players. Changes are counted
/// once for each history, on however many layouts it is lived; steps of who walks are not.
#[test]
fn every_player_is_told_what_is_true_for_it_on_every_tick_and_layout() {
    let (mut steps, mut skipped, mut changes) = (0, 0, 0);
    let (seeds, ticks) = (seeds(USUAL[0]), ticks(USUAL[1]));
    let (seeds_run, mut deepest) = (*seeds.end(), 0);
    for seed in seeds {
        let mut of_seed = 0;
        // Two of the four layouts each.
        let chosen = if seed % 2 == 0 { ["1 x 1", "mixed"] } else { ["2 x 2", "5 x 5 on two threads"] };
        for (layout, settings) in layouts(seed).into_iter().filter(|(layout, _)| chosen.contains(layout)) {
            // One of them with views that are too small for all who are near.
            let view_entities_max = if layout == "2 x 2" { 14 } else { settings.view_entities_max };
            let settings = WorldSettings { view_entities_max, ..settings };
            let mut stage = Stage::new(Plan::new(seed), settings);
            for tick in 1..=ticks {
                stage.come_and_go(tick);
                stage.tick();
                for (number, client) in stage.clients.iter().enumerate() {
                    let when = format!("seed {seed}, {layout}, tick {tick}, {}", client.name);
                    let expected = stage.expected(&client.name);
                    if client.is_settled {
                        steps += expected.len();
                        assert_equal(&stage, &stage.held(number), expected, &when);
                        deepest = deepest.max(stage.deepest_grove(number));
                    } else {
                        skipped += expected.len();
                    }
                }
            }
            let audits = stage.report.audits;
            assert_eq!(audits.failures, 0, "seed {seed}, {layout}: {audits:?} {:#?}", stage.findings());
            of_seed = stage.plan.changes();
        }
        changes += of_seed;
    }
    let required = CHANGES * seeds_run * ticks / (USUAL[0] * USUAL[1]);
    assert!(changes >= required, "{changes} changes of {required}");
    assert!(steps > 100 && skipped < steps / 8, "{steps} compared, {skipped} more while something waited");
    assert!(deepest >= NODE_LEVELS_MAX, "the deepest tree that anybody holds has {deepest} levels");
}

/// B9: whatever is lost, late, doubled or out of order on the way, in the end every player holds what is true.
#[test]
fn players_hold_what_is_true_in_the_end_whatever_the_network_does() {
    for (seed, crowd, network) in [
        (1, false, Network { loss: 0.2, duplicate: 0.05, delay: 2, jitter: 3 }),
        (2, false, Network { loss: 0.4, ..Network::default() }),
        (3, true, Network { loss: 0.1, duplicate: 0.3, delay: 0, jitter: 6 }),
    ] {
        for (layout, settings) in layouts(seed).split_off(2) {
            let plan = Plan { crowd, ..Plan::new(seed) };
            let mut stage = Stage::new(plan.clone(), settings);
            stage.network = network;
            for tick in 1..=ticks(200) {
                stage.come_and_go(tick);
                stage.tick();
            }
            plan.freeze();
            stage.meddles = false;
            for _ in 0..120 {
                stage.tick();
            }
            for (number, client) in stage.clients.iter().enumerate() {
                let when = format!("{network:?}, {layout}, {}", client.name);
                assert_equal(&stage, &stage.held(number), stage.expected(&client.name), &when);
            }
            assert_eq!(stage.report.audits.failures, 0, "{network:?}, {layout}: {:#?}", stage.findings());
        }
    }
}
