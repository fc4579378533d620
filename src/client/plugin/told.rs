//! What the game was told of the view, and what is to be told now. Pure: from two states, a plan.
//!
//! It goes by states and not by the mirror's own events: nothing is told twice, nothing is missed, a value that is
//! sent again and is the same changes nothing, and a new session needs no case of its own.

use std::collections::BTreeMap;
use std::ops::Range;

use bevy_ecs::prelude::Resource;

use crate::client::mirror::{Mirror, MirrorEntity};
use crate::ids::NetId;
use crate::replication::field::ABSENT;
use crate::replication::mask::FIELD_FIRST;
use crate::replication::{EncodedRow, FieldSpec, FieldWire, Schema};
use crate::space::LatticePoint;

use super::messages::{ComponentChange, FieldChange};

/// What the game was told.
#[derive(Resource, Debug, Default)]
pub(super) struct Told {
    /// By name, so that what is told has an order.
    entities: BTreeMap<NetId, ToldEntity>,
    /// What of the mirror it shows: its session and what it had taken.
    as_of: (u32, u64, u64),
}

#[derive(Debug)]
struct ToldEntity {
    lattice: LatticePoint,
    withdrawn: u64,
    row: EncodedRow,
}

/// What has to happen in the game's world, in this order.
#[derive(Debug, Default)]
#[must_use = "what is planned counts as told"]
pub(super) struct Plan {
    /// Node-wide state: what it is called is nobody's business.
    pub(super) globals: Vec<EntityPlan>,
    pub(super) left: Vec<NetId>,
    pub(super) entered: Vec<EntityPlan>,
    pub(super) stayed: Vec<EntityPlan>,
}

/// What happens to one entity.
#[derive(Debug)]
pub(super) struct EntityPlan {
    pub(super) net_id: NetId,
    /// Where it is, when that is news.
    pub(super) lattice: Option<LatticePoint>,
    pub(super) components: Vec<ComponentPlan>,
}

/// What happens to one component.
#[derive(Debug)]
pub(super) struct ComponentPlan {
    /// Its index in the schema.
    pub(super) component: usize,
    /// What it is from now on.
    pub(super) is: Presence,
    /// What there is to tell of it as a whole.
    pub(super) change: Option<ComponentChange>,
}

/// Whether a component is there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It has come, with these fields: (index among the sent ones, bytes).
    Whole(Vec<(usize, Box<[u8]>)>),
    /// It was there, and these fields differ.
    Fields(Vec<(usize, Box<[u8]>, FieldChange)>),
    /// It is withdrawn from this player.
    Withdrawn,
    /// It is not there.
    Gone,
}

impl Told {
    /// Whether the mirror has taken anything since `plan` was called last; notes that it was looked at. `session` tells
    /// one session from the next, the others count.
    pub(super) fn is_behind(&mut self, session: u32, updates: u64, records: u64) -> bool {
        let as_of = (session, updates, records);
        std::mem::replace(&mut self.as_of, as_of) != as_of
    }

    /// What is to be told, of the `wanted` components. O(entities in view), and of what differs O(fields).
    pub(super) fn plan(&mut self, schema: &Schema, mirror: &Mirror, wanted: u64) -> Plan {
        let mut plan = Plan::default();
        for (net_id, told) in self.entities.extract_if(.., |net_id, _| mirror.get(*net_id).is_none()) {
            // What is known of the whole world is known until something newer is.
            if (told.row.components | told.withdrawn) & schema.globals == 0 {
                plan.left.push(net_id);
            }
        }
        for entity in mirror.entities() {
            let change = Differing { schema, entity, wanted };
            let is_global = (entity.components() | entity.withdrawn_components()) & schema.globals != 0;
            let (stayed, entered) = if is_global {
                (&mut plan.globals, None)
            } else {
                (&mut plan.stayed, Some(&mut plan.entered))
            };
            match self.entities.get_mut(&entity.net_id()) {
                Some(told) => stayed.extend(change.since(told)),
                // One that came and grew before it was told of is told of once it is whole again.
                None if entity.is_whole() => {
                    let told = ToldEntity {
                        lattice: entity.lattice(),
                        withdrawn: entity.withdrawn_components(),
                        row: entity.encoded().clone(),
                    };
                    self.entities.insert(entity.net_id(), told);
                    entered.unwrap_or(stayed).push(change.all());
                }
                None => {}
            }
        }
        plan
    }
}

/// One entity of the mirror, against what was told of it.
struct Differing<'a> {
    schema: &'a Schema,
    entity: &'a MirrorEntity,
    wanted: u64,
}

impl Differing<'_> {
    fn all(&self) -> EntityPlan {
        let (row, withdrawn) = (self.entity.encoded(), self.entity.withdrawn_components());
        let mut components = Vec::new();
        for component in ones((row.components | withdrawn) & self.wanted) {
            let is = if has(withdrawn, component) { Presence::Withdrawn } else { self.whole(component) };
            components.push(ComponentPlan { component, is, change: None });
        }
        EntityPlan { net_id: self.entity.net_id(), lattice: Some(self.entity.lattice()), components }
    }

    fn since(&self, told: &mut ToldEntity) -> Option<EntityPlan> {
        let (row, withdrawn) = (self.entity.encoded(), self.entity.withdrawn_components());
        let lattice = self.entity.lattice();
        let moved = std::mem::replace(&mut told.lattice, lattice) != lattice;
        let mut components = Vec::new();
        // What was announced and is on its way would be neither the old nor the new.
        let differs = (told.row.components, told.withdrawn) != (row.components, withdrawn)
            || told.row.bytes != row.bytes;
        if differs && self.entity.is_whole() {
            let any = told.row.components | told.withdrawn | row.components | withdrawn;
            components
                .extend(ones(any & self.wanted).filter_map(|component| self.component(component, told)));
            told.withdrawn = withdrawn;
            told.row.clone_from(row);
        }
        (moved || !components.is_empty()).then(|| EntityPlan {
            net_id: self.entity.net_id(),
            lattice: moved.then_some(lattice),
            components,
        })
    }

    fn component(&self, component: usize, told: &ToldEntity) -> Option<ComponentPlan> {
        let (row, withdrawn) = (self.entity.encoded(), self.entity.withdrawn_components());
        let was_withdrawn = has(told.withdrawn, component);
        let is_withdrawn = has(withdrawn, component);
        let (is, change) = match (has(told.row.components, component), has(row.components, component)) {
            (false, true) if was_withdrawn => (self.whole(component), Some(ComponentChange::Granted)),
            (false, true) => (self.whole(component), Some(ComponentChange::Added)),
            (true, false) | (false, false) if is_withdrawn && !was_withdrawn => {
                (Presence::Withdrawn, Some(ComponentChange::Hidden))
            }
            (false, false) if was_withdrawn == is_withdrawn => return None,
            (_, false) => (Presence::Gone, Some(ComponentChange::Removed)),
            (true, true) => {
                let fields = self.differing_fields(component, &told.row);
                if fields.is_empty() {
                    return None;
                }
                (Presence::Fields(fields), None)
            }
        };
        Some(ComponentPlan { component, is, change })
    }

    fn whole(&self, component: usize) -> Presence {
        let row = self.entity.encoded();
        let bits = bits_of(self.schema, row.components, component);
        Presence::Whole(bits.enumerate().map(|(field, bit)| (field, row.field(bit).into())).collect())
    }

    fn differing_fields(&self, component: usize, told: &EncodedRow) -> Vec<(usize, Box<[u8]>, FieldChange)> {
        let row = self.entity.encoded();
        let bits = bits_of(self.schema, row.components, component);
        let told_bits = bits_of(self.schema, told.components, component);
        let fields = &self.schema.components[component].sent;
        let mut differing = Vec::new();
        for ((field, spec), (bit, told_bit)) in fields.iter().enumerate().zip(bits.zip(told_bits)) {
            let (old, new) = (told.field(told_bit), row.field(bit));
            if old == new {
                continue;
            }
            let change = match (is_absent(spec, old), is_absent(spec, new)) {
                (false, true) => FieldChange::Hidden,
                (true, false) => FieldChange::Granted,
                _ => FieldChange::Changed,
            };
            differing.push((field, new.into(), change));
        }
        differing
    }
}

fn is_absent(spec: &FieldSpec, bytes: &[u8]) -> bool {
    spec.wire == FieldWire::Prefixed && bytes == [ABSENT]
}

fn has(set: u64, component: usize) -> bool {
    set >> component & 1 == 1
}

/// The members of a set of components, ascending.
fn ones(mut set: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let lowest = (set != 0).then(|| set.trailing_zeros() as usize)?;
        set &= set - 1;
        Some(lowest)
    })
}

/// Where the fields of a component stand in the row of an entity with these components.
fn bits_of(schema: &Schema, components: u64, component: usize) -> Range<u32> {
    let before = ones(components & ((1 << component) - 1));
    let begin = FIELD_FIRST + before.map(|index| schema.components[index].sent.len() as u32).sum::<u32>();
    begin..begin + schema.components[component].sent.len() as u32
}
