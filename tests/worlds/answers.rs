//! What a client is told about its own doing, and when.

use terrane::net::LoopbackConditions;
use terrane::prelude::*;
use terrane::testing::{ClientId, TestWorld};

/// What one avatar has counted, and where it last headed.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
struct Tally {
    #[sync(broadcast)]
    total: u64,
    #[sync(broadcast)]
    heading: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = u64, rate = 1000, burst = 1000, coalesce = none, durability = memory)]
struct Add;

#[derive(Clone, Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, latest_wins)]
struct Head {
    to: u32,
}

#[derive(Debug)]
struct Tallies;

impl Plugin for Tallies {
    fn build(&self, app: &mut App) {
        app.replicate::<Tally>()
            .add_own_action::<Add, Tally>(|_, tally, _| {
                tally.total += 1;
                Ok(tally.total)
            })
            .add_own_action::<Head, Tally>(|head, tally, _| {
                tally.heading = head.to;
                Ok(())
            });
    }
}

/// Alice in a world with such a network, once she sees herself.
fn alice_in(conditions: LoopbackConditions) -> (TestWorld, ClientId, NetId) {
    let game = ServerBuilder::default()
        .add_cell_plugins(Tallies)
        .avatars(|_| SpawnRequest::new(NetId::WORLD, Vec3::new(500.0, 500.0, 0.0), Tally::default()));
    let mut world = TestWorld::new(game, WorldSettings::default());
    world.set_conditions(conditions);
    let alice = world.connect("alice");
    loop {
        world.tick();
        if let Some(avatar) =
            world[alice].avatar().filter(|&avatar| world[alice].view().get(avatar).is_some())
        {
            return (world, alice, avatar);
        }
    }
}

/// Lets alice add now and then; gives how many answers came, and how many of them before their sum was shown.
fn answers_and_early_ones(conditions: LoopbackConditions, every: u32, is_busy: bool) -> (u64, u64) {
    let (mut world, alice, avatar) = alice_in(conditions);
    let (mut answers, mut early) = (0, 0);
    for number in 0..1_200 {
        if number % every == 0 && number < 1_100 {
            world[alice].act(&Add).expect("sent");
        }
        if is_busy {
            world[alice].want(&Head { to: number }).expect("the game has it");
        }
        world.tick();
        let shown = world.component::<Tally>(alice, avatar).expect("alice sees herself").total;
        for reply in world[alice].replies() {
            let told = reply.read::<Add>().expect("added");
            answers += 1;
            assert_eq!(told, answers, "in order");
            early += u64::from(shown < told);
        }
    }
    (answers, early)
}

/// C4: an answer is given to the player once the view shows what it is about, also where the update that shows it takes
/// longer than the answer, which travels by itself.
#[test]
fn an_answer_comes_when_what_it_caused_can_be_seen() {
    let late = LoopbackConditions { loss: 0.0, delay_ticks: 1, jitter_ticks: 3, duplicate: 0.0 };
    assert_eq!(answers_and_early_ones(late, 11, false), (100, 0));
}

/// C4: where that update is lost, the answer waits for it to be sent again, not just for any newer one; for a while.
#[test]
fn an_answer_waits_for_its_own_update_and_not_for_any_newer_one() {
    let lossy = LoopbackConditions { loss: 0.15, delay_ticks: 0, jitter_ticks: 0, duplicate: 0.0 };
    let (answers, early) = answers_and_early_ones(lossy, 5, true);
    assert!(answers == 220 && early <= 8, "{early} of {answers} came before what they are about");
}

/// C4: an update says which of the client's own inputs took part in what it shows: exactly those, so that a client
/// knows what is left to predict.
#[test]
fn a_client_knows_which_of_its_inputs_the_view_shows() {
    let (mut world, alice, avatar) =
        alice_in(LoopbackConditions { delay_ticks: 3, ..LoopbackConditions::default() });
    // What was headed for by which message: each tick sends one.
    let mut headed = std::collections::BTreeMap::new();
    let mut shown = Vec::new();
    for to in 1..=60 {
        world[alice].want(&Head { to }).expect("the game has it");
        world.tick();
        headed.insert(world[alice].input_seq_shown() + world[alice].inputs_to_predict(), to);
        let seq = world[alice].input_seq_shown();
        let heading = world.component::<Tally>(alice, avatar).expect("alice sees herself").heading;
        if heading > 0 {
            assert_eq!(headed.get(&seq), Some(&heading), "message {seq} took part, so its heading is shown");
            shown.push(world[alice].inputs_to_predict());
        }
    }
    assert!(shown.len() > 40, "{}", shown.len());
    assert!(
        shown.iter().all(|&open| open == 5),
        "there and back take three ticks each, this one included: {shown:?}"
    );
}
