//! Entities that belong together: riders, wagons, carried things. They stay and cross borders together.

use bevy_ecs::prelude::{Component, Entity, QueryState, With, World};
use glam::Vec3;
use serde::{Deserialize, Serialize};

use crate::ids::NetId;
use crate::protocol::codec::{self, DecodeError};
use crate::replication::field::{FieldSpec, FieldWire, FieldWriter, Policy, Replicate, prefixed_payload};
use crate::space::Position;

use super::markers::Owned;

/// Keeps this entity at `offset` from another, wherever that goes. bevy's own `ChildOf` does not survive a
/// border: it names entities of one world.
///
/// The engine sets the position after the game's systems, and keeps the attached in the cell of whom they are
/// attached to. Attaching to what is itself attached is fine up to [`CHAIN_MAX`] links. When the other is gone,
/// the component is removed and the entity stays where it is.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attached {
    /// To whom.
    pub to: NetId,
    /// How far off, m; at most the configured reach of attachments.
    pub offset: Vec3,
}

/// Longest chain of attachments.
pub const CHAIN_MAX: usize = 8;

const FIELD: FieldSpec = FieldSpec {
    name: "link",
    type_name: "(NetId, Vec3)",
    policy: Policy::Broadcast,
    wire: FieldWire::Prefixed,
    precision: None,
    bytes_max: 32,
};

/// Written out by hand: the two fields change together and are one on the wire.
impl Replicate for Attached {
    const NAME: &'static str = "Attached";
    const FIELDS: &'static [FieldSpec] = &[FIELD];

    fn encode_sent(&self, out: &mut FieldWriter) {
        out.put(self);
        out.end_field(FIELD.wire, FIELD.bytes_max);
    }

    fn decode_sent(&mut self, _: usize, bytes: &[u8]) -> Result<(), DecodeError> {
        *self = match prefixed_payload(bytes)? {
            Some(payload) => codec::decode::<Self, 64>("Attached", payload)?,
            None => Self::default(),
        };
        Ok(())
    }

    fn project(&self, ghost: &mut Self) {
        *ghost = *self;
    }

    fn save(&self, out: &mut Vec<u8>) {
        codec::encode_into(self, out);
    }

    fn load(bytes: &[u8]) -> Result<(Self, usize), DecodeError> {
        codec::decode_prefix::<Self, 64>("Attached", bytes)
    }
}

/// What the engine found about the attached of one cell.
#[derive(Debug, Default)]
pub struct AttachFindings {
    /// Whose leader lives elsewhere: the node brings them to it.
    pub to_leader: Vec<(NetId, Attached)>,
    /// Every (leader, follower) of the cell.
    pub followers: Vec<(NetId, NetId)>,
}

/// The pass over the attached of one cell.
pub struct AttachPass {
    attached: QueryState<(Entity, &'static NetId, &'static Attached), With<Owned>>,
}

impl AttachPass {
    /// Prepares the pass for one world.
    pub fn new(world: &mut World) -> Self {
        Self { attached: world.query_filtered() }
    }

    /// Puts everything attached where it belongs. O(attached × chain).
    pub fn run(
        &mut self,
        world: &mut World,
        find: impl Fn(NetId) -> Option<Entity>,
        reach_m: f32,
    ) -> AttachFindings {
        let mut findings = AttachFindings::default();
        let all: Vec<(Entity, NetId, Attached)> = self
            .attached
            .iter(world)
            .map(|(entity, &net_id, &attached)| (entity, net_id, attached))
            .collect();
        for (entity, net_id, attached) in all {
            findings.followers.push((attached.to, net_id));
            match place_of(world, &find, attached, reach_m) {
                Some(place) => {
                    let mut position = world.get_mut::<Position>(entity).expect("owned entities have one");
                    if position.0 != place {
                        position.0 = place;
                    }
                }
                None => findings.to_leader.push((net_id, attached)),
            }
        }
        findings
    }
}

/// Where something attached belongs: along the chain to an owned entity that is attached to nothing.
fn place_of(
    world: &World,
    find: &impl Fn(NetId) -> Option<Entity>,
    attached: Attached,
    reach_m: f32,
) -> Option<Vec3> {
    let mut offset = attached.offset.clamp_length_max(reach_m);
    let mut leader = attached.to;
    for _ in 0..CHAIN_MAX {
        let entity = world.get_entity(find(leader)?).ok()?;
        entity.get::<Owned>()?;
        match entity.get::<Attached>() {
            Some(next) => {
                offset += next.offset.clamp_length_max(reach_m);
                leader = next.to;
            }
            None => return Some(entity.get::<Position>()?.0 + offset.clamp_length_max(reach_m)),
        }
    }
    None
}
