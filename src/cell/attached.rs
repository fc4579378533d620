//! Entities that belong together: riders, wagons, carried things. They stay and cross borders together.

use bevy_ecs::prelude::{Component, DetectChangesMut, Entity, QueryState, World};
use glam::Vec3;
use serde::{Deserialize, Serialize};

use crate::ids::{CellId, NetId};
use crate::protocol::codec::{self, DecodeError};
use crate::replication::field::{FieldSpec, FieldWire, FieldWriter, SyncFields, prefixed_payload};
use crate::space::Position;

use super::SpaceLimits;
use super::markers::Owned;

/// Keeps this entity at `offset` from another, wherever that goes. bevy's own `ChildOf` does not survive a
/// border: it names entities of one world.
///
/// The next `Partition` joins the two: the attached is put to its place beside the other and stays in the other's
/// cell; from then on the engine sets its position after the game's systems. Attaching to what is itself attached
/// is fine up to [`CHAIN_MAX`] links. When the other is gone or the chain does not end, the component is removed
/// and the entity stays where it is.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Attached {
    /// To whom.
    pub to: NetId,
    /// How far off, m; at most the configured reach of attachments.
    pub offset: Vec3,
}

/// Longest chain of attachments.
pub const CHAIN_MAX: usize = 8;

const FIELD: FieldSpec = FieldSpec::broadcast("link", "(NetId, Vec3)", FieldWire::Prefixed, 32);

/// Written out by hand: the two fields change together and are one on the wire.
impl SyncFields for Attached {
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
    /// Those that are not joined to whom they are attached to: the next `Partition` does it, or lets go.
    pub to_join: Vec<NetId>,
    /// Every (leader, follower) of the cell that are joined.
    pub followers: Vec<(NetId, NetId)>,
}

/// The pass over the attached of one cell.
pub struct AttachPass {
    attached: QueryState<(Entity, &'static NetId, &'static Attached, &'static Owned)>,
}

impl AttachPass {
    /// Prepares the pass for one world.
    pub fn new(world: &mut World) -> Self {
        Self { attached: world.query() }
    }

    /// Puts everything that is joined where it belongs. Whether its leader could be found at once must not
    /// matter, so what was attached in this tick waits for `Partition` on every layout. O(attached × chain).
    ///
    /// # Panics
    /// When an offset is not finite: names the cell and the entity.
    pub fn run(
        &mut self,
        world: &mut World,
        find: impl Fn(NetId) -> Option<Entity>,
        cell: CellId,
        limits: &SpaceLimits,
    ) -> AttachFindings {
        let let_go: Vec<Entity> = world.removed::<Attached>().collect();
        for entity in let_go {
            let Ok(mut entity) = world.get_entity_mut(entity) else { continue };
            if entity.contains::<Owned>() && !entity.contains::<Attached>() {
                entity.get_mut::<Owned>().expect("just seen").leader = NetId::WORLD;
                // It may stand outside of its cell, where only its leader held it: the survey shall look.
                entity.get_mut::<Position>().expect("owned entities have one").set_changed();
            }
        }
        let mut findings = AttachFindings::default();
        let all: Vec<(Entity, NetId, Attached, bool)> = self
            .attached
            .iter(world)
            .map(|(entity, &net_id, &attached, owned)| {
                (entity, net_id, attached, owned.leader == attached.to)
            })
            .collect();
        for (entity, net_id, attached, joined) in all {
            assert!(
                attached.offset.is_finite(),
                "cell {cell}: a game system attached {net_id} at an offset of {}: offsets are finite numbers",
                attached.offset
            );
            if !joined {
                world.get_mut::<Owned>(entity).expect("found by its Owned").leader = NetId::WORLD;
                findings.to_join.push(net_id);
                continue;
            }
            findings.followers.push((attached.to, net_id));
            let Some(place) = place_of(world, &find, attached, limits) else {
                findings.to_join.push(net_id);
                continue;
            };
            // The engine's own move is no step: it is as long as the leader's, or a new offset's.
            world.get_mut::<Owned>(entity).expect("found by its Owned").anchor = place;
            let mut position = world.get_mut::<Position>(entity).expect("owned entities have one");
            if position.0 != place {
                position.0 = place;
            }
        }
        findings
    }
}

/// Where something joined belongs: along the chain to an owned entity that is joined to nothing, by where that
/// one will be once its own step is checked. `None` when its leader is gone or the chain does not end.
fn place_of(
    world: &World,
    find: &impl Fn(NetId) -> Option<Entity>,
    attached: Attached,
    limits: &SpaceLimits,
) -> Option<Vec3> {
    let reach_m = limits.attach_reach_m;
    let owned_by = |net_id: NetId| {
        let entity = world.get_entity(find(net_id)?).ok()?;
        Some((entity, entity.get::<Owned>()?))
    };
    let mut offset = attached.offset.clamp_length_max(reach_m);
    let (mut entity, mut owned) = owned_by(attached.to)?;
    for _ in 0..CHAIN_MAX {
        let next = entity.get::<Attached>().filter(|next| owned.leader == next.to);
        // A link that is broken will be taken away: until then it ends the chain.
        match next.and_then(|next| Some((next, owned_by(next.to)?))) {
            Some((next, leader)) => {
                offset += next.offset.clamp_length_max(reach_m);
                (entity, owned) = leader;
            }
            None => {
                let asked = entity.get::<Position>()?.0;
                let root = limits.step(owned.anchor, asked).place;
                let place = limits.world.clamp(root + offset.clamp_length_max(reach_m));
                return place.is_finite().then_some(place);
            }
        }
    }
    None
}

/// Where an entity is put beside its leader when the two are joined.
pub(super) fn place_beside(leader: Vec3, attached: Attached, limits: &SpaceLimits) -> Vec3 {
    limits.world.clamp(leader + attached.offset.clamp_length_max(limits.attach_reach_m))
}
