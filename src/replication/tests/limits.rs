//! Hard caps: entities, bytes, ages.

use glam::Vec3;

use super::simulation::{Network, SETTINGS, Simulation};
use super::world::{CARGO_BIT, WorldPlan};
use crate::replication::ViewSettings;
use crate::replication::audit::audit_view;
use crate::replication::field::ABSENT;
use crate::replication::mask::FIELD_FIRST;
use crate::replication::wire::ROW_BYTES_MAX;

/// A10: the cap keeps the same entities as the oracle, with hysteresis, in every tick of a crowd.
#[test]
fn a_full_view_holds_exactly_those_whom_the_oracle_keeps() {
    let settings = ViewSettings { entities_max: 30, ..SETTINGS };
    let plan = WorldPlan { entities: 300, edge_m: 150.0, shake_m: 6.0, ..WorldPlan::default() };
    let mut simulation = Simulation::new(plan, 25, settings, Network::default());
    let (mut over, mut full) = (0, 0);
    for _ in 0..150 {
        simulation.step(false);
        simulation.assert_equal();
        for (index, session) in simulation.sessions.iter().enumerate() {
            let audit = audit_view(&session.view, &simulation.world.rows, &session.expected, 0);
            assert!(audit.passed(), "client {index}: {audit:?}");
            assert!(session.view.len() <= 30);
            let avatar = simulation.world.creatures[index].net_id;
            assert!(session.mirror.get(avatar).is_some(), "the own avatar is always kept");
            over += session.membership.over_the_cap;
            full += usize::from(session.view.len() == 30);
        }
    }
    assert!(over > 10_000 && full > 2_000, "the crowd must be denser than the cap");
}

/// A10: with a crowd beyond the byte budget nobody waits long, whatever the class and the distance, and all
/// views are right when it stops.
#[test]
fn in_a_crowd_over_the_budget_every_wait_is_bounded_and_nothing_is_lost() {
    let settings = ViewSettings { entities_max: 700, ..SETTINGS };
    let plan = WorldPlan {
        entities: 600,
        edge_m: 60.0,
        field_change: 0.4,
        rebirth: 0.002,
        classes: 6,
        hold_max: 100,
        ..WorldPlan::default()
    };
    let network = Network { loss: 0.05, duplicated: 0.0, delay: 1, jitter: 1 };
    let mut simulation = Simulation::new(plan, 6, settings, network);
    let mut oldest = 0;
    for tick in 0..300 {
        simulation.step(false);
        if tick > 150 {
            let ages = simulation.sessions.iter().map(|session| session.view.oldest_pending_ticks());
            oldest = oldest.max(ages.max().unwrap_or(0));
        }
    }
    assert!(simulation.overflows > 1_000, "the crowd must be over the budget");
    assert!((2..=100).contains(&oldest), "someone waited for {oldest} ticks");
    assert!(simulation.ticks_to_converge(200).is_some());
}

/// A10: an entity too large for an update comes separately, and its small changes travel as everybody's.
#[test]
fn a_record_too_large_for_an_update_comes_separately_and_is_changed_in_updates() {
    for (jitter, loss) in [(0, 0.0), (3, 0.3)] {
        let plan = WorldPlan {
            entities: 40,
            edge_m: 60.0,
            field_change: 0.05,
            rebirth: 0.01,
            structure_change: 0.01,
            hold_max: 4_500,
            ..WorldPlan::default()
        };
        let mut simulation =
            Simulation::new(plan, 5, SETTINGS, Network { loss, duplicated: 0.0, delay: 1, jitter });
        for _ in 0..150 {
            simulation.step(false);
        }
        assert!(simulation.separate_records > 50);
        let ticks = simulation.ticks_to_converge(150);
        assert!(ticks.is_some(), "{} of 5 clients are wrong", simulation.wrong());
    }
}

/// Of an entity with more than any message may carry the fields that do not fit are left out, counted, and come when they
/// fit.
#[test]
fn what_no_message_can_carry_is_left_out_and_counted_until_it_fits() {
    let plan = WorldPlan {
        entities: 10,
        edge_m: 30.0,
        rebirth: 0.0,
        structure_change: 0.0,
        field_change: 0.0,
        ..WorldPlan::default()
    };
    let mut simulation = Simulation::new(plan, 2, SETTINGS, Network::default());
    simulation.step(false);
    let large = simulation.world.creatures[5].net_id;
    assert!(simulation.sessions[0].mirror.get(large).is_some());
    let before = simulation.world.creatures[5].clone();
    simulation.world.creatures[5].components |= CARGO_BIT;
    simulation.world.creatures[5].hold = ROW_BYTES_MAX + 1;
    simulation.step(true);
    let truth = &simulation.world.rows.encoded[before.row.index()];
    let hold = FIELD_FIRST + truth.ends.len() as u32 - 1;
    for session in &simulation.sessions {
        let held = session.mirror.get(large).expect("it is seen all the same").encoded();
        assert_eq!(held.field(hold), [ABSENT]);
        assert!((FIELD_FIRST..hold).all(|bit| held.field(bit) == truth.field(bit)), "the others are told");
    }
    assert_eq!(simulation.left_out, 2);
    simulation.world.creatures[5] = before;
    simulation.step(true);
    simulation.assert_equal();
    assert_eq!(simulation.left_out, 2);
}

/// A10: first sync is a few updates a tick, the avatar first, and says when it is complete.
#[test]
fn the_first_view_is_filled_with_the_avatar_first_and_complete_at_its_end() {
    let plan = WorldPlan { entities: 600, edge_m: 80.0, hold_max: 200, ..WorldPlan::default() };
    let mut simulation = Simulation::new(plan, 1, SETTINGS, Network { delay: 20, ..Network::default() });
    let mut ticks = 0;
    loop {
        simulation.step(true);
        ticks += 1;
        if !simulation.sessions[0].view.enters_wait() {
            break;
        }
    }
    assert!((2..20).contains(&ticks), "it took {ticks} ticks");
    let updates = std::mem::take(&mut simulation.sessions[0].updates_in_air);
    let avatar = simulation.world.creatures[0].net_id;
    let mut mirror = crate::client::mirror::Mirror::default();
    let mut complete = Vec::new();
    for (_, bytes) in &updates {
        complete.push(mirror.apply(&simulation.schema, bytes).expect("ours").complete);
        assert!(mirror.get(avatar).is_some(), "the own entity comes first");
    }
    assert!(complete.pop().expect("updates"), "the last one completes the view");
    assert!(!complete.contains(&true), "and no one before it");
    assert_eq!(super::simulation::held_by(&mirror), simulation.wanted(0));
}

/// The cap may be smaller than the crowd of equals: names decide, on both sides alike.
#[test]
fn among_equally_near_entities_the_names_decide() {
    let plan = WorldPlan {
        entities: 60,
        classes: 1,
        rebirth: 0.0,
        structure_change: 0.0,
        field_change: 0.0,
        ..WorldPlan::default()
    };
    let settings = ViewSettings { entities_max: 20, ..SETTINGS };
    let mut simulation = Simulation::new(plan, 3, settings, Network::default());
    for (index, creature) in simulation.world.creatures.iter_mut().enumerate() {
        creature.place = Vec3::new(10.0 + (index % 2) as f32, 10.0, 0.0);
    }
    simulation.world.publish();
    for _ in 0..5 {
        simulation.step(true);
        simulation.assert_equal();
    }
    assert_eq!(simulation.sessions[0].view.len(), 20);
}
