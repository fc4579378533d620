//! The market lives by itself: caravans carry goods from where they are cheap to where they are dear, prices stay within bounds, and
//! players trade out of the same stores.

use std::collections::BTreeMap;

use crate::post;
use crate::support::{caravan_builder, caravan_world};
use terrane::action::kinds::reason_of;
use terrane::caravan::roads::TradeNode;
use terrane::caravan::{
    BOUNTY_LOADS, Buy, Deliver, Good, HOUR_TICKS, HandIn, Lore, Market, NodeId, PostOffice, Purse,
    QUOTA_EVERY_MS, Quotes, Roads, SCARCE_TIMES, Sell, TradeRefusal, Traded, Way, asked_for, bounty_period,
    caravan_game,
};
use terrane::cell::pool::NodeContext;
use terrane::ids::ActionId;
use terrane::prelude::*;
use terrane::protocol::codec;
use terrane::reference::{Reference, ReferenceFiles};
use terrane::store::Bank;
use terrane::testing::{ClientId, TestWorld};

fn files() -> ReferenceFiles {
    ReferenceFiles::shipped(Lore::FILES)
}

/// The files with another `usual` row of stocks.toml, and nothing said of single stores.
fn with_stocks(opening: u32, most: u32, quota: u32) -> ReferenceFiles {
    let text = format!("[usual]\nopening = {opening}\nmost = {most}\nquota = {quota}\n");
    files().with("stocks.toml", text)
}

fn market(world: &TestWorld) -> &Market {
    world.server().node().resource::<Market>()
}

/// What stores hold as the ledger says: what they opened with and what their houses took in.
fn counted(bank: &Bank) -> BTreeMap<(String, String), i64> {
    let rows = bank.query(
        "SELECT stock.market, stock.good, stock.opened + coalesce((
             SELECT sum(holding.amount) FROM holding
             JOIN account ON account.id = holding.account JOIN asset ON asset.id = holding.asset
             WHERE account.kind = 'house' AND account.name = stock.market AND asset.name = stock.good), 0)
         FROM game_caravan_stock AS stock",
    );
    rows.into_iter()
        .map(|row| ((row[0].clone(), row[1].clone()), row[2].parse().expect("a number")))
        .collect()
}

/// The ledger says what the market takes it to say, of every store; nothing is made or lost; and all that memory has beyond that is on
/// its way.
fn check_books(world: &TestWorld) {
    let bank = world.players().bank();
    let unequal = "SELECT asset.name FROM holding JOIN asset ON asset.id = holding.asset
                   GROUP BY asset.id HAVING sum(holding.amount) <> 0";
    assert_eq!(bank.query(unequal), Vec::<Vec<String>>::new(), "what is given is received");
    assert_eq!(bank.conservation(), Vec::<String>::new());
    let (counted, net) = (counted(bank), world.server().node().resource::<HouseNet>());
    let mut stores = 0;
    for (node, goods) in &market(world).stores {
        for (good, store) in goods {
            let house = format!("market/{node}");
            let there = counted[&(house.clone(), good.to_string())];
            assert_eq!(there, store.kept, "{node} {good}: what the save says is known");
            let owed =
                net.owed(good.asset(), "npc/country", terrane::reward::Name::new(&house).expect("a name"));
            assert_eq!(i64::from(store.loads), there + owed, "{node} {good}: the rest is owed");
            stores += 1;
        }
    }
    assert_eq!(counted.len(), stores);
}

/// Every price is within the bounds of the formula, and no store holds more than it may.
fn check_bounds(market: &Market) {
    for (node, goods) in &market.stores {
        for (good, store) in goods {
            let (price, usual) = (u64::from(store.price()), u64::from(store.terms.usual));
            // A node that makes a good asks three quarters, one that wants it 1.3 times what it usually costs.
            let (least, most) = (usual * 75 / 100 / SCARCE_TIMES, (usual * 130 * SCARCE_TIMES).div_ceil(100));
            assert!((least..=most).contains(&price), "{node} {good}: {price} of {usual}");
            assert!(store.loads <= store.terms.most, "{node} {good}: {store:?}");
            assert!(store.kept >= 0, "{node} {good}: {store:?}");
        }
    }
}

/// What a good costs at each node, of what it usually costs, percent: the cheapest and the dearest.
fn spread(market: &Market, good: Good) -> (u64, u64) {
    let percent = market.stores.values().map(|goods| {
        let store = &goods[&good];
        100 * u64::from(store.price()) / u64::from(store.terms.usual)
    });
    let percent: Vec<u64> = percent.collect();
    (*percent.iter().min().expect("nodes"), *percent.iter().max().expect("nodes"))
}

/// E9: in a world where nobody plays, 100,000 ticks, prices stay within bounds and come into a narrower band, no store is ever below
/// nothing or above its most, and of money and goods nothing is made or lost.
#[test]
fn an_idle_market_lives_on_within_its_bounds() {
    let settings = WorldSettings { grid: [1, 1], ..WorldSettings::default() };
    let mut world = caravan_world(settings, 40);
    let (mut hours, mut moved) = (0, 0);
    let mut widest = BTreeMap::<Good, (u64, u64)>::new();
    // Past the tick in which the net is written, so that none is on its way when the books are looked at.
    world.run(7);
    for turn in 0..500 {
        world.run(200);
        let market = market(&world);
        check_bounds(market);
        moved += u64::from(market.hour > hours);
        hours = market.hour;
        if turn % 50 == 3 {
            check_books(&world);
        }
        // Once all have found their ways.
        if turn > 100 {
            for good in Good::ALL {
                let (least, most) = spread(market, good);
                let widest = widest.entry(good).or_insert((least, most));
                *widest = (widest.0.min(least), widest.1.max(most));
            }
        }
    }
    assert!(moved > 300, "prices move on and on: in {moved} of 500 looks");
    for (good, (least, most)) in widest {
        assert!(least >= 65 && most <= 145, "{good} costs {least} to {most} percent of what it usually does");
    }
    assert!(world.server().node().resource::<HouseNet>().moved() > 1_000);
}

/// E9: however many nodes a map has, what caravans bring is written for all of them, and not for those alone whose names come first.
#[test]
fn a_map_of_many_nodes_is_written_whole() {
    let nodes = 60;
    let node = |number: usize| TradeNode {
        name: format!("Node {number}"),
        slug: format!("node-{number:02}"),
        place: Vec3::new(300.0 + 20.0 * (number % 10) as f32, 300.0 + 20.0 * (number / 10) as f32, 0.0),
        neighbours: [number.wrapping_sub(1), number + 1]
            .into_iter()
            .filter(|other| *other < nodes)
            .map(|other| NodeId(other as u16))
            .collect(),
    };
    let roads = Roads { nodes: (0..nodes).map(node).collect() };
    let settings = WorldSettings { npcs: Some(400), ..WorldSettings::default() };
    let mut world = TestWorld::new(caravan_game(ServerBuilder::default(), roads), settings);
    world.run(2 * 600 + 7);
    check_books(&world);
    let houses = "SELECT count(DISTINCT account.id) FROM holding JOIN account ON account.id = holding.account
                  WHERE account.name LIKE 'market/node-%'";
    assert_eq!(world.players().bank().query(houses), [[nodes.to_string()]]);
}

/// What the market comes to, and the world's fingerprint, after some minutes.
fn played(settings: WorldSettings) -> (Market, u64) {
    let mut world = caravan_world(settings, 120);
    let fingerprint = world.run(2_000).report.fingerprint;
    check_books(&world);
    (market(&world).clone(), fingerprint)
}

/// C5, E9: which cell a caravan trades in, and which thread runs it, is nothing to the market.
#[test]
fn the_market_is_the_same_on_every_layout() {
    let base = WorldSettings::default();
    let one = played(WorldSettings { grid: [1, 1], threads: 1, ..base.clone() });
    assert!(one.0.hour > 10, "it lives");
    let many = played(WorldSettings { grid: [5, 5], threads: 1, ..base.clone() });
    let threads = played(WorldSettings { grid: [5, 5], threads: 2, ..base });
    assert!(one.0 == many.0 && one.0 == threads.0, "stores and prices are equal");
    assert_eq!(one.1, many.1);
    assert_eq!(one.1, threads.1);
}

/// Players who stand at one node, in a world without caravans that goes by these files, and the node's name in the save.
fn fellows(files: ReferenceFiles, wanted: usize) -> (TestWorld, Vec<ClientId>, String) {
    let mut world = caravan_world(WorldSettings::default(), 0);
    world.reload(files).expect("they are sound");
    let all: Vec<ClientId> = (0..40).map(|number| world.connect(&format!("p{number}"))).collect();
    // Prices have been told; nothing drifts before the first harvest.
    world.run(HOUR_TICKS + 2);
    let mut at = BTreeMap::<u16, Vec<ClientId>>::new();
    for client in all {
        let quotes = quotes(&world, client);
        at.entry(quotes.node.expect("all begin at a node").0).or_default().push(client);
    }
    let (node, mut some) = at.into_iter().find(|(_, some)| some.len() >= wanted).expect("a crowded node");
    some.truncate(wanted);
    (world, some, Roads::shipped().nodes[usize::from(node)].slug.clone())
}

fn quotes(world: &TestWorld, client: ClientId) -> Quotes {
    world.component(client, world[client].avatar().expect("it is in")).expect("it sees its own")
}

type Answer = Result<Traded, TradeRefusal>;

/// What an action was answered with.
fn answer(world: &mut TestWorld, client: ClientId, id: ActionId) -> Answer {
    let reply = world[client].replies().find(|reply| reply.id == id).expect("it is answered");
    match reply.result {
        Ok(bytes) => Ok(codec::decode::<Traded, 64>("an answer", &bytes).expect("an answer")),
        Err(refusal) => Err(reason_of::<Buy>(&refusal).expect("a reason")),
    }
}

fn buy(world: &mut TestWorld, client: ClientId, good: Good, loads: u16) -> Answer {
    let id = world[client].act(&Buy { good, loads, at_most: u32::MAX }).expect("it is sent");
    world.run(6);
    answer(world, client, id)
}

fn sell(world: &mut TestWorld, client: ClientId, good: Good, loads: u16) -> Answer {
    let id = world[client].act(&Sell { good, loads, at_least: 0 }).expect("it is sent");
    world.run(6);
    answer(world, client, id)
}

/// E9: of two players after the last load one gets it, and the other is told that there is none, and has paid nothing.
#[test]
fn the_last_load_is_sold_once() {
    let (mut world, some, node) = fellows(with_stocks(1, 10, 100), 2);
    let ask = |world: &mut TestWorld, client: ClientId| {
        world[client].act(&Buy { good: Good::Salt, loads: 1, at_most: 1_000 }).expect("it is sent")
    };
    let ids: Vec<_> = some.iter().map(|&client| (client, ask(&mut world, client))).collect();
    world.run(6);
    let mut answers: Vec<Answer> =
        ids.into_iter().map(|(client, id)| answer(&mut world, client, id)).collect();
    answers.sort_by_key(Result::is_err);
    let [Ok(first), Err(second)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((first.loads, first.stock, first.quota_left), (1, 0, 99));
    assert_eq!(*second, TradeRefusal::SoldOut { left: 0 });
    assert_eq!(market(&world).store(&node, Good::Salt).expect("a store").kept, 0);
    check_books(&world);
    // From now on the node says so before anybody asks the save.
    assert_eq!(quotes(&world, some[1]).goods[&Good::Salt].stock, 0);
    assert_eq!(buy(&mut world, some[1], Good::Salt, 1), Err(TradeRefusal::SoldOut { left: 0 }));
}

/// E9: what a trade is answered with is how things stand: silver, loads, price, stock and what is left of the quota; the node quotes
/// the same to everybody there, and nobody gains by buying and selling again.
#[test]
fn a_trade_settles_everything_at_once_and_is_answered_with_it() {
    let (mut world, some, _) = fellows(with_stocks(100, 200, 60), 2);
    let before = quotes(&world, some[0]).goods[&Good::Iron];
    let bought = buy(&mut world, some[0], Good::Iron, 20).expect("it is sold");
    // There are a fifth less: each costs a fifth more, rounded.
    let price = (f64::from(before.silver) * 1.2).round() as u32;
    let expected =
        Traded { silver: 500 - 20 * u64::from(price), loads: 20, price, stock: 80, quota_left: 40 };
    assert_eq!(bought, expected);
    let after = quotes(&world, some[1]).goods[&Good::Iron];
    assert_eq!((after.silver, after.stock, after.to_buy, after.to_sell), (price, 80, 40, 80));
    let sold = sell(&mut world, some[0], Good::Iron, 20).expect("it is bought");
    assert_eq!((sold.loads, sold.stock, sold.quota_left), (0, 100, 60));
    assert!(sold.price <= before.silver && sold.silver <= 500, "{sold:?}");
    check_books(&world);
    // Who names a price that does not hold is told the one that does.
    buy(&mut world, some[0], Good::Iron, 1).expect("it is sold");
    let (at_most, at_least) = (before.silver - 1, 2 * before.silver);
    let dear = world[some[0]].act(&Buy { good: Good::Iron, loads: 1, at_most }).expect("it is sent");
    let cheap = world[some[0]].act(&Sell { good: Good::Iron, loads: 1, at_least }).expect("it is sent");
    world.run(6);
    let replies: Vec<_> = world[some[0]].replies().collect();
    for (id, is_other) in [(dear, before.silver..u32::MAX), (cheap, 1..at_least)] {
        let refusal = replies.iter().find(|reply| reply.id == id).expect("it is answered").result.as_ref();
        let why = reason_of::<Buy>(refusal.expect_err("it is off"));
        assert!(matches!(why, Some(TradeRefusal::Price { silver }) if is_other.contains(&silver)), "{why:?}");
    }
    let full = {
        buy(&mut world, some[0], Good::Salt, 1).expect("it is sold");
        world.reload(with_stocks(1, 1, 60)).expect("it is sound");
        sell(&mut world, some[0], Good::Salt, 1)
    };
    assert_eq!(
        full,
        Err(TradeRefusal::StoreFull { room: 0 }),
        "a store takes no more than the files say now"
    );
}

/// E9: who asks for much in many small parts at once pays for it as for one: what was agreed upon at a price that holds no more is off,
/// so that nobody gains by buying and selling again.
#[test]
fn nobody_gains_by_asking_for_many_trades_at_once() {
    let (mut world, some, _) = fellows(with_stocks(20, 40, 1_000), 1);
    let burst = |world: &mut TestWorld, buys: bool| {
        let ids: Vec<ActionId> = (0..10)
            .map(|_| {
                let sent = match buys {
                    true => world[some[0]].act(&Buy { good: Good::Wine, loads: 1, at_most: u32::MAX }),
                    false => world[some[0]].act(&Sell { good: Good::Wine, loads: 1, at_least: 0 }),
                };
                sent.expect("it is sent")
            })
            .collect();
        world.run(16);
        let replies: BTreeMap<ActionId, bool> =
            world[some[0]].replies().map(|reply| (reply.id, reply.result.is_ok())).collect();
        ids.iter().filter(|id| replies[id]).count() as u32
    };
    let bought = burst(&mut world, true);
    assert!((1..10).contains(&bought), "{bought} of ten are at the price of the first");
    let mut sold = 0;
    while sold < bought {
        let some = burst(&mut world, false);
        assert!(some > 0);
        sold += some;
    }
    let purse: Purse = world.component(some[0], world[some[0]].avatar().expect("in")).expect("its own");
    assert!(*purse.silver <= 500 && purse.goods.loads(Good::Wine) == 0, "{purse}");
    check_books(&world);
}

/// Lets ticks run at a calendar that is so much ahead.
fn run_ahead(world: &mut TestWorld, ticks: u64, ahead_ms: u64) {
    for _ in 0..ticks {
        world.tick_with(|input| input.now_ms += ahead_ms);
    }
}

/// E9: a quota that is used up is refused, with what is left and when it begins anew; in the next period it has.
#[test]
fn a_quota_that_is_used_up_begins_anew_in_the_next_period() {
    let (mut world, some, node) = fellows(with_stocks(100, 200, 5), 2);
    let bought = buy(&mut world, some[0], Good::Wine, 3).expect("it is sold");
    assert_eq!(bought.quota_left, 2);
    // Others who buy are refused as well: it is the node's.
    let opens_in_s = |world: &TestWorld| {
        let now_ms = world.server().node().resource::<NodeContext>().0.now_ms;
        ((QUOTA_EVERY_MS - now_ms % QUOTA_EVERY_MS).div_ceil(1_000)) as u32
    };
    let Err(TradeRefusal::QuotaUsed { left: 2, opens_in_s: told }) = buy(&mut world, some[1], Good::Wine, 3)
    else {
        panic!("two are left")
    };
    assert!((opens_in_s(&world)..=opens_in_s(&world) + 1).contains(&told), "{told} s");
    // Those that are on their way at once are told apart by the save.
    let ids: Vec<_> = some
        .iter()
        .map(|&client| {
            (
                client,
                world[client].act(&Buy { good: Good::Wine, loads: 2, at_most: 1_000 }).expect("it is sent"),
            )
        })
        .collect();
    world.run(6);
    let answers: Vec<Answer> = ids.into_iter().map(|(client, id)| answer(&mut world, client, id)).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    let is_used_up = |answer: &&Answer| matches!(answer, Err(TradeRefusal::QuotaUsed { left: 0, .. }));
    assert_eq!(answers.iter().filter(is_used_up).count(), 1, "{answers:?}");
    assert_eq!(quotes(&world, some[0]).goods[&Good::Wine].to_buy, 0);
    assert_eq!(quotes(&world, some[0]).goods[&Good::Salt].to_buy, 5, "of each good for itself");

    run_ahead(&mut world, 2, QUOTA_EVERY_MS);
    assert_eq!(quotes(&world, some[0]).goods[&Good::Wine].to_buy, 5);
    let id = world[some[1]].act(&Buy { good: Good::Wine, loads: 5, at_most: 1_000 }).expect("it is sent");
    run_ahead(&mut world, 6, QUOTA_EVERY_MS);
    assert_eq!(answer(&mut world, some[1], id).expect("it is sold").quota_left, 0);
    assert_eq!(market(&world).store(&node, Good::Wine).expect("a store").taken, 5);
}

/// E9: who buys and sells again, however often, uses up nothing of what others may trade: what comes back gives back what it used. A
/// sale beyond that has the quota to itself, and is refused with what is left of it.
#[test]
fn nobody_uses_up_a_quota_by_trading_to_and_fro() {
    let (mut world, some, node) = fellows(with_stocks(100, 200, 20), 2);
    for round in 0..3 {
        let bought = buy(&mut world, some[0], Good::Salt, 12).expect("it is sold");
        let sold = sell(&mut world, some[0], Good::Salt, 12).expect("it is bought");
        assert_eq!((bought.quota_left, sold.quota_left), (8, 20), "round {round}");
    }
    assert_eq!(market(&world).store(&node, Good::Salt).expect("a store").taken, 0);
    assert_eq!(buy(&mut world, some[1], Good::Salt, 20).expect("all of it is left").quota_left, 0);
    let refused = buy(&mut world, some[0], Good::Salt, 1);
    assert!(matches!(refused, Err(TradeRefusal::QuotaUsed { left: 0, .. })), "{refused:?}");
    assert_eq!(quotes(&world, some[0]).goods[&Good::Salt].to_sell, 40, "what was taken may come back");
    check_books(&world);
}

/// E9: a trade that waits while its player's trade before it is under way, and what caravans and the country brought is written
/// meanwhile, counts it once: the answer says what the store holds.
#[test]
fn what_is_written_while_a_trade_waits_is_counted_once() {
    let (mut world, some, node) = fellows(with_stocks(1_000, 2_000, 2_000), 1);
    buy(&mut world, some[0], Good::Salt, 50).expect("it is sold");
    let tick = |world: &TestWorld| world.server().node().resource::<NodeContext>().0.tick.0;
    // Just before what the country brought is written, every 30 s.
    while tick(&world) % 600 != 590 {
        world.tick();
    }
    let store = |world: &TestWorld| *market(world).store(&node, Good::Salt).expect("a store");
    assert!(i64::from(store(&world).loads) > store(&world).kept, "it has brought something");
    world.players_mut().set_delay_ticks(20);
    let buy = Buy { good: Good::Salt, loads: 1, at_most: 1_000 };
    let ids = [(); 2].map(|()| world[some[0]].act(&buy).expect("it is sent"));
    world.run(100);
    world.players_mut().set_delay_ticks(0);
    world.run(50);
    let answers: BTreeMap<ActionId, Traded> = world[some[0]]
        .replies()
        .map(|reply| {
            let bytes = reply.result.expect("it is sold");
            (reply.id, codec::decode::<Traded, 64>("an answer", &bytes).expect("an answer"))
        })
        .collect();
    assert_eq!(i64::from(answers[&ids[1]].stock), store(&world).kept, "{answers:?}");
    check_books(&world);
}

/// E9: what a node has asked for is taken also where there is no room for it in the store, or whoever fills it would keep everybody
/// else from being paid; the country takes what is too much.
#[test]
fn what_is_asked_for_is_taken_also_where_a_store_is_full() {
    let mut world = post::world(&PostOffice::in_memory(), None);
    world.reload(with_stocks(40, 40, 100)).expect("it is sound");
    let anna = world.connect("anna");
    world.run(30);
    let errand = post::takes_errand(&mut world, anna);
    let now_ms = world.server().node().resource::<NodeContext>().0.now_ms;
    let asked = asked_for(WorldSettings::default().seed, errand.to, bounty_period(now_ms));
    for (good, loads) in [(errand.good, errand.loads), (asked, BOUNTY_LOADS)] {
        buy(&mut world, anna, good, loads).expect("it is sold");
    }
    post::goes_where_it_is_wanted(&mut world, anna);
    let there = quotes(&world, anna);
    assert_eq!((there.goods[&asked].room, there.goods[&errand.good].room), (0, 0), "they are full");
    world[anna].act(&Deliver).expect("sent");
    world[anna].act(&HandIn).expect("sent");
    world.run(12);
    let replies: Vec<_> = world[anna].replies().map(|reply| reply.result).collect();
    assert!(replies.len() == 2 && replies.iter().all(Result::is_ok), "{replies:?}");
    check_books(&world);
    let fullest = |world: &TestWorld| {
        let stores = market(world).stores.values().flat_map(BTreeMap::values);
        stores.map(|store| (store.loads, store.kept)).max_by_key(|&(_, kept)| kept).expect("stores")
    };
    assert_eq!(fullest(&world).0, 40, "no store holds more than it may");
    assert!(fullest(&world).1 > 40, "and the rest waits for the country");
    world.run(700);
    assert_eq!(fullest(&world), (40, 40));
    check_books(&world);
}

/// E7, E9: what the files say of quotas holds in the tick in which they come, and is told to whoever is there.
#[test]
fn a_reload_changes_quotas_at_once() {
    let (mut world, some, _) = fellows(with_stocks(100, 200, 50), 1);
    buy(&mut world, some[0], Good::Salt, 4).expect("it is sold");
    world.reload(with_stocks(100, 200, 6)).expect("it is sound");
    world.tick();
    assert_eq!(quotes(&world, some[0]).goods[&Good::Salt].to_buy, 2);
    let refused = buy(&mut world, some[0], Good::Salt, 3);
    assert!(matches!(refused, Err(TradeRefusal::QuotaUsed { left: 2, .. })), "{refused:?}");
}

/// E1, E9: a world that is killed and started again has its stores, prices and quotas: what players traded as the save says, and the
/// rest as of the image.
#[test]
fn a_restart_keeps_prices_and_quotas() {
    let settings = WorldSettings::default();
    let (mut world, some, node) = fellows(with_stocks(100, 200, 50), 1);
    buy(&mut world, some[0], Good::Salt, 5).expect("it is sold");
    let image = world.image();
    // What is traded after the image is in the save alone.
    let last = buy(&mut world, some[0], Good::Salt, 7).expect("it is sold");
    let before = market(&world).clone();
    let players = world.players().clone();
    let game = caravan_builder(&settings);
    let mut world =
        TestWorld::restart(game, WorldSettings { npcs: Some(0), ..settings }, Some(&image), players);
    world.reload(with_stocks(100, 200, 50)).expect("it is sound");
    world.run(8);
    let after = market(&world);
    let store = |market: &Market| *market.store(&node, Good::Salt).expect("a store");
    assert_eq!(store(after), store(&before));
    let quota_left = store(after).quota_left(store(after).period, Way::Out);
    assert_eq!((store(after).loads, quota_left), (88, 38));
    assert_eq!((last.stock, last.quota_left), (88, 38), "as was told before");
    assert_eq!(after.stores, before.stores, "and all others");
    check_books(&world);
}

/// E4: prices are written when it is time, only those that have changed, and a store has one row an hour.
#[test]
fn prices_are_written_from_hour_to_hour_when_they_have_changed() {
    let (mut world, some, node) = fellows(with_stocks(100, 200, 50), 1);
    let rows = |world: &TestWorld, sql: &str| {
        let found = world.players().bank().query(&format!("SELECT count(*) FROM game_caravan_price {sql}"));
        found[0][0].parse::<u64>().expect("a number")
    };
    assert_eq!(rows(&world, ""), 0, "it is not time yet");
    run_ahead(&mut world, 5, QUOTA_EVERY_MS);
    assert_eq!(rows(&world, ""), 17 * 5, "of a world that begins all are written");
    run_ahead(&mut world, 5, 6 * QUOTA_EVERY_MS);
    assert_eq!(rows(&world, ""), 17 * 5, "nothing has changed");
    let id = world[some[0]].act(&Buy { good: Good::Silk, loads: 2, at_most: 1_000 }).expect("it is sent");
    run_ahead(&mut world, 6, 6 * QUOTA_EVERY_MS);
    answer(&mut world, some[0], id).expect("it is sold");
    run_ahead(&mut world, 5, 12 * QUOTA_EVERY_MS);
    assert_eq!(rows(&world, ""), 17 * 5 + 1, "one has");
    let of_store = format!("WHERE node = '{node}' AND good = 'silk'");
    assert_eq!(rows(&world, &of_store), 2);
    let newest = format!("SELECT stock FROM game_caravan_price {of_store} ORDER BY hour DESC LIMIT 1");
    assert_eq!(world.players().bank().query(&newest)[0][0], "98");
}
