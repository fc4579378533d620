//! What a cell shows its neighbours: one table of places, filled where entities are near a border.

use std::any::Any;

use glam::Vec3;

use crate::ids::{CellId, NetId, Row};
use crate::space::Area;

/// The exported values of one kind, and which of them changed in this tick.
pub struct ExportedColumn {
    /// `Values<C>` of the kind's type.
    pub(crate) values: Box<dyn Any + Send + Sync>,
    /// Places whose value changed in this tick.
    pub(crate) changed: Vec<u32>,
    /// By place, as far as it goes: whether it is among `changed`.
    pub(crate) is_changed: Vec<bool>,
}

impl ExportedColumn {
    /// No values yet.
    pub(crate) fn new(values: Box<dyn Any + Send + Sync>) -> Self {
        Self { values, changed: Vec::new(), is_changed: Vec::new() }
    }

    /// Notes that the value at a place changed.
    pub(crate) fn note_change(&mut self, place: u32) {
        note_change(&mut self.changed, &mut self.is_changed, place);
    }

    fn begin_tick(&mut self) {
        for place in self.changed.drain(..) {
            self.is_changed[place as usize] = false;
        }
    }
}

/// The same, while the values are borrowed.
#[inline]
pub(super) fn note_change(changed: &mut Vec<u32>, is_changed: &mut Vec<bool>, place: u32) {
    changed.push(place);
    let index = place as usize;
    if is_changed.len() <= index {
        is_changed.resize(index + 1, false);
    }
    is_changed[index] = true;
}

/// One exported entity.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// Its name.
    pub net_id: NetId,
    /// Its row.
    pub row: Row,
    /// Where it is at the end of this tick's `Simulate`.
    pub position: Vec3,
}

/// Places that are new or have moved, and where to, column by column: every neighbour goes through all of them
/// to find its own.
#[derive(Debug, Default)]
pub struct Moved {
    places: Vec<u32>,
    x: Vec<f32>,
    y: Vec<f32>,
}

/// Positions are compared this many at a time: one bit each of a `u64`.
const LANES: usize = 64;

impl Moved {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// All places.
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.places.iter().copied()
    }

    /// The places within `margin` of a box, as [`Area::contains_within`] says.
    pub(super) fn within(&self, area: &Area, margin: f32) -> impl Iterator<Item = u32> + '_ {
        let (min, max) = (area.min - margin, area.max + margin);
        let positions = self.x.chunks(LANES).zip(self.y.chunks(LANES));
        self.places.chunks(LANES).zip(positions).flat_map(move |(places, (x, y))| {
            // Without a branch, which is what the compiler turns into vector instructions.
            let mut inside = [0u8; LANES];
            for ((inside, &x), &y) in inside.iter_mut().zip(x).zip(y) {
                *inside =
                    u8::from(x >= min.x) & u8::from(x <= max.x) & u8::from(y >= min.y) & u8::from(y <= max.y);
            }
            // The product moves the lowest bits of eight bytes next to one another into the highest byte.
            let eights = inside.as_chunks::<8>().0.iter().zip(0..);
            let mut bits = eights.fold(0u64, |bits, (eight, at)| {
                bits | (u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56) << (at * 8)
            });
            std::iter::from_fn(move || {
                let lane = bits.trailing_zeros() as usize;
                bits &= bits.wrapping_sub(1);
                places.get(lane).copied()
            })
        })
    }

    /// Adds a place whose member is at a position now.
    pub fn push(&mut self, place: u32, position: Vec3) {
        self.places.push(place);
        self.x.push(position.x);
        self.y.push(position.y);
    }

    fn clear(&mut self) {
        self.places.clear();
        self.x.clear();
        self.y.clear();
    }
}

/// Everything one cell exports. The owner writes it in `Simulate`; `Mirror` swaps it into the published table,
/// where every neighbour reads it in `Interest`; before the next `Simulate` it is swapped back.
pub struct Export {
    /// Whose export it is.
    pub cell: CellId,
    /// The owner's epoch: a reader that expects another one starts anew.
    pub epoch: u32,
    /// By place. A free place has [`NetId::WORLD`].
    pub members: Vec<Member>,
    /// Places that are new or have moved in this tick.
    pub moved: Moved,
    /// Places given up in this tick.
    pub gone: Vec<u32>,
    /// One per kind of component; `None` for kinds that are not exported.
    pub columns: Vec<Option<ExportedColumn>>,
    free: Vec<u32>,
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export")
            .field("cell", &self.cell)
            .field("members", &self.len())
            .finish_non_exhaustive()
    }
}

impl Export {
    /// An empty export.
    #[must_use]
    pub fn new(cell: CellId, epoch: u32, columns: Vec<Option<ExportedColumn>>) -> Self {
        Self { cell, epoch, members: vec![], moved: Moved::default(), gone: vec![], columns, free: vec![] }
    }

    /// How many entities are exported.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.iter().filter(|member| member.net_id != NetId::WORLD).count()
    }

    /// Whether nothing is exported.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets what changed in the last tick; places given up then may be used again.
    pub(crate) fn begin_tick(&mut self) {
        self.moved.clear();
        self.free.append(&mut self.gone);
        for column in self.columns.iter_mut().flatten() {
            column.begin_tick();
        }
    }

    /// A place for an entity that came near a border.
    pub(crate) fn take_place(&mut self, member: Member) -> u32 {
        let place = self.free.pop().unwrap_or(self.members.len() as u32);
        match self.members.get_mut(place as usize) {
            Some(free) => *free = member,
            None => self.members.push(member),
        }
        self.moved.push(place, member.position);
        place
    }

    /// Follows an exported entity that moved.
    pub(crate) fn move_to(&mut self, place: u32, position: Vec3) {
        self.members[place as usize].position = position;
        self.moved.push(place, position);
    }

    /// Takes an entity out: it went inland, to another owner, or died.
    pub(crate) fn give_up(&mut self, place: u32) {
        self.members[place as usize].net_id = NetId::WORLD;
        self.members[place as usize].position = Vec3::NAN;
        self.gone.push(place);
    }
}
