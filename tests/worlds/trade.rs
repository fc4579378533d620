//! Players trade: whatever they do, nothing comes from nowhere and nothing is lost, on every layout alike.

use std::sync::Arc;

use terrane::caravan::bots::{BotBrain, BotMap, BotProfile, DoneByBot};
use terrane::caravan::{
    Battles, Buy, Deliver, Good, HandIn, Hire, LETTERS_MAX, PostOffice, Roads, Sell, TradeRefusal,
    caravan_plugins, caravan_world,
};
use terrane::prelude::*;
use terrane::reward::PlanRefusal;
use terrane::store::Bank;
use terrane::testing::TestWorld;

const TRADERS: u64 = 24;
/// How long they play: four minutes.
const TICKS: u64 = 4_800;

/// What everybody owns, houses included, by account and asset.
fn books(bank: &Bank) -> Vec<Vec<String>> {
    bank.query(
        "SELECT account.kind, account.name, asset.name, sum(holding.amount) FROM holding
         JOIN account ON account.id = holding.account JOIN asset ON asset.id = holding.asset
         GROUP BY account.id, asset.id ORDER BY account.kind, account.name, asset.name",
    )
}

struct Traded {
    world: TestWorld,
    office: PostOffice,
    /// Trades, bounties, battles that were settled, hires, errands.
    counts: [u64; 5],
    /// What the traders themselves were told is done.
    done: DoneByBot,
}

fn play(settings: WorldSettings) -> Traded {
    let map = Arc::new(BotMap::shipped());
    let office = PostOffice::in_memory();
    let game = caravan_world(caravan_plugins(ServerBuilder::default()), Roads::shipped(), office.clone());
    let mut world = TestWorld::new(game, WorldSettings { npcs: Some(100), ..settings });
    let clients: Vec<_> = (0..TRADERS).map(|number| world.connect(&format!("trader {number}"))).collect();
    let mut brains: Vec<_> =
        (0..TRADERS).map(|number| BotBrain::new(BotProfile::Trade, map.clone(), 3, number)).collect();
    for tick in 1..=TICKS {
        for (brain, &client) in brains.iter_mut().zip(&clients) {
            brain.think(&mut world[client], tick);
        }
        world.tick();
    }
    // What is under way comes home, and is written down.
    world.run(150);
    let node = world.server().node();
    let counts = [
        actions_done::<Buy>(node) + actions_done::<Sell>(node),
        actions_done::<HandIn>(node),
        node.resource::<Battles>().settled(),
        actions_done::<Hire>(node),
        actions_done::<Deliver>(node),
    ];
    let mut done = DoneByBot::default();
    for brain in &brains {
        done += brain.done();
    }
    Traded { world, office, counts, done }
}

/// E9, F12: of every asset there is as much as was given out, every store agrees with its house, and all of it comes out the
/// same whatever the layout.
#[test]
fn what_is_traded_is_conserved_and_every_store_agrees_with_its_house() {
    let [one, many] = [[1, 1], [5, 5]].map(|grid| play(WorldSettings { grid, ..WorldSettings::default() }));
    for traded in [&one, &many] {
        let bank = traded.world.players().bank();
        let unequal = "SELECT asset.name FROM holding JOIN asset ON asset.id = holding.asset
                       GROUP BY asset.id HAVING sum(holding.amount) <> 0";
        assert_eq!(bank.query(unequal), Vec::<Vec<String>>::new());
        assert_eq!(bank.conservation(), Vec::<String>::new());
        let [trades, bounties, battles, hires, errands] = traded.counts;
        assert!(trades > 100 && bounties > 2 && hires > 20, "{:?}", traded.counts);
        assert!(battles > 20 && errands > 2, "{:?}", traded.counts);
        // A battle leaves one row, and every round that led to it one.
        let number = |sql: &str| bank.query(sql)[0][0].parse::<u64>().expect("a number");
        let ended = number(&format!("SELECT count(*) FROM game_caravan_battle WHERE ended <= {TICKS}"));
        let all = number("SELECT count(*) FROM game_caravan_battle");
        assert!((ended..=all).contains(&battles), "{ended} {battles} {all}");
        let rounds = format!(
            "SELECT count(*) FROM game_caravan_battle AS battle WHERE ended <= {TICKS} AND (
                 SELECT count(*) FROM game_caravan_round WHERE begun = battle.begun) < battle.rounds"
        );
        assert_eq!(number(&rounds), 0, "their rounds are told");
        // Of every errand that was done, and every battle that was won, there is a letter, and of nothing else. A skirmish that cost
        // nobody is not worth one.
        let boxes = traded.office.boxes();
        for client in traded.world.clients() {
            let player = &client.welcome().expect("in").player;
            let written = number(&format!(
                "SELECT (SELECT count(*) FROM game_caravan_battle WHERE player = '{player}' AND result = 'won'
                           AND (band <> 'rivals' OR fallen > 0))
                      + coalesce((SELECT done FROM game_caravan_errand WHERE player = '{player}'), 0)"
            ));
            assert_eq!(boxes.of(player).count() as u64, written.min(LETTERS_MAX as u64), "{player}");
        }
        assert!(boxes.len() > 10, "{boxes:?}");
    }
    assert_eq!(books(one.world.players().bank()), books(many.world.players().bank()));
    assert_eq!((one.counts, one.done), (many.counts, many.done));
    // A13: traders do all that players do, and count it kind by kind.
    let DoneByBot { deals, bounties, hires, quests, battles, characters, parties, said } = one.done;
    assert!(deals > 100 && bounties > 2 && hires > 20 && quests > 2, "{:?}", one.done);
    assert!(battles > 20 && characters > 10 && parties > 4 && said > 50, "{:?}", one.done);
    // What a purse shows is what the save says.
    for client in one.world.clients() {
        let player = &client.welcome().expect("in").player;
        let held = one.world.players().bank().holdings(&Account::from(player));
        let avatar = client.view().get(client.avatar().expect("in")).expect("it sees itself");
        let purse = avatar.component::<terrane::caravan::Purse>(client.schema()).expect("its own");
        assert_eq!(*purse.silver, held.amount(&terrane::caravan::SILVER.into()));
        for good in Good::ALL {
            assert_eq!(u64::from(purse.goods.loads(good)), held.amount(&good.asset()));
        }
    }
}

/// F12: what is wrong in a trade is told by its reason, typed, and what the store finds is told in the game's words.
#[test]
fn reasons_against_a_trade_are_typed() {
    let refused = |reason: &str| {
        TradeRefusal::from(&PlanRefusal::Game { kind: "move_stock".into(), reason: reason.to_owned() })
    };
    for refusal in [
        TradeRefusal::SoldOut { left: 3 },
        TradeRefusal::StoreFull { room: 0 },
        TradeRefusal::QuotaUsed { left: 2, opens_in_s: 40 },
        TradeRefusal::HadAlready,
        TradeRefusal::BoughtHere,
    ] {
        assert_eq!(refused(&refusal.to_string()), refusal);
    }
    let unknown = refused("another");
    assert!(matches!(unknown, TradeRefusal::Value(_)), "{unknown}");
}
