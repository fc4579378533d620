//! A model of the view that is made of messages alone, and compared with the `App` after each update.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use bevy_ecs::prelude::{
    Changed, DetectChanges, Entity, Local, MessageReader, Query, Ref, ResMut, Resource, With, World,
};
use terrane::client::plugin::{
    ComponentChange, ComponentNews, Entered, FieldChange, FieldNews, Hidden, Left, Mirrored, NetIds,
};
use terrane::ids::NetId;
use terrane::replication::Replicate;
use terrane::replication::field::sent_fields;

use crate::fair::{Ledger, Stall, Wares};

/// A component as text: each field's value and what is hidden in it.
pub(crate) type Fields = BTreeMap<&'static str, (String, Vec<String>)>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Held {
    Seen(Fields),
    Withdrawn,
}

/// What messages told of.
#[derive(Resource, Debug, Default)]
pub(crate) struct Model {
    pub(crate) entities: BTreeMap<NetId, (Entity, BTreeMap<&'static str, Held>)>,
    pub(crate) counts: BTreeMap<String, u64>,
}

/// The fields of a component, each on its own.
pub(crate) trait Parts: Replicate + Debug {
    fn parts(&self) -> Vec<String>;
}

impl Parts for Stall {
    fn parts(&self) -> Vec<String> {
        vec![
            format!("{:?}", self.name),
            format!("{:?}", self.price),
            format!("{:?}", self.purse),
            format!("{:?}", self.awning_m),
            format!("{:?}", self.stock),
            format!("{:?}", self.route),
            format!("{:?}", self.bids),
            format!("{:?}", self.crew),
            format!("{:?}", self.friend),
        ]
    }
}

impl Parts for Wares {
    fn parts(&self) -> Vec<String> {
        vec![format!("{:?}", self.pieces), format!("{:?}", self.worth)]
    }
}

impl Parts for Ledger {
    fn parts(&self) -> Vec<String> {
        vec![format!("{:?}", self.text)]
    }
}

fn held<C: Parts>(world: &World, entity: Entity) -> Option<Held> {
    let (value, hidden) = (world.get::<C>(entity), world.get::<Hidden<C>>(entity));
    let Some(value) = value else {
        assert!(
            hidden.is_none_or(Hidden::is_whole),
            "{} is not there, so all of it is hidden or nothing",
            C::NAME
        );
        return hidden.map(|_| Held::Withdrawn);
    };
    let paths: Vec<&str> = hidden.map(|hidden| hidden.paths().collect()).unwrap_or_default();
    assert!(hidden.is_none_or(|hidden| !hidden.is_whole() && !paths.is_empty()), "hidden means something");
    let of = |name: &str| {
        let in_it = paths.iter().filter(|path| path.split(['.', '[']).next() == Some(name));
        in_it.map(|path| (*path).to_owned()).collect()
    };
    let fields = sent_fields::<C>().zip(value.parts());
    Some(Held::Seen(fields.map(|(spec, text)| (spec.name, (text, of(spec.name)))).collect()))
}

fn held_named(world: &World, entity: Entity, component: &str) -> Option<Held> {
    match component {
        "Stall" => held::<Stall>(world, entity),
        "Wares" => held::<Wares>(world, entity),
        "Ledger" => held::<Ledger>(world, entity),
        other => panic!("nobody asked for {other}"),
    }
}

const COMPONENTS: [&str; 3] = ["Stall", "Wares", "Ledger"];

/// All messages of one update, in the order in which they are to be read.
#[derive(Resource, Debug, Default)]
pub(crate) struct Heard {
    left: Vec<Left>,
    entered: Vec<Entered>,
    components: Vec<ComponentNews>,
    fields: Vec<FieldNews>,
    /// Entities whose stall was written, by bevy's own change detection.
    stalls_written: BTreeSet<Entity>,
}

pub(crate) fn hear(
    mut heard: ResMut<Heard>,
    mut left: MessageReader<Left>,
    mut entered: MessageReader<Entered>,
    mut components: MessageReader<ComponentNews>,
    mut fields: MessageReader<FieldNews>,
    stalls: Query<Entity, (Changed<Stall>, With<Mirrored>)>,
) {
    heard.left = left.read().copied().collect();
    heard.entered = entered.read().copied().collect();
    heard.components = components.read().copied().collect();
    heard.fields = fields.read().copied().collect();
    heard.stalls_written = stalls.iter().collect();
}

/// Applies what was heard to the model, and holds it to the world.
pub(crate) fn replay(world: &mut World, mut updates: Local<u64>) {
    *updates += 1;
    let heard = std::mem::take(&mut *world.resource_mut::<Heard>());
    let mut model = std::mem::take(&mut *world.resource_mut::<Model>());
    let mut count = |what: String| *model.counts.entry(what).or_default() += 1;
    let mut told_stalls = BTreeSet::new();
    for Left { entity, net_id } in heard.left {
        count("left".into());
        let (known, _) = model.entities.remove(&net_id).unwrap_or_else(|| panic!("{net_id} left twice"));
        assert_eq!(known, entity);
        assert!(world.get_entity(entity).is_err(), "who left is despawned");
    }
    for Entered { entity, net_id } in heard.entered {
        count("entered".into());
        let components = all_held(world, entity);
        told_stalls.extend(matches!(components.get("Stall"), Some(Held::Seen(_))).then_some(entity));
        assert!(model.entities.insert(net_id, (entity, components)).is_none(), "{net_id} entered twice");
    }
    for ComponentNews { entity, net_id, component, change } in heard.components {
        count(format!("{component} {change:?}"));
        let (known, components) = model.entities.get_mut(&net_id).expect("only who is in view has news");
        assert_eq!(*known, entity);
        let (before, now) = (components.remove(component), held_named(world, entity, component));
        let is_right = match (change, &before, &now) {
            (ComponentChange::Added, None, Some(Held::Seen(_))) => true,
            (ComponentChange::Granted, Some(Held::Withdrawn), Some(Held::Seen(_))) => true,
            (ComponentChange::Hidden, before, Some(Held::Withdrawn)) => *before != Some(Held::Withdrawn),
            (ComponentChange::Removed, Some(_), None) => true,
            _ => false,
        };
        assert!(is_right, "{component} {change:?}: from {before:?} to {now:?}");
        if component == "Stall" && matches!(now, Some(Held::Seen(_))) {
            told_stalls.insert(entity);
        }
        components.extend(now.map(|now| (component, now)));
    }
    for FieldNews { entity, net_id, component, field, change } in heard.fields {
        count(format!("{component}.{field} {change:?}"));
        let Some(Held::Seen(now)) = held_named(world, entity, component) else {
            panic!("{component}.{field} of {net_id}: only what is there has fields")
        };
        let (_, components) = model.entities.get_mut(&net_id).expect("only who is in view has news");
        let Some(Held::Seen(fields)) = components.get_mut(component) else {
            panic!("{component} was not there")
        };
        let before = fields.insert(field, now[field].clone()).expect("a field that is sent");
        assert_ne!(before, now[field], "{component}.{field} of {net_id}: told, and nothing is new");
        let is_hidden = |part: &(String, Vec<String>)| part.1.iter().any(|path| path == field);
        let expected = match (is_hidden(&before), is_hidden(&now[field])) {
            (false, true) => FieldChange::Hidden,
            (true, false) => FieldChange::Granted,
            _ => FieldChange::Changed,
        };
        assert_eq!(change, expected, "{component}.{field}: from {before:?} to {:?}", now[field]);
        if component == "Stall" {
            told_stalls.insert(entity);
        }
    }
    for (net_id, (entity, components)) in &model.entities {
        assert_eq!(*components, all_held(world, *entity), "update {}: {net_id} is as it was told", *updates);
        assert_eq!(world.resource::<NetIds>().entity(*net_id), Some(*entity));
        assert_eq!(world.resource::<NetIds>().net_id(*entity), Some(*net_id));
    }
    assert_eq!(world.resource::<NetIds>().len(), model.entities.len(), "nobody is there untold");
    assert_eq!(
        heard.stalls_written, told_stalls,
        "what is written has changed, and what has changed is written"
    );
    *world.resource_mut::<Model>() = model;
}

fn all_held(world: &World, entity: Entity) -> BTreeMap<&'static str, Held> {
    COMPONENTS.iter().filter_map(|&name| Some((name, held_named(world, entity, name)?))).collect()
}

/// Positions are written only where they change.
pub(crate) fn count_moves(
    mut model: ResMut<Model>,
    places: Query<Ref<terrane::space::Position>, With<Mirrored>>,
) {
    let moved = places.iter().filter(|place| place.is_changed()).count() as u64;
    model.counts.insert("moved in this update".into(), moved);
}
