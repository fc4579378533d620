//! A second game on the public API alone: with a table, a currency, a kind of change, a reward and a courier of its own.

use std::sync::{Arc, Mutex};

use crate::orchard::{APPLES, Pick, Picker, Receipt, Sell, TREES, orchard as game};
use terrane::action::reason_of;
use terrane::prelude::*;
use terrane::protocol::codec;
use terrane::testing::{ClientId, TestWorld};

/// Whose letters come, and how often each.
type Letters = Arc<Mutex<Vec<u64>>>;

fn world(letters: &Letters) -> TestWorld {
    let letters = letters.clone();
    let owner = move |letter| {
        letters.lock().unwrap().push(letter);
        Ok(())
    };
    TestWorld::new(game(ServerBuilder::default(), owner), WorldSettings::default())
}

fn results(world: &mut TestWorld, clients: &[ClientId], ticks: u64) -> Vec<(usize, Result<Receipt, String>)> {
    let mut all = Vec::new();
    for _ in 0..ticks {
        world.tick();
        for &client in clients {
            for reply in world[client].replies() {
                let result = match &reply.result {
                    Ok(bytes) => Ok(codec::decode::<Receipt, 64>("receipt", bytes).expect("one")),
                    Err(refusal) => Err(reason_of::<Pick>(refusal).unwrap_or_else(|| format!("{refusal:?}"))),
                };
                all.push((clients.iter().position(|other| *other == client).expect("one of them"), result));
            }
        }
    }
    all
}

/// F12, H4: two after the last apple: one gets it, the other a reason in the game's words; the tree, the ledger and what players
/// show agree.
#[test]
fn two_players_after_the_last_apple_of_a_tree() {
    let letters = Letters::default();
    let mut world = world(&letters);
    let clients = ["alice", "bob"].map(|name| world.connect(name));
    world.run(10);
    for _ in 1..APPLES {
        world[clients[0]].act(&Pick { tree: 1 }).expect("sent");
    }
    let picked = results(&mut world, &clients, 100);
    assert_eq!(picked.len() as u64, APPLES - 1);
    assert!(picked.iter().all(|(_, result)| result.is_ok()), "{picked:?}");
    for client in clients {
        world[client].act(&Pick { tree: 1 }).expect("sent");
    }
    let last = results(&mut world, &clients, 10);
    let won: Vec<_> = last.iter().filter(|(_, result)| result.is_ok()).collect();
    let lost: Vec<_> = last.iter().filter_map(|(_, result)| result.as_ref().err()).collect();
    assert_eq!((won.len(), lost.len()), (1, 1), "{last:?}");
    assert!(lost[0].contains("the tree is bare"), "{lost:?}");
    let bank = world.players().bank().clone();
    assert_eq!(bank.query("SELECT apples, picked FROM game_orchard_tree WHERE id = 1"), [["0", "40"]]);
    assert_eq!(bank.conservation(), Vec::<String>::new());
    for client in clients {
        let shown: Picker = world.component(client, world[client].avatar().expect("in")).expect("seen");
        let player = world[client].welcome().expect("in").player.clone();
        let held = bank.holdings(&Account::from(&player));
        assert_eq!(
            (*shown.coins, *shown.apples),
            (held.amount(&"coin".into()), held.amount(&"apple".into()))
        );
    }
    // C8: a letter for every apple, none for who came too late.
    let letters = letters.lock().unwrap();
    let mut once = letters.clone();
    once.dedup();
    assert_eq!((letters.len() as u64, once.len()), (APPLES, letters.len()));
    assert_eq!(bank.query("SELECT count(*) FROM outbox"), [["0"]]);
}

/// The kind's own check finds what was done behind its back.
#[test]
fn the_games_own_check_finds_what_nobody_picked() {
    let mut world = world(&Letters::default());
    let alice = world.connect("alice");
    world.run(10);
    world[alice].act(&Pick { tree: TREES }).expect("sent");
    world[alice].act(&Sell { apples: 1 }).expect("sent");
    let done = results(&mut world, &[alice], 12);
    assert_eq!(done.len(), 2);
    assert!(done.iter().all(|(_, result)| result.is_ok()), "{done:?}");
    let bank = world.players().bank();
    assert_eq!(bank.conservation(), Vec::<String>::new());
    let changed = bank.query("UPDATE game_orchard_tree SET apples = 1 WHERE id = 2 RETURNING id");
    assert_eq!(changed, [["2"]]);
    let found = bank.conservation();
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("take_apple: game_orchard_tree"), "{found:?}");
}

/// C8: what is not delivered is tried again; what was delivered is not.
#[test]
fn a_letter_that_does_not_get_through_is_tried_again() {
    let tries = Arc::new(Mutex::new(Vec::new()));
    let log = tries.clone();
    let owner = move |letter| {
        let mut log = log.lock().unwrap();
        log.push(letter);
        if log.len() == 1 { Err("nobody at home".into()) } else { Ok(()) }
    };
    let mut world = TestWorld::new(game(ServerBuilder::default(), owner), WorldSettings::default());
    let alice = world.connect("alice");
    world.run(10);
    world[alice].act(&Pick { tree: 1 }).expect("sent");
    world.run(10);
    assert_eq!(tries.lock().unwrap().len(), 1, "not at once");
    world.run(30);
    let tries = tries.lock().unwrap();
    assert_eq!((tries.len(), tries[0]), (2, tries[1]), "under the same number");
}
