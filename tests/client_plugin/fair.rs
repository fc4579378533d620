//! A fair, for clients to look at: everything that a view can do happens at every stall, until the fair stands still.

use std::collections::BTreeMap;

use terrane::prelude::*;
use terrane::replication::SyncNode;
use terrane::replication::policy::ComponentRule;
use terrane::tick::{Tick, TickSystems};

/// From this tick on nothing moves or changes.
pub(crate) const STILL_FROM: u64 = 330;
const STALLS: u16 = 90;
const MIDDLE: Vec3 = Vec3::new(500.0, 500.0, 0.0);
pub(crate) const PARTY: PartyId = PartyId(7);

/// Who works at a stall.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, Replicate)]
pub(crate) struct Hand {
    #[sync(broadcast)]
    pub(crate) name: String,
    #[sync(custom = is_owner)]
    pub(crate) wage: u32,
}

fn is_owner(viewing: &Viewing<'_>) -> bool {
    viewing.is_owner()
}

#[expect(clippy::ptr_arg, reason = "a policy has the type of its field")]
fn to_party(value: &String, viewing: &Viewing<'_>) -> Option<String> {
    viewing.same_party().then(|| value.clone())
}

fn hundreds(purse: &u32) -> u32 {
    purse / 100 * 100
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub(crate) struct Stall {
    #[sync(broadcast)]
    pub(crate) name: String,
    #[sync(broadcast)]
    pub(crate) price: u32,
    #[sync(masked = hundreds)]
    pub(crate) purse: u32,
    #[sync(broadcast, precision = 0.5)]
    pub(crate) awning_m: f32,
    #[sync(custom = is_owner)]
    pub(crate) stock: BTreeMap<u16, u32>,
    #[sync(per_player = to_party)]
    pub(crate) route: String,
    #[sync(per_player_slice)]
    pub(crate) bids: BTreeMap<PlayerId, u32>,
    #[sync(broadcast, nested)]
    pub(crate) crew: Vec<Hand>,
    #[sync(broadcast)]
    pub(crate) friend: NetId,
    #[sync(server_only)]
    pub(crate) seed: u64,
}

/// What only the party of a stall sees, unless the stall says otherwise.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(party)]
pub(crate) struct Wares {
    #[sync(broadcast)]
    pub(crate) pieces: u32,
    #[sync(custom = is_owner)]
    pub(crate) worth: u32,
}

/// More than one update carries: it comes in a record of its own.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub(crate) struct Ledger {
    #[sync(broadcast, max_bytes = 2_500)]
    pub(crate) text: String,
}

/// What the clients of these tests do not ask for: it changes every tick.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub(crate) struct Lantern {
    #[sync(broadcast)]
    pub(crate) flickers: u64,
}

/// Say a price. The latest wins.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, latest_wins)]
pub(crate) struct Shout {
    pub(crate) price: u32,
}

/// Rename the own stall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = Renamed, rate = 1000, burst = 1000, coalesce = none, durability = memory)]
pub(crate) struct Rename {
    pub(crate) name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Renamed {
    pub(crate) before: String,
}

fn shout(action: &Shout, stall: &mut Stall, _: &mut OwnContext<'_>) -> Result<(), String> {
    stall.price = action.price;
    Ok(())
}

fn rename(action: &Rename, stall: &mut Stall, _: &mut OwnContext<'_>) -> Result<Renamed, String> {
    if action.name.is_empty() {
        return Err("a stall has a name".into());
    }
    let before = std::mem::replace(&mut stall.name, action.name.clone());
    Ok(Renamed { before })
}

/// What happens: one purpose of chance each.
#[derive(Clone, Copy)]
enum Chance {
    Way,
    Price,
    Purse,
    Awning,
    Stock,
    Route,
    Bid,
    Crew,
    Friend,
    Wares,
    Ledger,
    Subject,
    End,
}

fn is_still(context: &TickContext) -> bool {
    context.tick.0 >= STILL_FROM
}

fn wander(context: Res<TickContext>, mut stalls: Query<(&NetId, &mut Position), With<Stall>>) {
    for (&net_id, mut place) in stalls.iter_mut().filter(|_| !is_still(&context)) {
        let mut way = Random::new(1, net_id, TickNumber(context.tick.0 / 40), Chance::Way as u32);
        let speed_m_s = if way.chance(0.3) { 0.0 } else { 7.0 };
        let step = Vec2::from_angle(way.unit() * std::f32::consts::TAU) * speed_m_s * context.dt;
        let home = (MIDDLE - place.0).truncate().normalize_or_zero() * 0.05;
        place.0 += (step + home).extend(0.0);
    }
}

fn trade(
    context: Res<TickContext>,
    mut stalls: Query<(&NetId, &Position, &mut Stall, Option<&mut Ledger>)>,
    near: Nearby,
) {
    for (&net_id, place, mut stall, ledger) in stalls.iter_mut().filter(|_| !is_still(&context)) {
        let chance = |purpose: Chance| context.random(net_id, purpose as u32);
        let (mut price, mut purse) = (chance(Chance::Price), chance(Chance::Purse));
        if price.chance(0.1) {
            stall.price = price.below(5) as u32;
        }
        if purse.chance(0.2) {
            stall.purse = purse.below(400) as u32;
        }
        let (mut awning, mut stock) = (chance(Chance::Awning), chance(Chance::Stock));
        if awning.chance(0.1) {
            stall.awning_m = awning.unit() * 2.0;
        }
        if stock.chance(0.1) {
            let kind = stock.below(4) as u16;
            if stall.stock.remove(&kind).is_none() {
                stall.stock.insert(kind, stock.below(9) as u32);
            }
        }
        let (mut route, mut bid) = (chance(Chance::Route), chance(Chance::Bid));
        if route.chance(0.05) {
            stall.route = "x".repeat(route.below(3));
        }
        if bid.chance(0.1) {
            let player = PlayerId::new(["alice", "bob", "zoe"][bid.below(3)]).expect("a name");
            stall.bids.insert(player, bid.below(50) as u32);
        }
        let mut crew = chance(Chance::Crew);
        if crew.chance(0.1) {
            let hand = Hand { name: "h".repeat(crew.below(3)), wage: crew.below(9) as u32 };
            match (crew.below(3), stall.crew.len()) {
                (0, 1..) => drop(stall.crew.pop()),
                (1, many @ 1..) => stall.crew[crew.below(many)] = hand,
                (_, 0..4) => stall.crew.push(hand),
                _ => {}
            }
        }
        let mut friend = chance(Chance::Friend);
        if friend.chance(0.05) {
            let others = near.within(place.0, 20.0).unwrap_or_default();
            stall.friend =
                others.get(friend.below(others.len().max(1))).map_or(NetId(0), |other| other.net_id);
        }
        let mut pages = chance(Chance::Ledger);
        if let Some(mut ledger) = ledger
            && pages.chance(0.05)
        {
            ledger.text = "l".repeat(pages.below(2_400));
        }
    }
}

fn flicker(context: Res<TickContext>, mut lanterns: Query<&mut Lantern>) {
    for mut lantern in lanterns.iter_mut().filter(|_| !is_still(&context)) {
        lantern.flickers += 1;
    }
}

/// Wares and ledgers come and go, and so do stalls.
fn come_and_go(
    context: Res<TickContext>,
    stalls: Query<(Entity, &NetId, &Stall, Option<&Wares>, Option<&Ledger>)>,
    mut commands: Commands,
    mut world: WorldRequests,
) {
    for (entity, &net_id, stall, wares, ledger) in stalls.iter().filter(|_| !is_still(&context)) {
        let mut chance = context.random(net_id, Chance::Wares as u32);
        if chance.chance(0.04) {
            if wares.is_some() && chance.chance(0.5) {
                commands.entity(entity).remove::<Wares>();
            } else {
                commands
                    .entity(entity)
                    .insert(Wares { pieces: chance.below(5) as u32, worth: chance.below(5) as u32 });
            }
        }
        if chance.chance(0.01) {
            if ledger.is_some() {
                commands.entity(entity).remove::<Ledger>();
            } else {
                commands.entity(entity).insert(Ledger { text: "n".repeat(chance.below(2_400)) });
            }
        }
        let mut end = context.random(net_id, Chance::End as u32);
        // Avatars are named; they stay.
        if stall.name.is_empty() && end.chance(0.003) {
            let place = MIDDLE + Vec2::from_angle(end.unit() * 6.0).extend(0.0) * end.between(0.0..10.0);
            world.spawn(net_id, place, (Stall::default(), Lantern::default(), Subject::default()));
        }
        if stall.name.is_empty() && end.chance(0.003) {
            commands.entity(entity).despawn();
        }
    }
}

fn hide_and_show(context: Res<TickContext>, mut subjects: Query<(&NetId, &Stall, &mut Subject)>) {
    for (&net_id, stall, mut subject) in subjects.iter_mut().filter(|_| !is_still(&context)) {
        let mut chance = context.random(net_id, Chance::Subject as u32);
        if !chance.chance(0.1) {
            continue;
        }
        let player = PlayerId::new(["alice", "bob", "zoe"][chance.below(3)]).expect("a name");
        let yes = chance.chance(0.5);
        match chance.below(if stall.name.is_empty() { 7 } else { 4 }) {
            0 => subject.set_owner(yes.then_some(player)),
            1 => subject.set_party(yes.then_some(PARTY)),
            2 => subject.override_component::<Wares>(yes.then_some(ComponentRule::Everyone)),
            3 => subject
                .override_component::<Stall>((yes && stall.name.is_empty()).then_some(ComponentRule::Owner)),
            4 => subject.set_hidden_from(player, yes),
            5 => subject.set_party_only(yes && chance.chance(0.5)),
            _ => subject.override_component::<Wares>(yes.then_some(ComponentRule::Nobody)),
        }
    }
}

/// Node-wide state.
#[derive(Resource, Clone, Debug, Default, PartialEq, Replicate)]
pub(crate) struct Weather {
    #[sync(broadcast)]
    pub(crate) rain_mm: u64,
    #[sync(custom = for_the_party)]
    pub(crate) forecast: u64,
    #[sync(server_only)]
    pub(crate) seed: u64,
}

fn for_the_party(viewing: &Viewing<'_>) -> bool {
    viewing.viewer.party() == Some(PARTY)
}

fn rain(context: Res<terrane::cell::pool::NodeContext>, mut weather: ResMut<Weather>) {
    let tick = context.0.tick.0;
    if tick.is_multiple_of(4) && tick < STILL_FROM {
        weather.rain_mm += 1;
        weather.forecast = weather.rain_mm * 7;
    }
}

#[derive(Debug)]
struct Sky;

impl Plugin for Sky {
    fn build(&self, app: &mut App) {
        app.replicate_global::<Weather>().add_systems(Tick, rain.in_set(TickSystems::Settle));
    }
}

/// Told once, by the runner.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
pub(crate) struct Bell {
    #[sync(broadcast)]
    pub(crate) strokes: u64,
}

/// Told too, and nobody listens.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
struct Rumour {
    #[sync(broadcast)]
    text: String,
}

pub(crate) const RINGS_EVERY: u64 = 10;

fn ring(context: Res<TickContext>, stalls: Query<(&NetId, &Stall)>, mut events: PlayerEvents) {
    for (&net_id, _) in stalls.iter().filter(|(_, stall)| stall.name == RUNNER) {
        if context.tick.0.is_multiple_of(RINGS_EVERY) {
            events.send(net_id, Audience::All, Bell { strokes: context.tick.0 / RINGS_EVERY });
            events.send(net_id, Audience::All, Rumour { text: "it rang".into() });
        }
    }
}

/// What there is, and nothing of what happens.
#[derive(Debug)]
struct Grounds;

impl Plugin for Grounds {
    fn build(&self, app: &mut App) {
        app.replicate::<Stall>()
            .replicate::<Lantern>()
            .replicate::<Wares>()
            .replicate::<Ledger>()
            .add_own_action::<Shout, Stall>(shout)
            .add_own_action::<Rename, Stall>(rename)
            .add_player_event::<Rumour>(Delivery::Reliable)
            .add_player_event::<Bell>(Delivery::Reliable);
    }
}

#[derive(Debug)]
struct Fair;

impl Plugin for Fair {
    fn build(&self, app: &mut App) {
        app.add_plugins(Grounds)
            .add_systems(Simulate, (wander, trade, flicker, hide_and_show, come_and_go).chain());
    }
}

/// Where the runner is after a tick, and from when on it stands.
pub(crate) const RUNNER: &str = "runner";
pub(crate) const RUNS_UNTIL: u64 = 120;
pub(crate) fn runner_at(tick: f64) -> f64 {
    490.0 + 0.4 * tick.min(RUNS_UNTIL as f64)
}

/// A yard where a runner runs, lanterns flicker and, otherwise, stalls stand.
#[derive(Debug)]
struct Yard;

fn run(context: Res<TickContext>, mut stalls: Query<(&mut Position, &Stall)>) {
    for (mut place, _) in stalls.iter_mut().filter(|(_, stall)| stall.name == RUNNER) {
        if context.tick.0 <= RUNS_UNTIL {
            place.0.x = runner_at(context.tick.0 as f64) as f32;
        }
    }
}

/// Whoever is renamed so goes far away.
pub(crate) const EXILE: &str = "exile";

fn banish(stalls: Query<(&NetId, &Position, &Stall)>, mut world: WorldRequests) {
    for (&net_id, place, _) in stalls.iter().filter(|(.., stall)| stall.name == EXILE) {
        if place.0.x > 100.0 {
            world.teleport(net_id, Vec3::new(50.0, 50.0, 0.0));
        }
    }
}

impl Plugin for Yard {
    fn build(&self, app: &mut App) {
        app.add_plugins(Grounds).add_systems(Simulate, (run, ring, flicker, banish).chain());
    }
}

/// A yard with a runner and three more stalls; players are stalls in the middle of it.
pub(crate) fn yard() -> ServerBuilder {
    let all =
        |name: &str| (Stall { name: name.into(), ..Stall::default() }, Lantern::default(), Wares::default());
    ServerBuilder::default()
        .add_cell_plugins(Yard)
        .add_plugins(Sky)
        .avatars(move |request| SpawnRequest::new(NetId::WORLD, MIDDLE, all(request.player.as_str())))
        .populate(move |world| {
            let runner = Vec3::new(runner_at(0.0) as f32, 505.0, 0.0);
            world.spawn(SpawnRequest::new(NetId::WORLD, runner, all(RUNNER)));
            for number in 0..3u16 {
                let place = MIDDLE + Vec3::new(f32::from(number), -5.0, 0.0);
                world.spawn(SpawnRequest::new(NetId::WORLD, place, all("stall")));
            }
        })
}

/// Stalls in the middle of the map, and players among them.
pub(crate) fn fair() -> ServerBuilder {
    let all = |name: &str| {
        let stall = Stall { name: name.into(), ..Stall::default() };
        (stall, Lantern::default(), Subject::default())
    };
    ServerBuilder::default()
        .add_cell_plugins(Fair)
        .add_plugins(Sky)
        .avatars(move |request| SpawnRequest::new(NetId::WORLD, MIDDLE, all(request.player.as_str())))
        .populate(move |world| {
            for number in 0..STALLS {
                let turn = Vec2::from_angle(f32::from(number) * 2.4) * f32::from(number).sqrt() * 7.0;
                world.spawn(SpawnRequest::new(NetId::WORLD, MIDDLE + turn.extend(0.0), all("")));
            }
        })
}

/// Nodes have policies of their own: [`Hand`] is one.
const _: () = assert!(<Hand as SyncNode>::PERSONAL);
