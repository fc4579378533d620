//! Alone in its process, because the pool of threads is the process's and is made by the first who asks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use terrane::prelude::*;
use terrane::server::TickInput;

/// Where the systems of two cells wait for each other, with a limit so that a broken scheduler fails instead of
/// hanging.
#[derive(Clone, Default)]
struct Meeting(Arc<(Mutex<u64>, Condvar, AtomicUsize)>);

impl Meeting {
    fn attend(&self, tick: TickNumber) {
        let (arrived, changed, met) = &*self.0;
        let mut arrived = arrived.lock().expect("not poisoned");
        *arrived += 1;
        changed.notify_all();
        let both = 2 * tick.0;
        let waited = changed.wait_timeout_while(arrived, Duration::from_secs(20), |arrived| *arrived < both);
        let (arrived, _) = waited.expect("not poisoned");
        if *arrived >= both {
            met.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Plugin for Meeting {
    fn build(&self, app: &mut App) {
        let meeting = self.clone();
        app.add_systems(Simulate, move |context: Res<TickContext>| meeting.attend(context.tick));
    }
}

/// G3: with two threads, two cells are simulated at the same time: the game system of each waits until the
/// other's has begun, which one after the other could never do.
#[test]
fn with_two_threads_two_cells_run_at_the_same_time() {
    let meeting = Meeting::default();
    let area = Area { min: Vec2::ZERO, max: Vec2::splat(400.0) };
    let settings = WorldSettings { area, grid: [2, 1], threads: 2, ..WorldSettings::default() };
    let mut server =
        // A world with next to nobody in it runs on the caller's thread alone.
        ServerBuilder::default()
            .add_cell_plugins(meeting.clone())
            .populate(|world| {
                for number in 0..256u16 {
                    let place = Vec3::new(f32::from(number), 50.0, 0.0);
                    world.spawn(SpawnRequest::new(NetId::WORLD, place, ()));
                }
            })
            .build(settings, None)
            .expect("sound");
    for number in 1..=3u64 {
        let tick = server.next_tick();
        server.tick(TickInput { tick, now_ms: tick.0 * 50, ..TickInput::default() });
        let met = meeting.0.2.load(Ordering::Relaxed) as u64;
        assert_eq!(met, 2 * number, "in tick {number} both cells saw the other one begin before they ended");
    }
}
