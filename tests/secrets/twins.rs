//! Two worlds that differ in nothing but what Alice may not see send her the same bytes.

use std::collections::BTreeMap;

use terrane::prelude::*;
use terrane::replication::rule::{Tier, Tiers};

use crate::game::{POPULATION, Plan, layouts};
use crate::stage::{Network, Sent, Stage, What};
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
    /// Bytes that a client is sent per tick.
    bytes: Option<u32>,
    /// What is far is told less often.
    tiers: bool,
}

fn stage(terms: Terms, twin: &Twin) -> Stage {
    let Terms { seed, crowd, .. } = terms;
    let population = POPULATION - twin.fewer;
    let plan = Plan { secret: Some(twin.secret), population, crowd, ..Plan::new(seed) };
    let (_, settings) = layouts(seed).swap_remove(twin.layout);
    let tiers = [Tier { beyond_m: 7.0, every: 2 }, Tier { beyond_m: 15.0, every: 5 }];
    let settings = WorldSettings {
        view_entities_max: terms.cap,
        audit_every: Some(5),
        client_bytes_per_tick: terms.bytes,
        tiers: Tiers::new(if terms.tiers { &tiers } else { &[] }).expect("they ascend"),
        ..settings
    };
    let mut stage = Stage::new(plan, settings);
    stage.network = terms.network;
    stage.knows_truth = false;
    stage
}

/// What has been compared.
#[derive(Clone, Debug, Default)]
struct Compared {
    datagrams: usize,
    by_kind: BTreeMap<What, usize>,
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
            let lengths =
                |sent: &[Sent]| sent.iter().map(|sent| (sent.what, sent.bytes.len())).collect::<Vec<_>>();
            explain(one, other);
            panic!("{what}: {:?} bytes and {:?}", lengths(told), lengths(would_be_told));
        }
        compared.datagrams += told.len();
        compared.bytes += told.iter().map(|sent| sent.bytes.len()).sum::<usize>();
        for sent in told {
            *compared.by_kind.entry(sent.what).or_default() += 1;
        }
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
    for stage in [one, other] {
        for sent in &stage.client("alice").sent {
            println!("{:?} {:x?}", sent.what, sent.bytes);
        }
    }
}

/// B16: private fields of others, in components of any size, in the state of the world and in events; entities and
/// components that are hidden from Alice, there or not, however urgent they are; what becomes of those that are hidden for a
/// while, where they go and whether they die; what others are, may and keep in view; what is hidden by which marker and which
/// rule: nothing of it changes a byte that Alice is sent, audits and all, nor when. So too where updates get lost, where her
/// view, her updates or her bytes are too few for all that is near, where what is far is told less often, and on another
/// layout.
#[test]
fn what_alice_may_not_see_changes_no_byte_that_she_is_sent() {
    let lossless = Network::default();
    let lossy = Network { loss: 0.15, duplicate: 0.05, delay: 1, jitter: 2 };
    let mut compared = Compared::default();
    for seed in seeds(2) {
        let terms = |cap, crowd, network, usual| {
            // Crowds of other seeds, in which more of the rare cases come up.
            let seed = if crowd { seed + 4 } else { seed };
            Terms { seed, cap, crowd, network, ticks: ticks(usual), bytes: None, tiers: false }
        };
        for terms in [
            terms(256, false, lossless, 160),
            Terms { tiers: true, ..terms(256, false, lossy, 160) },
            Terms { bytes: Some(250), ..terms(256, false, lossy, 160) },
            terms(11, false, lossless, 160),
            Terms { bytes: Some(400), tiers: true, ..terms(11, false, lossy, 160) },
            terms(256, true, lossless, 90),
            Terms { bytes: Some(500), tiers: true, ..terms(256, true, lossy, 110) },
            Terms { tiers: true, ..terms(30, true, lossy, 90) },
        ] {
            let twins = [
                Twin { secret: 11 * seed, fewer: 0, layout: 0 },
                Twin { secret: 17 * seed + 5, fewer: 7, layout: 2 },
            ];
            assert_twins(terms, &twins, &mut compared);
        }
    }
    let Compared { datagrams, bytes, differ, full, .. } = compared;
    assert!(datagrams > 1_500 && bytes > 300_000 && differ > 1_000 && full > 100, "{compared:?}");
    for (what, least) in [(What::Update, 1_000), (What::Record, 20), (What::Event, 100), (What::Audit, 200)] {
        assert!(compared.by_kind.get(&what).is_some_and(|&sent| sent > least), "{compared:?}");
    }
}
