//! The naive answer to what a viewer must see, from scratch and by brute force: what views are compared with.
//!
//! It shares with the real thing nothing but the rule's [`rank`] and the one distance; which entities were in
//! view before it remembers by itself.

use std::collections::BTreeSet;

use glam::Vec3;

use crate::ids::NetId;
use crate::space::{LatticePoint, distance_squared};

use super::policy::{Subject, ViewerContext};
use super::rows::{EncodedRow, Rows};
use super::rule::{Standing, ViewSettings, rank};

/// One entity of the world as the oracle is told of it.
#[derive(Clone, Copy, Debug)]
pub struct OracleEntity<'a> {
    /// Its name.
    pub net_id: NetId,
    /// Its class, 0 first.
    pub class: u8,
    /// Where it is.
    pub position: Vec3,
    /// Its public fields.
    pub encoded: &'a EncodedRow,
    /// Whether it is node-wide state, which is nowhere.
    pub placeless: bool,
    /// Whose it is and who may see it; `None` for everybody.
    pub subject: Option<&'a Subject>,
}

/// Who looks.
#[derive(Clone, Debug, Default)]
pub struct OracleViewer<'a> {
    /// From where.
    pub position: Vec3,
    /// The avatar.
    pub own: Option<NetId>,
    /// As whom; `None` for somebody who sees plain entities alone.
    pub context: Option<&'a ViewerContext>,
    /// What is seen wherever it is.
    pub always: BTreeSet<NetId>,
}

/// What a client must hold about one entity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExpectedEntity {
    /// Its name.
    pub net_id: NetId,
    /// Where it is, on the lattice.
    pub lattice: [i32; 3],
    /// Its components.
    pub components: u64,
    /// Its fields in wire form.
    pub fields: Vec<Vec<u8>>,
}

/// One viewer's memory of who was in view.
#[derive(Clone, Debug, Default)]
pub struct Oracle {
    held: BTreeSet<NetId>,
}

impl Oracle {
    /// Who is in view now, ascending by name. To be called once per tick, with every entity there is.
    ///
    /// O(entities · log entities).
    pub fn membership<'a>(
        &mut self,
        world: impl Iterator<Item = OracleEntity<'a>>,
        viewer: &OracleViewer<'_>,
        settings: &ViewSettings,
    ) -> Vec<NetId> {
        let mut eligible = Vec::new();
        for entity in world {
            let d2 = distance_squared(entity.position, viewer.position);
            let within = |radius: f32| d2 < radius * radius;
            let always = viewer.always.contains(&entity.net_id);
            // What is farther than the leave radius is seen only for a reason: worth asking first, since a live world
            // audits too.
            if !always && !within(settings.leave_radius_m) {
                continue;
            }
            // Who has died in this tick is nowhere any more.
            if !entity.position.is_finite() && !entity.placeless {
                continue;
            }
            let held = self.held.contains(&entity.net_id);
            if (always || held || within(settings.enter_radius_m))
                && entity
                    .subject
                    .is_none_or(|subject| viewer.context.is_some_and(|viewer| subject.admits(viewer)))
            {
                let standing = match () {
                    () if viewer.own == Some(entity.net_id) => Standing::Avatar,
                    () if always => Standing::Always,
                    () => Standing::Near,
                };
                eligible.push((rank(standing, entity.class, d2, held, entity.net_id), entity.net_id));
            }
        }
        eligible.sort_unstable();
        eligible.truncate(settings.entities_max);
        self.held = eligible.into_iter().map(|(_, net_id)| net_id).collect();
        self.held.iter().copied().collect()
    }
}

/// Every entity in the table, for [`Oracle::membership`].
pub fn world(rows: &Rows) -> impl Iterator<Item = OracleEntity<'_>> {
    rows.iter().map(|(net_id, row)| OracleEntity {
        net_id,
        class: rows.class[row.index()],
        position: rows.position[row.index()],
        encoded: &rows.encoded[row.index()],
        placeless: rows.placeless[row.index()],
        subject: rows.subjects[row.index()].as_deref(),
    })
}

/// What a client must hold about an entity of which everybody sees the same, but for the names of who is not among
/// `seen`, which ascends.
#[must_use]
pub fn expected_of(entity: &OracleEntity<'_>, seen: &[NetId]) -> ExpectedEntity {
    let mut bytes = entity.encoded.bytes.clone();
    for &at in &entity.encoded.ids {
        let name = bytes[usize::from(at)..].first_chunk_mut::<8>().expect("a name is eight bytes");
        if seen.binary_search(&NetId(u64::from_le_bytes(*name))).is_err() {
            *name = [0; 8];
        }
    }
    let mut begin = 0;
    let fields = entity.encoded.ends.iter().map(|&end| {
        let field = bytes[begin..usize::from(end)].to_vec();
        begin = usize::from(end);
        field
    });
    ExpectedEntity {
        net_id: entity.net_id,
        lattice: LatticePoint::of(entity.position).0,
        components: entity.encoded.components,
        fields: fields.collect(),
    }
}
