//! Less than everything at once: distance tiers, and bytes per player.

use super::simulation::{Network, SETTINGS, Simulation};
use super::world::WorldPlan;
use crate::replication::ViewSettings;
use crate::replication::rule::{Tier, Tiers};
use crate::space::LatticePoint;

fn tiers(tiers: &[(f32, u32)]) -> ViewSettings {
    let tiers: Vec<Tier> = tiers.iter().map(|&(beyond_m, every)| Tier { beyond_m, every }).collect();
    ViewSettings { tiers: Tiers::new(&tiers).expect("they ascend"), ..SETTINGS }
}

/// Well within the first tier of every case: who has just come nearer may still wait for the turn of the farther.
const NEAR_M: f32 = 10.0;

/// For how many ticks each held entity's place at a client has been another than its own, by distance: the longest.
fn oldest_place(
    simulation: &Simulation,
    ages: &mut std::collections::BTreeMap<(usize, u64), u32>,
) -> [u32; 2] {
    let mut oldest = [0; 2];
    for (index, session) in simulation.sessions.iter().enumerate() {
        let eye = simulation.world.creatures[index].place;
        for creature in &simulation.world.creatures {
            let Some(held) = session.mirror.get(creature.net_id) else { continue };
            let age = ages.entry((index, creature.net_id.0)).or_default();
            *age = if held.lattice() == LatticePoint::of(creature.place) { 0 } else { *age + 1 };
            let far = usize::from(creature.place.distance(eye) > NEAR_M);
            oldest[far] = oldest[far].max(*age);
        }
    }
    oldest
}

/// A10: what is far is told every few ticks, in fewer bytes; nothing near waits, nothing far waits longer than its turn, and
/// what stops is right after that many ticks.
#[test]
fn what_is_far_is_told_in_turns_and_is_right_once_it_stops() {
    let plan = WorldPlan { entities: 400, edge_m: 200.0, ..WorldPlan::default() };
    let mut bytes = Vec::new();
    for settings in [SETTINGS, tiers(&[(25.0, 4)]), tiers(&[(15.0, 2), (25.0, 4), (40.0, 8)])] {
        let mut simulation = Simulation::new(plan, 12, settings, Network::default());
        for _ in 0..20 {
            simulation.step(false);
        }
        let (before, mut ages, mut oldest) = (simulation.bytes, Default::default(), [0; 2]);
        for _ in 0..100 {
            simulation.step(false);
            let now = oldest_place(&simulation, &mut ages);
            oldest = [oldest[0].max(now[0]), oldest[1].max(now[1])];
        }
        bytes.push(simulation.bytes - before);
        let every = [settings.tiers.every(NEAR_M * NEAR_M), settings.tiers.every(50.0 * 50.0)];
        // Two more: an update that is full with those who enter leaves somebody for the next.
        for (oldest, every) in oldest.into_iter().zip(every) {
            assert!(oldest < every + 2, "{oldest} ticks where {every} are allowed");
        }
        for _ in 0..every[1] + 2 {
            simulation.step(true);
        }
        simulation.assert_equal();
    }
    assert!(bytes[1] * 10 < bytes[0] * 8 && bytes[2] < bytes[1], "tiers save bytes: {bytes:?}");
}

/// A10: no player is sent more than its bytes on average; what does not fit waits by priority, nothing starves, and all is
/// right once it stops, with loss too.
#[test]
fn a_budget_of_bytes_is_kept_and_nothing_starves() {
    let plan = WorldPlan { entities: 300, edge_m: 80.0, field_change: 0.1, ..WorldPlan::default() };
    for (budget, loss) in [(900, 0.0), (400, 0.0), (400, 0.05)] {
        let settings = ViewSettings { bytes_per_tick: Some(budget), ..SETTINGS };
        let network = Network { loss, delay: 1, ..Network::default() };
        let mut simulation = Simulation::new(plan, 6, settings, network);
        // The first view may use what was saved up.
        for _ in 0..100 {
            simulation.step(false);
        }
        let (before, mut oldest) = (simulation.bytes, 0);
        for _ in 0..200 {
            simulation.step(false);
            let ages = simulation.sessions.iter().map(|session| session.view.oldest_pending_ticks());
            oldest = oldest.max(ages.max().expect("six"));
        }
        let mean = (simulation.bytes - before) / (200 * 6);
        assert!(
            mean <= u64::from(budget) && mean > u64::from(budget) * 8 / 10,
            "{mean} of {budget} bytes a tick"
        );
        assert!((2..=150).contains(&oldest), "{budget} bytes: someone waited for {oldest} ticks");
        assert!(simulation.ticks_to_converge(300).is_some());
    }
}

#[test]
fn tiers_that_make_no_sense_are_none() {
    let tier = |beyond_m, every| Tier { beyond_m, every };
    assert!(Tiers::new(&[]).expect("none is fine").is_empty());
    for wrong in [
        vec![tier(20.0, 2), tier(10.0, 4)],
        vec![tier(10.0, 4), tier(20.0, 2)],
        vec![tier(10.0, 0)],
        vec![tier(-1.0, 2)],
        vec![tier(f32::NAN, 2)],
        vec![tier(1.0, 1), tier(2.0, 1), tier(3.0, 1), tier(4.0, 1), tier(5.0, 1)],
    ] {
        assert_eq!(Tiers::new(&wrong), None, "{wrong:?}");
    }
}
