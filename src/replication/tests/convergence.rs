//! Diff equals full.

use proptest::prelude::*;

use super::simulation::{Network, SETTINGS, Simulation};
use super::world::WorldPlan;
use crate::replication::ViewSettings;
use crate::replication::audit::audit_view;

const BAD: Network = Network { loss: 0.2, duplicated: 0.1, delay: 1, jitter: 3 };

/// B9, B2: applying every diff gives the full view, in every tick, whatever happens to the entities.
#[test]
fn on_a_perfect_network_every_client_holds_what_the_oracle_wants_in_every_tick() {
    for (seed, shake_m, pulse) in [(1, 0.0, false), (2, 12.0, false), (3, 6.0, true)] {
        let plan = WorldPlan { seed, shake_m, pulse, ..WorldPlan::default() };
        let mut simulation = Simulation::new(plan, 30, SETTINGS, Network::default());
        for _ in 0..120 {
            simulation.step(false);
            simulation.assert_equal();
        }
        assert_eq!(simulation.overflows, 0, "this world must fit the budget, or the equality proves nothing");
    }
}

/// B9: late acks resend nothing that was not lost, and lose nothing.
#[test]
fn a_slow_network_without_loss_is_always_exactly_its_delay_behind() {
    let network = Network { delay: 3, ..Network::default() };
    let mut simulation = Simulation::new(WorldPlan::default(), 20, SETTINGS, network);
    let mut past = std::collections::VecDeque::new();
    for _ in 0..100 {
        simulation.step(false);
        past.push_back((0..20).map(|index| simulation.wanted(index)).collect::<Vec<_>>());
        if past.len() > 3 {
            let wanted = past.pop_front().expect("four ticks");
            for (index, wanted) in wanted.iter().enumerate() {
                assert_eq!(&simulation.held(index), wanted, "client {index} shows another tick");
            }
        }
    }
}

/// B9, A10: with a fifth of everything lost, duplicated and out of order, what stops is corrected for all.
#[test]
fn after_loss_and_reordering_every_client_is_right_soon_after_everything_stopped() {
    for seed in 1..=3 {
        let plan = WorldPlan { seed, shake_m: 12.0, hold_max: 120, pulse: seed == 3, ..WorldPlan::default() };
        let mut simulation = Simulation::new(plan, 60, SETTINGS, BAD);
        for _ in 0..120 {
            simulation.step(false);
        }
        let ticks = simulation.ticks_to_converge(100);
        assert!(ticks.is_some_and(|ticks| ticks <= 80), "all views must be right at last: {ticks:?}");
        for index in 0..60 {
            let session = &simulation.sessions[index];
            let audit = audit_view(&session.view, &simulation.world.rows, &session.expected, 0);
            assert!(audit.passed(), "{audit:?}");
        }
    }
}

/// A10: the very last update before silence is lost; nothing follows that would tell.
#[test]
fn the_loss_of_the_last_update_is_noticed_although_nothing_follows() {
    let mut simulation = Simulation::new(WorldPlan::default(), 10, SETTINGS, Network::default());
    for _ in 0..20 {
        simulation.step(false);
    }
    simulation.network.loss = 1.0;
    simulation.step(false);
    simulation.network.loss = 0.0;
    assert!(simulation.wrong() > 0, "the lost update must have carried something");
    let ticks = simulation.ticks_to_converge(30);
    assert!(ticks.is_some_and(|ticks| ticks < 15), "{ticks:?}");
    let updates = simulation.updates;
    for _ in 0..50 {
        simulation.step(true);
    }
    assert_eq!(
        simulation.updates, updates,
        "where nothing changes and nothing is unanswered, nothing is sent"
    );
}

/// B9: what holds for three seeds holds for others, other losses, other radii and smaller views.
#[test]
fn whatever_the_network_and_the_bounds_all_views_converge() {
    let config = ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(
        seed: u64, loss in 0.0f32..0.5, duplicated in 0.0f32..0.3, delay in 0u64..4, jitter in 0u64..6,
        entities_max in 1usize..80, shake_m in 0.0f32..30.0, hold_max in 0usize..3_000, pulse: bool,
    )| {
        let plan = WorldPlan {
            seed, entities: 150, edge_m: 160.0, shake_m, hold_max, pulse, rebirth: 0.01, structure_change: 0.01,
            field_change: 0.1, ..WorldPlan::default()
        };
        let network = Network { loss, duplicated, delay, jitter };
        let mut simulation = Simulation::new(plan, 8, ViewSettings { entities_max, ..SETTINGS }, network);
        for _ in 0..60 {
            simulation.step(false);
        }
        simulation.network.loss = loss.min(0.2);
        prop_assert!(simulation.ticks_to_converge(250).is_some(), "{} of 8 clients are wrong", simulation.wrong());
    });
}
