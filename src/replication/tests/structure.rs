//! Structure is state: components and events on the client.

use bevy_ecs::prelude::Component;

use super::simulation::{Network, SETTINGS, Simulation};
use super::world::{LABEL_BIT, WorldPlan};
use crate::client::mirror::MirrorEvent;
use crate::protocol::codec::{self, DecodeError};
use crate::replication::field::{FieldSpec, FieldWire, FieldWriter, Policy, SyncFields, prefixed_payload};

#[derive(Component, Clone, Debug, Default, PartialEq)]
struct Label {
    text: Vec<u8>,
    secret: u32,
}

impl SyncFields for Label {
    const NAME: &'static str = "Label";
    const FIELDS: &'static [FieldSpec] = &[
        FieldSpec::broadcast("text", "test", FieldWire::Prefixed, 64),
        FieldSpec {
            policy: Policy::ServerOnly,
            ..FieldSpec::broadcast("secret", "u32", FieldWire::Varint, 9)
        },
    ];
    fn encode_sent(&self, out: &mut FieldWriter) {
        out.put_raw(&self.text);
        out.end_field(FieldWire::Prefixed, 64);
    }
    fn decode_sent(&mut self, _field: usize, bytes: &[u8]) -> Result<(), DecodeError> {
        self.text = prefixed_payload(bytes)?.unwrap_or_default().to_vec();
        Ok(())
    }
    fn project(&self, ghost: &mut Self) {
        ghost.text.clone_from(&self.text);
    }
    fn save(&self, out: &mut Vec<u8>) {
        codec::encode_into(&(&self.text, self.secret), out);
    }
    fn load(bytes: &[u8]) -> Result<(Self, usize), DecodeError> {
        let ((text, secret), used) = codec::decode_prefix::<_, 1_024>("label", bytes)?;
        Ok((Self { text, secret }, used))
    }
}

fn quiet() -> WorldPlan {
    WorldPlan {
        entities: 3,
        edge_m: 20.0,
        field_change: 0.0,
        structure_change: 0.0,
        rebirth: 0.0,
        ..WorldPlan::default()
    }
}

/// B1, B12: a component is rebuilt from what was sent, the rest is at its default; coming, changing and going
/// are told apart and told once.
#[test]
fn a_client_tells_entered_added_changed_removed_and_left_apart() {
    let mut simulation = Simulation::new(quiet(), 1, SETTINGS, Network::default());
    for creature in &mut simulation.world.creatures {
        creature.components = 1;
        creature.label = 3;
    }
    simulation.world.publish();
    simulation.step(true);
    let schema = simulation.schema.clone();
    let net_id = simulation.world.creatures[2].net_id;
    let events = |simulation: &mut Simulation| {
        simulation.step(true);
        let drained = simulation.sessions[0].mirror.drain_events(&schema);
        assert_eq!(drained.dropped, 0);
        drained.events
    };
    let first = events(&mut simulation);
    assert_eq!(first.len(), 3, "{first:?}");
    assert!(first.contains(&MirrorEvent::Entered { net_id }));
    let get = |simulation: &Simulation| {
        simulation.sessions[0]
            .mirror
            .get(net_id)
            .and_then(|entity| entity.component::<Label>(&simulation.schema))
    };
    assert_eq!(get(&simulation), None);

    simulation.world.creatures[2].components |= LABEL_BIT;
    let added = events(&mut simulation);
    assert_eq!(added[0], MirrorEvent::ComponentAdded { net_id, component: 1 });
    assert_eq!(get(&simulation), Some(Label { text: b"xxx".to_vec(), secret: 0 }));

    simulation.world.creatures[2].label = 5;
    simulation.world.creatures[2].place.z += 1.0;
    assert_eq!(
        events(&mut simulation),
        [MirrorEvent::Moved { net_id }, MirrorEvent::FieldChanged { net_id, component: 1, field: 0 }]
    );
    assert_eq!(get(&simulation).map(|label| label.text.len()), Some(5));
    assert_eq!(events(&mut simulation), []);

    simulation.world.creatures[2].components &= !LABEL_BIT;
    assert_eq!(events(&mut simulation)[0], MirrorEvent::ComponentRemoved { net_id, component: 1 });
    simulation.world.creatures[2].place.x += 500.0;
    assert_eq!(events(&mut simulation), [MirrorEvent::Left { net_id }]);
    assert!(simulation.sessions[0].mirror.get(net_id).is_none());
}

/// B9: fields that follow a lost change of components are not taken for others of the old layout.
#[test]
fn what_follows_a_lost_structure_record_is_skipped_until_the_record_comes_again() {
    let mut simulation = Simulation::new(quiet(), 1, SETTINGS, Network { delay: 1, ..Network::default() });
    for _ in 0..6 {
        simulation.step(true);
    }
    simulation.world.creatures[2].components = 1;
    for _ in 0..6 {
        simulation.step(true);
    }
    let net_id = simulation.world.creatures[2].net_id;
    let before = simulation.sessions[0].mirror.get(net_id).expect("in view").encoded().clone();
    // The record that says "label only" is lost; the label's next change is not.
    simulation.world.creatures[2].components = LABEL_BIT;
    simulation.network.loss = 1.0;
    simulation.step(true);
    simulation.network.loss = 0.0;
    simulation.world.creatures[2].label += 1;
    simulation.step(true);
    simulation.step(true);
    let (newest, _) = simulation.sessions[0].mirror.ack();
    assert_eq!(newest, simulation.sessions[0].view.last_seq(), "the update after the lost one is applied");
    let after = simulation.sessions[0].mirror.get(net_id).expect("in view").encoded().clone();
    assert_eq!(after, before, "its record for the new layout is skipped");
    assert!(simulation.ticks_to_converge(20).is_some());
}
