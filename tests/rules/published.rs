//! What the node publishes changes for all cells at once, between two ticks.

use terrane::cell::pool::NodeContext;

use super::*;

/// (tick, cell, price) as read by every cell.
#[derive(Clone, Default)]
struct Read(std::sync::Arc<std::sync::Mutex<Vec<(u64, (u32, u32), u32)>>>);

struct Price(u32);

fn world_of_prices(read: &Read) -> Server {
    let read = read.clone();
    ServerBuilder::default()
        .add_cell_plugins(Game(move |app: &mut App| {
            let read = read.clone();
            app.read_published::<Price>().add_systems(
                Simulate,
                move |context: Res<TickContext>, price: Res<Published<Price>>| {
                    let at = (context.cell.cx, context.cell.cy);
                    read.0.lock().expect("not poisoned").push((context.tick.0, at, price.0));
                },
            );
        }))
        .publish(Price(1))
        .add_plugins(|app: &mut App| {
            let early = |node: Res<NodeContext>, mut publisher: Publisher| {
                if node.0.tick.0 == 3 {
                    publisher.publish(Price(29));
                    publisher.publish(Price(30));
                    publisher.publish("which nobody reads");
                }
            };
            let late = |node: Res<NodeContext>, mut publisher: Publisher| {
                if node.0.tick.0 == 5 {
                    publisher.publish(Price(50));
                }
            };
            app.add_systems(Tick, (early.in_set(TickSystems::Settle), late.in_set(TickSystems::Commit)));
        })
        .build(settings(), None)
        .expect("sound")
}

/// What a node system publishes before `Partition` is read in that tick, what it publishes later in the next one, by
/// every cell; of two versions the last one counts.
#[test]
fn a_new_version_of_what_is_published_is_read_by_every_cell_from_the_next_partition_on() {
    let read = Read::default();
    let mut server = world_of_prices(&read);
    (0..7).for_each(|_| drop(tick(&mut server)));
    let expected = |tick: u64| match tick {
        ..3 => 1,
        3..6 => 30,
        _ => 50,
    };
    let mut all = read.0.lock().expect("not poisoned").clone();
    all.sort_unstable();
    let cells = [(0, 0), (0, 1), (1, 0), (1, 1)];
    let expected: Vec<_> = (1..=7).flat_map(|tick| cells.map(|cell| (tick, cell, expected(tick)))).collect();
    assert_eq!(all, expected);
}

/// C1: sealed calendar time never runs backwards, whatever the inputs say.
#[test]
fn calendar_time_that_goes_back_stands_still() {
    let read = Read::default();
    let note = read.clone();
    let mut server = build(move |app| {
        let note = note.clone();
        app.add_systems(Simulate, move |context: Res<TickContext>| {
            let at = (context.cell.cx, context.cell.cy);
            note.0.lock().expect("not poisoned").push((context.tick.0, at, context.now_ms as u32));
        });
    })
    .expect("sound");
    for now_ms in [1_000, 1_050, 500, 0, 1_100] {
        let tick = server.next_tick();
        server.tick(TickInput { tick, now_ms, ..TickInput::default() });
    }
    let mut of_one_cell = read.0.lock().expect("not poisoned").clone();
    of_one_cell.retain(|(_, cell, _)| *cell == (1, 1));
    let times: Vec<u32> = of_one_cell.into_iter().map(|(.., now_ms)| now_ms).collect();
    assert_eq!(times, [1_000, 1_050, 1_050, 1_050, 1_100]);
}
