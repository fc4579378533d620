//! The rules of a game as it registered them: who is told what, who may do what, and what of it breaks a rule.
//!
//! *Does*: lays open the policies of every replicated type to any depth and the scope, limits and blast radius of every action, measures the
//! bytes of a saved world's fields, and flags what is wrong or unwise. *Does not*: enforce anything.
//! *Reads*: the registered game, an image. *Writes*: nothing.

mod actions;
mod flags;
mod measure;
mod text;

use serde::Serialize;

use crate::cell::kinds::{ComponentKind, Reach, SUBJECT_KIND};
use crate::cell::registration::Game;
use crate::limits::EVENT_BYTES_MAX;
use crate::replication::events::Delivery;
use crate::replication::field::{FieldSpec, FieldWire};
use crate::replication::policy::NodeSpec;
use crate::replication::schema::{ComponentSchema, EventSchema};

use super::io::WorldImage;

pub use actions::{ActionRules, BlastRadius};
pub(super) use measure::measure;

/// What a game has laid down.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rules {
    /// Every replicated type, in order of registration.
    pub components: Vec<ComponentRules>,
    /// Components that stay on the server whole.
    pub server_only: Vec<&'static str>,
    /// Every type of event that players are told.
    pub events: Vec<EventRules>,
    /// Every action.
    pub actions: Vec<ActionRules>,
    /// Which saved world the bytes are of; `None` when nothing was measured.
    pub measured: Option<MeasuredWorld>,
    /// What is wrong, unwise or worth knowing.
    pub flags: Vec<Flag>,
}

/// A replicated type.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ComponentRules {
    /// Its name.
    pub name: &'static str,
    /// Whether it is node-wide state.
    pub node_wide: bool,
    /// Who sees it at all, as written in `#[sync(...)]`.
    pub policy: String,
    /// How many times as fast as usual its changes come to their turn in full updates.
    pub priority: u8,
    /// For how many ticks a change may wait before it goes first.
    pub staleness_ticks_max: Option<u16>,
    /// Most bytes of all its fields together in a record.
    pub bytes_max: usize,
    /// Bytes of all its fields together, as measured.
    pub measured: Option<Measured>,
    /// Its fields.
    pub fields: Vec<FieldRules>,
}

/// A field of a component or of a nested value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FieldRules {
    /// Its name.
    pub name: &'static str,
    /// Its type in the source.
    pub type_name: &'static str,
    /// Its policy, as written in `#[sync(...)]`.
    pub policy: &'static str,
    /// Whether what is told of it depends on who looks, by its own policy or by one within it.
    pub personal: bool,
    /// Whether the entities that it names are told to who does not see them.
    pub reveals_ids: bool,
    /// The smallest difference that is told.
    pub precision: Option<f32>,
    /// Most bytes it may take, without its length; `None` when it is never sent, and within a nested value, where the
    /// component's field around it counts. Of an event the fields may take no more together than the event.
    pub bytes_max: Option<usize>,
    /// Its bytes, as measured.
    pub measured: Option<Measured>,
    /// What its value is made of, where that has policies of its own.
    pub nested: Option<NodeRules>,
}

/// A nested value.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeRules {
    /// Name of the struct or enum.
    pub name: &'static str,
    /// The same with what holds it: `[Bid]` for a list, `{Bid}` for a map, `Bid?` for an option.
    pub form: String,
    /// It lies within itself, so what it is made of stands further out.
    pub recursive: bool,
    /// Its variants; a struct is one without a name.
    pub variants: Vec<VariantRules>,
}

/// A variant of an enum, or a struct.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VariantRules {
    /// Its name; empty for a struct.
    pub name: &'static str,
    /// Its fields.
    pub fields: Vec<FieldRules>,
}

/// A type of event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventRules {
    /// Its name.
    pub name: &'static str,
    /// Who of its audience is told at all, as written in `#[sync(...)]`.
    pub policy: String,
    /// Most bytes of all its fields together, as one player is told them; a longer one is not told.
    pub bytes_max: usize,
    /// How it travels: `reliable`, or `with_update`, with the update of its tick or not at all.
    pub delivery: &'static str,
    /// Its fields.
    pub fields: Vec<FieldRules>,
}

/// Bytes of a field or component in a saved world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Measured {
    /// How many were measured.
    pub count: u64,
    /// Bytes on average.
    pub mean: f64,
    /// Most bytes.
    pub max: usize,
    /// How many are longer than their maximum, and so are not sent.
    pub too_long: u64,
}

impl Measured {
    fn add(&mut self, bytes: usize) {
        self.mean = (self.mean * self.count as f64 + bytes as f64) / (self.count + 1) as f64;
        self.count += 1;
        self.max = self.max.max(bytes);
    }
}

/// Which saved world was measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MeasuredWorld {
    /// In which tick.
    pub tick: u64,
    /// How many entities.
    pub entities: u64,
}

/// How serious a flag is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FlagKind {
    /// It breaks a rule: somebody will not be told what they should be, or may do what they should not.
    Error,
    /// It is unwise.
    Warning,
    /// It is worth knowing.
    Note,
}

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Flag {
    /// How serious it is.
    pub kind: FlagKind,
    /// Which rule it is about, as one word.
    pub rule: &'static str,
    /// Where: `Component`, `Component.field`, an action.
    pub place: String,
    /// What it is, and what to do.
    pub text: String,
}

impl Rules {
    /// Lays open what is registered. `globals` are the kinds of node-wide state, which stand behind the components in the
    /// schema. With an image, measures it.
    ///
    /// # Errors
    /// When the image is not of this game.
    pub(super) fn of(
        game: &Game,
        globals: &[Box<dyn ComponentKind>],
        image: Option<&WorldImage>,
    ) -> Result<Self, String> {
        let of_component = |(index, schema): (usize, &ComponentSchema)| {
            component_rules(schema, game.schema.globals >> index & 1 == 1)
        };
        let event = |schema: &EventSchema| EventRules {
            name: schema.name,
            policy: schema.policy.to_string(),
            bytes_max: EVENT_BYTES_MAX,
            delivery: match schema.delivery {
                Delivery::Reliable => "reliable",
                Delivery::WithUpdate => "with_update",
            },
            fields: schema.fields.iter().map(event_field_rules).collect(),
        };
        // The engine's own is none of the game's.
        let stays = |(index, kind): (usize, &dyn ComponentKind)| {
            (kind.reach() == Reach::ServerOnly && index != SUBJECT_KIND).then(|| kind.name())
        };
        let mut rules = Self {
            components: game.schema.components.iter().enumerate().map(of_component).collect(),
            server_only: game.kinds.iter().map(|kind| &**kind).enumerate().filter_map(stays).collect(),
            events: game.schema.events.iter().map(event).collect(),
            actions: (0..game.actions.len()).map(|index| ActionRules::of(game, index)).collect(),
            measured: None,
            flags: Vec::new(),
        };
        if let Some(image) = image {
            measure(&mut rules, game, globals, image)?;
        }
        rules.flags = flags::flags_of(&rules);
        Ok(rules)
    }

    /// Whether anything breaks a rule.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.flags.iter().any(|flag| flag.kind == FlagKind::Error)
    }
}

fn component_rules(schema: &ComponentSchema, node_wide: bool) -> ComponentRules {
    ComponentRules {
        name: schema.name,
        node_wide,
        policy: schema.policy.to_string(),
        priority: schema.urgency.priority,
        staleness_ticks_max: schema.urgency.staleness_ticks_max,
        bytes_max: schema.sent.iter().map(FieldSpec::wire_bytes_max).sum(),
        measured: None,
        fields: schema.fields.iter().map(|spec| field_rules(spec, true, &mut Vec::new())).collect(),
    }
}

fn field_rules(spec: &FieldSpec, is_top: bool, around: &mut Vec<NodeSpec>) -> FieldRules {
    FieldRules {
        name: spec.name,
        type_name: spec.type_name,
        policy: spec.policy.name(),
        personal: spec.personal,
        reveals_ids: spec.reveals_ids,
        precision: spec.precision,
        bytes_max: (is_top && spec.is_sent()).then_some(spec.bytes_max),
        measured: None,
        nested: spec.nested.map(|node| node_rules(node(), around)),
    }
}

/// Events are told as one value: a field of varying length is bounded by the event alone.
fn event_field_rules(spec: &FieldSpec) -> FieldRules {
    let bytes_max = match spec.wire {
        FieldWire::Fixed(_) | FieldWire::Varint => spec.bytes_max,
        FieldWire::Prefixed => EVENT_BYTES_MAX,
    };
    let bytes_max = spec.is_sent().then_some(bytes_max);
    FieldRules { bytes_max, ..field_rules(spec, false, &mut Vec::new()) }
}

/// `around` are the nodes that it lies in: one that contains itself is told once.
fn node_rules(node: NodeSpec, around: &mut Vec<NodeSpec>) -> NodeRules {
    let recursive = around.iter().any(|outer| outer.name == node.name && outer.variants == node.variants);
    let (name, form, variants) = (node.name, node.form.clone(), node.variants);
    let mut rules = NodeRules { name, form, recursive, variants: Vec::new() };
    if !recursive {
        around.push(node);
        for variant in variants {
            let fields = variant.fields.iter().map(|spec| field_rules(spec, false, around)).collect();
            rules.variants.push(VariantRules { name: variant.name, fields });
        }
        around.pop();
    }
    rules
}
