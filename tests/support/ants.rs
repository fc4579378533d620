//! A game made to hurt the engine: everything that may happen to an entity happens, by chance that is the same on
//! every layout.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bevy_ecs::prelude::DetectChangesMut;
use terrane::ids::CellId;
use terrane::prelude::*;

/// Edge of the world, m: five cells of 40 m on the finest of the layouts.
pub const EDGE_M: f32 = 200.0;
/// Most attached ants may be off their leader, m.
pub const REACH_M: f32 = 2.0;
/// Every so many ticks every player spawns something, just before players may come and go.
pub const PLAYERS_SPAWN_TICKS: u64 = 12;
/// Ticks after which a runner turns.
const LAP_TICKS: u64 = 40;

/// What everybody may see of an ant, and what nobody may.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Ant {
    #[sync(broadcast)]
    pub kind: u8,
    #[sync(broadcast, precision = 0.01)]
    pub heading: f32,
    #[sync(server_only)]
    pub secret: u64,
    #[sync(broadcast)]
    pub says: String,
    #[sync(server_only)]
    pub friends: Vec<NetId>,
}

/// Comes and goes.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Load {
    #[sync(broadcast)]
    pub weight: u16,
    #[sync(server_only)]
    pub origin: u64,
}

/// What an ant remembers of the messages it sent and got.
#[derive(Component, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Diary {
    pub sent: u32,
    pub received: u64,
    pub digest: u64,
}

/// Stays behind at a border.
#[derive(Component, Debug)]
pub struct Dusty;

/// One ant pokes another.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Poke {
    pub seq: u32,
}

/// Counts within a tick.
#[derive(Resource, Default)]
pub struct Steps(u32);

/// What every ant obeys.
#[derive(Debug)]
pub struct Rules {
    pub step_m: f32,
}

/// What really happened to messages, tick by tick.
#[derive(Debug, Default)]
pub struct TickLog {
    pub alive: BTreeSet<NetId>,
    /// (from, seq) by receiver.
    pub sent: BTreeMap<NetId, Vec<(NetId, u32)>>,
    pub received: BTreeMap<NetId, Vec<(NetId, u32)>>,
    /// Where the published rules lie, by cell.
    pub rules: BTreeMap<CellId, usize>,
}

#[derive(Clone, Debug, Default)]
pub struct Log(Arc<Mutex<BTreeMap<u64, TickLog>>>);

impl Log {
    fn at<R>(&self, tick: TickNumber, note: impl FnOnce(&mut TickLog) -> R) -> R {
        note(self.0.lock().expect("not poisoned").entry(tick.0).or_default())
    }

    pub fn read<R>(&self, read: impl FnOnce(&BTreeMap<u64, TickLog>) -> R) -> R {
        read(&self.0.lock().expect("not poisoned"))
    }
}

/// The cells' part of the game.
#[derive(Clone, Debug, Default)]
pub struct Ants {
    pub log: Log,
    /// Nothing happens any more.
    pub frozen: Arc<AtomicBool>,
    /// Nobody spawns, dies, jumps or attaches: ants walk and talk.
    pub calm: bool,
    /// Nobody even learns a name: no component ever changes.
    pub silent: bool,
}

impl Ants {
    pub fn freeze(&self) {
        self.frozen.store(true, Ordering::Relaxed);
    }
}

impl Plugin for Ants {
    fn build(&self, app: &mut App) {
        let (log, frozen, calm) = (self.log.clone(), self.frozen.clone(), self.calm);
        let runs = move || !frozen.load(Ordering::Relaxed);
        let note = self.log.clone();
        let begin = move |context: Res<TickContext>,
                          rules: Res<Published<Rules>>,
                          mut steps: ResMut<Steps>,
                          ants: Query<&NetId>| {
            assert_eq!(steps.0, 0, "scratch resources are reset before every tick");
            steps.0 += 1;
            note.at(context.tick, |tick| {
                tick.alive.extend(ants.iter());
                tick.rules.insert(context.cell, std::ptr::from_ref(&**rules) as usize);
            });
        };
        let note = self.log.clone();
        let listen = move |context: Res<TickContext>,
                           inbox: EntityInbox<Poke>,
                           mut diaries: Query<(&NetId, &mut Diary)>| {
            let mut mine: BTreeMap<NetId, _> = diaries.iter_mut().map(|(&me, diary)| (me, diary)).collect();
            for poke in inbox.iter() {
                let diary = mine.get_mut(&poke.to).expect("messages come to the cell that owns the receiver");
                diary.received += 1;
                let heard = [diary.digest, poke.from.0, u64::from(poke.message.seq), context.tick.0];
                diary.digest = heard.into_iter().fold(0, |hash: u64, part| {
                    (hash ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
                });
                note.at(context.tick, |tick| {
                    tick.received.entry(poke.to).or_default().push((poke.from, poke.message.seq));
                });
            }
        };
        let talk = move |context: Res<TickContext>,
                         mut outbox: EntityOutbox<Poke>,
                         mut ants: Query<(&NetId, &Ant, &mut Diary)>| {
            for (&me, ant, mut diary) in &mut ants {
                let mut chance = context.random(me, 2);
                if ant.friends.is_empty() {
                    continue;
                }
                for _ in 0..chance.below(3) {
                    let to = ant.friends[chance.below(ant.friends.len())];
                    let seq = diary.sent;
                    diary.sent += 1;
                    outbox.send(me, to, Poke { seq });
                    log.at(context.tick, |tick| tick.sent.entry(to).or_default().push((me, seq)));
                }
            }
        };
        app.replicate::<Ant>()
            .replicate::<Load>()
            .server_only::<Diary>()
            .cell_local::<Dusty>()
            .add_entity_message::<Poke>()
            .read_published::<Rules>()
            .scratch::<Steps>();
        if self.silent {
            app.add_systems(Simulate, (begin, listen, walk).chain().run_if(runs));
        } else if calm {
            app.add_systems(Simulate, (begin, listen, talk, befriend, walk).chain().run_if(runs));
        } else {
            app.add_systems(Simulate, (begin, listen, talk, befriend, live, walk).chain().run_if(runs));
        }
    }
}

/// Learns the names of those around.
fn befriend(context: Res<TickContext>, nearby: Nearby, mut ants: Query<(&NetId, &Position, &mut Ant)>) {
    for (&me, place, mut ant) in &mut ants {
        let mut chance = context.random(me, 3);
        if !chance.chance(0.1) {
            continue;
        }
        let around = nearby.nearest(place.0, 6, 10.0).expect("around an entity of this cell");
        if around.is_empty() {
            continue;
        }
        let friend = around[chance.below(around.len())].net_id;
        if ant.friends.len() >= 6 {
            let place = chance.below(6);
            ant.friends[place] = friend;
        } else {
            ant.friends.push(friend);
        }
    }
}

pub fn anywhere(chance: &mut Random) -> Vec3 {
    Vec3::new(chance.between(0.0..EDGE_M), chance.between(0.0..EDGE_M), chance.between(0.0..4.0))
}

/// Births, deaths, jumps, attachments, components that come and go.
fn live(
    context: Res<TickContext>,
    nearby: Nearby,
    mut requests: WorldRequests,
    mut commands: Commands,
    mut ants: Query<(Entity, &NetId, &Position, &mut Ant, Option<&mut Attached>, Option<&mut Load>)>,
) {
    for (entity, &me, place, mut ant, attached, load) in &mut ants {
        let mut chance = context.random(me, 1);
        // Now and then many at once: leaders and those attached to them in the same tick.
        let rush = context.tick.0.is_multiple_of(40);
        if chance.chance(if rush { 0.4 } else { 0.006 }) {
            requests.teleport(me, anywhere(&mut chance));
        }
        let before_leaving = (context.tick.0 + 1).is_multiple_of(PLAYERS_SPAWN_TICKS);
        if chance.chance(0.008) || (ant.kind == PLAYER && before_leaving) {
            requests.spawn(me, anywhere(&mut chance), an_ant(&mut chance));
        }
        if chance.chance(0.007) && ant.kind != PLAYER {
            if chance.chance(0.5) {
                let offset = Vec3::new(0.5, 0.5, 0.0);
                requests.spawn_with_class(
                    me,
                    place.0 + offset,
                    2,
                    (Load { weight: 7, origin: me.0 }, Diary::default()),
                );
            }
            commands.entity(entity).despawn();
            continue;
        }
        let offset = Vec3::new(chance.between(-3.0..3.0), chance.between(-3.0..3.0), 0.0);
        match attached {
            None if chance.chance(0.03) => {
                let around = nearby.nearest(place.0, 5, 10.0).expect("around an entity of this cell");
                if !around.is_empty() {
                    // Itself among them, and whoever is attached to it: circles must come to nothing.
                    let to = around[chance.below(around.len())].net_id;
                    commands.entity(entity).insert(Attached { to, offset });
                }
            }
            None if chance.chance(0.004) && !ant.friends.is_empty() => {
                let to = ant.friends[chance.below(ant.friends.len())];
                commands.entity(entity).insert(Attached { to, offset });
            }
            None => {}
            Some(_) if chance.chance(0.02) => {
                commands.entity(entity).remove::<Attached>();
            }
            Some(mut attached) => {
                if chance.chance(0.05) {
                    attached.offset = offset;
                }
                if chance.chance(0.01) && !ant.friends.is_empty() {
                    attached.to = ant.friends[chance.below(ant.friends.len())];
                }
            }
        }
        match load {
            None if chance.chance(0.03) => {
                commands
                    .entity(entity)
                    .insert(Load { weight: chance.below(900) as u16, origin: chance.bits() });
            }
            None => {}
            Some(_) if chance.chance(0.05) => {
                commands.entity(entity).remove::<Load>();
            }
            Some(mut load) if chance.chance(0.2) => load.weight = load.weight.wrapping_add(1),
            Some(_) => {}
        }
        if chance.chance(0.05) {
            commands.entity(entity).insert(Dusty);
        }
        if chance.chance(0.05) {
            ant.says = format!("{:x}", chance.below(5_000));
        }
        if chance.chance(0.2) {
            ant.secret = chance.bits();
        }
        if chance.chance(0.1) {
            ant.set_changed();
        }
    }
}

pub const WANDERER: u8 = 0;
pub const HOPPER: u8 = 1;
pub const CORNER: u8 = 2;
pub const STILL: u8 = 3;
pub const RUNNER: u8 = 4;
pub const KINDS: u8 = 5;
pub const PLAYER: u8 = 9;

/// Everybody moves as the kind does. The attached are moved by the engine.
fn walk(
    context: Res<TickContext>,
    rules: Res<Published<Rules>>,
    mut ants: Query<(&NetId, &mut Position, &mut Ant), Without<Attached>>,
) {
    for (&me, mut place, mut ant) in &mut ants {
        let mut chance = context.random(me, 0);
        let step = rules.step_m * 0.99;
        let at = place.0.truncate();
        let to_go = match ant.kind {
            WANDERER | PLAYER => {
                if chance.chance(0.1) {
                    ant.heading = (chance.unit() * std::f32::consts::TAU * 100.0).round() / 100.0;
                }
                Vec2::from_angle(ant.heading) * step
            }
            // Over the nearest line between two columns, and back, every tick.
            HOPPER => {
                let line = (at.x / 40.0).round().clamp(1.0, 4.0) * 40.0;
                let side = if context.tick.0.is_multiple_of(2) { 0.5 } else { -0.5 };
                Vec2::new(line + side - at.x, 0.3 * side)
            }
            // Around the nearest corner of four cells.
            CORNER => {
                let corner = (at / 40.0).round().clamp(Vec2::ONE, Vec2::splat(4.0)) * 40.0;
                let angle = (context.tick.0 + me.0 % 4) as f32 * std::f32::consts::FRAC_PI_2 + 0.8;
                corner + Vec2::from_angle(angle) * 0.7 - at
            }
            RUNNER => {
                let lap = (context.tick.0 / LAP_TICKS + me.0) % 4;
                Vec2::from_angle(lap as f32 * std::f32::consts::FRAC_PI_2) * step
            }
            _ => Vec2::ZERO,
        };
        if to_go != Vec2::ZERO {
            place.0 += to_go.clamp_length_max(step).extend(0.0);
        }
    }
}

pub fn an_ant(chance: &mut Random) -> (Ant, Diary) {
    let kind = chance.below(usize::from(KINDS)) as u8;
    let heading = (chance.unit() * std::f32::consts::TAU * 100.0).round() / 100.0;
    (Ant { kind, heading, secret: chance.bits(), ..Ant::default() }, Diary::default())
}
