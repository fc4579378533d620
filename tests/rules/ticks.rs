//! Told in the very tick.

use super::*;

#[test]
fn a_resource_that_a_system_inserts_later_is_named_in_that_tick() {
    let fault = fault(world(Stone::default(), &[SOUTH_WEST], |mut commands: Commands| {
        commands.init_resource::<Stray>();
    }));
    assert!(
        fault.ends_with(
            "a game system inserted the resource rules::Stray, which would be another in every cell: declare it as \
             `scratch`, or keep it in components"
        ),
        "{fault}"
    );
}

#[test]
fn an_unregistered_component_on_an_entity_is_named_in_that_tick() {
    let fault = fault(world(
        Stone::default(),
        &[SOUTH_WEST],
        |stones: Query<Entity, With<Stone>>, mut commands: Commands| {
            for stone in &stones {
                commands.entity(stone).insert(Unregistered);
            }
        },
    ));
    assert_eq!(
        fault,
        "cell w0/0,0@0: the component rules::Unregistered is on an entity but not registered: it would vanish at the \
         next border; register it with `replicate`, `server_only` or `cell_local`"
    );
}

/// One that only passes through within a tick does no harm, and one that comes late is found all the same.
#[test]
fn an_archetype_is_judged_when_somebody_lives_in_it() {
    let mut server = world(
        Stone::default(),
        &[SOUTH_WEST],
        |context: Res<TickContext>, stones: Query<Entity, With<Stone>>, mut commands: Commands| {
            for stone in &stones {
                commands.entity(stone).insert(Unregistered);
                if context.tick.0 < 4 {
                    commands.entity(stone).remove::<Unregistered>();
                }
            }
        },
    );
    for _ in 0..3 {
        tick(&mut server);
    }
    assert!(fault(server).contains("the component rules::Unregistered is on an entity but not registered"));
}

#[test]
fn an_entity_without_a_name_is_named_by_its_component() {
    let expected = "an entity with rules::Stone was spawned without a name: spawn through `WorldRequests`";
    let bare = |mut commands: Commands| {
        commands.spawn(Stone::default());
    };
    // Every cell does it, and any may be the first.
    assert!(fault(world(Stone::default(), &[], bare)).ends_with(expected));
    // bevy's own components beside it are no excuse.
    let disguised = |mut commands: Commands| {
        commands.spawn((bevy_ecs::name::Name::new("stone"), Stone::default()));
    };
    assert!(fault(world(Stone::default(), &[], disguised)).ends_with(expected));
}

#[test]
fn an_entity_with_more_sent_fields_than_a_mask_has_bits_is_named() {
    let fault = fault(world((Many::default(), More::default()), &[SOUTH_WEST], || {}));
    assert_eq!(
        fault,
        "cell w0/0,0@0: an entity with Many, More has 66 sent fields: at most 61 fit one entity, position included; \
         group some in a struct"
    );
}

/// H2: a NaN from game code is named with cell and entity.
#[test]
fn a_position_that_is_no_number_is_named_with_cell_and_entity() {
    let server =
        world(Stone::default(), &[Vec3::new(70.0, 20.0, 0.0)], |mut stones: Query<&mut Position>| {
            stones.iter_mut().for_each(|mut place| place.0.x = f32::NAN);
        });
    let stone = NetId::derive(settings().secret, NetId::WORLD, 1);
    assert_eq!(
        fault(server),
        format!(
            "cell w0/1,0@0: a game system set the position of {stone} to [NaN, 20, 0]: positions are finite numbers"
        )
    );
    let server = world(
        Stone::default(),
        &[SOUTH_WEST],
        |stones: Query<(Entity, &NetId), Without<Attached>>, mut commands: Commands| {
            for (entity, &to) in &stones {
                commands.entity(entity).insert(Attached { to, offset: Vec3::splat(f32::INFINITY) });
            }
        },
    );
    assert_eq!(
        fault(server),
        format!(
            "cell w0/0,0@0: a game system attached {stone} at an offset of [inf, inf, inf]: offsets are finite numbers"
        )
    );
}

/// The request says where a newborn is and the engine who it is: a bundle that says otherwise has no say.
#[test]
fn a_newborn_is_where_its_request_says_and_named_by_the_engine() {
    let mut server = world((Stone::default(), Position::new(90.0, 90.0)), &[SOUTH_WEST], || {});
    tick(&mut server);
    assert_eq!(places(&mut server), [SOUTH_WEST]);
    let named =
        catch_unwind(|| world((Stone::default(), NetId(7)), &[SOUTH_WEST], || {})).expect_err("a name");
    let message = named.downcast::<String>().expect("a text");
    assert!(
        message.contains("a newborn's components include a name: names are given by the engine alone"),
        "{message}"
    );
}

/// H2: what walks out of the world stands at its edge, and is counted since the start.
#[test]
fn what_leaves_the_world_is_clamped_to_its_edge_and_counted() {
    let mut server =
        world(Stone::default(), &[Vec3::new(99.5, 50.0, 0.0)], |mut stones: Query<&mut Position>| {
            stones.iter_mut().for_each(|mut place| place.0.x += 0.9);
        });
    for number in 1..=5 {
        let report = tick(&mut server);
        assert_eq!(counter(&report, "positions_clamped"), number, "a total, not this tick's");
    }
    let place = places(&mut server)[0];
    assert!(place.x < 100.0 && place.x > 99.99, "{place}");
}

fn places(server: &mut Server) -> Vec<Vec3> {
    with_cells(server.node_mut(), |_, cells| {
        let mut places = Vec::new();
        for cell in cells.iter_mut() {
            let mut query =
                cell.world.query_filtered::<&Position, (With<Stone>, With<terrane::cell::markers::Owned>)>();
            places.extend(query.iter(&cell.world).map(|place| place.0));
        }
        places
    })
}

fn leap(context: Res<TickContext>, mut stones: Query<&mut Position>) {
    if context.tick.0 == 3 {
        stones.iter_mut().for_each(|mut place| place.0.x += 60.0);
    }
}

/// A step beyond the limit is a mistake of the game: in a debug build it stops the world by name…
#[test]
#[cfg(debug_assertions)]
fn a_step_that_is_too_long_panics_in_a_debug_build() {
    let stone = NetId::derive(settings().secret, NetId::WORLD, 1);
    assert_eq!(
        fault(world(Stone::default(), &[SOUTH_WEST], leap)),
        format!("cell w0/0,0@0: {stone} moved 60.00 m in one tick, the limit is 1.00 m: use `teleport`")
    );
}

/// … and in production it is undone, counted, and done as the teleport that it should have been. A newborn's
/// first step is a step too.
#[test]
fn a_step_that_is_too_long_is_undone_counted_and_done_as_a_teleport() {
    for first_tick in [false, true] {
        let at = if first_tick { 1 } else { 3 };
        let leap = move |context: Res<TickContext>, mut stones: Query<&mut Position>| {
            if context.tick.0 == at {
                stones.iter_mut().for_each(|mut place| place.0.x += 60.0);
            }
        };
        let mut server = ServerBuilder::default()
            .add_cell_plugins(Game(move |app: &mut App| {
                app.replicate::<Stone>().init_resource::<AllowLongSteps>().add_systems(Simulate, leap);
            }))
            .populate(|world| {
                world.spawn(SpawnRequest::new(NetId::WORLD, SOUTH_WEST, Stone::default()));
            })
            .build(settings(), None)
            .expect("AllowLongSteps is the engine's own");
        for _ in 1..at {
            tick(&mut server);
        }
        let report = tick(&mut server);
        assert_eq!(places(&mut server), [SOUTH_WEST], "undone");
        assert_eq!((counter(&report, "long_steps"), counter(&report, "teleports")), (1, 0));
        let report = tick(&mut server);
        assert_eq!(places(&mut server), [SOUTH_WEST + Vec3::new(60.0, 0.0, 0.0)]);
        assert_eq!(
            (counter(&report, "long_steps"), counter(&report, "teleports"), report.handovers),
            (1, 1, 1)
        );
    }
}

/// A2, A3: a game system that writes a ghost is caught in that tick, with the component; so is one that takes a
/// ghost away.
#[test]
fn a_game_system_that_writes_or_despawns_a_ghost_is_named() {
    let stone = NetId::derive(settings().secret, NetId::WORLD, 1);
    let near_the_border = Vec3::new(48.0, 20.0, 0.0);
    let written =
        fault(world(Stone::default(), &[near_the_border], |mut ghosts: Query<&mut Stone, With<Ghost>>| {
            ghosts.iter_mut().for_each(|mut ghost| ghost.weight += 1);
        }));
    assert_eq!(
        written,
        format!("cell w0/1,0@0: a game system wrote Stone of the ghost {stone}: ghosts are read only")
    );
    let moved = fault(world(
        Stone::default(),
        &[near_the_border],
        |mut ghosts: Query<&mut Position, With<Ghost>>| {
            ghosts.iter_mut().for_each(|mut ghost| ghost.0.x += 0.1);
        },
    ));
    assert_eq!(
        moved,
        format!("cell w0/1,0@0: a game system wrote Position of the ghost {stone}: ghosts are read only")
    );
    let gone = fault(world(
        Stone::default(),
        &[near_the_border],
        |ghosts: Query<Entity, With<Ghost>>, mut commands: Commands| {
            ghosts.iter().for_each(|ghost| commands.entity(ghost).despawn());
        },
    ));
    assert_eq!(
        gone,
        format!("cell w0/1,0@0: a game system despawned the ghost {stone}: ghosts are read only")
    );
}

/// A plain query never meets a ghost.
#[test]
fn a_plain_query_sees_no_ghost_and_ghosts_reads_nothing_else() {
    let mut server = world(
        Stone { weight: 7 },
        &[Vec3::new(48.0, 48.0, 0.0)],
        |context: Res<TickContext>, own: Query<&Stone>, ghosts: Ghosts<&Stone>| {
            let owns = context.area.contains(Vec3::new(48.0, 48.0, 0.0));
            assert_eq!(own.iter().count(), usize::from(owns));
            let expected = usize::from(!owns && context.tick.0 > 1);
            assert_eq!(ghosts.iter().filter(|stone| stone.weight == 7).count(), expected);
        },
    );
    for _ in 0..3 {
        assert_eq!(tick(&mut server).ghosts, 3, "the corner is in the margin of all three others");
    }
}

/// A4: whoever walks at exactly the limit never takes a step that is too long, however far from the origin.
#[test]
fn a_walk_at_the_limit_is_no_long_step_anywhere() {
    let limits = SpaceLimits {
        world: Area { min: Vec2::ZERO, max: Vec2::splat(65_536.0) },
        ghost_margin_m: 57.5,
        step_m_max: 0.25,
        attach_reach_m: 2.0,
        leave_radius_m: 55.0,
        bucket_m: 25.0,
    };
    for start in [0.5, 900.0, 20_000.0, 65_000.0] {
        let mut place = Vec3::new(start, start / 3.0, 0.0);
        for number in 0..2_000u16 {
            let to = place + (Vec2::from_angle(f32::from(number)) * 0.25).extend(0.0);
            let step = limits.step(place, to);
            assert!(!step.is_long, "{place} to {to}");
            place = step.place;
        }
        assert!(limits.step(place, place + Vec3::X * 0.3).is_long, "more than the limit is too long");
    }
}

/// A8: a border is not taken from another owner's export: it is refused and counted, and what was there stays.
#[test]
fn an_export_of_another_epoch_is_not_imported_and_counted() {
    let mut server =
        world(Stone::default(), &[Vec3::new(48.0, 20.0, 0.0)], |mut stones: Query<&mut Position>| {
            stones.iter_mut().for_each(|mut place| place.0.y += 0.5);
        });
    tick(&mut server);
    let ghost_y = |server: &mut Server| {
        with_cells(server.node_mut(), |_, cells| {
            let east =
                cells.iter_mut().find(|cell| cell.leaf.id.cx == 1 && cell.leaf.id.cy == 0).expect("there");
            let mut ghosts = east.world.query_filtered::<&Position, With<Ghost>>();
            ghosts.iter(&east.world).map(|place| place.0.y).collect::<Vec<_>>()
        })
    };
    let before = ghost_y(&mut server);
    assert_eq!(before.len(), 1);
    // An older owner's buffer comes again: three neighbours follow this cell.
    let node = server.node_mut();
    node.resource_scope(|node, mut published: Mut<PublishedExports>| {
        let slot = with_cells(node, |_, cells| cells.iter().next().expect("there").leaf.slot.index());
        published.exports[slot].as_mut().expect("published").epoch -= 1;
        published.exports[slot].as_mut().expect("published").moved.push(0, Vec3::new(48.0, 25.0, 0.0));
    });
    node.run_schedule(InterestCells);
    let stale = with_cells(node, |_, cells| cells.iter().map(|cell| cell.imported.stale).sum::<u64>());
    assert_eq!(stale, 3);
    assert_eq!(ghost_y(&mut server), before);
    assert_eq!(counter(&tick(&mut server), "exports_stale"), 3, "the owner still says it is the older one");
    assert_eq!(counter(&tick(&mut server), "exports_stale"), 6, "since the start");
    assert_eq!(ghost_y(&mut server), before, "nothing of it was taken");
}
