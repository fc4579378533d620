//! A connection that is lost costs nothing: sessions linger, are resumed with everything that was said meanwhile, are taken
//! over by one device at a time, and end when nobody comes back.
//!
//! Devices here are mirrors fed with the very messages of the tick, over lines that lose, delay and break.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use proptest::prelude::*;
use terrane::cell::markers::Owned;
use terrane::cell::pool::with_cells;
use terrane::client::mirror::Mirror;
use terrane::ids::{ActionId, ConnectionId, DeviceId, PlayerId};
use terrane::net::ToNet;
use terrane::prelude::*;
use terrane::protocol::codec;
use terrane::protocol::messages::{ActionCall, ActionReply, Health, Refusal, ServerControl, Welcome};
use terrane::replication::Rows;
use terrane::server::io::{ClientAck, ClientAction, Join, Resume};
use terrane::server::{Server, TickInput, TickOutput, TickReport};
use terrane::session::{Sessions, State};

/// An avatar: what was done to it, and by which device in which tick.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Tally {
    #[sync(broadcast)]
    total: u64,
    #[sync(server_only)]
    added: Vec<u64>,
    #[sync(server_only)]
    player: String,
}

/// Something that walks around.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Walker {
    #[sync(broadcast)]
    steps: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = u64, rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Add {
    mark: u64,
}

/// Told to its player in every tick.
#[derive(Clone, Debug, Default, Replicate)]
struct Told {
    #[sync(broadcast)]
    tick: u64,
    #[sync(broadcast, max_bytes = 512)]
    padding: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Game {
    walks: bool,
    padding: usize,
}

impl Plugin for Game {
    fn build(&self, app: &mut App) {
        let Game { walks, padding } = *self;
        let walk = move |context: Res<TickContext>,
                         mut walkers: Query<(&NetId, &mut Position, &mut Walker)>| {
            for (&me, mut place, mut walker) in walkers.iter_mut().filter(|_| walks) {
                let turn = (context.tick.0 + me.0 % 160) / 40 % 4;
                let step = [Vec2::X, Vec2::Y, Vec2::NEG_X, Vec2::NEG_Y][turn as usize] * 0.4;
                place.0 += step.extend(0.0);
                walker.steps += 1;
            }
        };
        let tell =
            move |context: Res<TickContext>, tallies: Query<(&NetId, &Tally)>, mut events: PlayerEvents| {
                for (&me, tally) in &tallies {
                    let player = PlayerId::new(&tally.player).expect("a name");
                    let told = Told { tick: context.tick.0, padding: vec![7; padding] };
                    events.send(me, Audience::Player(player), told);
                }
            };
        app.replicate::<Tally>()
            .replicate::<Walker>()
            .add_player_event::<Told>(Delivery::Reliable)
            .add_own_action::<Add, Tally>(|add, tally, _| {
                tally.total += 1;
                tally.added.push(add.mark);
                Ok(tally.total)
            })
            .add_systems(Simulate, (walk, tell).chain());
    }
}

const GRACE_S: u32 = 3;

fn settings() -> WorldSettings {
    let area = Area { min: Vec2::ZERO, max: Vec2::splat(100.0) };
    WorldSettings {
        area,
        grid: [2, 2],
        bucket_m: 8.0,
        check_invariants: true,
        audit_every: Some(1),
        grace_s: GRACE_S,
        ..WorldSettings::default()
    }
    .with_distances(20.0, 24.0, 20.0, 2.0)
}

fn server_of(game: Game, settings: WorldSettings) -> Server {
    ServerBuilder::default()
        .add_cell_plugins(game)
        .avatars(|request| {
            let tally = Tally { player: request.player.to_string(), ..Tally::default() };
            SpawnRequest::new(NetId::WORLD, Vec3::new(50.0, 50.0, 0.0), tally)
        })
        .populate(|world| {
            for number in 0..60u16 {
                let place = Vec2::new(f32::from(number % 8), f32::from(number / 8)) * 8.0 + 20.0;
                world.spawn(SpawnRequest::new(NetId::WORLD, place.extend(0.0), Walker::default()));
            }
        })
        .build(settings, None)
        .expect("sound")
}

/// One connection, with what is on its way.
#[derive(Debug)]
struct Line {
    connection: ConnectionId,
    epoch: u32,
    reliable: VecDeque<(u64, ServerControl)>,
    updates: Vec<(u64, Bytes)>,
}

/// One client program.
#[derive(Debug)]
struct Device {
    player: PlayerId,
    line: Option<Line>,
    mirror: Mirror,
    heard: u64,
    epoch: u32,
    told: Vec<u64>,
    replies: Vec<ActionReply>,
    welcomes: Vec<Welcome>,
    health: Vec<Health>,
    ended: Option<Refusal>,
    update_bytes: usize,
}

impl Device {
    fn new(player: &str) -> Self {
        Self {
            player: PlayerId::new(player).expect("a name"),
            line: None,
            mirror: Mirror::default(),
            heard: 0,
            epoch: 0,
            told: Vec::new(),
            replies: Vec::new(),
            welcomes: Vec::new(),
            health: Vec::new(),
            ended: None,
            update_bytes: 0,
        }
    }

    fn resume(&self) -> Option<Resume> {
        (self.epoch > 0).then_some(Resume { epoch: self.epoch, heard: self.heard })
    }

    fn is_in(&self) -> bool {
        // It learns of its epoch by the welcome, which takes its time.
        self.line.as_ref().is_some_and(|line| line.epoch > 0 && line.epoch == self.epoch)
    }
}

/// A world and the lines to it.
struct Stage {
    server: Server,
    devices: Vec<Device>,
    chance: Random,
    connections: u64,
    loss: f32,
    input: TickInput,
    report: TickReport,
    last: Vec<ToNet>,
}

impl Stage {
    fn new(game: Game, settings: WorldSettings, seed: u64, loss: f32, devices: &[&str]) -> Self {
        Self {
            server: server_of(game, settings),
            devices: devices.iter().map(|player| Device::new(player)).collect(),
            chance: Random::named(seed, "lines"),
            connections: 0,
            loss,
            input: TickInput::default(),
            report: TickReport::default(),
            last: Vec::new(),
        }
    }

    fn connect(&mut self, device: usize, resume: Option<Resume>) {
        self.connections += 1;
        let connection = ConnectionId(self.connections);
        let player = self.devices[device].player.clone();
        let id = DeviceId(device as u64);
        self.input.joins.push(Join { device: id, resume, ..Join::anew(connection, player) });
        self.devices[device].ended = None;
        self.devices[device].line =
            Some(Line { connection, epoch: 0, reliable: VecDeque::new(), updates: Vec::new() });
    }

    /// The device's end is gone, and everything that was on its way; the server need not know.
    fn cut(&mut self, device: usize, server_notices: bool) -> Option<ConnectionId> {
        let line = self.devices[device].line.take()?;
        if server_notices {
            self.input.losses.push(line.connection);
        }
        Some(line.connection)
    }

    fn act(&mut self, device: usize, id: u128, mark: u64) {
        let device = &self.devices[device];
        let Some(line) = device.line.as_ref().filter(|_| device.is_in()) else { return };
        let call = ActionCall { id: ActionId(id), kind: 0, payload: codec::encode(&Add { mark }) };
        self.input.actions.push(ClientAction { connection: line.connection, epoch: line.epoch, call });
    }

    fn tick(&mut self) {
        let tick = self.server.next_tick();
        let mut input = std::mem::take(&mut self.input);
        (input.tick, input.now_ms) = (tick, tick.0 * 50);
        self.input.health = input.health.clone();
        for device in &self.devices {
            let Some(line) = device.line.as_ref().filter(|_| device.is_in()) else { continue };
            if !self.chance.chance(self.loss) {
                let (newest, bits) = device.mirror.ack();
                let (connection, epoch, heard) = (line.connection, line.epoch, device.heard);
                input.acks.push(ClientAck { connection, epoch, newest, bits, heard });
            }
        }
        let TickOutput { messages, report, .. } = self.server.tick(input);
        self.report = report;
        self.last.clone_from(&messages);
        for message in messages {
            self.put_on_line(tick.0, message);
        }
        for device in &mut self.devices {
            receive(device, tick.0, self.server.game());
        }
    }

    fn put_on_line(&mut self, now: u64, message: ToNet) {
        let connection = message.connection();
        let mut devices = self.devices.iter_mut();
        let Some(device) =
            devices.find(|it| it.line.as_ref().is_some_and(|line| line.connection == connection))
        else {
            return;
        };
        let line = device.line.as_mut().expect("just found");
        match message {
            ToNet::SetEpoch { epoch, .. } => line.epoch = epoch,
            ToNet::Control { message, .. } => {
                let late = if self.chance.chance(self.loss) { 4 } else { 0 };
                // In order: what is late holds up what is behind it.
                let before = line.reliable.back().map_or(0, |(due, _)| *due);
                line.reliable.push_back((before.max(now + late), message));
            }
            ToNet::Update { bytes, .. } => {
                device.update_bytes += bytes.len();
                if !self.chance.chance(self.loss) {
                    let late = if self.loss > 0.0 { self.chance.below(3) as u64 } else { 0 };
                    line.updates.push((now + late, bytes));
                }
            }
            ToNet::Refuse { refusal, .. } => {
                device.ended = Some(refusal);
                device.line = None;
            }
            ToNet::Close { .. } => device.line = None,
        }
    }

    fn run(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.tick();
        }
    }

    /// What the avatar of a player has had done to it.
    fn tally(&mut self, player: &str) -> Tally {
        let node = self.server.node_mut();
        let player = PlayerId::new(player).expect("a name");
        let avatar = node.resource::<Sessions>().of_player(&player).expect("in the world").avatar;
        with_cells(node, |_, cells| {
            let find = |cell: &mut terrane::cell::Cell| {
                let entity = *cell.by_net_id.get(&avatar)?;
                cell.world.get::<Owned>(entity)?;
                cell.world.get::<Tally>(entity).cloned()
            };
            cells.iter_mut().find_map(find).expect("somebody owns it")
        })
    }

    fn state(&self, player: &str) -> Option<State> {
        let player = PlayerId::new(player).expect("a name");
        self.server.node().resource::<Sessions>().of_player(&player).map(|session| session.state())
    }

    /// A device holds exactly what its session shows it, and of everything the newest.
    fn check_mirror(&mut self, device: usize) {
        let schema = self.server.game().schema.clone();
        let player = self.devices[device].player.clone();
        let node = self.server.node_mut();
        let session = node.resource::<Sessions>().of_player(&player).expect("in the world");
        let rows = node.resource::<Rows>();
        let shown: BTreeSet<NetId> = session.view.rows().map(|row| rows.net_id[row.index()]).collect();
        let mirror = &self.devices[device].mirror;
        let held: BTreeSet<NetId> = mirror.entities().map(|entity| entity.net_id()).collect();
        assert_eq!(held, shown, "what is held is what is shown");
        let truth: BTreeMap<NetId, Walker> = with_cells(node, |_, cells| {
            let mut truth = BTreeMap::new();
            for cell in cells.iter_mut() {
                let mut walkers = cell.world.query_filtered::<(&NetId, &Walker), With<Owned>>();
                truth.extend(walkers.iter(&cell.world).map(|(net_id, walker)| (*net_id, walker.clone())));
            }
            truth
        });
        for entity in self.devices[device].mirror.entities() {
            let known: Option<Walker> = entity.component(&schema);
            assert_eq!(known.as_ref(), truth.get(&entity.net_id()), "{}", entity.net_id());
        }
    }
}

fn receive(device: &mut Device, now: u64, game: &terrane::cell::registration::Game) {
    let Device { line: Some(line), .. } = device else { return };
    let schema = &game.schema;
    let mut due: Vec<Bytes> = Vec::new();
    line.updates.retain(|(at, bytes)| {
        if *at <= now {
            due.push(bytes.clone());
        }
        *at > now
    });
    while let Some((_, message)) = line.reliable.pop_front_if(|(at, _)| *at <= now) {
        device.heard += u64::from(message.is_lasting());
        match message {
            ServerControl::Welcome(welcome) => {
                device.epoch = welcome.epoch;
                if !welcome.resumed {
                    (device.mirror, device.heard) = (Mirror::default(), 0);
                }
                device.welcomes.push(welcome);
            }
            ServerControl::Reply(reply) => device.replies.push(reply),
            ServerControl::Event { payload, .. } => {
                let event = terrane::replication::ReceivedEvent { kind: 0, about: NetId::WORLD, payload };
                let told = event.read::<Told>(schema).expect("of that kind").expect("whole");
                device.told.push(told.tick);
            }
            ServerControl::Record { update_seq, bytes } => {
                device.mirror.take_record(schema, update_seq, &bytes).expect("whole");
            }
            ServerControl::Health(health) => device.health.push(health),
            _ => {}
        }
    }
    for bytes in due {
        device.mirror.apply(schema, &bytes).expect("whole");
    }
}

fn counter(report: &TickReport, name: &str) -> u64 {
    report.counters.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("no counter {name}")).1
}

/// D1, C4: over lines that lose a tenth and break again and again, every reliable event is told once and in order, every
/// action is done once and answered, and after each resume the view is the oracle's, in every tick.
#[test]
fn nothing_is_lost_over_many_resumes_on_a_bad_network() {
    let mut stage = Stage::new(Game { walks: true, padding: 20 }, settings(), 11, 0.1, &["alice"]);
    stage.connect(0, None);
    stage.run(20);
    let (mut cuts, mut sent, mut unanswered) = (0u64, 0u64, BTreeMap::new());
    let mut away = 0;
    let mut old = None;
    for number in 0..700u64 {
        if stage.devices[0].line.is_some() && stage.chance.chance(0.04) {
            let notices = stage.chance.chance(0.5);
            let connection = stage.cut(0, notices);
            old = connection.filter(|_| !notices);
            (cuts, away) = (cuts + 1, stage.chance.below(40));
        } else if stage.devices[0].line.is_none() {
            if away == 0 {
                let resume = stage.devices[0].resume();
                stage.connect(0, resume);
            } else if away == 5
                && let Some(connection) = old.take()
            {
                // Noticed late.
                stage.input.losses.push(connection);
            }
            away = away.saturating_sub(1);
        } else if stage.devices[0].is_in() {
            if stage.chance.chance(0.5) {
                sent += 1;
                unanswered.insert(u128::from(sent), sent);
            }
            // Until it is answered it is said again, over whatever connection there is.
            for (&id, &mark) in unanswered.iter().filter(|(_, mark)| (**mark + number).is_multiple_of(8)) {
                stage.act(0, id, mark);
            }
        }
        stage.tick();
        assert_eq!(stage.report.audits.failures, 0, "views are the oracle's, also of who lingers");
        for reply in &stage.devices[0].replies {
            unanswered.remove(&reply.id.0);
        }
    }
    if stage.devices[0].line.is_none() {
        let resume = stage.devices[0].resume();
        stage.connect(0, resume);
    }
    stage.loss = 0.0;
    for _ in 0..40 {
        for (&id, &mark) in &unanswered {
            stage.act(0, id, mark);
        }
        stage.tick();
        for reply in &stage.devices[0].replies {
            unanswered.remove(&reply.id.0);
        }
    }
    assert!(cuts > 10 && sent > 100, "{cuts} {sent}");
    let resumed = stage.devices[0].welcomes.iter().filter(|welcome| welcome.resumed).count();
    assert_eq!(resumed + 1, stage.devices[0].welcomes.len(), "every session but the first goes on");
    assert!(counter(&stage.report, "sessions_resumed") >= resumed as u64 && resumed > 10, "{resumed}");
    assert_eq!(
        counter(&stage.report, "sessions_not_resumable"),
        0,
        "also when a welcome was lost on its way"
    );
    assert_eq!(counter(&stage.report, "lasting_messages_let_go"), 0);
    let told = &stage.devices[0].told;
    let expected: Vec<u64> = (told[0]..=told[told.len() - 1]).collect();
    assert_eq!(*told, expected, "each once, in order");
    assert!(unanswered.is_empty(), "{unanswered:?}");
    let mut first: BTreeMap<ActionId, &ActionReply> = BTreeMap::new();
    for reply in &stage.devices[0].replies {
        assert_eq!(first.entry(reply.id).or_insert(reply).result, reply.result, "one answer for an id");
    }
    assert_eq!(first.len() as u64, sent);
    let mut added = stage.tally("alice").added;
    added.sort_unstable();
    assert_eq!(added, (1..=sent).collect::<Vec<_>>(), "each is done once");
    stage.check_mirror(0);
}

/// D1: who comes back finds its view as it was: nothing that it holds is told again, and nothing at all is sent to who is
/// away. A takeover begins anew.
#[test]
fn a_resume_tells_nothing_again_and_a_takeover_everything() {
    let mut stage = Stage::new(Game { walks: false, padding: 0 }, settings(), 1, 0.0, &["alice", "alice"]);
    stage.connect(0, None);
    stage.run(30);
    let whole = stage.devices[0].update_bytes;
    assert!(whole > 400 && stage.devices[0].mirror.entities().count() > 20, "{whole}");
    stage.cut(0, true);
    stage.tick();
    assert_eq!(stage.state("alice"), Some(State::Lingering));
    assert_eq!((stage.report.players, stage.report.lingering), (1, 1));
    for _ in 0..20 {
        stage.tick();
        assert!(stage.last.is_empty(), "nothing is sent to nobody: {:?}", stage.last);
        assert_eq!(stage.report.updates, 0);
    }
    let (epoch, before) = (stage.devices[0].epoch, stage.devices[0].update_bytes);
    stage.connect(0, stage.devices[0].resume());
    stage.run(10);
    let again = stage.devices[0].update_bytes - before;
    assert!(again < whole / 8, "{again} of {whole} bytes: what is held is not told again");
    let welcome = stage.devices[0].welcomes.last().expect("welcome").clone();
    assert!(welcome.resumed && welcome.epoch > epoch && welcome.grace_s == GRACE_S, "{welcome:?}");
    stage.check_mirror(0);

    stage.connect(1, None);
    stage.run(10);
    assert_eq!(stage.devices[0].ended, Some(Refusal::TakenOver));
    let taken = stage.devices[1].welcomes.last().expect("welcome");
    assert!(!taken.resumed && taken.avatar == welcome.avatar, "the avatar stays where it is");
    assert!(stage.devices[1].update_bytes > 400, "a fresh view: {}", stage.devices[1].update_bytes);
    stage.check_mirror(1);
    // What the first device held is over: it does not come back by itself, but as a new device.
    stage.connect(0, stage.devices[0].resume());
    stage.run(5);
    assert_eq!(stage.devices[0].ended, Some(Refusal::TakenOver));
    assert_eq!(stage.devices[1].ended, None);
    stage.connect(0, None);
    stage.run(5);
    assert!(!stage.devices[0].welcomes.last().expect("welcome").resumed);
    assert_eq!(stage.devices[1].ended, Some(Refusal::TakenOver));
}

/// D2: of two devices that come back to a world that was started again the later one plays, in whatever order they come and
/// however soon after each other; a device is never taken for another one that replaced it.
#[test]
fn after_a_restart_the_later_device_plays_however_soon_the_other_follows() {
    let game = Game { walks: false, padding: 0 };
    for (first, ticks_between) in [(0, 0), (0, 1), (0, 9), (1, 0), (1, 1), (1, 9)] {
        let mut stage = Stage::new(game, settings(), 1, 0.0, &["alice", "alice"]);
        stage.connect(0, None);
        stage.run(10);
        // Its line dies before it hears of the takeover.
        stage.cut(0, false);
        stage.connect(1, None);
        stage.run(10);
        assert_eq!((stage.devices[0].ended.clone(), stage.devices[1].ended.clone()), (None, None));
        stage.server = server_of(game, settings());
        stage.server.skip_counters(1_000, 1_000);
        for device in [first, 1 - first] {
            stage.connect(device, stage.devices[device].resume());
            stage.run(ticks_between);
        }
        stage.run(10);
        let case = format!("{first} first, {ticks_between} ticks between");
        assert_eq!(stage.devices[0].ended, Some(Refusal::TakenOver), "{case}");
        assert_eq!(stage.devices[1].ended, None, "{case}");
        assert!(stage.devices[1].is_in(), "{case}");
        // It comes in anew, hears nothing of that, and asks for what it still holds.
        for resume in [None, stage.devices[1].resume()] {
            stage.cut(1, false);
            stage.connect(1, resume);
            stage.tick();
        }
        stage.run(10);
        assert_eq!(stage.devices[1].ended, None, "{case}");
        assert!(stage.devices[1].is_in(), "{case}");
    }
}

/// D1: a session waits for so long and no longer; its place counts as taken, but never against its own player.
#[test]
fn a_session_ends_when_nobody_comes_back_and_keeps_its_place_until_then() {
    let settings = WorldSettings { players_max: 1, ..settings() };
    let mut stage = Stage::new(Game { walks: false, padding: 0 }, settings, 1, 0.0, &["alice", "bob"]);
    stage.connect(0, None);
    stage.run(5);
    stage.cut(0, true);
    stage.tick();
    stage.connect(1, None);
    stage.tick();
    assert_eq!(stage.devices[1].ended, Some(Refusal::Full { players: 1 }), "the place is alice's");
    stage.connect(0, stage.devices[0].resume());
    stage.run(2);
    assert!(stage.devices[0].welcomes.last().expect("in").resumed, "she is not locked out");
    stage.cut(0, true);
    stage.tick();
    let grace_ticks = u64::from(GRACE_S) * 20;
    stage.run(grace_ticks - 1);
    assert_eq!(stage.state("alice"), Some(State::Lingering));
    stage.tick();
    assert_eq!((stage.state("alice"), stage.report.players, stage.report.entities), (None, 0, 60));
    assert_eq!(counter(&stage.report, "sessions_graces_over"), 1);
    stage.connect(0, stage.devices[0].resume());
    stage.run(3);
    assert!(!stage.devices[0].welcomes.last().expect("in").resumed, "too late: everything begins anew");
    assert_eq!(counter(&stage.report, "sessions_not_resumable"), 1);
}

/// A10: for who is away so much is kept and no more; who lacks what was let go of begins anew.
#[test]
fn what_waits_for_who_is_away_is_bounded_and_then_it_begins_anew() {
    let settings = WorldSettings { grace_s: 600, ..settings() };
    let mut stage = Stage::new(Game { walks: false, padding: 400 }, settings, 1, 0.0, &["alice"]);
    stage.connect(0, None);
    stage.run(10);
    stage.cut(0, true);
    for _ in 0..400 {
        stage.tick();
        let sessions = stage.server.node().resource::<Sessions>();
        let session = sessions.iter().next().expect("it waits");
        assert!(session.lasting.bytes() <= terrane::limits::LASTING_BYTES_MAX);
    }
    assert!(counter(&stage.report, "lasting_messages_let_go") > 50);
    let resume = stage.devices[0].resume();
    stage.connect(0, resume);
    stage.run(5);
    assert!(!stage.devices[0].welcomes.last().expect("in").resumed);
    stage.check_mirror(0);
}

/// C4, D2: what belongs to an older epoch, or comes over a connection that was replaced, is not done.
#[test]
fn what_was_sent_before_a_resume_is_stale_after_it() {
    let mut stage = Stage::new(Game { walks: false, padding: 0 }, settings(), 1, 0.0, &["alice"]);
    stage.connect(0, None);
    stage.run(5);
    let old = (ConnectionId(1), stage.devices[0].epoch);
    stage.cut(0, false);
    stage.connect(0, stage.devices[0].resume());
    stage.run(2);
    let new = (ConnectionId(2), stage.devices[0].epoch);
    for (number, (connection, epoch)) in [old, (new.0, old.1), (old.0, new.1), new].into_iter().enumerate() {
        let mark = number as u64;
        let call = ActionCall { id: ActionId(mark.into()), kind: 0, payload: codec::encode(&Add { mark }) };
        stage.input.actions.push(ClientAction { connection, epoch, call });
    }
    stage.tick();
    assert_eq!(stage.tally("alice").added, [3], "only what the session that goes on sent");
    assert_eq!(counter(&stage.report, "client_messages_stale"), 3);
}

/// H3: how the world does is told to everybody when it changes, and to who comes in or back.
#[test]
fn the_health_of_the_world_is_told_when_it_changes_and_on_coming_in() {
    let mut stage =
        Stage::new(Game { walks: false, padding: 0 }, settings(), 1, 0.0, &["alice", "bob", "carol"]);
    stage.connect(0, None);
    stage.connect(1, None);
    stage.run(5);
    assert!(stage.devices[0].health.is_empty(), "nothing to tell of a world that does well");
    stage.cut(1, true);
    let degraded = Health::Degraded("the store is slow".into());
    stage.input.health = degraded.clone();
    stage.run(3);
    assert_eq!(stage.devices[0].health, std::slice::from_ref(&degraded), "once");
    stage.connect(2, None);
    stage.run(3);
    assert_eq!(stage.devices[2].health, [degraded]);
    stage.input.health = Health::Normal;
    stage.run(2);
    assert_eq!(stage.devices[0].health.last(), Some(&Health::Normal));
    let resume = stage.devices[1].resume();
    stage.connect(1, resume);
    stage.run(3);
    assert_eq!(stage.devices[1].health, [Health::Normal], "who was away hears how it is now");
}

/// A11, H3: whoever is in a world that ends hears so before the refusal.
#[test]
fn a_world_that_ends_tells_so_before_it_refuses() {
    let mut stage =
        Stage::new(Game { walks: false, padding: 0 }, settings(), 1, 0.0, &["alice", "bob", "carol"]);
    stage.connect(0, None);
    stage.connect(1, None);
    stage.run(5);
    stage.cut(1, true);
    stage.run(1);
    let carol = Join::anew(ConnectionId(9), PlayerId::new("carol").expect("a name"));
    let tick = stage.server.next_tick();
    let input = TickInput { tick, now_ms: tick.0 * 50, joins: vec![carol], ..TickInput::default() };
    let told: Vec<(u64, String)> = stage
        .server
        .close(input)
        .messages
        .into_iter()
        .map(|message| match message {
            ToNet::Control { connection, message: ServerControl::Health(health) } => {
                (connection.0, health.to_string())
            }
            ToNet::Refuse { connection, refusal: Refusal::Draining } => (connection.0, "over".into()),
            other => panic!("{other:?}"),
        })
        .collect();
    let to = |connection: u64| -> Vec<&str> {
        told.iter().filter(|(to, _)| *to == connection).map(|(_, what)| what.as_str()).collect()
    };
    assert_eq!(to(1), ["draining", "over"]);
    assert_eq!(to(9), ["over"], "who never came in is refused");
    assert_eq!(told.len(), 3, "who is away hears nothing: {told:?}");
}

/// A11: the client of such a player knows it as well, after it has ended.
#[test]
fn a_client_knows_that_its_world_ended_by_draining() {
    let game =
        ServerBuilder::default().add_cell_plugins(Game { walks: false, padding: 0 }).avatars(|request| {
            let tally = Tally { player: request.player.to_string(), ..Tally::default() };
            SpawnRequest::new(NetId::WORLD, Vec3::new(50.0, 50.0, 0.0), tally)
        });
    let mut world = terrane::testing::TestWorld::new(game, settings());
    let alice = world.connect("alice");
    world.run(6);
    assert!(world[alice].welcome().is_some(), "she is in");
    assert_eq!(world[alice].health(), &Health::Normal);
    world.tick_with(|input| input.draining = true);
    world[alice].receive(std::time::Duration::from_millis(50));
    assert_eq!(world[alice].health(), &Health::Draining);
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// A device connects, as one that still holds its session or anew.
    Connect(usize, bool),
    /// A device is gone; the server learns of it or not.
    Cut(usize, bool),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..2usize, any::<bool>()).prop_map(|(device, resumes)| Step::Connect(device, resumes)),
        2 => (0..2usize, any::<bool>()).prop_map(|(device, notices)| Step::Cut(device, notices)),
        3 => (1..30u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// D2: whatever two devices of one player do, in no tick do both act, and who was told that it is over acts no more.
    #[test]
    fn two_devices_never_both_act(steps in proptest::collection::vec(step(), 5..25)) {
        let mut stage = Stage::new(Game { walks: false, padding: 0 }, settings(), 5, 0.0, &["alice", "alice"]);
        let mut actions = 0u64;
        let mut over = [false; 2];
        let mut tick = |stage: &mut Stage, over: &mut [bool; 2]| {
            let now = stage.server.next_tick().0;
            let was_over = *over;
            for device in 0..2 {
                actions += 1;
                stage.act(device, u128::from(actions), now * 2 + device as u64);
            }
            stage.tick();
            for (over, device) in over.iter_mut().zip(&stage.devices) {
                *over = device.ended == Some(Refusal::TakenOver);
            }
            if stage.state("alice").is_some() {
                let added = stage.tally("alice").added;
                let of_now: Vec<u64> = added.iter().filter(|mark| *mark / 2 == now).map(|mark| mark % 2).collect();
                assert!(of_now.len() <= 1, "both act in tick {now}");
                assert!(of_now.iter().all(|&device| !was_over[device as usize]), "device {of_now:?} was told");
            }
            assert_eq!(counter(&stage.report, "sessions_illegal_events"), 0);
        };
        for step in steps {
            match step {
                Step::Connect(device, resumes) => {
                    let resume = stage.devices[device].resume().filter(|_| resumes);
                    if let Some(line) = stage.devices[device].line.take() {
                        stage.input.losses.push(line.connection);
                    }
                    stage.connect(device, resume);
                    over[device] = false;
                    tick(&mut stage, &mut over);
                }
                Step::Cut(device, notices) => {
                    stage.cut(device, notices);
                    tick(&mut stage, &mut over);
                }
                Step::Wait(ticks) => {
                    for _ in 0..ticks {
                        tick(&mut stage, &mut over);
                    }
                }
            }
        }
        let connected = stage.devices.iter().filter(|device| device.is_in()).count();
        prop_assert!(connected <= 2);
        let in_world = stage.server.node().resource::<Sessions>().len();
        prop_assert!(in_world <= 1, "one session for one player");
    }
}
