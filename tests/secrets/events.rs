//! What a client is told has happened is the difference between what was true for it before and what is now.

use std::collections::BTreeMap;

use terrane::client::mirror::MirrorEvent;
use terrane::prelude::*;

use crate::game::{Plan, layouts};
use crate::stage::Stage;
use crate::truth::{Seen, Sight};
use crate::{seeds, ticks};

/// What has to be told of one entity that stays.
fn of_one(net_id: NetId, before: &Seen, now: &Seen, events: &mut Vec<MirrorEvent>) {
    if before.lattice != now.lattice {
        events.push(MirrorEvent::Moved { net_id });
    }
    for &component in before.components.keys().filter(|component| !now.components.contains_key(component)) {
        events.push(if now.withdrawn >> component & 1 == 1 {
            MirrorEvent::ComponentHidden { net_id, component }
        } else {
            MirrorEvent::ComponentRemoved { net_id, component }
        });
    }
    for (&component, told) in &now.components {
        let Some(was) = before.components.get(&component) else {
            events.push(if before.withdrawn >> component & 1 == 1 {
                MirrorEvent::ComponentGranted { net_id, component }
            } else {
                MirrorEvent::ComponentAdded { net_id, component }
            });
            // All of its fields are news.
            for field in 0..told.names.len() {
                events.push(if told.hides(field) {
                    MirrorEvent::FieldHidden { net_id, component, field }
                } else {
                    MirrorEvent::FieldChanged { net_id, component, field }
                });
            }
            continue;
        };
        for field in 0..told.names.len() {
            match (was.hides(field), told.hides(field)) {
                (true, false) => events.push(MirrorEvent::FieldGranted { net_id, component, field }),
                (false, true) => events.push(MirrorEvent::FieldHidden { net_id, component, field }),
                _ if was.field(field) == told.field(field) => {}
                _ => events.push(MirrorEvent::FieldChanged { net_id, component, field }),
            }
        }
    }
}

fn difference(before: &Sight, now: &Sight) -> Vec<MirrorEvent> {
    let mut events = Vec::new();
    for (&net_id, seen) in now {
        match before.get(&net_id) {
            None => events.push(MirrorEvent::Entered { net_id }),
            Some(before) => of_one(net_id, before, seen, &mut events),
        }
    }
    let gone = before.keys().filter(|net_id| !now.contains_key(net_id));
    events.extend(gone.map(|&net_id| MirrorEvent::Left { net_id }));
    events
}

fn sorted(events: impl IntoIterator<Item = MirrorEvent>) -> Vec<String> {
    let mut all: Vec<String> = events.into_iter().map(|event| format!("{event:?}")).collect();
    all.sort_unstable();
    all
}

/// B12, B9: hidden, granted, changed and removed are four things, each told once, in the tick in which it happens, and
/// nothing else is; so a grant brings its value at once, and a change that leaves the viewer's value equal is none.
#[test]
fn events_are_the_difference_of_what_is_true() {
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for seed in seeds(2) {
        let (layout, settings) = layouts(seed + 100).swap_remove(seed as usize % 4);
        let mut stage = Stage::new(Plan::new(seed + 100), settings);
        // What each client was last known to hold, while nothing waited.
        let mut before: BTreeMap<PlayerId, Sight> = BTreeMap::new();
        for tick in 1..=ticks(300) {
            stage.come_and_go(tick);
            stage.tick();
            let schema = stage.schema.clone();
            for number in 0..stage.clients.len() {
                let client = &mut stage.clients[number];
                let name = client.name.clone();
                let drained = client.mirror.drain_events(&schema);
                assert_eq!(drained.dropped, 0);
                if !client.is_settled {
                    before.remove(&name);
                    continue;
                }
                let now = stage.expected(&name).clone();
                if let Some(before) = before.insert(name.clone(), now.clone()) {
                    let expected = sorted(difference(&before, &now));
                    let events = sorted(drained.events);
                    let missing: Vec<_> = expected.iter().filter(|event| !events.contains(event)).collect();
                    let surplus: Vec<_> = events.iter().filter(|event| !expected.contains(event)).collect();
                    assert!(
                        missing.is_empty() && surplus.is_empty() && events.len() == expected.len(),
                        "seed {seed}, {layout}, tick {tick}, {name}: missing {missing:?}, too many {surplus:?}"
                    );
                    for event in events {
                        *told.entry(event.split(' ').next().unwrap_or_default().to_owned()).or_default() += 1;
                    }
                }
            }
            before.retain(|player, _| stage.clients.iter().any(|client| client.name == *player));
        }
    }
    assert!(
        told.len() == 10 && told.values().all(|&times| times > 40),
        "all that can happen, often: {told:?}"
    );
}
