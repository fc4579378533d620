//! What is known of a player changes, and what is always in its view comes and goes.

use std::cell::Cell;
use std::collections::BTreeSet;

use terrane::prelude::*;
use terrane::replication::policy::{ComponentRule, Permissions};
use terrane::session::Sessions;
use terrane::testing::{ClientId, TestWorld};

const SCOUTED: FactKey = FactKey(1);
const TICKS: FactKey = FactKey(2);

std::thread_local! {
    /// How often a policy was asked in this test, whose world runs on its own thread.
    static ASKED: Cell<u32> = const { Cell::new(0) };
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Sign {
    #[sync(broadcast)]
    number: u32,
    #[sync(custom = for_masters)]
    secret: u32,
    #[sync(custom = for_scouts)]
    way: u32,
    #[sync(custom = for_the_permitted)]
    key: u32,
}

fn for_masters(viewing: &Viewing) -> bool {
    viewing.viewer.role() >= Role::Gm
}

fn for_scouts(viewing: &Viewing) -> bool {
    ASKED.set(ASKED.get() + 1);
    viewing.viewer.fact(SCOUTED).is_some()
}

fn for_the_permitted(viewing: &Viewing) -> bool {
    viewing.viewer.has_permission(Permissions(1))
}

/// A boss by the number of the tick in which it pins itself, is pinned again, is let go, and dies.
#[derive(Component, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Boss {
    of: Option<PlayerId>,
    dies_with_a_pin: bool,
}

struct Signs;
impl Plugin for Signs {
    fn build(&self, app: &mut App) {
        app.replicate::<Sign>().server_only::<Boss>().add_systems(Simulate, bosses);
    }
}

fn bosses(
    context: Res<TickContext>,
    all: Query<(Entity, &NetId, &Boss)>,
    mut world: WorldRequests,
    mut commands: Commands,
) {
    for (entity, &me, boss) in &all {
        let of = boss.of.clone().map_or(PinnedFor::All, PinnedFor::Player);
        match context.tick.0 {
            10 | 20 => world.pin(me, me, of),
            30 | 40 => world.unpin(me, me, of),
            50 | 51 => world.pin(me, me, of),
            60 => {
                if boss.dies_with_a_pin {
                    world.pin(me, me, of);
                }
                commands.entity(entity).despawn();
            }
            _ => {}
        }
    }
}

fn game() -> ServerBuilder {
    ServerBuilder::default().add_cell_plugins(Signs).avatars(|_| {
        let sign = Sign { number: 1, secret: 2, way: 3, key: 4 };
        SpawnRequest::new(NetId::WORLD, Vec3::new(20.0, 20.0, 0.0), sign)
    })
}

fn numbers_seen(world: &TestWorld, client: ClientId) -> BTreeSet<u32> {
    let schema = &world.server().game().schema;
    let signs = world[client].view().entities().filter_map(|entity| entity.component::<Sign>(schema));
    signs.map(|sign| sign.number).collect()
}

/// B13: a boss keeps itself in views wherever it is, for as many reasons as it gives, and not beyond its death.
#[test]
fn a_boss_pins_itself_until_it_lets_go_or_dies() {
    for grid in [[1, 1], [5, 5]] {
        let game = game().populate(|world| {
            let bob = PlayerId::new("bob").expect("a name");
            for (number, of, dies_with_a_pin) in
                [(10, None, false), (11, Some(bob.clone()), false), (12, None, true)]
            {
                let place = Vec3::new(900.0, 900.0, 0.0);
                let boss = (Sign { number, ..Sign::default() }, Boss { of, dies_with_a_pin });
                world.spawn(SpawnRequest::new(NetId::WORLD, place, boss));
            }
        });
        let mut world = TestWorld::new(game, WorldSettings { grid, ..WorldSettings::default() });
        let [alice, bob] = ["alice", "bob"].map(|name| world.connect(name));
        for tick in 1..80 {
            world.tick();
            if tick < 5 {
                continue;
            }
            // Asked in a tick, it is in the update of the next; 40 takes back the second of two reasons.
            let pinned = (11..41).contains(&tick) || (51..60).contains(&tick);
            let of = |own: &[u32]| -> BTreeSet<u32> {
                [1].into_iter().chain(own.iter().copied().filter(|_| pinned)).collect()
            };
            assert_eq!(numbers_seen(&world, alice), of(&[10, 12]), "tick {tick}");
            assert_eq!(numbers_seen(&world, bob), of(&[10, 11, 12]), "tick {tick}");
        }
        let sessions = world.server().node().resource::<Sessions>();
        assert!(sessions.pinned_for_all.is_empty(), "nobody is kept in view who is dead");
        assert!(sessions.iter().all(|session| session.pinned.is_empty()));
    }
}

fn own_sign(world: &TestWorld, client: ClientId) -> Sign {
    let avatar = world[client].avatar().expect("it is in");
    world.component(client, avatar).expect("it sees itself")
}

fn with_context(world: &mut TestWorld, change: impl Fn(&mut ViewerContext)) {
    let mut sessions = world.server_mut().node_mut().resource_mut::<Sessions>();
    sessions.iter_mut().for_each(|session| change(&mut session.context));
}

/// B12: a context that is put back as it was takes back what was granted meanwhile, as if each had been set.
#[test]
fn a_context_that_is_replaced_as_a_whole_loses_no_change() {
    let mut world = TestWorld::new(game(), WorldSettings::default());
    let alice = world.connect("alice");
    world.run(5);
    let stored = {
        let sessions = world.server().node().resource::<Sessions>();
        sessions.iter().next().expect("alice").context.clone()
    };
    with_context(&mut world, |context| {
        context.set_role(Role::Gm);
        context.set_fact(SCOUTED, Some(1));
        context.set_permissions(Permissions(1));
    });
    world.run(2);
    assert_eq!(own_sign(&world, alice), Sign { number: 1, secret: 2, way: 3, key: 4 });
    with_context(&mut world, |context| *context = stored.clone());
    world.run(2);
    assert_eq!(own_sign(&world, alice), Sign { number: 1, ..Sign::default() }, "what was revoked is hidden");

    // One of somebody else's: she has the rights that it gives, and is herself all the same.
    let mut of_bob = ViewerContext::new(PlayerId::new("bob").expect("a name"), Role::Gm);
    of_bob.set_fact(SCOUTED, Some(1));
    with_context(&mut world, |context| *context = of_bob.clone());
    world.run(2);
    assert_eq!(own_sign(&world, alice), Sign { number: 1, secret: 2, way: 3, key: 0 });
    let sessions = world.server().node().resource::<Sessions>();
    assert_eq!(sessions.iter().next().expect("alice").context.player().as_str(), "alice");
}

/// B12: what a policy did not ask about may tick as it likes.
#[test]
fn a_fact_that_ticks_does_not_ask_policies_about_another() {
    let mut world = TestWorld::new(game(), WorldSettings { audit_every: None, ..WorldSettings::default() });
    let alice = world.connect("alice");
    world.run(8);
    let before = ASKED.get();
    for tick in 0..20 {
        with_context(&mut world, |context| context.set_fact(TICKS, Some(tick)));
        world.tick();
    }
    assert_eq!(ASKED.get(), before);
    with_context(&mut world, |context| context.set_fact(SCOUTED, Some(1)));
    world.run(2);
    assert!(ASKED.get() > before);
    assert_eq!(own_sign(&world, alice).way, 3);
}

/// What nobody registered would hide nothing.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Unheard {
    #[sync(broadcast)]
    number: u32,
}

/// B7: an override of what the game does not know is told at once, and counted where it does not stop the world.
#[test]
fn an_override_of_what_is_not_registered_is_loud() {
    let game = || {
        game().populate(|world| {
            let mut subject = Subject::default();
            subject.override_component::<Unheard>(Some(ComponentRule::Nobody));
            world.spawn(SpawnRequest::new(
                NetId::WORLD,
                Vec3::new(9.0, 9.0, 0.0),
                (Sign::default(), subject),
            ));
        })
    };
    let settings = WorldSettings { check_invariants: false, ..WorldSettings::default() };
    let mut world = TestWorld::new(game(), settings.clone());
    let report = world.run(3).report;
    let counted =
        report.counters.iter().find(|(name, _)| *name == "overrides_unknown").expect("it is counted");
    assert_eq!(counted.1, 1);

    let image = world.image();
    let refused =
        game().build(settings.clone(), Some(&image)).expect_err("what it hid would be shown").to_string();
    assert!(
        refused.contains("overrides the policy of `Unheard`, which this game does not register"),
        "{refused}"
    );

    let settings = WorldSettings { check_invariants: true, ..settings };
    let mut world = TestWorld::new(game(), settings);
    let panic =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.run(3))).expect_err("it is a fault");
    let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(text.contains("overrides the policy of `Unheard`"), "{text}");
}
