//! Actions of every scope, against a plain model of what must become of them.

use std::collections::{BTreeMap, BTreeSet};

use terrane::action::reason_of;
use terrane::action::tally::ActionTallies;
use terrane::cell::markers::Owned;
use terrane::cell::pool::with_cells;
use terrane::ids::ActionId;
use terrane::limits::{PARTY_AWAY_S_MAX, PARTY_MEMBERS_MAX, REPLIES_REMEMBERED_MAX};
use terrane::net::LoopbackConditions;
use terrane::players::{Order, OrderKind};
use terrane::prelude::*;
use terrane::protocol::codec;
use terrane::protocol::messages::{ActionCall, ActionRefusal};
use terrane::testing::{ClientId, TestWorld};

/// What was written into a book, when, in order.
type Lines = Vec<(u64, u32)>;

/// What actions do to avatars and wagons.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Book {
    #[sync(broadcast)]
    count: u32,
    #[sync(server_only)]
    lines: Lines,
}

impl Book {
    /// Writes a line. Every seventh is refused after it was written: what a handler did before it refuses is undone.
    fn write(&mut self, tick: u64, number: u32) -> Result<u32, Blot> {
        self.count += 1;
        self.lines.push((tick, number));
        if number.is_multiple_of(7) { Err(Blot { number }) } else { Ok(self.count) }
    }
}

/// A reason of the game's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Blot {
    number: u32,
}

impl std::fmt::Display for Blot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a blot on {}", self.number)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = u32, refusal = Blot, rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Note {
    number: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, on = wagon, reply = u32, refusal = Blot, rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Load {
    wagon: NetId,
    number: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, on = wagon, reply = (), rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Give {
    wagon: NetId,
    to: PlayerId,
}

#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = group, caller = player, reply = u32, refusal = Blot, rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Share {
    number: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = group, caller = player, reply = (), refusal = PartyRefusal, rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Enter {
    party: u64,
    /// Change the mind after it.
    then_refuse: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = global, caller = gm, reply = u32, refusal = Blot, rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Decree {
    number: u32,
}

#[derive(Resource, Clone, Default)]
struct Decrees(u32);

/// Three a second, and two at once.
#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = (), rate = 3, burst = 2, coalesce = none, durability = memory, speaks)]
struct Knock;

/// Only the newest of a tick.
#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = u32, rate = 1000, burst = 1000, coalesce = newest, durability = memory)]
struct Point {
    to: u32,
}

/// Answers at length.
#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = String, rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Ramble {
    bytes: u32,
}

struct Books;
impl Plugin for Books {
    fn build(&self, app: &mut App) {
        app.replicate::<Book>()
            .add_own_action::<Note, Book>(|note, book, context| book.write(context.tick.tick.0, note.number))
            .add_own_action::<Load, Book>(|load, book, context| book.write(context.tick.tick.0, load.number))
            .add_own_action::<Give, Subject>(|give, subject, _| {
                subject.set_owner(Some(give.to.clone()));
                Ok(())
            })
            .add_group_action::<Share, Book>(|share, group, context| {
                let players: Vec<PlayerId> = group.players().cloned().collect();
                let mut result = Ok(0);
                for player in &players {
                    let book = group.get_mut(player).expect("a member");
                    result = result.and(book.write(context.tick.tick.0, share.number));
                }
                result.map(|_| players.len() as u32)
            })
            .add_group_action::<Enter, Book>(|enter, _, context| {
                context.enter(PartyId(enter.party))?;
                if enter.then_refuse { Err(PartyRefusal::Full) } else { Ok(()) }
            })
            .add_global_action::<Decree>(|decree, context| {
                context.resource_mut::<Decrees>().expect("it was inserted").0 += 1;
                let players: Vec<PlayerId> = context.players().cloned().collect();
                let mut result = Ok(0);
                for player in &players {
                    let avatar = context.avatar(player).expect("in");
                    let tick = context.tick.tick.0;
                    if let Some(book) = context.get_mut::<Book>(avatar) {
                        result = result.and(book.write(tick, decree.number));
                    }
                }
                result.map(|_| players.len() as u32)
            })
            .add_own_action::<Knock, Book>(|_, _, _| Ok(()))
            .add_own_action::<Point, Book>(|point, book, context| {
                book.lines.push((context.tick.tick.0, point.to));
                Ok(point.to)
            })
            .add_own_action::<Ramble, Book>(|ramble, book, _| {
                book.lines.push((0, ramble.bytes));
                Ok("x".repeat(ramble.bytes as usize))
            })
            .add_systems(Simulate, roam);
    }
}

const WORLD_M: f32 = 100.0;
const ROAM: u32 = 0;

/// Everything walks at random, and is now and then somewhere else.
fn roam(
    context: Res<TickContext>,
    mut all: Query<(&NetId, &mut Position), With<Book>>,
    mut world: WorldRequests,
) {
    for (&me, mut place) in &mut all {
        let mut chance = context.random(me, ROAM);
        let mut somewhere = || Vec3::new(chance.between(0.0..WORLD_M), chance.between(0.0..WORLD_M), 0.0);
        let there = somewhere();
        if context.random(me, ROAM + 1).chance(0.03) {
            world.teleport(me, there);
        } else {
            let step = (there - place.0).clamp_length_max(1.5);
            place.0 += step;
        }
    }
}

fn settings(grid: [u32; 2], threads: usize) -> WorldSettings {
    let area = Area { min: Vec2::ZERO, max: Vec2::splat(WORLD_M) };
    WorldSettings { area, grid, threads, bucket_m: 8.0, check_invariants: true, ..WorldSettings::default() }
        .with_distances(10.0, 12.0, 40.0, 2.0)
}

const NAMES: [&str; 6] = ["ann", "bob", "cyd", "dan", "eve", "fay"];
const WAGONS: usize = 9;

fn player(number: usize) -> PlayerId {
    PlayerId::new(NAMES[number]).expect("a name")
}

fn game() -> ServerBuilder {
    ServerBuilder::default()
        .add_cell_plugins(Books)
        .populate(|world| {
            for number in 0..WAGONS {
                let wagon = (Book::default(), Subject::owned_by(player(number % NAMES.len())));
                world.spawn(SpawnRequest::new(NetId::WORLD, Vec3::splat(10.0 * number as f32), wagon));
            }
        })
        .avatars(|request| {
            let place = Vec3::new(50.0, 10.0 * request.player.as_str().len() as f32, 0.0);
            SpawnRequest::new(
                NetId::WORLD,
                place,
                (Book::default(), Subject::owned_by(request.player.clone())),
            )
        })
}

fn start(grid: [u32; 2], threads: usize) -> (TestWorld, Vec<ClientId>) {
    let mut world = TestWorld::new(game(), settings(grid, threads));
    world.server_mut().node_mut().init_resource::<Decrees>();
    let clients: Vec<ClientId> = NAMES.iter().map(|name| world.connect_as(name, Role::Gm)).collect();
    while clients.iter().any(|&client| world[client].welcome().is_none()) {
        world.tick();
    }
    (world, clients)
}

/// All books, and whose they are.
fn books(world: &mut TestWorld) -> BTreeMap<NetId, (Lines, Option<PlayerId>)> {
    with_cells(world.server_mut().node_mut(), |_, cells| {
        let mut books = BTreeMap::new();
        for cell in cells.iter_mut() {
            let mut all = cell.world.query_filtered::<(&NetId, &Book, &Subject), With<Owned>>();
            for (&net_id, book, subject) in all.iter(&cell.world) {
                assert_eq!(book.count as usize, book.lines.len());
                let one = (book.lines.clone(), subject.owner().cloned());
                assert!(books.insert(net_id, one).is_none(), "one owner");
            }
        }
        books
    })
}

/// What a player asks for in the model.
#[derive(Clone, Debug)]
enum Wish {
    Note(u32),
    Load(NetId, u32),
    Give(NetId, usize),
    Share(u32),
    Enter(u64, bool),
    Decree(u32),
}

/// What becomes of it.
#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Count(u32),
    Done,
    Blot(u32),
    NotYours,
    Full,
}

/// The plain model: one list of everything, one action after the other.
#[derive(Default)]
struct Model {
    lines: BTreeMap<NetId, Lines>,
    owners: BTreeMap<NetId, usize>,
    avatars: Vec<NetId>,
    parties: BTreeMap<usize, u64>,
    decrees: u32,
}

impl Model {
    fn write(&mut self, books: &[NetId], tick: u64, number: u32) -> bool {
        let blot = number.is_multiple_of(7);
        for book in books.iter().filter(|_| !blot) {
            self.lines.entry(*book).or_default().push((tick, number));
        }
        !blot
    }

    fn count(&self, book: NetId) -> u32 {
        self.lines.get(&book).map_or(0, Vec::len) as u32
    }

    fn take(&mut self, who: usize, tick: u64, wish: &Wish) -> Outcome {
        let me = self.avatars[who];
        match *wish {
            Wish::Note(number) if self.write(&[me], tick, number) => Outcome::Count(self.count(me)),
            Wish::Load(wagon, number) => match self.owners[&wagon] == who {
                false => Outcome::NotYours,
                true if self.write(&[wagon], tick, number) => Outcome::Count(self.count(wagon)),
                true => Outcome::Blot(number),
            },
            Wish::Give(wagon, to) => {
                if self.owners[&wagon] != who {
                    return Outcome::NotYours;
                }
                self.owners.insert(wagon, to);
                Outcome::Done
            }
            Wish::Share(number) => {
                let party = self.parties.get(&who);
                let members: Vec<NetId> = (0..NAMES.len())
                    .filter(|other| *other == who || (party.is_some() && self.parties.get(other) == party))
                    .map(|member| self.avatars[member])
                    .collect();
                match self.write(&members, tick, number) {
                    true => Outcome::Count(members.len() as u32),
                    false => Outcome::Blot(number),
                }
            }
            Wish::Enter(party, then_refuse) => {
                if then_refuse {
                    return Outcome::Full;
                }
                self.parties.insert(who, party);
                Outcome::Done
            }
            Wish::Decree(number) => {
                let all = self.avatars.clone();
                match self.write(&all, tick, number) {
                    true => {
                        self.decrees += 1;
                        Outcome::Count(all.len() as u32)
                    }
                    false => Outcome::Blot(number),
                }
            }
            Wish::Note(number) => Outcome::Blot(number),
        }
    }
}

fn ask(world: &mut TestWorld, client: ClientId, wish: &Wish) -> ActionId {
    let client = &mut world[client];
    match wish.clone() {
        Wish::Note(number) => client.act(&Note { number }),
        Wish::Load(wagon, number) => client.act(&Load { wagon, number }),
        Wish::Give(wagon, to) => client.act(&Give { wagon, to: player(to) }),
        Wish::Share(number) => client.act(&Share { number }),
        Wish::Enter(party, then_refuse) => client.act(&Enter { party, then_refuse }),
        Wish::Decree(number) => client.act(&Decree { number }),
    }
    .expect("sent")
}

fn outcome(wish: &Wish, result: &Result<Vec<u8>, ActionRefusal>) -> Outcome {
    let blot = |reason: Option<Blot>| Outcome::Blot(reason.expect("a reason of the game's").number);
    match (wish, result) {
        (_, Err(ActionRefusal::NotYours)) => Outcome::NotYours,
        (Wish::Give(..) | Wish::Enter(..), Ok(bytes)) if bytes.is_empty() => Outcome::Done,
        (_, Ok(bytes)) => Outcome::Count(codec::decode::<u32, 8>("a count", bytes).expect("a count")),
        (Wish::Enter(..), Err(refusal)) => {
            assert_eq!(reason_of::<Enter>(refusal), Some(PartyRefusal::Full));
            Outcome::Full
        }
        (Wish::Note(_), Err(refusal)) => blot(reason_of::<Note>(refusal)),
        (Wish::Load(..), Err(refusal)) => blot(reason_of::<Load>(refusal)),
        (Wish::Share(_), Err(refusal)) => blot(reason_of::<Share>(refusal)),
        (Wish::Decree(_), Err(refusal)) => blot(reason_of::<Decree>(refusal)),
        (Wish::Give(..), Err(refusal)) => panic!("{refusal}"),
    }
}

/// A4, C3, C5: whoever calls what on whatever, in whichever cell it is, crossing, jumping and changing hands: each action is
/// run once, by the owner, in the tick it came in, in the order (avatar, the client's order), and answered as the plain model
/// says; what a handler did before it refused is undone. On every layout and number of threads.
#[test]
fn actions_of_every_scope_happen_as_the_model_says_on_every_layout() {
    let mut all_books = Vec::new();
    for (grid, threads) in [([1, 1], 1), ([5, 5], 1), ([5, 5], 2), ([2, 7], 2)] {
        let (mut world, clients) = start(grid, threads);
        let wagons: Vec<NetId> = books(&mut world)
            .into_iter()
            .filter(|(net_id, _)| clients.iter().all(|&client| world[client].avatar() != Some(*net_id)))
            .map(|(net_id, _)| net_id)
            .collect();
        let mut model = Model {
            avatars: clients.iter().map(|&client| world[client].avatar().expect("in")).collect(),
            ..Model::default()
        };
        for (net_id, (_, owner)) in books(&mut world) {
            let owner = NAMES.iter().position(|name| owner.as_ref().is_some_and(|it| it.as_str() == *name));
            model.owners.insert(net_id, owner.expect("somebody's"));
        }
        let mut chance = Random::named(11, "wishes");
        let mut expected: Vec<BTreeMap<ActionId, (Wish, Outcome)>> = vec![BTreeMap::new(); NAMES.len()];
        let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
        let (mut number, mut answered, mut decreed) = (0, 0, 0);
        for _ in 0..400 {
            let tick = world.server().next_tick().0;
            let mut wishes: Vec<Vec<(ActionId, Wish)>> = vec![Vec::new(); NAMES.len()];
            for who in 0..NAMES.len() {
                for _ in 0..chance.below(4) {
                    number += 1;
                    let wagon = wagons[chance.below(wagons.len())];
                    let wish = match chance.below(12) {
                        0..3 => Wish::Note(number),
                        3..6 => Wish::Load(wagon, number),
                        6..8 => Wish::Give(wagon, chance.below(NAMES.len())),
                        8..10 => Wish::Share(number),
                        10 => Wish::Enter(1 + chance.below(2) as u64, chance.chance(0.3)),
                        _ => Wish::Decree(number),
                    };
                    let id = ask(&mut world, clients[who], &wish);
                    wishes[who].push((id, wish));
                }
            }
            // In the order of avatars, and for each in the order in which its player asked.
            let mut order: Vec<usize> = (0..NAMES.len()).collect();
            order.sort_by_key(|&who| model.avatars[who]);
            for who in order {
                for (id, wish) in std::mem::take(&mut wishes[who]) {
                    decreed += u32::from(matches!(wish, Wish::Decree(_)));
                    let outcome = model.take(who, tick, &wish);
                    let name = format!("{outcome:?}");
                    let kinds = ["Count", "Done", "Blot", "NotYours", "Full"];
                    let kind = kinds.into_iter().find(|kind| name.starts_with(kind)).expect("one of them");
                    *counts.entry(kind).or_default() += 1;
                    expected[who].insert(id, (wish, outcome));
                }
            }
            world.tick();
            for (who, &client) in clients.iter().enumerate() {
                for reply in world[client].replies() {
                    let (wish, outcome) =
                        expected[who].remove(&reply.id).expect("asked, and not answered before");
                    assert_eq!(self::outcome(&wish, &reply.result), outcome, "{wish:?}, {grid:?}");
                    answered += 1;
                }
            }
        }
        world.run(8);
        for (who, &client) in clients.iter().enumerate() {
            for reply in world[client].replies() {
                expected[who].remove(&reply.id).expect("asked");
                answered += 1;
            }
            assert!(expected[who].is_empty(), "every action is answered");
        }
        let books = books(&mut world);
        for (net_id, (lines, owner)) in &books {
            assert_eq!(lines, model.lines.entry(*net_id).or_default(), "{net_id}, {grid:?}");
            assert_eq!(owner.as_ref(), Some(&player(model.owners[net_id])), "{net_id}, {grid:?}");
        }
        assert_eq!(world.server().node().resource::<Decrees>().0, model.decrees);
        let rows = world.players().audit().to_vec();
        assert_eq!(rows.len() as u32, decreed, "what reaches everybody is kept for good");
        let done = rows.iter().filter(|row| row.detail.ends_with(": done")).count() as u32;
        assert_eq!(done, model.decrees);
        assert!(rows.iter().all(|row| row.what == "Decree" && row.detail.starts_with("{\"number\":")));
        assert!(rows.iter().any(|row| row.detail.contains("}: refused: a blot on ")), "refusals too");
        let report = world.tick().report;
        assert!(answered > 3_000 && counts.values().all(|&count| count > 50), "{answered}: {counts:?}");
        assert!(grid == [1, 1] || report.handovers > 500, "{} handovers", report.handovers);
        all_books.push(books);
    }
    assert!(all_books.windows(2).all(|pair| pair[0] == pair[1]), "the same everywhere");
}

/// How often each player acts in the test of a bad network.
const ACTIONS_EACH: usize = 1_750;

/// C4: more than ten thousand actions, sent twice, late, out of order and long after they were forgotten, over a network that
/// loses a tenth: each is run at most once, and whenever one is answered, the answer is the first one, or that it is too old
/// to say.
#[test]
fn ten_thousand_actions_on_a_bad_network_are_run_once_and_answered_alike() {
    let (mut world, clients) = start([2, 2], 1);
    world.set_conditions(LoopbackConditions { loss: 0.1, duplicate: 0.1, delay_ticks: 1, jitter_ticks: 3 });
    let mut sent: Vec<Vec<ActionCall>> = vec![Vec::new(); clients.len()];
    let mut delivered: Vec<BTreeMap<ActionId, Vec<Result<Vec<u8>, ActionRefusal>>>> =
        vec![BTreeMap::new(); clients.len()];
    let mut chance = Random::named(5, "bad network");
    let (mut repeats, mut number) = (0, 0u32);
    let tick = |world: &mut TestWorld, delivered: &mut Vec<BTreeMap<ActionId, Vec<_>>>| {
        world.tick();
        for (delivered, &client) in delivered.iter_mut().zip(&clients) {
            for reply in world[client].replies() {
                delivered.entry(reply.id).or_default().push(reply.result);
            }
        }
    };
    while sent.iter().any(|sent| sent.len() < ACTIONS_EACH) {
        for (sent, &client) in sent.iter_mut().zip(&clients) {
            let room = ACTIONS_EACH - sent.len();
            let mut now: Vec<ActionCall> = (0..chance.below(9).min(room))
                .map(|_| {
                    number += 1;
                    let id = ActionId::new(u64::from(number), chance.bits());
                    ActionCall { id, kind: 0, payload: codec::encode(&Note { number }) }
                })
                .collect();
            sent.extend(now.iter().cloned());
            // Each once or more, in any order, and now and then one from long ago.
            for _ in 0..chance.below(5) {
                let back = if chance.chance(0.2) { sent.len() } else { sent.len().min(60) };
                if back > 0 {
                    now.push(sent[sent.len() - 1 - chance.below(back)].clone());
                    repeats += 1;
                }
            }
            while !now.is_empty() {
                let call = now.swap_remove(chance.below(now.len()));
                world[client].call(call).expect("sent");
            }
        }
        tick(&mut world, &mut delivered);
    }
    (0..40).for_each(|_| tick(&mut world, &mut delivered));

    let (mut too_old, mut answers) = (0, 0);
    for results in delivered.iter().flat_map(BTreeMap::values) {
        answers += results.len();
        let first = &results[0];
        assert_ne!(*first, Err(ActionRefusal::TooOld), "the first answer is an answer");
        for result in results {
            match result {
                Err(ActionRefusal::TooOld) => too_old += 1,
                result => assert_eq!(result, first, "a repeat gets the first answer"),
            }
        }
    }
    let books = books(&mut world);
    for ((sent, delivered), &client) in sent.iter().zip(&delivered).zip(&clients) {
        assert_eq!(delivered.len(), sent.len(), "every id is answered");
        let numbers: Vec<u32> = sent
            .iter()
            .map(|call| codec::decode::<Note, 64>("Note", &call.payload).expect("a note").number)
            .collect();
        let expected: BTreeSet<u32> =
            numbers.into_iter().filter(|number| !number.is_multiple_of(7)).collect();
        let (lines, _) = &books[&world[client].avatar().expect("in")];
        let written: BTreeSet<u32> = lines.iter().map(|&(_, number)| number).collect();
        assert_eq!(lines.len(), written.len(), "none twice");
        assert_eq!(written, expected, "each once");
    }
    assert!(sent.iter().map(Vec::len).sum::<usize>() > 10_000 && repeats > 3_000, "{repeats} repeats");
    assert!(ACTIONS_EACH > REPLIES_REMEMBERED_MAX && too_old > 50, "{too_old} too old of {answers} answers");
}

/// C6, H3: what is more than the bucket holds is refused with the time to wait, changes nothing, and is counted.
#[test]
fn who_calls_too_often_is_told_when_to_come_back() {
    let (mut world, clients) = start([1, 1], 1);
    let mut results = Vec::new();
    for tick in 0..40 {
        for _ in 0..if tick == 0 { 5 } else { 1 } {
            world[clients[0]].act(&Knock).expect("sent");
        }
        world.tick();
        results.extend(world[clients[0]].replies().map(|reply| reply.result));
    }
    let done = results.iter().filter(|result| result.is_ok()).count();
    // Two at once, and three a second for two seconds.
    assert!((7..=8).contains(&done), "{done} of {}", results.len());
    let refusal = results.iter().find_map(|result| result.clone().err()).expect("one was too many");
    assert_eq!(refusal, ActionRefusal::RateLimited { retry_ms: 334 });
    let kinds = &world.server().game().actions;
    let knock = kinds.iter().position(|kind| kind.name() == "Knock").expect("it is registered");
    let tally = world.server().node().resource::<ActionTallies>().all()[knock];
    assert_eq!((tally.done as usize, tally.limited as usize), (done, results.len() - done));
}

/// C6: of several of one tick only the newest is run; the others are told so.
#[test]
fn of_several_in_one_tick_the_newest_is_run() {
    let (mut world, clients) = start([1, 1], 1);
    let ids: Vec<ActionId> = (0..5).map(|to| world[clients[0]].act(&Point { to }).expect("sent")).collect();
    world[clients[1]].act(&Point { to: 9 }).expect("sent");
    world.run(3);
    let results: BTreeMap<ActionId, _> =
        world[clients[0]].replies().map(|reply| (reply.id, reply.result)).collect();
    for id in &ids[..4] {
        assert_eq!(results[id], Err(ActionRefusal::Superseded));
    }
    assert_eq!(results[&ids[4]], Ok(codec::encode(&4u32)));
    let books = books_of(&mut world);
    let of = |client: ClientId, world: &TestWorld| books[&world[client].avatar().expect("in")].clone();
    assert_eq!(of(clients[0], &world).len(), 1);
    assert_eq!(of(clients[1], &world).len(), 1, "another's own counts for itself");
}

/// As [`books`], without the count.
fn books_of(world: &mut TestWorld) -> BTreeMap<NetId, Lines> {
    with_cells(world.server_mut().node_mut(), |_, cells| {
        let mut books = BTreeMap::new();
        for cell in cells.iter_mut() {
            let mut all = cell.world.query_filtered::<(&NetId, &Book), With<Owned>>();
            books.extend(all.iter(&cell.world).map(|(&net_id, book)| (net_id, book.lines.clone())));
        }
        books
    })
}

/// H3: who is muted may not call what speaks, and everything else.
#[test]
fn who_is_muted_may_do_everything_but_speak() {
    let (mut world, clients) = start([1, 1], 1);
    let mut order = |kind: OrderKind, number: u64| {
        let (player, why, by) = (player(0), "rude".into(), "an operator".into());
        world.tick_with(|input| {
            input.orders.push(Order { number, kind, player, why, for_s: None, by });
        });
        for &client in &clients[..2] {
            world[client].act(&Knock).expect("sent");
            world[client].act(&Note { number: 1 }).expect("sent");
        }
        world.run(2);
        [0, 1].map(|who: usize| world[clients[who]].replies().map(|reply| reply.result).collect::<Vec<_>>())
    };
    let done = |count: u32| vec![Ok(Vec::new()), Ok(codec::encode(&count))];
    let muted = vec![Err(ActionRefusal::Muted("rude".into())), Ok(codec::encode(&1u32))];
    assert_eq!(order(OrderKind::Mute, 1), [muted, done(1)]);
    assert_eq!(order(OrderKind::Unmute, 2), [done(2), done(2)]);
}

/// D2, C4: a device that was taken over while its link was down comes back by itself, is told so, and leaves the other in
/// peace; what it had asked for and not heard of is done once at most.
#[test]
fn a_device_that_was_taken_over_while_it_was_away_stays_out() {
    let (mut world, clients) = start([2, 2], 1);
    let phone = clients[0];
    world[phone].act(&Note { number: 1 }).expect("sent");
    world.run(3);
    world.cut(phone, 60);
    world.run(3);
    let desk = world.connect_as(NAMES[0], Role::Gm);
    world.run(6);
    let epoch = world[desk].welcome().expect("in").epoch;
    world.reconnect_as(phone, Role::Gm);
    world[phone].act(&Note { number: 2 }).expect("it waits for its session");
    world.run(12);
    let why = world[phone].ended().expect("it is out").to_string();
    assert!(why.contains("connected from another place"), "{why}");
    world[desk].act(&Note { number: 3 }).expect("sent");
    world.run(3);
    assert_eq!(world[desk].welcome().expect("in").epoch, epoch, "the desk was not disturbed");
    let (lines, _) = &books(&mut world)[&world[desk].avatar().expect("in")];
    assert_eq!(lines.iter().map(|&(_, number)| number).collect::<Vec<_>>(), [1, 3]);
}

/// D1: the same device comes back although it never heard that its session had ended and another begun.
#[test]
fn who_never_heard_of_its_new_session_may_come_back() {
    let (mut world, clients) = start([2, 2], 1);
    let phone = clients[0];
    world.cut(phone, 2);
    // The grace time is over, and a new session begins of which nothing is heard.
    world.run(u64::from(world.server().settings().grace_s) * 20 + 10);
    world.reconnect_as(phone, Role::Gm);
    world.cut(phone, 60);
    world.run(5);
    world.reconnect_as(phone, Role::Gm);
    world[phone].act(&Note { number: 2 }).expect("it waits for its session");
    world.run(12);
    assert!(world[phone].ended().is_none(), "{:?}", world[phone].ended());
    let (lines, _) = &books(&mut world)[&world[phone].avatar().expect("in")];
    assert_eq!(lines.last().map(|&(_, number)| number), Some(2));
}

/// C3: who has no role is refused before anything is decoded, and nothing has changed.
#[test]
fn who_has_no_role_cannot_reach_everybody() {
    let mut world = TestWorld::new(game(), settings([2, 2], 1));
    world.server_mut().node_mut().init_resource::<Decrees>();
    let ann = world.connect("ann");
    world.run(5);
    world[ann].act(&Decree { number: 1 }).expect("sent");
    world.run(3);
    let results: Vec<_> = world[ann].replies().map(|reply| reply.result).collect();
    assert_eq!(results, [Err(ActionRefusal::Forbidden("gm".into()))]);
    assert_eq!(world.server().node().resource::<Decrees>().0, 0);
}

/// C4: after a restart it is not known which actions were done: what was named before is too old, also by a clock that was
/// ahead, and clients are told above what to name theirs. Parties are as they were.
#[test]
fn after_a_restart_old_ids_are_too_old_and_parties_go_on() {
    let (mut world, clients) = start([2, 2], 1);
    for &client in &clients[..3] {
        world[client].act(&Enter { party: 5, then_refuse: false }).expect("sent");
    }
    let call = |id: ActionId| ActionCall { id, kind: 0, payload: codec::encode(&Note { number: 1 }) };
    let of_calendar = world[clients[0]].welcome().expect("in").ids_after.order();
    let a_minute = ActionId::order_at(60_000);
    // Ann's clock is a minute ahead; what she asks for is in the image.
    let ahead = ActionId::new(of_calendar + a_minute, 7);
    world[clients[0]].call(call(ahead)).expect("sent");
    world.run(3);
    world[clients[0]].replies().for_each(drop);
    let image = world.image();
    let mut world = TestWorld::restore(game(), settings([2, 2], 1), &image);
    world.server_mut().node_mut().init_resource::<Decrees>();
    let [ann, dan] = ["ann", "dan"].map(|name| world.connect(name));
    world.run(5);
    let after = world[ann].welcome().expect("in").ids_after;
    assert!(after >= ActionId::last_of(ActionId::order_at(image.now_ms)), "by the calendar");
    assert!(after >= ahead, "by what was used");
    for client in [ann, dan] {
        for id in [ActionId::new(of_calendar, 7), ahead, ActionId::new(after.order() + 1, 7)] {
            world[client].call(call(id)).expect("sent");
        }
    }
    world.run(3);
    // Ann's book has a line already.
    for (client, count) in [(ann, 2u32), (dan, 1)] {
        let results: Vec<_> = world[client].replies().map(|reply| reply.result).collect();
        let too_old = || Err(ActionRefusal::TooOld);
        assert_eq!(results, [too_old(), too_old(), Ok(codec::encode(&count))]);
    }
    let parties = world.server().node().resource::<Parties>();
    assert_eq!(parties.of(&player(0)), Some(PartyId(5)));
    assert_eq!(parties.get(PartyId(5)).map(|party| party.members.len()), Some(3));
    assert_eq!(parties.of(&player(3)), None);
    let sessions = world.server().node().resource::<terrane::session::Sessions>();
    assert_eq!(sessions.of_player(&player(0)).expect("in").context.party(), Some(PartyId(5)));
}

/// A member who leaves and does not come back for a month is none any more; who was in the world until it ended has the
/// whole time from then on.
#[test]
fn who_does_not_come_back_for_a_month_is_in_no_party_any_more() {
    let (mut world, clients) = start([2, 2], 1);
    for &client in &clients[..3] {
        world[client].act(&Enter { party: 5, then_refuse: false }).expect("sent");
    }
    world.run(3);
    world[clients[1]].leave();
    world.run(3);
    let image = world.image();
    let members_after = |seconds: u64| {
        let tick = TickNumber(image.tick.0 + seconds * 20);
        let later = terrane::server::WorldImage { tick, ..image.clone() };
        let mut world = TestWorld::restore(game(), settings([2, 2], 1), &later);
        world.server_mut().node_mut().init_resource::<Decrees>();
        world.run(3);
        let parties = world.server().node().resource::<Parties>();
        parties.get(PartyId(5)).expect("it goes on").members.iter().cloned().collect::<BTreeSet<_>>()
    };
    assert_eq!(members_after(PARTY_AWAY_S_MAX - 1), BTreeSet::from([0, 1, 2].map(player)));
    assert_eq!(members_after(PARTY_AWAY_S_MAX), BTreeSet::from([0, 2].map(player)));
}

/// C4: an id that no clock can have made is not taken: it would make everybody else's too old one day.
#[test]
fn an_id_of_the_far_future_is_refused() {
    let (mut world, clients) = start([1, 1], 1);
    let note = |id: ActionId| ActionCall { id, kind: 0, payload: codec::encode(&Note { number: 1 }) };
    let now = world[clients[0]].welcome().expect("in").ids_after.order();
    let hours = |count: u64| ActionId::order_at(count * 3_600_000);
    for (id, is_taken) in [
        (ActionId(u128::MAX), false),
        (ActionId::new(now + hours(30), 1), false),
        (ActionId::new(now + hours(20), 1), true),
        (ActionId::new(now + 1, 1), true),
    ] {
        world[clients[0]].call(note(id)).expect("sent");
        world.run(2);
        let results: Vec<_> = world[clients[0]].replies().map(|reply| reply.result).collect();
        assert_eq!(results.len(), 1);
        assert_eq!(results[0].is_ok(), is_taken, "{results:?}");
    }
}

/// C4: who comes back within the time that the world says is given the first answer; afterwards it is told that its action
/// is too old, and nothing is done again.
#[test]
fn answers_of_who_left_are_kept_for_as_long_as_the_world_says() {
    let kept_s = 60;
    let mut world =
        TestWorld::new(game(), WorldSettings { grace_s: 1, replies_kept_s: kept_s, ..settings([1, 1], 1) });
    world.server_mut().node_mut().init_resource::<Decrees>();
    let ann = world.connect("ann");
    world.run(5);
    let id = ActionId::new(world[ann].welcome().expect("in").ids_after.order() + 1, 1);
    let call = ActionCall { id, kind: 0, payload: codec::encode(&Note { number: 1 }) };
    let ask = |world: &mut TestWorld| {
        world[ann].call(call.clone()).expect("sent");
        world.run(4);
        let [reply] = &world[ann].replies().collect::<Vec<_>>()[..] else { panic!("one answer") };
        reply.result.clone()
    };
    let first = ask(&mut world);
    assert_eq!(first, Ok(codec::encode(&1u32)));
    let be_away_for = |world: &mut TestWorld, seconds: u32| {
        world.cut(ann, 0);
        // The grace time is over before its time away begins.
        world.run(u64::from(1 + seconds) * 20);
        world.reconnect(ann);
        world.run(6);
    };
    be_away_for(&mut world, kept_s - 2);
    assert_eq!(ask(&mut world), first);
    be_away_for(&mut world, kept_s + 2);
    assert_eq!(ask(&mut world), Err(ActionRefusal::TooOld));
}

/// C6: what is repeated, or cannot be done, takes the place of nothing.
#[test]
fn a_repeat_and_what_is_malformed_supersede_nothing() {
    let (mut world, clients) = start([1, 1], 1);
    let ann = clients[0];
    let kinds = &world.server().game().actions;
    let kind = kinds.iter().position(|kind| kind.name() == "Point").expect("it is registered") as u16;
    let point = |number: u64, to: u32| ActionCall {
        id: ActionId::new(1 << 62 >> 8 | number, 1),
        kind,
        payload: codec::encode(&Point { to }),
    };
    let base = world[ann].welcome().expect("in").ids_after.order();
    let point =
        |number: u64, to: u32| ActionCall { id: ActionId::new(base + number, 1), ..point(number, to) };
    world[ann].call(point(1, 1)).expect("sent");
    world.run(2);
    world[ann].replies().for_each(drop);
    // A new one, the same again, an old one again, and one that nobody can read.
    let broken = ActionCall { payload: vec![1; 40], ..point(3, 0) };
    for call in [point(2, 2), point(2, 2), point(1, 1), broken] {
        world[ann].call(call).expect("sent");
    }
    world.run(3);
    let results: BTreeMap<u64, _> =
        world[ann].replies().map(|reply| (reply.id.order() - base, reply.result)).collect();
    assert_eq!(results[&1], Ok(codec::encode(&1u32)));
    assert_eq!(results[&2], Ok(codec::encode(&2u32)));
    assert!(matches!(results[&3], Err(ActionRefusal::Malformed(_))));
    let lines = &books_of(&mut world)[&world[ann].avatar().expect("in")];
    assert_eq!(lines.iter().map(|&(_, to)| to).collect::<Vec<_>>(), [1, 2]);
}

/// C4: an action whose answer is longer than can be sent is not done, and its caller is told.
#[test]
fn what_cannot_be_answered_is_not_done() {
    let (mut world, clients) = start([1, 1], 1);
    world[clients[0]].act(&Ramble { bytes: 4_000 }).expect("sent");
    world[clients[0]].act(&Ramble { bytes: 9_000 }).expect("sent");
    world.run(4);
    let results: Vec<_> = world[clients[0]].replies().collect();
    assert_eq!(results[0].read::<Ramble>().expect("it fits").len(), 4_000);
    assert_eq!(results[1].result, Err(ActionRefusal::ReplyTooLong { bytes: 9_003 }));
    assert_eq!(books_of(&mut world)[&world[clients[0]].avatar().expect("in")].len(), 1);
}

const _: () = assert!(NAMES.len() <= PARTY_MEMBERS_MAX);
