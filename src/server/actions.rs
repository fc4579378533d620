//! What became of the world's actions.

use crate::action::Pace;
use crate::action::tally::ActionTallies;
use crate::telemetry::ActionSummary;

use super::Server;

/// What became of actions since the start: of every kind that the game has, in order of registration.
#[must_use]
pub fn action_summaries(server: &Server) -> Vec<ActionSummary> {
    let tallies = server.node().resource::<ActionTallies>().all();
    let kinds = server.game().actions.iter().enumerate();
    kinds
        .map(|(index, kind)| ActionSummary {
            action: kind.name(),
            scope: kind.scope().name(),
            latest_wins: kind.pace() == Pace::Continuous,
            outcomes: tallies.get(index).copied().unwrap_or_default().outcomes(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;
    use crate::telemetry::Metrics;
    use crate::telemetry::metrics::tests::parse;
    use crate::testing::TestWorld;

    #[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
    struct Bell {
        #[sync(broadcast)]
        rung: u32,
    }

    #[derive(Clone, Copy, Serialize, Deserialize, Action)]
    #[action(scope = self, caller = player, reply = (), rate = 1, burst = 3, coalesce = none, durability = memory)]
    struct Ring {
        hard: bool,
    }

    #[derive(Clone, Copy, Serialize, Deserialize, Action)]
    #[action(scope = group, caller = player, reply = (), rate = 1, burst = 5, coalesce = newest, durability = memory)]
    struct Chime;

    #[derive(Clone, Copy, Serialize, Deserialize, Action)]
    #[action(scope = global, caller = gm, reply = (), rate = 1, burst = 5, coalesce = none, durability = memory)]
    struct Alarm;

    #[derive(Clone, Copy, Serialize, Deserialize, Action)]
    #[action(scope = self, caller = player, latest_wins)]
    struct Swing;

    struct Bells;
    impl Plugin for Bells {
        fn build(&self, app: &mut App) {
            app.replicate::<Bell>()
                .add_own_action::<Ring, Bell>(
                    |ring, _, _| {
                        if ring.hard { Err("it would crack".into()) } else { Ok(()) }
                    },
                )
                .add_group_action::<Chime, Bell>(|_, _, _| Ok(()))
                .add_global_action::<Alarm>(|_, _| Ok(()))
                .add_own_action::<Swing, Bell>(|_, _, _| Ok(()));
        }
    }

    /// C3, C6: every kind, scope and outcome has a series of its own from the start, and they tell what was answered.
    #[test]
    fn metrics_tell_what_became_of_actions_by_kind_and_scope() {
        let game = ServerBuilder::default().add_cell_plugins(Bells);
        let game = game.avatars(|_| SpawnRequest::new(NetId::WORLD, Vec3::splat(5.0), Bell::default()));
        let mut world = TestWorld::new(game, WorldSettings::default());
        let metrics = Metrics::new();
        let told = |world: &TestWorld| {
            metrics.record_actions(&action_summaries(world.server()));
            parse(&metrics.encode())
        };
        let of = |samples: &[(String, f64)], labels: &str| {
            let key = format!("terrane_actions_total{{{labels}}}");
            samples.iter().find(|(name, _)| *name == key).unwrap_or_else(|| panic!("no {key}: {samples:?}")).1
        };
        let before = told(&world);
        let series = before.iter().filter(|(name, _)| name.starts_with("terrane_actions_total{"));
        assert_eq!(series.map(|(_, value)| *value).collect::<Vec<_>>(), [0.0; 4 * 6]);
        assert!(before.contains(&("terrane_actions_local_ratio".into(), 1.0)), "nothing has gone too far");

        let [alice, master] = [world.connect("alice"), world.connect_as("master", Role::Gm)];
        world.run(5);
        for hard in [false, true, false, false, false] {
            world[alice].act(&Ring { hard }).expect("it is sent");
        }
        for _ in 0..3 {
            world[alice].act(&Chime).expect("it is sent");
        }
        world[alice].act(&Alarm).expect("it is sent");
        world[master].act(&Alarm).expect("it is sent");
        world[alice].want(&Swing).expect("it is sent");
        world.run(10);
        let after = told(&world);
        let ring =
            |outcome: &str| of(&after, &format!("action=\"Ring\",scope=\"self\",outcome=\"{outcome}\""));
        assert_eq!(
            ["done", "refused", "limited", "denied"].map(ring),
            [2.0, 1.0, 2.0, 0.0],
            "three at once, one of them too hard"
        );
        let chime =
            |outcome: &str| of(&after, &format!("action=\"Chime\",scope=\"group\",outcome=\"{outcome}\""));
        assert_eq!(["done", "superseded"].map(chime), [1.0, 2.0]);
        let alarm =
            |outcome: &str| of(&after, &format!("action=\"Alarm\",scope=\"global\",outcome=\"{outcome}\""));
        assert_eq!(["done", "denied"].map(alarm), [1.0, 1.0]);
        assert!(of(&after, "action=\"Swing\",scope=\"self\",outcome=\"done\"") > 0.0);
        // Of five that ran one was for everybody.
        let ratio =
            after.iter().find(|(name, _)| name == "terrane_actions_local_ratio").expect("it is there");
        assert!((ratio.1 - 0.8).abs() < 1e-9, "{ratio:?}");
        assert_eq!(told(&world), after, "totals are not added up twice");
    }
}
