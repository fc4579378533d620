//! What is asked for in the name of another cell's entity is not done, and ghosts hold nothing that is not copied.

use super::*;

/// Goes with its entity, and nowhere else.
#[derive(Component, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Purse(u32);

/// Stays where it is.
#[derive(Component, Clone, Debug, Default)]
struct Dust;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Greeting;

/// One metre from the border of the south western cell, in the margin of the south eastern one.
const NEAR_THE_BORDER: Vec3 = Vec3::new(49.0, 20.0, 0.0);

fn stone() -> NetId {
    NetId::derive(settings().secret, NetId::WORLD, 1)
}

fn game(check_invariants: bool, add: impl Fn(&mut App) + Send + Sync + 'static) -> Server {
    ServerBuilder::default()
        .add_cell_plugins(Game(move |app: &mut App| {
            app.replicate::<Stone>()
                .server_only::<Purse>()
                .cell_local::<Dust>()
                .add_entity_message::<Greeting>();
            add(app);
        }))
        .populate(|world| {
            world.spawn(SpawnRequest::new(NetId::WORLD, NEAR_THE_BORDER, Stone::default()));
        })
        .build(WorldSettings { check_invariants, ..settings() }, None)
        .expect("nothing is wrong with it at start")
}

/// Adds a system that runs in the third tick alone, once there are ghosts.
fn in_tick_three<M>(
    system: impl IntoScheduleConfigs<ScheduleSystem, M> + Clone + Send + Sync + 'static,
) -> impl Fn(&mut App) + Send + Sync + 'static {
    move |app| {
        app.add_systems(Simulate, system.clone().run_if(|context: Res<TickContext>| context.tick.0 == 3));
    }
}

fn spawn(ghosts: Ghosts<&NetId>, mut world: WorldRequests) {
    ghosts.iter().for_each(|&ghost| world.spawn(ghost, SOUTH_WEST, Stone::default()));
}

fn teleport(ghosts: Ghosts<&NetId>, mut world: WorldRequests) {
    ghosts.iter().for_each(|&ghost| world.teleport(ghost, SOUTH_WEST));
}

fn send(ghosts: Ghosts<&NetId>, mut outbox: EntityOutbox<Greeting>) {
    ghosts.iter().for_each(|&ghost| outbox.send(ghost, ghost, Greeting));
}

fn spawn_from_nobody(context: Res<TickContext>, mut world: WorldRequests) {
    if context.area.contains(SOUTH_WEST) {
        world.spawn(NetId::WORLD, SOUTH_WEST, Stone::default());
    }
}

/// C5: the order and the names of what is asked for derive from whom it is asked for, so that must be the cell's own:
/// where invariants are checked another is a fault, named with cell and entity…
#[test]
fn what_is_asked_for_in_anothers_name_is_a_fault_where_invariants_are_checked() {
    let told = |cell: &str, what: &str, whose: NetId| {
        format!(
            "cell {cell}: a game system {what} {whose}, which is not an entity of this cell: ask for what it shall do \
             with a message to it"
        )
    };
    let (east, west) = ("w0/1,0@0", "w0/0,0@0");
    assert_eq!(fault(game(true, in_tick_three(spawn))), told(east, "spawned from", stone()));
    assert_eq!(fault(game(true, in_tick_three(teleport))), told(east, "teleported", stone()));
    assert_eq!(fault(game(true, in_tick_three(send))), told(east, "sent a message from", stone()));
    let nobody = game(true, in_tick_three(spawn_from_nobody));
    assert_eq!(fault(nobody), told(west, "spawned from", NetId::WORLD));
}

/// … and elsewhere it is not done, and counted.
#[test]
fn what_is_asked_for_in_anothers_name_is_not_done_and_counted() {
    for mut server in [
        game(false, in_tick_three(spawn)),
        game(false, in_tick_three(teleport)),
        game(false, in_tick_three(send)),
        game(false, in_tick_three(spawn_from_nobody)),
    ] {
        let reports: Vec<TickReport> = (0..5).map(|_| tick(&mut server)).collect();
        assert_eq!(counter(&reports[1], "foreign_requests"), 0);
        assert!(counter(&reports[4], "foreign_requests") > 0, "it is counted");
        assert_eq!((reports[4].entities, counter(&reports[4], "teleports")), (1, 0), "and not done");
        assert_eq!(counter(&reports[4], "entity_messages"), 0);
    }
}

/// A2: whoever dies in the tick in which it asks was the cell's own: it may leave something behind.
#[test]
fn the_last_wish_of_the_dead_is_done() {
    let die = |stones: Query<(Entity, &NetId)>, mut world: WorldRequests, mut commands: Commands| {
        for (entity, &me) in &stones {
            world.spawn(me, SOUTH_WEST, Stone { weight: 1 });
            commands.entity(entity).despawn();
        }
    };
    let mut server = game(true, in_tick_three(die));
    let last = (0..5).map(|_| tick(&mut server)).last().expect("ticks");
    assert_eq!((last.entities, counter(&last, "births"), counter(&last, "foreign_requests")), (1, 2, 0));
}

fn give<C: Component + Default>(ghosts: Query<Entity, With<Ghost>>, mut commands: Commands) {
    for ghost in &ghosts {
        commands.entity(ghost).insert(C::default());
    }
}

/// A2, A3: what never leaves its owner has no place on a ghost: who puts it there is caught in that tick, by name.
#[test]
fn a_ghost_with_a_component_that_is_never_copied_is_named() {
    let told = |component: &str| {
        format!(
            "cell w0/1,0@0: a game system wrote {component} of the ghost {}: ghosts are read only",
            stone()
        )
    };
    assert_eq!(fault(game(true, in_tick_three(give::<Purse>))), told("rules::foreign::Purse"));
    assert_eq!(fault(game(true, in_tick_three(give::<Dust>))), told("rules::foreign::Dust"));
}

/// A2: where nobody checks, such a component does not outlive the ghost: the original that the ghost becomes has just
/// what its former original had.
#[test]
fn what_was_put_on_a_ghost_is_gone_once_the_ghost_is_the_original() {
    let walk = |context: Res<TickContext>, mut stones: Query<&mut Position>| {
        if context.tick.0 > 4 {
            stones.iter_mut().for_each(|mut place| place.0.x += 0.9);
        }
    };
    let (purse, dust) = (in_tick_three(give::<Purse>), in_tick_three(give::<Dust>));
    let mut server = game(false, move |app| {
        purse(app);
        dust(app);
        app.add_systems(Simulate, walk);
    });
    let last = (0..10).map(|_| tick(&mut server)).last().expect("ticks");
    assert_eq!(last.handovers, 1, "it has crossed the border");
    with_cells(server.node_mut(), |_, cells| {
        let mut all = 0;
        for cell in cells.iter_mut() {
            let mut owned = cell.world.query_filtered::<(Option<&Purse>, Option<&Dust>), With<Stone>>();
            for (purse, dust) in owned.iter(&cell.world) {
                assert!(purse.is_none() && dust.is_none(), "{purse:?}, {dust:?}");
                all += 1;
            }
        }
        assert_eq!(all, 1);
    });
}
