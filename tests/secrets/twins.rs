//! Two worlds that differ in nothing but what Alice may not see send her the same bytes.

use terrane::prelude::*;

use crate::game::{POPULATION, Plan, layouts};
use crate::stage::{Network, Stage};
use crate::{seeds, ticks};

/// One of two worlds.
#[derive(Clone, Debug)]
struct Twin {
    secret: u64,
    /// How many of those who hide from Alice for good there are not.
    fewer: u64,
    layout: usize,
}

fn stage(seed: u64, twin: &Twin, view_entities_max: Option<usize>, network: Network) -> Stage {
    let plan = Plan { secret: Some(twin.secret), population: POPULATION - twin.fewer, ..Plan::new(seed) };
    let (_, settings) = layouts(seed).swap_remove(twin.layout);
    let settings = WorldSettings {
        view_entities_max: view_entities_max.unwrap_or(settings.view_entities_max),
        audit_every: None,
        ..settings
    };
    let mut stage = Stage::new(plan, settings);
    stage.network = network;
    stage
}

/// Runs both in lockstep; gives how many datagrams and bytes Alice was sent, and in how many of those ticks Bob was sent
/// something else in the one than in the other.
fn assert_twins(seed: u64, twins: &[Twin; 2], cap: Option<usize>, network: Network) -> (usize, usize, usize) {
    let mut worlds = twins.each_ref().map(|twin| stage(seed, twin, cap, network));
    let (mut datagrams, mut bytes, mut differ) = (0, 0, 0);
    for tick in 1..=ticks(250) {
        for world in &mut worlds {
            world.come_and_go(tick);
            world.tick();
        }
        let [one, other] = &mut worlds;
        let what = format!("seed {seed}, {twins:?}, at most {cap:?}, {network:?}, tick {tick}");
        let (told, would_be_told) = (&one.client("alice").sent, &other.client("alice").sent);
        if told != would_be_told {
            let lengths = |sent: &[Vec<u8>]| sent.iter().map(Vec::len).collect::<Vec<_>>();
            explain(one, other);
            panic!("{what}: {:?} bytes and {:?}", lengths(told), lengths(would_be_told));
        }
        datagrams += told.len();
        bytes += told.iter().map(Vec::len).sum::<usize>();
        differ += usize::from(one.client("bob").sent != other.client("bob").sent);
    }
    (datagrams, bytes, differ)
}

/// What Alice holds in the one and not in the other.
fn explain(one: &Stage, other: &Stage) {
    let place = |stage: &Stage| stage.clients.iter().position(|client| client.name.as_str() == "alice");
    let (here, there) = (place(one).expect("here"), place(other).expect("here"));
    let (held, would_be_held) = (one.held(here), other.held(there));
    for (net_id, seen) in &held {
        if would_be_held.get(net_id) != Some(seen) {
            println!("{net_id} is {seen:?}\nand {:?}", would_be_held.get(net_id));
        }
    }
    for net_id in would_be_held.keys().filter(|net_id| !held.contains_key(net_id)) {
        println!("{net_id} is in the other alone");
    }
    let sent = |stage: &Stage| stage.clients[place(stage).expect("here")].sent.clone();
    println!("{:x?}\n{:x?}", sent(one), sent(other));
}

/// B16: private fields of others, entities and components that are hidden from Alice, there or not; what others are, may
/// and keep in view; what is hidden by which marker and which rule: nothing of it changes a byte that Alice is sent, nor
/// when. So too where updates get lost, where her view is too small for all who are near, and on another layout.
#[test]
fn what_alice_may_not_see_changes_no_byte_that_she_is_sent() {
    let lossy = Network { loss: 0.15, duplicate: 0.05, delay: 1, jitter: 2 };
    let (mut datagrams, mut bytes, mut differ) = (0, 0, 0);
    for seed in seeds(2) {
        for (cap, network) in
            [(None, Network::default()), (None, lossy), (Some(9), Network::default()), (Some(9), lossy)]
        {
            let twins = [
                Twin { secret: 11 * seed, fewer: 0, layout: 0 },
                Twin { secret: 17 * seed + 5, fewer: 7, layout: 2 },
            ];
            let (more, longer, others) = assert_twins(seed, &twins, cap, network);
            (datagrams, bytes, differ) = (datagrams + more, bytes + longer, differ + others);
        }
    }
    assert!(
        datagrams > 1_500 && bytes > 200_000 && differ > 1_000,
        "{datagrams} datagrams, {bytes} bytes, and Bob was told something else in {differ} ticks"
    );
}
