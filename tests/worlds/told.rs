//! What cannot be told to a player is counted in the report, and takes nothing else away from that player.

use terrane::ids::{ConnectionId, PlayerId};
use terrane::prelude::*;
use terrane::server::io::Join;
use terrane::server::{TickInput, TickReport};
use terrane::testing::TestWorld;

/// Half of a book: both halves together may be longer than a record.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Verso {
    #[sync(broadcast, max_bytes = 2_500)]
    text: String,
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Recto {
    #[sync(broadcast, max_bytes = 2_500)]
    text: String,
    #[sync(server_only)]
    is_author: bool,
}

const WRITES_AT: u64 = 10;
const TEARS_AT: u64 = 20;

/// Whoever is an author writes a book too thick to be told, and tears it up later. All walk to and fro.
fn write(context: Res<TickContext>, mut books: Query<(&mut Position, &mut Verso, &mut Recto)>) {
    for (mut place, mut verso, mut recto) in &mut books {
        place.0.x += if context.tick.0.is_multiple_of(2) { 0.3 } else { -0.3 };
        let bytes = match context.tick.0 {
            WRITES_AT if recto.is_author => 2_450,
            TEARS_AT if recto.is_author => 10,
            _ => continue,
        };
        (verso.text, recto.text) = ("v".repeat(bytes), "r".repeat(bytes));
    }
}

#[derive(Debug)]
struct Books;

impl Plugin for Books {
    fn build(&self, app: &mut App) {
        app.replicate::<Verso>().replicate::<Recto>().add_systems(Simulate, write);
    }
}

fn counter(report: &TickReport, name: &str) -> u64 {
    report.counters.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no counter {name}")).1
}

/// A10: of an avatar with more than a record can carry everybody is told what fits; what does not is counted, and comes once
/// there is room.
#[test]
fn of_what_is_more_than_a_record_can_carry_players_are_told_what_fits() {
    let book = |x: f32, is_author| {
        let recto = Recto { is_author, ..Recto::default() };
        SpawnRequest::new(NetId::WORLD, Vec3::new(x, 500.0, 0.0), (Verso::default(), recto))
    };
    let game = ServerBuilder::default()
        .add_cell_plugins(Books)
        .avatars(move |request| book(500.0, request.player.as_str() == "author"))
        .populate(move |world| {
            for number in 0..5u16 {
                world.spawn(book(490.0 + f32::from(number), false));
            }
        });
    let mut world = TestWorld::new(game, WorldSettings { audit_every: Some(1), ..WorldSettings::default() });
    let (author, reader) = (world.connect("author"), world.connect("reader"));
    for number in 1..=30 {
        let report = world.tick().report;
        assert_eq!(report.audits.failures, 0, "tick {number}");
        let left_out = 2 * u64::from(number >= WRITES_AT);
        assert_eq!(counter(&report, "fields_left_out"), left_out, "tick {number}: for two");
        if number < 6 {
            continue;
        }
        let avatar = world[author].avatar().expect("in");
        let (verso_bytes, recto_bytes) = match number {
            ..WRITES_AT => (0, 0),
            WRITES_AT..TEARS_AT => (2_450, 0),
            _ => (10, 10),
        };
        for client in [author, reader] {
            assert_eq!(world[client].view().entities().count(), 7, "tick {number}: all are seen");
            if number == WRITES_AT {
                // The long text is in a record of its own, which comes behind the update.
                continue;
            }
            let verso: Verso = world.component(client, avatar).expect("it has one");
            let recto: Recto = world.component(client, avatar).expect("it has one");
            assert_eq!((verso.text.len(), recto.text.len()), (verso_bytes, recto_bytes), "tick {number}");
        }
    }
}

/// Hops from one crowd to the next with every third tick.
fn hop(context: Res<TickContext>, avatars: Query<(&NetId, &Recto)>, mut world: WorldRequests) {
    for (&me, _) in avatars.iter().filter(|(_, recto)| recto.is_author) {
        world.teleport(me, crowd(context.tick.0 / 3));
    }
}

/// In lines of twelve, out of sight of each other; one is told in three ticks, all are more than there are aliases.
const CROWDS: u64 = 144;
const CROWD: u64 = 44;
const VIEW_MAX: usize = 40;

fn crowd(number: u64) -> Vec3 {
    let (column, row) = (number % CROWDS % 12, number % CROWDS / 12);
    Vec3::new(40.0 + 80.0 * column as f32, 40.0 + 80.0 * row as f32, 0.0)
}

#[derive(Debug)]
struct Crowds;

impl Plugin for Crowds {
    fn build(&self, app: &mut App) {
        app.replicate::<Recto>().add_systems(Simulate, hop);
    }
}

/// A10: who is near enough but has no room in a full view is counted; so is who finds no alias, because a client that
/// acks nothing keeps all of them.
#[test]
fn who_finds_no_room_in_a_view_is_counted() {
    let mut server = ServerBuilder::default()
        .add_cell_plugins(Crowds)
        .avatars(|_| SpawnRequest::new(NetId::WORLD, crowd(0), Recto { is_author: true, ..Recto::default() }))
        .populate(|world| {
            for number in 0..CROWDS * CROWD {
                let place = crowd(number / CROWD) + Vec3::X * (number % CROWD) as f32 * 0.1;
                world.spawn(SpawnRequest::new(NetId::WORLD, place, Recto::default()));
            }
        })
        .build(WorldSettings { view_entities_max: VIEW_MAX, ..WorldSettings::default() }, None)
        .expect("the game is sound");
    let mut reports = (1..=450).map(|number| {
        let tick = server.next_tick();
        let mut input = TickInput { tick, now_ms: tick.0 * 50, ..TickInput::default() };
        if number == 1 {
            let player = PlayerId::new("alice").expect("a name");
            input.joins.push(Join::anew(ConnectionId(1), player));
        }
        server.tick(input).report
    });
    let first = reports.next().expect("ticks");
    assert_eq!((counter(&first, "view_over_the_cap"), counter(&first, "view_without_alias")), (5, 0));
    let tenth = reports.nth(8).expect("ticks");
    assert_eq!((counter(&tenth, "view_over_the_cap"), counter(&tenth, "view_without_alias")), (50, 0));
    let last = reports.last().expect("ticks");
    let missing = counter(&last, "view_without_alias");
    assert!(missing > 100, "{missing} without an alias");
}
