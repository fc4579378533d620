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
    #[action(scope = self, caller = player, reply = (), rate = 1000, burst = 1000, coalesce = none, durability = memory)]
    struct Push;
    fn push(_: &Push, _: &mut Stone, _: &mut OwnContext<'_>) -> Result<(), String> {
        Ok(())
    }
    let refused = refusal(|app| {
        app.replicate::<Stone>().add_own_action::<Push, Stone>(push).add_own_action::<Push, Stone>(push);
    });
    assert_eq!(
        refused,
        "the action Push is registered twice: register each action once, under a name of its own"
    );
}

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
#[sync(server_only)]
struct Secret {
    #[sync(broadcast)]
    number: u32,
}

mod others {
    use super::*;

    /// Named like a component, but another type.
    #[derive(Clone, Debug, Default, PartialEq, Replicate)]
    pub(super) struct Stone {
        #[sync(broadcast)]
        pub(super) weight: u32,
    }

    #[derive(Resource, Clone, Debug, Default, PartialEq, Replicate)]
    pub(super) struct Round {
        #[sync(broadcast)]
        pub(super) number: u64,
    }

    pub(super) mod more {
        use super::*;

        #[derive(Resource, Clone, Debug, Default, PartialEq, Replicate)]
        pub(in super::super) struct Round {
            #[sync(broadcast)]
            pub(in super::super) number: u64,
        }

        #[derive(Resource, Clone, Debug, Default, PartialEq, Replicate)]
        pub(in super::super) struct Stone {
            #[sync(broadcast)]
            pub(in super::super) weight: u32,
        }
    }
}

/// B14: nobody would ever be told.
#[test]
fn an_event_that_is_server_only_is_refused_by_name() {
    let refused = refusal(|app| {
        app.replicate::<Stone>().add_player_event::<Secret>(Delivery::Reliable);
    });
    assert_eq!(
        refused,
        "the player event `Secret` is server_only, so nobody would ever be told: take #[sync(server_only)] off the \
         type, or do not send it"
    );
}

/// Overrides, saves and both ends of a connection know types by their names.
#[test]
fn two_types_of_one_name_are_refused_wherever_they_are_registered() {
    let refused = refusal(|app| {
        app.replicate::<Stone>().add_player_event::<others::Stone>(Delivery::Reliable);
    });
    let end = "are called `Stone`: overrides name them by their names, so rename one";
    assert_eq!(refused, format!("a component and another type of player event {end}"));
    assert!(
        build(|app| {
            app.replicate::<Stone>().add_player_event::<Stone>(Delivery::Reliable);
        })
        .is_ok(),
        "a component may be told as an event"
    );
    struct Twice<A, B>(std::marker::PhantomData<fn() -> (A, B)>);
    impl<A, B> Plugin for Twice<A, B>
    where
        A: Resource + Replicate + Default,
        B: Resource + Replicate + Default,
    {
        fn build(&self, app: &mut App) {
            app.replicate_global::<A>().replicate_global::<B>();
        }
    }
    struct Stones;
    impl Plugin for Stones {
        fn build(&self, app: &mut App) {
            app.replicate::<Stone>();
        }
    }
    let refused = |plugin: fn(&mut App)| {
        let game = ServerBuilder::default().add_cell_plugins(Stones).add_plugins(plugin);
        game.build(settings(), None).map(|_| ()).map_err(|error| error.to_string())
    };
    let twice = |name: &str| {
        Err(format!(
            "node-wide state and another type are both called `{name}`: both ends and saves know them by their names, so \
             rename one"
        ))
    };
    use others::{Round, more};
    fn both<A, B>(app: &mut App)
    where
        A: Resource + Replicate + Default,
        B: Resource + Replicate + Default,
    {
        app.add_plugins(Twice::<A, B>(std::marker::PhantomData));
    }
    assert_eq!(refused(both::<Round, more::Round>), twice("Round"));
    assert_eq!(refused(both::<Round, more::Stone>), twice("Stone"));
    assert_eq!(refused(both::<Round, Round>), Ok(()), "the same again changes nothing");
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
