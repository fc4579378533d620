//! What a component tells the engine about its fields: the traits behind `derive(Replicate)`.

use bevy_ecs::component::Mutable;
use bevy_ecs::prelude::Component;

use crate::protocol::codec::DecodeError;

use super::policy::{ComponentPolicy, NodeSpec, Shown, Sieved, VariantSpec, Viewing};
use super::urgency::Urgency;

pub(crate) use super::field_wire::put_prefix_before;
pub use super::field_wire::{
    ABSENT, FieldWire, FieldWriter, field_length, hidden_in_node, load_node, no_such_field, prefixed_length,
    prefixed_payload, put_prefixed, take, take_node,
};

/// Who is sent a field, and as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nobody, ever: no encoder for it is even generated.
    ServerOnly,
    /// Everybody who sees the entity, the same bytes, encoded once.
    Broadcast,
    /// Everybody who sees the entity, what a function makes of it, encoded once.
    Masked,
    /// Each viewer what a function makes of it for that player, or nothing.
    PerPlayer,
    /// Each viewer the own entry of a map, as a map.
    PerPlayerSlice,
    /// Each viewer what a function makes of it for that viewer and subject, or nothing.
    Custom,
    /// Everybody who sees the entity, what a function makes of the whole component, encoded once. What the field itself
    /// holds is not told.
    Computed,
}

impl Policy {
    /// As written in `#[sync(...)]`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Policy::ServerOnly => "server_only",
            Policy::Broadcast => "broadcast",
            Policy::Masked => "masked",
            Policy::PerPlayer => "per_player",
            Policy::PerPlayerSlice => "per_player_slice",
            Policy::Custom => "custom",
            Policy::Computed => "computed",
        }
    }

    /// Whether what is told depends on who looks.
    #[must_use]
    pub const fn is_personal(self) -> bool {
        matches!(self, Policy::PerPlayer | Policy::PerPlayerSlice | Policy::Custom)
    }
}

/// One field of a replicated component.
#[derive(Clone, Copy, Debug)]
pub struct FieldSpec {
    /// Name in the source.
    pub name: &'static str,
    /// Type in the source; part of the schema hash.
    pub type_name: &'static str,
    /// Who is sent it.
    pub policy: Policy,
    /// Whether what is told of it depends on who looks: by its own policy, or by one in what is nested in it.
    pub personal: bool,
    /// What its value is made of, where that has policies of its own. A function, because types may contain themselves.
    pub nested: Option<fn() -> NodeSpec>,
    /// Whether the names of entities in it are told to viewers who do not see those entities.
    pub reveals_ids: bool,
    /// Its form on the wire, as a field of a component: personal and nested ones are `Prefixed`. Within a node,
    /// see [`SyncNode`](super::policy::SyncNode).
    pub wire: FieldWire,
    /// Smallest difference that is told, in the field's unit, for quantised floats.
    pub precision: Option<f32>,
    /// Most bytes it may encode to, without the length prefix of [`FieldWire::Prefixed`]; more is not sent, and
    /// counted. Within a node, that of the component's field around it holds.
    pub bytes_max: usize,
}

/// Nodes are compared by their form alone: they may contain themselves.
impl PartialEq for FieldSpec {
    fn eq(&self, other: &Self) -> bool {
        let all = |spec: &Self| {
            let nested = spec.nested.map(|node| node().form);
            let told = (spec.wire, spec.precision, spec.bytes_max, spec.personal, spec.reveals_ids);
            (spec.name, spec.type_name, spec.policy, nested, told)
        };
        all(self) == all(other)
    }
}

impl FieldSpec {
    /// A field that everybody sees as it is.
    #[must_use]
    pub const fn broadcast(
        name: &'static str,
        type_name: &'static str,
        wire: FieldWire,
        bytes_max: usize,
    ) -> Self {
        Self {
            name,
            type_name,
            policy: Policy::Broadcast,
            personal: false,
            nested: None,
            reveals_ids: false,
            wire,
            precision: None,
            bytes_max,
        }
    }

    /// Whether anybody is ever sent it.
    #[must_use]
    pub fn is_sent(&self) -> bool {
        self.policy != Policy::ServerOnly
    }

    /// Whether names of entities are told to viewers who do not see those entities, by the field itself or at any depth in it.
    #[must_use]
    pub fn reveals_any_ids(&self) -> bool {
        fn reveals(spec: &FieldSpec, around: &mut Vec<&'static [VariantSpec]>) -> bool {
            if spec.reveals_ids {
                return true;
            }
            let Some(node) = spec.nested.map(|node| node()) else { return false };
            if around.iter().any(|variants| std::ptr::eq(*variants, node.variants)) {
                return false;
            }
            around.push(node.variants);
            node.variants.iter().flat_map(|variant| variant.fields).any(|field| reveals(field, around))
        }
        reveals(self, &mut Vec::new())
    }

    /// Most bytes that one value of it takes in an update, its length prefix included; 0 when it is never sent.
    #[must_use]
    pub fn wire_bytes_max(&self) -> usize {
        match self.wire {
            _ if !self.is_sent() => 0,
            FieldWire::Fixed(_) | FieldWire::Varint => self.bytes_max,
            FieldWire::Prefixed => prefixed_length(self.bytes_max),
        }
    }
}

/// The fields of a type by number, as a component has them: what the engine calls. `derive(Replicate)` writes it.
///
/// `FIELDS` lists all fields in order of declaration. Those that are sent at all are numbered 0… in that
/// order: that number is what `decode_sent` and `encode_personal` take. An enum has one field, `value`, which is all of it.
///
/// Written by hand for types without personal fields, it needs the required items only.
pub trait SyncFields: Clone + Default {
    /// Name of the type, unique within a game.
    const NAME: &'static str;
    /// All fields, in order of declaration.
    const FIELDS: &'static [FieldSpec];
    /// Who sees the component at all.
    const COMPONENT_POLICY: ComponentPolicy = ComponentPolicy::Everyone;
    /// How urgent its changes are where an update cannot take everything.
    const URGENCY: Urgency = Urgency::USUAL;
    /// Whether its policy is not simply everybody who sees the entity.
    const GATED: bool = !matches!(Self::COMPONENT_POLICY, ComponentPolicy::Everyone);

    /// Appends every field that is sent, in order: those that are the same for all in wire form, each closed by
    /// [`FieldWriter::end_field`]; of a personal one a hash of what it is evaluated from, closed by
    /// [`FieldWriter::end_source`], which never leaves the server.
    fn encode_sent(&self, out: &mut FieldWriter);

    /// Appends the payload, without length prefix, of a personal field as this viewer may see it, and to `ids` where in
    /// the payload the names of entities begin (see [`codec::encode_noting_ids`](crate::protocol::codec::encode_noting_ids)).
    /// Hidden, and nothing is appended, for a field that is not personal.
    ///
    /// What the answer depends on is noted in the `viewing`, the names of entities included.
    fn encode_personal(
        &self,
        sent_field: usize,
        viewing: &Viewing<'_>,
        out: &mut Vec<u8>,
        ids: &mut Vec<u16>,
    ) -> Shown {
        let _ = (sent_field, viewing, out, ids);
        Shown::Hidden
    }

    /// Whether the component's own policy lets this viewer see it. Asked only where the subject does not override it.
    fn is_visible(&self, viewing: &Viewing<'_>) -> bool {
        Self::COMPONENT_POLICY.rule().is_some_and(|rule| rule.admits(viewing))
    }

    /// Sets the `field`-th sent field from its wire bytes: all of them, length prefix included. An absent field, and
    /// what is hidden within it, becomes its default.
    ///
    /// # Errors
    /// When the bytes are not an encoding of that field, or there is no such field.
    fn decode_sent(&mut self, field: usize, bytes: &[u8]) -> Result<(), DecodeError>;

    /// What this viewer does not see of the `field`-th sent field with these wire bytes: `cargo` when all of it is
    /// hidden, `crew.members[2].wage` or `bids[alice].price` for what is hidden within. So a game can tell hidden
    /// from default.
    ///
    /// # Errors
    /// As [`decode_sent`](Self::decode_sent).
    fn hidden_paths(field: usize, bytes: &[u8]) -> Result<Vec<String>, DecodeError> {
        hidden_when_absent::<Self>(field, bytes)
    }

    /// Writes into `ghost` what a neighbour cell may know: what everybody may see, as it is told; every other field, and
    /// every other part of a nested one, at its default.
    fn project(&self, ghost: &mut Self);

    /// What this viewer sees of it, from scratch and without a byte: what decoded values are compared with. It knows
    /// neither the component's own policy nor most bytes of a field.
    fn sieve(&self, viewing: &Viewing<'_>) -> Sieved<Self> {
        let _ = viewing;
        let mut value = Self::default();
        self.project(&mut value);
        Sieved { value, hidden: Vec::new() }
    }

    /// Appends all fields, `server_only` ones too, for saves and fingerprints.
    fn save(&self, out: &mut Vec<u8>);

    /// Reads back what [`save`](Self::save) wrote, and how many bytes that took.
    ///
    /// # Errors
    /// When the bytes are not a saved value of this type.
    fn load(bytes: &[u8]) -> Result<(Self, usize), DecodeError>;
}

/// What is hidden in a field without policies inside: all of it, when it is absent.
///
/// # Errors
/// When there is no such field, or the bytes are none.
pub fn hidden_when_absent<T: SyncFields>(field: usize, bytes: &[u8]) -> Result<Vec<String>, DecodeError> {
    let spec = T::FIELDS.iter().filter(|spec| spec.is_sent()).nth(field);
    let spec = spec.ok_or_else(|| no_such_field(T::NAME, field))?;
    let is_absent = spec.wire == FieldWire::Prefixed && prefixed_payload(bytes)?.is_none();
    Ok(if is_absent { vec![spec.name.to_owned()] } else { Vec::new() })
}

/// A component that is sent according to the policies of its fields. Derive it:
///
/// ```
/// use bevy_ecs::prelude::Component;
/// use terrane::replication::{Replicate, SyncFields};
///
/// #[derive(Component, Clone, Default, Replicate)]
/// struct Ship {
///     #[sync(broadcast)]
///     name: String,
///     #[sync(broadcast, precision = 0.01)] // radians; a smaller turn is not told
///     heading: f32,
///     #[sync(server_only)]
///     seed: u64,
/// }
///
/// let mut ghost = Ship::default();
/// Ship { name: "Ann".into(), heading: 1.5, seed: 7 }.project(&mut ghost);
/// assert_eq!((ghost.name.as_str(), ghost.seed), ("Ann", 0));
/// ```
///
/// A bound that no record can carry does not compile:
///
/// ```compile_fail,E0080
/// # use bevy_ecs::prelude::Component;
/// # use terrane::replication::Replicate;
/// #[derive(Component, Clone, Default, Replicate)]
/// struct Book {
///     #[sync(broadcast, max_bytes = 1_000_000)]
///     text: String,
/// }
/// ```
///
/// The methods are those of [`SyncFields`]; every component that has them is one.
pub trait Replicate: SyncFields + Component<Mutability = Mutable> {}

impl<T: SyncFields + Component<Mutability = Mutable>> Replicate for T {}

/// The fields of `T` that are sent, in order.
pub fn sent_fields<T: SyncFields>() -> impl Iterator<Item = &'static FieldSpec> {
    T::FIELDS.iter().filter(|field| field.is_sent())
}
