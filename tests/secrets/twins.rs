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

/// What both have in common.
#[derive(Clone, Copy, Debug)]
struct Terms {
    seed: u64,
    /// Most entities in a view.
    cap: usize,
    crowd: bool,
    network: Network,
    ticks: u64,
}

fn stage(terms: Terms, twin: &Twin) -> Stage {
    let Terms { seed, crowd, .. } = terms;
    let population = POPULATION - twin.fewer;
    let plan = Plan { secret: Some(twin.secret), population, crowd, ..Plan::new(seed) };
    let (_, settings) = layouts(seed).swap_remove(twin.layout);
    let settings = WorldSettings { view_entities_max: terms.cap, audit_every: None, ..settings };
    let mut stage = Stage::new(plan, settings);
    stage.network = terms.network;
    stage
}

/// What has been compared.
#[derive(Clone, Copy, Debug, Default)]
struct Compared {
    datagrams: usize,
    bytes: usize,
    /// Ticks in which Bob was sent something else in the one world than in the other.
    differ: usize,
    /// Updates of both worlds that could not take all.
    full: u64,
}

/// Runs both in lockstep.
fn assert_twins(terms: Terms, twins: &[Twin; 2], compared: &mut Compared) {
    let mut worlds = twins.each_ref().map(|twin| stage(terms, twin));
    for tick in 1..=terms.ticks {
        for world in &mut worlds {
            world.come_and_go(tick);
            world.tick();
        }
        let [one, other] = &mut worlds;
        let what = format!("{terms:?}, {twins:?}, tick {tick}");
        let (told, would_be_told) = (&one.client("alice").sent, &other.client("alice").sent);
        if told != would_be_told {
            let lengths = |sent: &[Vec<u8>]| sent.iter().map(Vec::len).collect::<Vec<_>>();
            explain(one, other);
            panic!("{what}: {:?} bytes and {:?}", lengths(told), lengths(would_be_told));
        }
        compared.datagrams += told.len();
        compared.bytes += told.iter().map(Vec::len).sum::<usize>();
        compared.differ += usize::from(one.client("bob").sent != other.client("bob").sent);
        compared.full += one.report.updates_full + other.report.updates_full;
    }
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
/// when. So too where updates get lost, where her view or her updates are too small for all that is near, and on another
/// layout.
#[test]
fn what_alice_may_not_see_changes_no_byte_that_she_is_sent() {
    let lossless = Network::default();
    let lossy = Network { loss: 0.15, duplicate: 0.05, delay: 1, jitter: 2 };
    let mut compared = Compared::default();
    for seed in seeds(2) {
        let terms = |cap, crowd, network, usual| Terms { seed, cap, crowd, network, ticks: ticks(usual) };
        for terms in [
            terms(256, false, lossless, 200),
            terms(256, false, lossy, 200),
            terms(9, false, lossless, 200),
            terms(9, false, lossy, 200),
            terms(256, true, lossless, 90),
            terms(256, true, lossy, 120),
            terms(30, true, lossy, 90),
        ] {
            let twins = [
                Twin { secret: 11 * seed, fewer: 0, layout: 0 },
                Twin { secret: 17 * seed + 5, fewer: 7, layout: 2 },
            ];
            assert_twins(terms, &twins, &mut compared);
        }
    }
    let Compared { datagrams, bytes, differ, full } = compared;
    assert!(datagrams > 1_500 && bytes > 300_000 && differ > 1_000 && full > 100, "{compared:?}");
}
