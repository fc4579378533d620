//! Numbers that are none, from a client that sends them on purpose.

use terrane::prelude::*;
use terrane::protocol::messages::ActionRefusal;
use terrane::testing::TestWorld;

/// What the actions below write to.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Weight {
    #[sync(broadcast)]
    total: f32,
    #[sync(broadcast)]
    lean: f32,
}

/// Adds to the total and tells it.
#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = f32, rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Load {
    by: f32,
    more: Option<f64>,
}

/// Continuous.
#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, latest_wins)]
struct Lean {
    to: f32,
}

struct Scales;

impl Plugin for Scales {
    fn build(&self, app: &mut App) {
        app.replicate::<Weight>()
            .add_own_action::<Load, Weight>(|load, weight, _| {
                weight.total += load.by + load.more.unwrap_or_default() as f32;
                Ok(weight.total)
            })
            .add_own_action::<Lean, Weight>(|lean, weight, _| {
                weight.lean = lean.to;
                Ok(())
            });
    }
}

/// H2: an infinite number, or none at all, in an action of either kind reaches no game system: it is refused,
/// counted and, where there is an answer, answered; the client plays on.
#[test]
fn numbers_that_are_not_finite_are_refused_at_the_seam_and_counted() {
    let game = ServerBuilder::default()
        .add_cell_plugins(Scales)
        .avatars(|_| SpawnRequest::new(NetId::WORLD, Vec3::new(50.0, 50.0, 0.0), Weight::default()));
    let mut world = TestWorld::new(game, WorldSettings::default());
    let alice = world.connect("alice");
    world.run(10);
    let refused = |world: &mut TestWorld| {
        let counters = world.tick().report.counters;
        counters.iter().find(|(name, _)| *name == "actions_refused").expect("it is counted").1
    };
    let before = refused(&mut world);
    let bad = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    for number in bad {
        world[alice].act(&Load { by: number, more: None }).unwrap();
        world[alice].act(&Load { by: 1.0, more: Some(number.into()) }).unwrap();
        world.run(5);
    }
    let acted = refused(&mut world);
    assert_eq!(acted, before + 2 * bad.len() as u64);
    for number in bad {
        world[alice].want(&Lean { to: number }).unwrap();
        world.run(5);
    }
    let wanted = refused(&mut world);
    // A wish is sent with every tick until there is another, and refused as often.
    assert!(wanted >= acted + bad.len() as u64, "{wanted} after {acted}");
    let answers: Vec<_> = world[alice].replies().map(|reply| reply.result).collect();
    assert_eq!(answers.len(), 2 * bad.len(), "every one that is answered is answered once");
    for answer in answers {
        assert!(
            matches!(&answer, Err(ActionRefusal::Malformed(why)) if why.contains("not finite")),
            "{answer:?}"
        );
    }

    world[alice].act(&Load { by: 2.5, more: None }).unwrap();
    world[alice].want(&Lean { to: 0.5 }).unwrap();
    world.run(10);
    let avatar = world[alice].avatar().expect("she is still in");
    let weight = world.component::<Weight>(alice, avatar).expect("she sees herself");
    assert_eq!(weight, Weight { total: 2.5, lean: 0.5 }, "none of the bad numbers has left a trace");
}
