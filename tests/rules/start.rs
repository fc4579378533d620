//! Told at start.

use super::*;

#[test]
fn a_system_in_another_schedule_is_refused_by_name() {
    let refused = refusal(|app| {
        app.add_systems(Elsewhere, || {});
    });
    assert_eq!(
        refused,
        "a cell plugin adds systems to the schedule Elsewhere, which never runs in a cell: add them to `Simulate`"
    );
}

#[test]
fn a_resource_of_a_cells_own_is_refused_by_name() {
    let refused = refusal(|app| {
        app.init_resource::<Stray>();
    });
    assert_eq!(
        refused,
        "a cell plugin inserts the resource rules::Stray, which would be another in every cell: give shared data as \
         `publish`, reset per-tick data with `scratch`, and keep everything else in components"
    );
    assert!(
        build(|app| {
            app.scratch::<Tally>().scratch::<Tally>();
        })
        .is_ok(),
        "a declared one is fine"
    );
}

#[test]
fn a_component_or_an_action_registered_twice_is_refused_by_name() {
    let refused = refusal(|app| {
        app.replicate::<Stone>().cell_local::<Stone>();
    });
    let end = "is registered twice: register each component once, with one reach";
    assert_eq!(refused, format!("the component rules::Stone {end}"));
    let refused = refusal(|app| {
        app.replicate::<Stone>().replicate::<Stone>();
    });
    assert_eq!(refused, format!("the component Stone {end}"));

    #[derive(Serialize, Deserialize, Action)]
    #[action(scope = self, caller = player, reply = ())]
    struct Push;
    fn push(_: &Push, _: &mut Stone, _: &mut ActionContext<'_>) -> Result<(), String> {
        Ok(())
    }
    let refused = refusal(|app| {
        app.replicate::<Stone>().add_action::<Push, Stone>(push).add_action::<Push, Stone>(push);
    });
    assert_eq!(
        refused,
        "the action Push is registered twice: register each action once, under a name of its own"
    );
}

#[test]
fn data_that_nobody_publishes_is_refused_by_name() {
    let refused = refusal(|app| {
        app.read_published::<Tables>();
    });
    assert_eq!(
        refused,
        "a cell plugin reads Published<rules::Tables>, which nobody publishes: call `publish` on the server"
    );
}

/// A2: also within a cell, two systems that write the same data in no order are refused before the first tick.
#[test]
fn ambiguous_systems_of_a_cell_are_refused_by_name() {
    fn heavier(mut stones: Query<&mut Stone>) {
        stones.iter_mut().for_each(|mut stone| stone.weight += 1);
    }
    fn lighter(mut stones: Query<&mut Stone>) {
        stones.iter_mut().for_each(|mut stone| stone.weight /= 2);
    }
    let refused = refusal(|app| {
        app.replicate::<Stone>().add_systems(Simulate, (heavier, lighter));
    });
    assert!(refused.starts_with("the cells' systems cannot be scheduled: "), "{refused}");
    assert!(refused.contains("heavier") && refused.contains("lighter"), "{refused}");
    assert!(
        build(|app| {
            app.replicate::<Stone>().add_systems(Simulate, (heavier, lighter).chain());
        })
        .is_ok()
    );
}

/// A3: a margin in which a viewer might need another cell is refused, with both figures.
#[test]
fn a_ghost_margin_that_is_too_small_is_refused() {
    let small = WorldSettings { ghost_margin_m: 14.0, ..settings() };
    let refused = ServerBuilder::default().build(small, None).expect_err("14 < 12 + 1 + 2").to_string();
    assert_eq!(
        refused,
        "the ghost margin is 14 m, but 15 m are needed (leave radius + longest step + reach of attachments): raise \
         `ghost_margin_m` or lower one of them"
    );
}
