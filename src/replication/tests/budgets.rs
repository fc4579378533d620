//! Less than everything at once: distance tiers, bytes per player, and what is urgent.

use std::collections::BTreeMap;

use super::simulation::{Network, SETTINGS, Simulation};
use super::world::WorldPlan;
use crate::limits::URGENCY_PRIORITY_MAX;
use crate::replication::layouts::FieldKey;
use crate::replication::rule::{Tier, Tiers};
use crate::replication::{Urgency, ViewSettings};
use crate::space::LatticePoint;

fn tiers(tiers: &[(f32, u32)]) -> ViewSettings {
    let tiers: Vec<Tier> = tiers.iter().map(|&(beyond_m, every)| Tier { beyond_m, every }).collect();
    ViewSettings { tiers: Tiers::new(&tiers).expect("they ascend"), ..SETTINGS }
}

/// Well within the first tier of every case: who has just come nearer may still wait for the turn of the farther.
const NEAR_M: f32 = 10.0;

/// For how many ticks each held entity's place at a client has been another than its own, by distance: the longest.
fn oldest_place(simulation: &Simulation, ages: &mut BTreeMap<(usize, u64), u32>) -> [u32; 2] {
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

/// For how many ticks what each client holds of each cargo has not been what it is: the longest, and all together.
fn age_of_cargo(simulation: &Simulation, ages: &mut BTreeMap<(usize, u64), u32>) -> (u32, u64) {
    let (mut oldest, mut all) = (0, 0);
    let rows = &simulation.world.rows;
    let cargo = rows.schema().component("Cargo").expect("it is registered");
    for (index, session) in simulation.sessions.iter().enumerate() {
        for creature in &simulation.world.creatures {
            let truth = &rows.encoded[creature.row.index()];
            let held =
                session.mirror.get(creature.net_id).filter(|held| held.components() == truth.components);
            let key = FieldKey { component: cargo as u8, field: 0 };
            let (Some(held), Some(bit)) = (held, rows.layout(creature.row).bit_of(key)) else {
                ages.remove(&(index, creature.net_id.0));
                continue;
            };
            let age = ages.entry((index, creature.net_id.0)).or_default();
            *age = if held.encoded().field(bit) == truth.field(bit) { 0 } else { *age + 1 };
            oldest = oldest.max(*age);
            all += u64::from(*age);
        }
    }
    (oldest, all)
}

/// What 150 ticks of a world give: the oldest cargo, all ages of cargo together, the mean of bytes per player and tick, and
/// how often a cargo was overdue.
fn cargo_in(plan: WorldPlan, settings: ViewSettings) -> (u32, u64, u64, u64) {
    let mut simulation = Simulation::new(plan, 8, settings, Network::default());
    for _ in 0..60 {
        simulation.step(false);
    }
    let (before, mut ages) = (simulation.bytes, BTreeMap::new());
    let (mut oldest, mut all, mut overdue) = (0, 0, 0);
    for _ in 0..150 {
        simulation.step(false);
        let (now, together) = age_of_cargo(&simulation, &mut ages);
        (oldest, all) = (oldest.max(now), all + together);
        overdue += simulation.sessions.iter().map(|it| u64::from(it.membership.overdue)).sum::<u64>();
    }
    let mean = (simulation.bytes - before) / (150 * 8);
    assert!(simulation.ticks_to_converge(400).is_some(), "all is told in the end");
    (oldest, all, mean, overdue)
}

/// Everybody is in everybody's view, all the time.
const CROWDED: WorldPlan = WorldPlan {
    seed: 5,
    entities: 250,
    edge_m: 34.0,
    field_change: 0.06,
    structure_change: 0.0,
    rebirth: 0.0,
    shake_m: 0.0,
    hold_max: 8,
    classes: 1,
    pulse: false,
    cargo: Urgency::USUAL,
};

/// A10: a component's maximum staleness holds however far the entity is, and what has none keeps its turns.
#[test]
fn what_may_not_get_stale_is_told_out_of_turn() {
    let plan = WorldPlan { entities: 200, edge_m: 90.0, ..CROWDED };
    let settings = tiers(&[(1.0, 20)]);
    let (oldest, all, usual_bytes, overdue) = cargo_in(plan, settings);
    assert!(oldest > 12 && overdue == 0, "without a bound it waits for its turn, {oldest} ticks");
    let bound = Urgency::new(1, Some(3));
    let (oldest, sooner, bytes, overdue) = cargo_in(WorldPlan { cargo: bound, ..plan }, settings);
    assert!(oldest <= 3 && overdue == 0, "{oldest} ticks where 3 are allowed, {overdue} overdue");
    assert!(sooner * 2 < all, "{sooner} ticks of age, {all} without a bound");
    assert!(bytes > usual_bytes && bytes < usual_bytes * 3, "{bytes} bytes, {usual_bytes} without a bound");
}

/// A10: with few bytes per player, what may not get stale goes first, in small updates if need be; the rest waits but comes,
/// the budget is kept, and what is late all the same is counted.
#[test]
fn what_may_not_get_stale_goes_first_where_bytes_are_few() {
    let settings = ViewSettings { bytes_per_tick: Some(400), ..SETTINGS };
    let (usual, ..) = cargo_in(CROWDED, settings);
    let bound = Urgency::new(1, Some(4));
    let (oldest, _, mean, overdue) = cargo_in(WorldPlan { cargo: bound, ..CROWDED }, settings);
    assert!(usual > 8, "without a bound it waits for {usual} ticks");
    assert!(oldest <= 4 && overdue == 0, "{oldest} ticks where 4 are allowed, {overdue} overdue");
    // What was saved up before comes on top.
    assert!(mean <= 400 + 8, "{mean} of 400 bytes a tick");

    let wanting = WorldPlan { cargo: Urgency::new(1, Some(1)), field_change: 1.0, ..CROWDED };
    let (oldest, _, mean, overdue) = cargo_in(wanting, settings);
    assert!(oldest > 1 && overdue > 0 && mean <= 400 + 8, "{oldest} ticks, {overdue} overdue, {mean} bytes");
}

/// A10: what has priority waits less, and nothing starves for it.
#[test]
fn what_has_priority_comes_to_its_turn_sooner() {
    let settings = ViewSettings { bytes_per_tick: Some(400), ..SETTINGS };
    let (_, usual, ..) = cargo_in(CROWDED, settings);
    let cargo = Urgency::new(URGENCY_PRIORITY_MAX, None);
    let (_, all, mean, overdue) = cargo_in(WorldPlan { cargo, ..CROWDED }, settings);
    assert!(all * 3 < usual * 2, "{all} ticks of age, {usual} without priority");
    assert!(mean <= 400 + 8 && overdue == 0, "{mean} of 400 bytes a tick");
}
