//! Values whose fields have policies of their own: what `nested` fields hold.

use crate::protocol::codec::DecodeError;
use crate::replication::field::FieldSpec;

use super::reader::NodeReader;
use super::saved::SaveReader;
use super::sieve::Sieve;
use super::viewing::Viewing;
use super::writer::NodeWriter;

/// A node: a struct or enum whose fields have sync policies, whether or not it is a component. `derive(Replicate)` writes
/// it; `Option`, `Box`, `Vec`, arrays and `BTreeMap`s of nodes, also of each other, are nodes too. Of a map whose keys name
/// entities a viewer is told the entries of those that it sees (see [`MapKey`](super::MapKey)).
///
/// Each level decides alone: the policy of the field that holds the node picks it, drops it or changes it; the policies
/// of the node's own fields then decide about those, and so on to any depth. What a parent hides stays hidden.
///
/// | node | on the wire |
/// |---|---|
/// | struct | varint mask of the visible ones among its sent fields, then those, in order |
/// | enum | varint variant, then as a struct |
/// | `Option` | 0, or 1 and the node |
/// | `Vec` | varint length, then the nodes |
/// | array, `Box` | the nodes |
/// | `BTreeMap` | varint length, then key and node by turns, keys as the codec writes them |
///
/// A field is, in turn, a node where it is `nested`, steps where it has a `precision`, and what the codec makes of it
/// otherwise. At most [`NODE_LEVELS_MAX`](crate::limits::NODE_LEVELS_MAX) structs and enums are told within one another: a
/// field with more is left out and counted, so types may contain themselves. Two types that contain each other do not
/// compile; one enum of both does.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no sync policies inside, so a field of it cannot be `nested`",
    label = "holds no type that derives Replicate",
    note = "write #[derive(Replicate)] on it and a policy on each of its fields, or leave `nested` out: the field is then sent as a whole"
)]
pub trait SyncNode: Clone + Default + Send + Sync + 'static {
    /// Whether anything in it depends on who looks, at any depth.
    const PERSONAL: bool;

    /// Whether its type says what only a component has: a policy for all of it, a priority, a maximum staleness. Such a
    /// one does not compile as a nested value: nothing would ask for that there.
    const IS_COMPONENT_ONLY: bool;

    /// Its names, types and policies. O(1): nested ones are told by functions.
    fn node_spec() -> NodeSpec;

    /// Appends what is seen of it. Without a `viewing`, whatever depends on who looks is hidden.
    fn encode_node(&self, viewing: Option<&Viewing<'_>>, out: &mut NodeWriter<'_>);

    /// Reads what [`encode_node`](Self::encode_node) wrote; hidden parts are at their default.
    ///
    /// # Errors
    /// When the bytes are no such node.
    fn decode_node(from: &mut NodeReader<'_>) -> Result<Self, DecodeError>;

    /// What everybody may know of it; the rest is at its default.
    #[must_use]
    fn project_node(&self) -> Self;

    /// What this viewer sees of it, from scratch; notes what is hidden.
    fn sieve_node(&self, viewing: &Viewing<'_>, sieve: &mut Sieve) -> Self;

    /// Appends all of it, for saves. The same bytes as the codec's if the type were given to that.
    fn save_node(&self, out: &mut Vec<u8>);

    /// Reads what [`save_node`](Self::save_node) wrote.
    ///
    /// # Errors
    /// When the bytes are no saved node.
    fn load_node(from: &mut SaveReader<'_>) -> Result<Self, DecodeError>;
}

/// What a node is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeSpec {
    /// Name of the struct or enum.
    pub name: &'static str,
    /// The same with what holds it: `[Bid]` for a list, `{Bid}` for a map, `Bid?` for an option, `[Bid; 3]` for an
    /// array, in any combination.
    pub form: String,
    /// The variants of an enum; a struct is one without a name.
    pub variants: &'static [VariantSpec],
}

impl NodeSpec {
    /// The same in another form.
    pub(super) fn held(mut self, by: impl FnOnce(&str) -> String) -> Self {
        self.form = by(&self.form);
        self
    }
}

/// One variant of an enum, or a struct.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VariantSpec {
    /// Name of the variant; empty for a struct.
    pub name: &'static str,
    /// All its fields, in order of declaration.
    pub fields: &'static [FieldSpec],
}
