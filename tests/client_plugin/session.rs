//! The rest of what a game's `App` has of the plugin: the session, answers, inputs, places, and what is not there.

use std::any::TypeId;
use std::time::{Duration, Instant};

use bevy_app::Update;
use bevy_ecs::message::{Message, MessageReader};
use bevy_ecs::prelude::{DetectChanges, Ref, ResMut};
use terrane::caravan::{Chat, Said, Say, Walker};
use terrane::client::player::ReplyError;
use terrane::client::plugin::{
    Answer, Client, ClientAppExt, ClientClock, ClientPlugin, ComponentNews, Connected, Disconnected, Entered,
    FieldNews, Global, Heard, Hidden, InterpolationDelay, Left, Lost, Mirrored, NetIds, Notice, OwnAvatar,
    Resumed, ShownTick, TargetPosition, Welcomed,
};
use terrane::client::{As, ClientTarget, Ended, Reconnect, ReconnectPolicy};
use terrane::limits::LATTICE_STEPS_PER_M;
use terrane::net::{LinkEnd, LoopbackConditions};
use terrane::prelude::*;
use terrane::replication::rule::{Tier, Tiers};
use terrane::testing::TestWorld;

use crate::fair::{
    Bell, EXILE, Lantern, RINGS_EVERY, RUNNER, RUNS_UNTIL, Rename, Renamed, Shout, Stall, Wares, Weather,
    runner_at, yard,
};
use crate::paced::{PacedWorld, schema};
use crate::{TICK, update};

/// Everything of a message type that was written.
#[derive(Resource)]
struct All<M>(Vec<M>);

fn keep<M: Message + Clone>(mut all: ResMut<All<M>>, mut messages: MessageReader<M>) {
    all.0.extend(messages.read().cloned());
}

trait Keep {
    fn keep<M: Message + Clone>(&mut self) -> &mut Self;
    fn kept<M: Message + Clone>(&self) -> &[M];
}

impl Keep for App {
    fn keep<M: Message + Clone>(&mut self) -> &mut Self {
        self.insert_resource(All::<M>(Vec::new())).add_systems(Update, keep::<M>)
    }
    fn kept<M: Message + Clone>(&self) -> &[M] {
        &self.world().resource::<All<M>>().0
    }
}

/// What an answer said: answers themselves are read once.
#[derive(Resource, Default)]
struct Renames(Vec<(terrane::ids::ActionId, Result<Renamed, ReplyError>)>);

fn hear_renames(mut renames: ResMut<Renames>, mut answers: MessageReader<Answer<Rename>>) {
    renames.0.extend(answers.read().map(|answer| (answer.id, answer.result.clone())));
}

fn yard_app(world: &mut TestWorld, name: &str) -> App {
    let mut app = App::new();
    app.add_plugins(ClientPlugin::new(world.connect_apart(name)))
        .insert_resource(ClientClock::by_hand())
        .mirror::<Stall>()
        .answers::<Rename>()
        .init_resource::<Renames>()
        .add_systems(Update, hear_renames)
        .keep::<Welcomed>()
        .keep::<Entered>()
        .keep::<Left>()
        .keep::<ComponentNews>()
        .keep::<FieldNews>()
        .keep::<Notice>()
        .keep::<Disconnected>();
    app
}

fn step(world: &mut TestWorld, app: &mut App, ticks: u32) {
    for _ in 0..ticks {
        world.tick();
        update(app, TICK);
    }
}

fn call(app: &mut App, name: &str) -> terrane::ids::ActionId {
    app.world_mut().resource_mut::<Client>().call(&Rename { name: name.into() }).expect("it is sent")
}

/// C4 as a game sees it: each call has one typed answer under its id, when what it caused can be seen.
#[test]
fn answers_come_typed_once_and_after_what_they_caused() {
    let mut world = TestWorld::new(yard(), WorldSettings::default());
    let mut app = yard_app(&mut world, "alice");
    step(&mut world, &mut app, 5);
    let avatar = app.world().resource::<Client>().avatar().expect("alice is in");
    assert_eq!(app.kept::<Welcomed>(), [Welcomed { avatar }], "told once");
    let own = app.world_mut().query_filtered::<(Entity, &NetId), With<OwnAvatar>>().single(app.world());
    let (own, &own_name) = own.expect("one avatar");
    assert_eq!(own_name, avatar);
    let (renamed, refused) = (call(&mut app, "ann"), call(&mut app, ""));
    for _ in 0..6 {
        step(&mut world, &mut app, 1);
        if !app.world().resource::<Renames>().0.is_empty() {
            break;
        }
    }
    let stall = app.world().get::<Stall>(own).expect("it is still there");
    assert_eq!(stall.name, "ann", "what was done is seen when its answer comes");
    step(&mut world, &mut app, 10);
    let renames = &app.world().resource::<Renames>().0;
    assert_eq!(renames.len(), 2);
    assert_eq!(renames[0], (renamed, Ok(Renamed { before: "alice".into() })));
    assert!(
        renames[1].0 == refused && matches!(renames[1].1, Err(ReplyError::Refused(_))),
        "{:?}",
        renames[1]
    );
}

/// Continuous input is sent at the pace of the world, whatever that of the frames is, and the echo says what took part.
#[test]
fn what_is_wanted_goes_out_once_per_tick_and_its_echo_comes_back() {
    let mut world = TestWorld::new(yard(), WorldSettings::default());
    let mut app = yard_app(&mut world, "alice");
    step(&mut world, &mut app, 6);
    app.world_mut().resource_mut::<Client>().want(&Shout { price: 70 }).expect("the game has it");
    let before = app.world().resource::<Client>().input_seq_sent();
    for _ in 0..40 {
        world.tick();
        for _ in 0..5 {
            update(&mut app, TICK / 5);
        }
    }
    let client = app.world().resource::<Client>();
    let (sent, shown) = (client.input_seq_sent(), client.input_seq_shown());
    assert_eq!(sent - before, 5 + 40, "the first number counts the messages without input before");
    assert!(shown >= sent - 2 && shown <= sent, "shown {shown} of {sent}");
    let own = app.world().resource::<NetIds>().entity(client.avatar().expect("in")).expect("in view");
    assert_eq!(app.world().get::<Stall>(own).expect("there").price, 70);
}

/// Positions run along the way that the entity took, by the world's ticks, whatever the network does; then they stand.
#[test]
fn an_entity_is_shown_on_its_way_and_never_goes_back() {
    let mut world = TestWorld::new(yard(), WorldSettings::default());
    world.set_conditions(LoopbackConditions { loss: 0.1, duplicate: 0.0, delay_ticks: 2, jitter_ticks: 2 });
    let mut app = yard_app(&mut world, "alice");
    app.world_mut().resource_mut::<InterpolationDelay>().0 = 5.0;
    let frame = Duration::from_micros(16_667);
    let (mut last, mut frames) = (None, 0);
    for tick in 1..RUNS_UNTIL + 60 {
        world.tick();
        for _ in 0..3 {
            update(&mut app, frame);
            let shown = app.world().resource::<ShownTick>().tick();
            let mut stalls = app.world_mut().query::<(&Stall, Ref<Position>, &TargetPosition)>();
            let Some((_, place, target)) = stalls.iter(app.world()).find(|(stall, ..)| stall.name == RUNNER)
            else {
                continue;
            };
            if tick < 30 {
                continue;
            }
            let x = place.0.x;
            let off = f64::from(x) - runner_at(shown);
            // Where it stops an update may be missing: then the way between its neighbours is not the whole story.
            let steps_off = if (shown - RUNS_UNTIL as f64).abs() < 8.0 { 200.0 } else { 1.5 };
            assert!(
                off.abs() <= steps_off / f64::from(LATTICE_STEPS_PER_M),
                "tick {tick}: {off} m off its way at {shown}"
            );
            let moved = x - last.replace(x).unwrap_or(x);
            // 0.4 m a tick, three frames a tick; twice that while the clock of the world is being followed.
            assert!((0.0..0.27).contains(&moved), "tick {tick}: {moved} m in one frame");
            assert!(target.0.x >= x - 1e-3, "what is shown is behind what is known");
            frames += 1;
        }
    }
    assert!(frames > 200, "{frames} frames were looked at");
    assert_eq!(
        f64::from(last.expect("seen")),
        f64::from((runner_at(1e9) as f32 * 128.0).floor() + 0.5) / 128.0
    );
}

/// B9: what is told of every few ticks only goes on at its own pace in between.
#[test]
fn an_entity_that_is_told_of_seldom_does_not_leap() {
    for every in [3, 9] {
        let tiers = Tiers::new(&[Tier { beyond_m: 0.0, every }]).expect("a sound tier");
        let mut world = TestWorld::new(yard(), WorldSettings { tiers, ..WorldSettings::default() });
        let mut app = yard_app(&mut world, "alice");
        let frame = Duration::from_micros(16_667);
        let (mut last, mut way, mut frames) = (None, 0.0, 0);
        for tick in 1..RUNS_UNTIL {
            world.tick();
            for _ in 0..3 {
                update(&mut app, frame);
                let mut stalls = app.world_mut().query::<(&Stall, &Position)>();
                let stalls = stalls.iter(app.world());
                let Some((_, place)) = stalls.into_iter().find(|(stall, _)| stall.name == RUNNER) else {
                    continue;
                };
                if tick < 40 {
                    continue;
                }
                let moved = place.0.x - last.replace(place.0.x).unwrap_or(place.0.x);
                // 0.4 m a tick, three frames a tick.
                assert!((0.0..0.27).contains(&moved), "every {every}, tick {tick}: {moved} m in one frame");
                way += moved;
                frames += 1;
            }
        }
        assert!(frames > 200 && way > 0.12 * frames as f32, "every {every}: {way} m in {frames} frames");
    }
}

/// Whoever goes far away leaves nothing behind: no entity, no name, no component of the plugin's.
#[test]
fn what_has_left_leaves_nothing_behind() {
    let mut world = TestWorld::new(yard(), WorldSettings::default());
    let mut app = yard_app(&mut world, "alice");
    app.mirror::<Wares>();
    update(&mut app, TICK);
    let nobody = app.world().entities().count_spawned();
    step(&mut world, &mut app, 10);
    assert_eq!(app.kept::<Entered>().len(), 5, "the runner, three stalls and alice");
    assert_eq!(app.world().entities().count_spawned(), nobody + 5);
    let mut stalls = app.world_mut().query::<(Entity, &Stall)>();
    let some = stalls.iter(app.world()).find(|(_, stall)| stall.name == "stall").map(|(entity, _)| entity);
    let child = app.world_mut().spawn(bevy_ecs::hierarchy::ChildOf(some.expect("a stall"))).id();
    call(&mut app, EXILE);
    step(&mut world, &mut app, 10);
    let left = app.kept::<Left>().len();
    assert_eq!(left, 4, "all but alice, who sees herself far away");
    assert_eq!(app.world().entities().count_spawned(), nobody + 1);
    assert!(app.world().get_entity(child).is_err(), "what hangs on it goes with it");
    assert_eq!(app.world().resource::<NetIds>().len(), 1);
    let hidden = app.world_mut().query::<&Hidden<Stall>>().iter(app.world()).count();
    assert!(hidden <= 1, "only of her own");
    for left in app.kept::<Left>() {
        assert_eq!(app.world().resource::<NetIds>().entity(left.net_id), None);
        assert_eq!(app.world().resource::<NetIds>().net_id(left.entity), None);
    }
}

/// A component that the game does not ask for is not even known to its world, nothing is told of it, and what changes
/// every tick of it touches nothing.
#[test]
fn a_component_that_is_not_mirrored_costs_nothing() {
    let mut world = TestWorld::new(yard(), WorldSettings::default());
    let mut app = yard_app(&mut world, "alice");
    #[derive(Resource, Default)]
    struct Writes(u64);
    fn count(mut writes: ResMut<Writes>, stalls: Query<&Stall, Changed<Stall>>) {
        writes.0 += stalls.iter().count() as u64;
    }
    app.init_resource::<Writes>().add_systems(Update, count);
    step(&mut world, &mut app, 40);
    let client = app.world().resource::<Client>().player();
    let flickers = client
        .view()
        .get(client.avatar().expect("in"))
        .expect("in view")
        .component::<Lantern>(client.schema());
    assert!(flickers.is_some_and(|lantern| lantern.flickers > 30), "the client below does get it");
    let components = app.world().components();
    assert!(components.get_id(TypeId::of::<Lantern>()).is_none());
    assert!(components.get_id(TypeId::of::<Hidden<Lantern>>()).is_none());
    assert!(app.kept::<FieldNews>().is_empty() && app.kept::<ComponentNews>().is_empty());
    assert_eq!(app.world().resource::<Writes>().0, 5, "each stall was written once, when it came");
}

#[test]
fn what_the_game_despawns_itself_is_gone_and_disturbs_nobody() {
    let mut world = TestWorld::new(yard(), WorldSettings::default());
    let mut app = yard_app(&mut world, "alice");
    step(&mut world, &mut app, 10);
    let mut stalls = app.world_mut().query::<(Entity, &NetId, &Stall)>();
    let runner = stalls.iter(app.world()).find(|(.., stall)| stall.name == RUNNER);
    let (runner, net_id) = runner.map(|(entity, &net_id, _)| (entity, net_id)).expect("in view");
    app.world_mut().despawn(runner);
    assert_eq!(app.world().resource::<NetIds>().entity(net_id), None);
    step(&mut world, &mut app, 10);
    assert_eq!(app.world_mut().query::<&Mirrored>().iter(app.world()).count(), 4, "it does not come back");
    call(&mut app, EXILE);
    step(&mut world, &mut app, 10);
    assert!(app.kept::<Left>().iter().all(|left| left.net_id != net_id), "the game knows");
    assert_eq!(app.kept::<Left>().len(), 3);
}

#[test]
#[should_panic(expected = "mirror::<Walker>(): the world does not replicate it")]
fn what_the_world_does_not_replicate_is_named() {
    let mut world = TestWorld::new(yard(), WorldSettings::default());
    let mut app = yard_app(&mut world, "alice");
    app.mirror::<Walker>();
    update(&mut app, TICK);
}

#[test]
#[should_panic(expected = "mirror::<Wares>(): comes too late")]
fn what_is_asked_for_too_late_is_named() {
    let mut world = TestWorld::new(yard(), WorldSettings::default());
    let mut app = yard_app(&mut world, "alice");
    update(&mut app, TICK);
    app.mirror::<Wares>();
}

#[test]
#[should_panic(expected = "mirror::<Weather>(): it is node-wide state: call mirror_global")]
fn node_wide_state_is_no_component_of_entities() {
    let mut world = TestWorld::new(yard(), WorldSettings::default());
    let mut app = yard_app(&mut world, "alice");
    app.mirror::<Weather>();
    update(&mut app, TICK);
}

#[test]
#[should_panic(expected = "hear::<Renamed>(): the world tells no such event")]
fn an_event_that_nobody_tells_is_named() {
    #[derive(Clone, Debug, Default, PartialEq, Replicate)]
    struct Renamed {
        #[sync(broadcast)]
        name: String,
    }
    let mut world = TestWorld::new(yard(), WorldSettings::default());
    let mut app = yard_app(&mut world, "alice");
    app.hear::<Renamed>();
    update(&mut app, TICK);
}

/// B14 as a game sees it: each event once, in order, with the entity it is about; and a resource that changes when the
/// state of the world does.
#[test]
fn events_and_node_wide_state_come_as_messages_and_as_a_resource() {
    #[derive(Resource, Default)]
    struct Forecasts(Vec<u64>);
    fn look(weather: Res<Global<Weather>>, mut forecasts: ResMut<Forecasts>) {
        if weather.is_changed()
            && let Some(weather) = weather.get()
        {
            forecasts.0.push(weather.rain_mm);
        }
    }
    let mut world = TestWorld::new(yard(), WorldSettings::default());
    world.set_conditions(LoopbackConditions { loss: 0.1, duplicate: 0.05, delay_ticks: 1, jitter_ticks: 1 });
    let mut app = yard_app(&mut world, "alice");
    app.mirror_global::<Weather>().hear::<Bell>().keep::<Heard<Bell>>();
    app.init_resource::<Forecasts>().add_systems(Update, look);
    step(&mut world, &mut app, 105);
    let rung: Vec<u64> = app.kept::<Heard<Bell>>().iter().map(|heard| heard.event.strokes).collect();
    assert!(
        rung.len() >= 9 && rung.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{rung:?}, every {RINGS_EVERY} ticks"
    );
    let last = app.kept::<Heard<Bell>>().last().expect("some");
    let entity = last.entity.expect("who rang is in view");
    assert_eq!(app.world().get::<Stall>(entity).expect("a stall").name, RUNNER);
    assert_eq!(app.world().resource::<NetIds>().net_id(entity), last.about);
    let forecasts = &app.world().resource::<Forecasts>().0;
    assert!(forecasts.len() > 15 && forecasts.is_sorted_by(|a, b| a < b), "each change once: {forecasts:?}");
    assert_eq!(app.world_mut().query::<&Mirrored>().iter(app.world()).count(), 5, "the weather is no entity");
    assert_eq!(app.world().resource::<Client>().undecodable(), 0);
}

#[derive(Resource, Default)]
struct Answered(Vec<Result<Said, ReplyError>>);

fn hear_said(mut answered: ResMut<Answered>, mut answers: MessageReader<Answer<Say>>) {
    answered.0.extend(answers.read().map(|answer| answer.result.clone()));
}

/// The same plugin over UDP, by the clock of the wall: a whole visit to the shipped world, and its end.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a client on sockets waits for a world that is paced by the clock of the wall"
)]
fn over_udp_the_same_plugin_sees_speaks_and_leaves() {
    let settings = WorldSettings { npcs: Some(500), ..WorldSettings::default() };
    let world = PacedWorld::start(settings, 1, None, |_| {});
    let player = PlayerId::new("ann").expect("a name");
    let target = ClientTarget::new(world.addresses[0], As::Player(player));
    let mut app = App::new();
    app.add_plugins(ClientPlugin::connect(&target, schema()).expect("a socket"))
        .mirror::<Walker>()
        .answers::<Say>()
        .init_resource::<Answered>()
        .add_systems(Update, hear_said)
        .hear::<Chat>()
        .keep::<Heard<Chat>>()
        .keep::<Disconnected>();
    let until = |app: &mut App, what: &str, holds: fn(&mut App) -> bool| {
        let begun = Instant::now();
        while !holds(app) {
            assert!(begun.elapsed() < Duration::from_secs(60), "never {what}");
            app.update();
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    until(&mut app, "in view", |app| {
        let mut own = app.world_mut().query_filtered::<&Walker, With<OwnAvatar>>();
        own.iter(app.world()).any(|walker| walker.name == "ann")
    });
    app.world_mut().resource_mut::<Client>().call(&Say { text: "hello".into() }).expect("sent");
    until(&mut app, "answered", |app| !app.world().resource::<Answered>().0.is_empty());
    assert!(app.world().resource::<Answered>().0[0].is_ok());
    until(&mut app, "heard", |app| !app.kept::<Heard<Chat>>().is_empty());
    let heard = &app.kept::<Heard<Chat>>()[0];
    assert_eq!((heard.event.by.as_str(), heard.event.text.as_str()), ("ann", "hello"));
    app.world_mut().resource_mut::<Client>().leave();
    until(&mut app, "over", |app| !app.kept::<Disconnected>().is_empty());
    for _ in 0..5 {
        app.update();
    }
    assert_eq!(app.kept::<Disconnected>().len(), 1, "told once");
    assert_eq!(world.stop().players, 0, "who left is gone from the world too");
}

/// D1: a game whose player loses its connection is told so, and that it is back; what it asked for meanwhile is
/// answered.
#[test]
fn a_game_is_told_that_its_player_is_out_and_that_it_is_back() {
    let mut world = TestWorld::new(yard(), WorldSettings::default());
    let reconnect = Reconnect::new(world.dial("ann", Role::Player), ReconnectPolicy::default(), 1);
    let player = world.connect_apart("ann").with_reconnect(reconnect);
    let mut app = App::new();
    app.add_plugins(ClientPlugin::new(player))
        .insert_resource(ClientClock::by_hand())
        .mirror::<Stall>()
        .answers::<Rename>()
        .init_resource::<Renames>()
        .add_systems(Update, hear_renames)
        .keep::<Connected>()
        .keep::<Lost>()
        .keep::<Resumed>()
        .keep::<Disconnected>();
    step(&mut world, &mut app, 10);
    assert_eq!((app.kept::<Connected>().len(), app.kept::<Lost>().len()), (1, 0));
    app.world_mut().resource_mut::<Client>().cut(Duration::from_millis(500));
    let asked = call(&mut app, "back");
    step(&mut world, &mut app, 4);
    assert_eq!(app.kept::<Lost>(), [Lost { why: Ended::Link(LinkEnd::Cut) }]);
    step(&mut world, &mut app, 40);
    assert_eq!(app.kept::<Connected>().len() + app.kept::<Resumed>().len(), 2, "it is back");
    assert_eq!(app.kept::<Disconnected>(), []);
    let renames = &app.world().resource::<Renames>().0;
    assert!(matches!(&renames[..], [(id, Ok(_))] if *id == asked), "{renames:?}");
}
