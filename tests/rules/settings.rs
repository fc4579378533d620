//! Settings with which no world can be made are refused at start, by name, whoever builds the server.

use terrane::ids::CellId;
use terrane::limits::{GRID_CELLS_MAX, HEIGHT_M_MAX, LEAVE_RADIUS_M_MAX, WORLD_EDGE_M_MAX};

use super::*;

fn refused(change: impl FnOnce(&mut WorldSettings)) -> String {
    let mut changed = settings();
    change(&mut changed);
    let error = changed.check().expect_err("these settings are faulty").to_string();
    let built = ServerBuilder::default().build(changed, None).expect_err("a server asks").to_string();
    assert_eq!(built, error, "a server tells what the settings tell");
    error
}

fn square(from: f32, to: f32) -> Area {
    Area { min: Vec2::splat(from), max: Vec2::splat(to) }
}

#[test]
fn a_length_that_is_none_is_refused_by_name() {
    let expected = "expected a finite, positive length in m";
    let set: [(&str, fn(&mut WorldSettings) -> &mut f32); 5] = [
        ("enter_radius_m", |settings| &mut settings.enter_radius_m),
        ("step_m_max", |settings| &mut settings.step_m_max),
        ("bucket_m", |settings| &mut settings.bucket_m),
        ("attach_reach_m", |settings| &mut settings.attach_reach_m),
        ("ghost_margin_m", |settings| &mut settings.ghost_margin_m),
    ];
    for (name, field) in set {
        for value in [-1.0, f32::NAN, f32::INFINITY] {
            let refused = refused(|settings| *field(settings) = value);
            assert_eq!(refused, format!("the world's setting `{name}` is {value}: {expected}"));
        }
    }
    let no_reach = settings().with_distances(10.0, 12.0, 20.0, 0.0);
    assert!(no_reach.check().is_ok(), "nothing may be attached at all");
}

/// Without hysteresis what comes into view may leave it by the same step.
#[test]
fn a_leave_radius_that_is_not_beyond_the_enter_radius_or_too_long_for_the_wire_is_refused() {
    for leave_radius_m in [9.0, 10.0, LEAVE_RADIUS_M_MAX + 1.0, f32::NAN] {
        let refused = refused(|settings| {
            settings.leave_radius_m = leave_radius_m;
            settings.ghost_margin_m = 1_000.0;
        });
        assert_eq!(
            refused,
            format!(
                "the world's setting `leave_radius_m` is {leave_radius_m}: expected more than enter_radius_m, 10, and \
                 at most {LEAVE_RADIUS_M_MAX} m"
            )
        );
    }
    let widest = settings().with_distances(250.0, LEAVE_RADIUS_M_MAX, 20.0, 2.0);
    assert!(widest.check().is_ok());
}

#[test]
fn a_world_that_is_no_box_or_larger_than_places_can_be_told_is_refused() {
    for area in [
        square(0.0, 0.0),
        square(10.0, 5.0),
        square(0.0, WORLD_EDGE_M_MAX * 1.01),
        square(WORLD_EDGE_M_MAX, WORLD_EDGE_M_MAX + 10.0),
        square(f32::NEG_INFINITY, 0.0),
        square(0.0, f32::NAN),
    ] {
        let refused = refused(|settings| settings.area = area);
        assert!(refused.starts_with("the world's setting `area` is ["), "{refused}");
    }
    let largest = WorldSettings { area: square(0.0, WORLD_EDGE_M_MAX), ..settings() };
    assert!(largest.check().is_ok());
}

#[test]
fn a_number_out_of_its_range_is_refused_by_name() {
    let whole = |name: &str, found: u64, most: u64| {
        format!("the world's setting `{name}` is {found}: expected a whole number from 1 to {most}")
    };
    assert_eq!(refused(|settings| settings.hz = 0), whole("hz", 0, 120));
    assert_eq!(refused(|settings| settings.hz = 121), whole("hz", 121, 120));
    assert_eq!(refused(|settings| settings.threads = 0), whole("threads", 0, 256));
    assert_eq!(refused(|settings| settings.view_entities_max = 0), whole("view_entities_max", 0, 256));
    assert_eq!(refused(|settings| settings.view_entities_max = 257), whole("view_entities_max", 257, 256));
    assert_eq!(refused(|settings| settings.audit_every = Some(0)), whole("audit_every", 0, u32::MAX.into()));
    assert_eq!(refused(|settings| settings.grid = [3, 0]), whole("grid", 0, GRID_CELLS_MAX));
    assert_eq!(
        refused(|settings| settings.grid = [65, 64]),
        whole("the number of cells", 4_160, GRID_CELLS_MAX)
    );
    assert_eq!(
        refused(|settings| settings.grid = [u32::MAX, 3]),
        whole("the number of cells", 3 * u64::from(u32::MAX), GRID_CELLS_MAX)
    );
    let deep = CellId { world: 0, depth: 40, cx: 0, cy: 0 };
    assert_eq!(
        refused(|settings| settings.cells = Some(vec![deep])),
        "the world's setting `the depth of a cell` is 40: expected a whole number from 0 to 16"
    );
}

/// H2: who flies out at the top of the world stands there, and is counted as at its edge.
#[test]
fn what_rises_above_the_world_is_clamped_and_counted() {
    let top = Vec3::new(50.0, 50.0, HEIGHT_M_MAX - 0.5);
    let mut server = world(Stone::default(), &[top], |mut stones: Query<&mut Position>| {
        stones.iter_mut().for_each(|mut place| place.0.z += 0.9);
    });
    for number in 1..=3 {
        assert_eq!(counter(&tick(&mut server), "positions_clamped"), number);
    }
}
