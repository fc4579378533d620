//! What became of actions, by kind and scope, for `/metrics` and the report.

use serde::Serialize;

use crate::action::tally::{ActionTallies, Tally};
use crate::action::{Pace, Scope};
use crate::cell::registration::Game;

/// What became of one kind of action since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ActionSummary {
    /// Its name.
    pub action: &'static str,
    /// Whose data it may reach: `self`, `group` or `global`.
    pub scope: &'static str,
    /// Whether it is continuous input.
    pub latest_wins: bool,
    /// How many ended how.
    #[serde(flatten)]
    pub outcomes: Tally,
}

impl ActionSummary {
    /// Of every kind that a game has, in order of registration.
    #[must_use]
    pub fn of_all(game: &Game, tallies: &ActionTallies) -> Vec<Self> {
        let tally = |index: usize| tallies.all().get(index).copied().unwrap_or_default();
        let kinds = game.actions.iter().enumerate();
        kinds
            .map(|(index, kind)| Self {
                action: kind.name(),
                scope: kind.scope().name(),
                latest_wins: kind.pace() == Pace::Continuous,
                outcomes: tally(index),
            })
            .collect()
    }

    /// Whether anybody has called it.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.outcomes.outcomes().iter().any(|(_, count)| *count > 0)
    }
}

/// Of the actions that handlers have done or refused, the share that could reach no further than a group. Continuous input
/// does not count: there is so much of it that nothing else would. 1 as long as there were none.
#[must_use]
pub fn local_share(summaries: &[ActionSummary]) -> f64 {
    let (mut local, mut all) = (0, 0);
    for summary in summaries.iter().filter(|summary| !summary.latest_wins) {
        let run = summary.outcomes.done + summary.outcomes.refused;
        all += run;
        if summary.scope != Scope::Global.name() {
            local += run;
        }
    }
    if all == 0 { 1.0 } else { local as f64 / all as f64 }
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
    #[action(scope = self, caller = player, reply = (), rate = 1, burst = 3, coalesce = none)]
    struct Ring {
        hard: bool,
    }

    #[derive(Clone, Copy, Serialize, Deserialize, Action)]
    #[action(scope = group, caller = player, reply = (), rate = 1, burst = 5, coalesce = newest)]
    struct Chime;

    #[derive(Clone, Copy, Serialize, Deserialize, Action)]
    #[action(scope = global, caller = gm, reply = (), rate = 1, burst = 5, coalesce = none)]
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
            let tallies = world.server().node().resource::<ActionTallies>();
            metrics.record_actions(&ActionSummary::of_all(world.server().game(), tallies));
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
