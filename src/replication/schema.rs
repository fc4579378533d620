//! What both ends must agree on: the replicated components, their fields and the actions, in order.

use xxhash_rust::xxh3::xxh3_64;

use super::events::Delivery;
use super::field::FieldSpec;
use super::mask::FIELD_FIRST;
use super::policy::{ComponentPolicy, NodeSpec};
use super::urgency::Urgency;

/// One replicated component type as both ends know it.
#[derive(Clone, Debug, PartialEq)]
pub struct ComponentSchema {
    /// Name of the type.
    pub name: &'static str,
    /// Who sees the component at all.
    pub policy: ComponentPolicy,
    /// How urgent its changes are. The other end need not know.
    pub urgency: Urgency,
    /// All its fields.
    pub fields: &'static [FieldSpec],
    /// Those that are sent, in order.
    pub sent: Vec<FieldSpec>,
}

/// Everything both ends must agree on before a byte of a view makes sense.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    /// In order of registration: the *i*-th is bit *i* of every component set.
    pub components: Vec<ComponentSchema>,
    /// Names and signatures of the actions, in order of registration.
    pub actions: Vec<String>,
    /// The events that players are told, in order of registration.
    pub events: Vec<EventSchema>,
    /// Those of the components that are node-wide state, and no entity's: bit *i* is the *i*-th.
    pub globals: u64,
}

/// One type of event as both ends know it.
#[derive(Clone, Debug, PartialEq)]
pub struct EventSchema {
    /// Name of the type.
    pub name: &'static str,
    /// Who of its audience is told at all.
    pub policy: ComponentPolicy,
    /// How it travels.
    pub delivery: Delivery,
    /// All its fields.
    pub fields: &'static [FieldSpec],
}

impl Schema {
    /// A hash over all names, types, policies and wire forms, those of nested values included. Equal hashes on both
    /// ends, or no session.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut text = String::new();
        for component in &self.components {
            text.push_str(&format!("{}:{}", component.name, component.policy));
            for field in &component.sent {
                describe(field, &mut Vec::new(), &mut text);
            }
            text.push('\n');
        }
        text.push_str(&format!("globals:{:x}\n", self.globals));
        for event in &self.events {
            text.push_str(&format!("{}:{}:{:?}", event.name, event.policy, event.delivery));
            for field in event.fields.iter().filter(|field| field.is_sent()) {
                describe(field, &mut Vec::new(), &mut text);
            }
            text.push('\n');
        }
        for action in &self.actions {
            text.push_str(action);
            text.push('\n');
        }
        xxh3_64(text.as_bytes())
    }

    /// The sent fields of an entity with these components, in mask order from bit [`FIELD_FIRST`] on:
    /// (component index, index among that component's sent fields, the field).
    pub fn fields_of(&self, components: u64) -> impl Iterator<Item = (usize, usize, &FieldSpec)> + '_ {
        self.components.iter().enumerate().filter(move |(index, _)| components >> index & 1 == 1).flat_map(
            |(index, component)| {
                component.sent.iter().enumerate().map(move |(field, spec)| (index, field, spec))
            },
        )
    }

    /// The index of the component with that name.
    #[must_use]
    pub fn component(&self, name: &str) -> Option<usize> {
        self.components.iter().position(|component| component.name == name)
    }

    /// The components that have a policy of their own.
    #[must_use]
    pub fn gated(&self) -> u64 {
        self.set_of(|component| component.policy != ComponentPolicy::Everyone)
    }

    /// The components of which anything may differ from viewer to viewer, names of entities left aside.
    #[must_use]
    pub fn personal(&self) -> u64 {
        self.gated() | self.set_of(|component| component.sent.iter().any(|field| field.personal))
    }

    /// Whether the changes of any component are more urgent than usual.
    #[must_use]
    pub fn has_urgent(&self) -> bool {
        self.components.iter().any(|component| component.urgency != Urgency::USUAL)
    }

    fn set_of(&self, is_in: impl Fn(&ComponentSchema) -> bool) -> u64 {
        let components = self.components.iter().enumerate().filter(|(_, component)| is_in(component));
        components.fold(0, |set, (index, _)| set | 1 << index)
    }

    /// How many bits the field masks of such an entity have, position included.
    #[must_use]
    pub fn field_count(&self, components: u64) -> usize {
        FIELD_FIRST as usize + self.fields_of(components).count()
    }

    /// Registers a component type and gives its index.
    pub fn push<T: super::field::SyncFields>(&mut self) -> usize {
        self.components.push(ComponentSchema {
            name: T::NAME,
            policy: T::COMPONENT_POLICY,
            urgency: T::URGENCY,
            fields: T::FIELDS,
            sent: T::FIELDS.iter().filter(|field| field.is_sent()).copied().collect(),
        });
        self.components.len() - 1
    }
}

/// Appends all that both ends must agree on about a field. `around` are the nodes that it lies in: one that contains
/// itself is described once.
fn describe(field: &FieldSpec, around: &mut Vec<NodeSpec>, text: &mut String) {
    text.push_str(&format!(
        "|{}:{}:{}:{:?}:{:?}",
        field.name,
        field.type_name,
        field.policy.name(),
        field.wire,
        field.precision
    ));
    let Some(node) = field.nested.map(|node| node()) else { return };
    text.push_str(&format!(":{}", node.form));
    if around.iter().any(|outer| outer.name == node.name && outer.variants == node.variants) {
        return;
    }
    let variants = node.variants;
    around.push(node);
    for variant in variants {
        text.push_str(&format!("<{}", variant.name));
        for field in variant.fields.iter().filter(|field| field.is_sent()) {
            describe(field, around, text);
        }
        text.push('>');
    }
    around.pop();
}
