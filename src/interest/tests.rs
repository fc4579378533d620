//! Everything this folder answers, against a walk over all entities.

#![expect(clippy::disallowed_methods, reason = "test data: both sides of a comparison get the same")]

use bevy_ecs::prelude::*;
use glam::{Vec2, Vec3};
use proptest::prelude::*;

use super::*;
use crate::ids::{NetId, Row};
use crate::space::{Area, distance_squared};

const ENTER_RADIUS_M: f32 = 50.0;
const LEAVE_RADIUS_M: f32 = 60.0;
const GHOST_MARGIN_M: f32 = 80.0;
const HOME: Area = Area { min: Vec2::ZERO, max: Vec2::splat(200.0) };

/// Coordinates that collide: on edges of buckets and tiles, a hair beside them, at multiples of ten (so that
/// 30-40-50 triangles end exactly at the radius), outside of the cell, and anywhere.
fn coordinate() -> impl Strategy<Value = f32> {
    prop_oneof![
        (-3i32..12).prop_map(|edge| edge as f32 * 25.0),
        (-3i32..12).prop_map(|edge| (edge as f32 * 25.0).next_up()),
        (-3i32..12).prop_map(|edge| (edge as f32 * 25.0).next_down()),
        (-7i32..28).prop_map(|ten| ten as f32 * 10.0),
        -70.0f32..270.0,
        Just(-0.0),
    ]
}

fn height() -> impl Strategy<Value = f32> {
    prop_oneof![4 => Just(0.0f32), 2 => (-6i32..7).prop_map(|ten| ten as f32 * 10.0), 1 => -80.0f32..80.0]
}

fn place() -> impl Strategy<Value = Vec3> {
    (coordinate(), coordinate(), height()).prop_map(|(x, y, z)| Vec3::new(x, y, z))
}

/// Some places, some of them taken several times, or everything within one bucket.
fn places() -> impl Strategy<Value = Vec<Vec3>> {
    let scattered = prop::collection::vec((place(), 1usize..4), 0..120)
        .prop_map(|places| places.into_iter().flat_map(|(place, times)| vec![place; times]).collect());
    let crowd = prop::collection::vec((100.0f32..110.0, 50.0f32..60.0, height()), 0..300)
        .prop_map(|places| places.into_iter().map(Vec3::from).collect());
    prop_oneof![3 => scattered, 1 => crowd]
}

/// Names that are in no order: neither that of rows nor that of places.
fn entries(places: &[Vec3]) -> Vec<IndexEntry> {
    let entry = |(at, &position): (usize, &Vec3)| IndexEntry {
        row: Row(at as u32 + 1),
        net_id: NetId::derive(7, NetId::WORLD, at as u64),
        position,
    };
    places.iter().enumerate().map(entry).collect()
}

fn last_index(entries: &[IndexEntry], bucket_edge_m: f32) -> LastIndex {
    let mut last = LastIndex::new(HOME, GHOST_MARGIN_M, LEAVE_RADIUS_M, bucket_edge_m);
    last.rebuild(entries.iter().copied());
    last
}

fn sorted(rows: &[Row]) -> Vec<Row> {
    let mut rows = rows.to_vec();
    rows.sort_unstable();
    rows
}

fn rows_within(entries: &[IndexEntry], centre: Vec3, radius_m: f32) -> Vec<Row> {
    entries
        .iter()
        .filter(|entry| distance_squared(entry.position, centre) < radius_m * radius_m)
        .map(|entry| entry.row)
        .collect()
}

fn neighbours(entries: &[IndexEntry], centre: Vec3, is_wanted: impl Fn(Vec3) -> bool) -> Vec<Neighbour> {
    let mut found: Vec<Neighbour> = entries
        .iter()
        .filter(|entry| is_wanted(entry.position))
        .map(|entry| Neighbour {
            net_id: entry.net_id,
            position: entry.position,
            distance_squared: distance_squared(entry.position, centre),
        })
        .collect();
    found.sort_by_key(|found| (found.distance_squared.to_bits(), found.net_id));
    found
}

fn assert_candidates_are_exact(entries: &[IndexEntry], viewers: &[Viewer], radius_m: f32, out: &Candidates) {
    assert_eq!(out.viewers(), viewers.len());
    assert_eq!(
        out.hits(),
        out.iter().map(|(_, rows)| rows.len()).sum::<usize>(),
        "nothing of earlier ticks is kept"
    );
    for (at, (viewer, (session, rows))) in viewers.iter().zip(out.iter()).enumerate() {
        assert_eq!(session, viewer.session, "candidates come in the order of viewers");
        assert_eq!(rows, out.of(at));
        assert_eq!(
            sorted(rows),
            rows_within(entries, viewer.position, radius_m),
            "a viewer's candidates are exactly what is nearer than the radius: {viewer:?}"
        );
    }
}

fn viewers(places: &[Vec3]) -> Vec<Viewer> {
    places.iter().zip(0..).map(|(&position, at)| Viewer { session: 10_000 - at, position }).collect()
}

fn bucket_edge() -> impl Strategy<Value = f32> {
    prop_oneof![Just(BUCKET_EDGE_M_DEFAULT), Just(1.0), Just(7.3), Just(1_000.0)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// A9. Also on the second use of the same index, scratch and output.
    #[test]
    fn every_viewers_candidates_equal_brute_force(
        ticks in prop::collection::vec((places(), places()), 1..3),
        radius_m in prop_oneof![3 => Just(ENTER_RADIUS_M), 1 => 0.0f32..120.0],
        bucket_edge_m in bucket_edge(),
    ) {
        let mut index = SpatialIndex::new(bucket_edge_m);
        let (mut scratch, mut out) = (GatherScratch::default(), Candidates::default());
        for (places, from) in ticks {
            let (entries, viewers) = (entries(&places), viewers(&from));
            index.rebuild(entries.iter().copied());
            prop_assert_eq!(index.len(), entries.len());
            gather(&index, &viewers, radius_m, &mut scratch, &mut out);
            assert_candidates_are_exact(&entries, &viewers, radius_m, &out);
        }
    }

    /// A9. The distance of each pair is the radius itself, a hair more or a hair less.
    #[test]
    fn the_radius_cuts_where_the_one_distance_function_does(
        centre in place(), angle in 0.0f32..6.3, slope in -1.5f32..1.5, hairs in prop::collection::vec(-4i32..5, 1..70),
    ) {
        let direction = Vec3::new(angle.cos() * slope.cos(), angle.sin() * slope.cos(), slope.sin());
        let places: Vec<Vec3> = hairs
            .iter()
            .map(|&hair| centre + direction * f32::from_bits(ENTER_RADIUS_M.to_bits().wrapping_add_signed(hair)))
            .collect();
        let (entries, viewers) = (entries(&places), viewers(&[centre]));
        let mut index = SpatialIndex::default();
        index.rebuild(entries.iter().copied());
        let mut out = Candidates::default();
        for radius_m in [ENTER_RADIUS_M, distance_squared(places[0], centre).sqrt()] {
            gather(&index, &viewers, radius_m, &mut GatherScratch::default(), &mut out);
            assert_candidates_are_exact(&entries, &viewers, radius_m, &out);
        }
    }

    /// A9. Radius, box and nearest; ties by name, heights included.
    #[test]
    fn nearby_equals_brute_force(
        places in places(),
        askers in prop::collection::vec((place(), 0.0f32..=LEAVE_RADIUS_M, 0usize..12, height()), 1..8),
        bucket_edge_m in bucket_edge(),
    ) {
        let entries = entries(&places);
        let last = last_index(&entries, bucket_edge_m);
        for (centre, any_radius_m, count, height) in askers {
            let centre = centre.clamp(Vec3::splat(-20.0), Vec3::splat(220.0));
            for radius_m in [any_radius_m, ENTER_RADIUS_M, LEAVE_RADIUS_M, 0.0] {
                let near = |place| distance_squared(place, centre) < radius_m * radius_m;
                let mut wanted = neighbours(&entries, centre, near);
                prop_assert_eq!(&last.within(centre, radius_m).unwrap(), &wanted);
                wanted.truncate(count);
                prop_assert_eq!(&last.nearest(centre, count, radius_m).unwrap(), &wanted);
                let half = Vec3::new(radius_m, any_radius_m, if height == 0.0 { f32::INFINITY } else { height.abs() });
                let inside = |place: Vec3| place.cmpge(centre - half).all() && place.cmple(centre + half).all();
                prop_assert_eq!(last.in_box(centre, half).unwrap(), neighbours(&entries, centre, inside));
            }
        }
    }

    /// A9. The same world as one cell and as two: an entity asks the cell that owns it.
    #[test]
    fn nearby_answers_the_same_on_either_layout(places in places(), border in 1.0f32..199.0) {
        let all = entries(&places);
        let whole = last_index(&all, BUCKET_EDGE_M_DEFAULT);
        let west = Area { min: HOME.min, max: Vec2::new(border, HOME.max.y) };
        let east = Area { min: Vec2::new(border, HOME.min.y), max: HOME.max };
        for cell in [west, east] {
            let mut last = LastIndex::new(cell, GHOST_MARGIN_M, LEAVE_RADIUS_M, BUCKET_EDGE_M_DEFAULT);
            last.rebuild(all.iter().rev().copied().filter(|entry| cell.contains_within(entry.position, GHOST_MARGIN_M)));
            for asker in all.iter().filter(|entry| cell.contains(entry.position)) {
                let of_cell = last.within(asker.position, LEAVE_RADIUS_M).unwrap();
                prop_assert_eq!(of_cell, whole.within(asker.position, LEAVE_RADIUS_M).unwrap());
            }
        }
    }
}

#[test]
fn a_crowd_larger_than_any_tile_threshold_is_exact_from_every_place_in_it() {
    let spiral = |at: usize| {
        let (turn, out) = (at as f32 * 0.7, (at as f32).sqrt() * 3.0);
        Vec3::new(100.0 + turn.cos() * out, 100.0 + turn.sin() * out, (at % 5) as f32 * 12.0)
    };
    let places: Vec<Vec3> = (0..1_500).map(spiral).collect();
    let (entries, viewers) = (entries(&places), viewers(&places));
    let mut index = SpatialIndex::default();
    index.rebuild(entries.iter().copied());
    let mut out = Candidates::default();
    gather(&index, &viewers, ENTER_RADIUS_M, &mut GatherScratch::default(), &mut out);
    assert_candidates_are_exact(&entries, &viewers, ENTER_RADIUS_M, &out);
}

#[test]
fn an_empty_cell_has_no_candidates_and_no_neighbours() {
    let mut last = last_index(&entries(&[Vec3::splat(10.0)]), BUCKET_EDGE_M_DEFAULT);
    last.rebuild([]);
    assert!(last.index().is_empty());
    assert_eq!(last.index().buckets(), 0);
    let mut out = Candidates::default();
    gather(last.index(), &viewers(&[Vec3::splat(10.0)]), 50.0, &mut GatherScratch::default(), &mut out);
    assert_eq!((out.viewers(), out.hits()), (1, 0));
    assert_eq!(last.nearest(Vec3::splat(10.0), 3, 50.0), Ok(vec![]));
}

#[test]
fn places_at_the_ends_of_the_number_line_are_found_at_the_price_of_a_bucket_each() {
    let far =
        [Vec3::ZERO, Vec3::new(f32::MAX, f32::MIN, 0.0), Vec3::new(-1e30, 7e9, f32::MAX), Vec3::splat(3.0)];
    let (entries, viewers) = (entries(&far), viewers(&far));
    let mut index = SpatialIndex::default();
    index.rebuild(entries.iter().copied());
    let mut out = Candidates::default();
    gather(&index, &viewers, ENTER_RADIUS_M, &mut GatherScratch::default(), &mut out);
    assert_candidates_are_exact(&entries, &viewers, ENTER_RADIUS_M, &out);
    assert!(index.buckets() <= far.len());
}

/// H2. A viewer that is nowhere sees nothing and hides nothing from others of its tile.
#[test]
fn a_viewer_that_is_nowhere_sees_nothing() {
    let entries = entries(&[Vec3::splat(2.0), Vec3::splat(40.0), Vec3::splat(80.0), Vec3::splat(120.0)]);
    let mut index = SpatialIndex::default();
    index.rebuild(entries.iter().copied());
    let nowhere = [Vec3::NAN, Vec3::new(f32::INFINITY, 0.0, 0.0), Vec3::new(80.0, f32::NEG_INFINITY, 0.0)];
    let [a, b, c] = nowhere;
    let viewers = viewers(&[Vec3::splat(10.0), a, b, Vec3::splat(80.0), c, Vec3::splat(60.0)]);
    let mut out = Candidates::default();
    gather(&index, &viewers, ENTER_RADIUS_M, &mut GatherScratch::default(), &mut out);
    assert_candidates_are_exact(&entries, &viewers, ENTER_RADIUS_M, &out);
    assert!([1, 2, 4].iter().all(|&at| out.of(at).is_empty()));
}

/// The tree is as small as promised: its price is one leaf per occupied bucket.
#[test]
fn each_occupied_bucket_is_one_leaf_of_the_tree() {
    let corner = |at: u16| Vec3::new(f32::from(at % 10) * 25.0, f32::from(at / 10) * 25.0, 0.0) - 60.0;
    let places: Vec<Vec3> = (0..100).flat_map(|at| [corner(at), corner(at) + 24.0]).collect();
    let mut index = SpatialIndex::default();
    index.rebuild(entries(&places));
    assert_eq!((index.len(), index.buckets()), (200, 100));
}

/// H2. An entry that is nowhere is a fault before it comes here.
#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "is nowhere")]
fn an_entry_that_is_nowhere_is_named_in_debug_builds() {
    SpatialIndex::default().rebuild(entries(&[Vec3::new(0.0, f32::NAN, 0.0)]));
}

#[test]
fn questions_beyond_the_reach_of_a_cell_are_errors() {
    let last = last_index(&entries(&[Vec3::splat(10.0)]), BUCKET_EDGE_M_DEFAULT);
    let here = Vec3::splat(10.0);
    for asked_m in [LEAVE_RADIUS_M.next_up(), f32::INFINITY, -1.0, f32::NAN] {
        let refused = |error| matches!(error, Err(NearbyError::Radius { max_m: LEAVE_RADIUS_M, .. }));
        assert!(refused(last.within(here, asked_m)), "{asked_m}");
        assert!(refused(last.nearest(here, 1, asked_m)), "{asked_m}");
        assert!(refused(last.in_box(here, Vec3::new(1.0, asked_m, 1.0))), "{asked_m}");
        assert!(refused(last.in_box(here, Vec3::new(asked_m, 1.0, 1.0))), "{asked_m}");
    }
    for half_z in [-1.0, f32::NAN] {
        assert!(last.in_box(here, Vec3::new(1.0, 1.0, half_z)).is_err(), "{half_z}");
    }
    for place in [
        Vec3::new(221.0, 0.0, 0.0),
        Vec3::new(0.0, -21.0, 0.0),
        Vec3::NAN,
        Vec3::new(0.0, 0.0, f32::INFINITY),
    ] {
        assert!(matches!(last.within(place, 1.0), Err(NearbyError::Place { .. })), "{place}");
    }
    assert!(
        last.within(Vec3::new(220.0, -20.0, 1e6), LEAVE_RADIUS_M).is_ok(),
        "a step outside is still answered"
    );
}

/// A9. What a system finds is what was there when the index was built, not what has moved since.
#[test]
fn a_system_finds_its_neighbours_through_the_param() {
    #[derive(Resource, Default)]
    struct Found(Vec<NetId>);
    fn ask(nearby: Nearby, mut found: ResMut<Found>) {
        let near = nearby.nearest(Vec3::new(100.0, 100.0, 0.0), 2, 20.0).unwrap();
        found.0 = near.iter().map(|neighbour| neighbour.net_id).collect();
    }
    let entries =
        entries(&[Vec3::new(105.0, 100.0, 0.0), Vec3::new(100.0, 95.0, 0.0), Vec3::new(100.0, 100.0, 9.0)]);
    let mut world = World::new();
    world.init_resource::<Found>();
    world.insert_resource(last_index(&entries, BUCKET_EDGE_M_DEFAULT));
    world.run_system_cached(ask).unwrap();
    let mut tied = [entries[0].net_id, entries[1].net_id];
    tied.sort_unstable();
    assert_eq!(world.resource::<Found>().0, tied);
}
