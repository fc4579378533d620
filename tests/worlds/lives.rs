//! Names are given once, and every birth that was asked for happens.

use std::collections::BTreeSet;

use terrane::ids::{ConnectionId, PlayerId};
use terrane::prelude::*;
use terrane::server::io::Join;
use terrane::server::{Server, TickInput, TickReport};

/// Shoots in ticks 3 and 6; what it shot first dies in the tick that it was told.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Archer {
    #[sync(server_only)]
    arrow_dies_at: u64,
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Arrow {
    #[sync(server_only)]
    dies_at: u64,
}

fn shoot(context: Res<TickContext>, archers: Query<(&NetId, &Position, &Archer)>, mut world: WorldRequests) {
    for (&me, place, archer) in &archers {
        match context.tick.0 {
            3 => world.spawn(me, place.0, Arrow { dies_at: archer.arrow_dies_at }),
            6 => world.spawn(me, place.0, Arrow { dies_at: u64::MAX }),
            _ => {}
        }
    }
}

fn fall(context: Res<TickContext>, arrows: Query<(Entity, &Arrow)>, mut commands: Commands) {
    for (entity, _) in arrows.iter().filter(|(_, arrow)| arrow.dies_at == context.tick.0) {
        commands.entity(entity).despawn();
    }
}

struct Archery;

impl Plugin for Archery {
    fn build(&self, app: &mut App) {
        app.replicate::<Archer>().replicate::<Arrow>().add_systems(Simulate, (shoot, fall).chain());
    }
}

fn tick(server: &mut Server, edit: impl FnOnce(&mut TickInput)) -> TickReport {
    let tick = server.next_tick();
    let mut input = TickInput { tick, now_ms: tick.0 * 50, ..TickInput::default() };
    edit(&mut input);
    server.tick(input).report
}

/// A2, C5: a player who leaves with an arrow on the string: the arrow is born all the same, under a name of its own,
/// whether the player's first arrow still flies or has fallen.
#[test]
fn what_a_leaving_player_has_asked_for_is_born_under_a_name_that_nobody_had() {
    for arrow_dies_at in [5, u64::MAX] {
        let mut server = ServerBuilder::default()
            .add_cell_plugins(Archery)
            .avatars(move |_| SpawnRequest::new(NetId::WORLD, Vec3::splat(5.0), Archer { arrow_dies_at }))
            .build(WorldSettings::default(), None)
            .expect("the game is sound");
        let mut names = BTreeSet::new();
        for number in 1..=10 {
            let report = tick(&mut server, |input| match number {
                1 => {
                    let player = PlayerId::new("alice").expect("a name");
                    input.joins.push(Join::anew(ConnectionId(1), player));
                }
                7 => input.leaves.push(ConnectionId(1)),
                _ => {}
            });
            for &name in &server.node().resource::<LifeEvents>().born {
                assert!(names.insert(name), "tick {number}: the name {name} is given twice");
            }
            assert!(report.counters.contains(&("name_collisions", 0)), "tick {number}: a birth was refused");
        }
        assert_eq!(names.len(), 3, "the avatar and two arrows were born");
        let births = &server.node().resource::<terrane::cell::partition::Births>().spawned;
        assert!(births.keys().eq([&NetId::WORLD]), "nothing is kept of spawners that are gone: {births:?}");
    }
}
