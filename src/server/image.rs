//! The world as bytes: made right after `Partition`, when no birth, death or jump is outstanding, so that
//! nothing that games asked for is lost; read back when a world is started again.

use std::collections::BTreeMap;

use bevy_ecs::prelude::{Mut, ResMut, Resource, World};
use bytes::Bytes;
use glam::Vec3;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use crate::cell::kinds::Reach;
use crate::cell::markers::Owned;
use crate::cell::partition::{Births, join_saved, spawn_saved};
use crate::cell::pool::{Cells, NodeContext, with_cells};
use crate::cell::registration::Game;
use crate::cell::requests::SpawnRequest;
use crate::ids::{NetId, PlayerId};
use crate::interest::{IndexEntry, LastIndex};
use crate::party::Parties;
use crate::protocol::codec;
use crate::replication::policy::Subject;
use crate::replication::{Globals, Rows};
use crate::session::avatar::{Absent, AbsentPlayer, save_avatar};
use crate::session::{SessionProfile, Sessions};
use crate::space::Position;

use super::io::{OutputSoFar, SealedInput, WorldImage};
use super::{GameOf, WorldSettings};

/// Counter of session epochs in an image.
pub const COUNTER_EPOCH: &str = "session_epoch";

/// Most bytes of the image's own header.
const HEADER_BYTES_MAX: usize = 1 << 26;

/// Most bytes of all avatars of an image.
const AVATARS_BYTES_MAX: usize = 1 << 30;

/// The image of this tick on its way to the output.
#[derive(Resource, Debug, Default)]
pub struct PendingImage(Option<WorldImage>);

/// What an image begins with. Kinds are named, so a game may add and reorder them between two starts.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    kinds: Vec<String>,
    messages: Vec<(String, u64)>,
    spawned: Vec<(NetId, u64)>,
    entities: u64,
    globals: Vec<(String, Vec<u8>)>,
    parties: Vec<u8>,
    /// The highest order of an action's id that anybody has used.
    ids_highest: Option<u64>,
}

/// Where game systems find an entity in the image's tick, as of the end of the tick before.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Seen {
    /// It was born since.
    Nowhere,
    /// Where it is.
    Here,
    /// It has jumped since.
    At([f32; 3]),
}

impl Seen {
    fn place(self, position: Vec3) -> Option<Vec3> {
        match self {
            Seen::Nowhere => None,
            Seen::Here => Some(position),
            Seen::At(place) => Some(Vec3::from_array(place)),
        }
    }
}

/// One entity: (name, priority class, position, where it is found, number of components). The components follow.
type EntityHead = (NetId, u8, [f32; 3], Seen, u16);

/// Players who were in the world, or had been when the image was made that it came from: behind everything else.
type Avatars = Vec<(PlayerId, AbsentPlayer)>;

/// By place in [`Avatars`]: the highest version of a row of that player. Behind them, and only where there are rows at all: older
/// programs wrote none.
type RowVersions = Vec<u64>;

/// The avatars of all who are in the world, and of those who have not come back since the last restart.
fn avatars_of(world: &World, game: &Game, cells: &Cells) -> Avatars {
    let (rows, now_ms) = (world.resource::<Rows>(), world.resource::<NodeContext>().0.now_ms);
    let mut avatars: BTreeMap<PlayerId, AbsentPlayer> = world.resource::<Absent>().0.clone();
    for session in world.resource::<Sessions>().iter() {
        let avatar = save_avatar(game, rows, cells, session.avatar);
        let SessionProfile { version, first_seen_ms } = session.profile;
        let rows = session.rows.version();
        let absent = AbsentPlayer { version, first_seen_ms, seen_ms: now_ms, avatar, rows };
        avatars.insert(session.player.clone(), absent);
    }
    avatars.into_iter().collect()
}

/// Makes the image if this tick's input asks for one. Avatars are not among its entities: nobody would ever take one away
/// whose player does not come back. Where players are kept they stand by their players' names behind everything else.
pub fn make_image(world: &mut World) {
    if !world.resource::<SealedInput>().save {
        return;
    }
    let game = world.resource::<GameOf>().0.clone();
    let avatars: FxHashSet<NetId> =
        world.resource::<Sessions>().iter().map(|session| session.avatar).collect();
    let image = with_cells(world, |world, cells| {
        let rows = world.resource::<Rows>();
        let mut entities: Vec<(NetId, u8, crate::ids::SlotIndex)> = rows
            .iter()
            .filter(|(net_id, row)| !avatars.contains(net_id) && !rows.placeless[row.index()])
            .map(|(net_id, row)| (net_id, rows.class[row.index()], rows.owner[row.index()]))
            .collect();
        entities.sort_unstable();
        let mut seen: FxHashMap<NetId, Vec3> = FxHashMap::default();
        for cell in cells.iter() {
            let last = cell.world.resource::<LastIndex>();
            seen.extend(last.index().entries().map(|entry| (entry.net_id, entry.position)));
        }
        let mut body = Vec::new();
        for &(net_id, class, slot) in &entities {
            let cell = cells.at(slot);
            let entity = cell.world.entity(cell.by_net_id[&net_id]);
            let position = entity.get::<Position>().expect("owned entities have one").0;
            let mut components = Vec::new();
            for (index, kind) in game.kinds.iter().enumerate() {
                let mut bytes = Vec::new();
                if kind.save(&entity, &mut bytes) {
                    components.push((index as u16, bytes));
                }
            }
            let seen = match seen.get(&net_id) {
                None => Seen::Nowhere,
                Some(&place) if place == position => Seen::Here,
                Some(place) => Seen::At(place.to_array()),
            };
            let head: EntityHead = (net_id, class, position.to_array(), seen, components.len() as u16);
            codec::encode_into(&head, &mut body);
            for component in components {
                codec::encode_into(&component, &mut body);
            }
        }
        let mut messages = Vec::new();
        for kind in &game.messages {
            let count = cells.iter().map(|cell| kind.save(&cell.world, &mut body)).sum();
            messages.push((kind.name().to_owned(), count));
        }
        let births = world.resource::<Births>();
        let header = Header {
            kinds: game.kinds.iter().map(|kind| kind.name().to_owned()).collect(),
            messages,
            spawned: births
                .spawned
                .iter()
                .filter(|(net_id, _)| !avatars.contains(net_id))
                .map(|(&net_id, &count)| (net_id, count))
                .collect(),
            entities: entities.len() as u64,
            globals: world.resource::<Globals>().save(world),
            parties: world.resource::<Parties>().save(),
            ids_highest: world.resource::<Sessions>().ids_highest(),
        };
        if world.resource::<WorldSettings>().keeps_players {
            let avatars = avatars_of(world, &game, cells);
            codec::encode_into(&avatars, &mut body);
            let versions: RowVersions = avatars.iter().map(|(_, absent)| absent.rows).collect();
            if versions.iter().any(|&version| version > 0) {
                codec::encode_into(&versions, &mut body);
            }
        }
        let mut bytes = codec::encode(&header);
        bytes.append(&mut body);
        let context = &world.resource::<NodeContext>().0;
        WorldImage {
            tick: context.tick,
            now_ms: context.now_ms,
            fingerprint: super::record::fingerprint(cells)
                .wrapping_add(world.resource::<Globals>().sum_from_scratch(world)),
            entities: entities.len() as u64,
            counters: vec![(COUNTER_EPOCH.into(), u64::from(world.resource::<Sessions>().last_epoch))],
            bytes: Bytes::from(bytes),
        }
    });
    world.resource_mut::<PendingImage>().0 = Some(image);
}

/// Gives the image to the output.
pub(crate) fn hand_over_image(mut pending: ResMut<PendingImage>, mut output: ResMut<OutputSoFar>) {
    output.image = pending.0.take();
}

/// One entity of an image.
pub(super) struct SavedEntity {
    pub(super) net_id: NetId,
    class: u8,
    position: [f32; 3],
    seen: Seen,
    /// (index of the kind in the game, saved form).
    pub(super) components: Vec<(usize, Vec<u8>)>,
}

/// Reads an image from its front.
struct ImageReader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// By number of a kind in the image: its index in the game.
    kinds: Vec<usize>,
}

impl<'a> ImageReader<'a> {
    fn begin(image: &'a WorldImage, game: &Game) -> Result<(Header, Self), String> {
        let bytes = &image.bytes[..];
        let (header, at) = codec::decode_prefix::<Header, HEADER_BYTES_MAX>("image header", bytes)
            .map_err(|error| error.to_string())?;
        let mut kinds = Vec::new();
        for name in &header.kinds {
            let kind = game.kinds.iter().position(|kind| kind.name() == name);
            kinds.push(kind.ok_or_else(|| {
                format!("it holds components `{name}`, which this game does not register: register it or migrate the save")
            })?);
        }
        Ok((header, Self { bytes, at, kinds }))
    }

    fn entity(&mut self) -> Result<SavedEntity, String> {
        let error = |error: codec::DecodeError| error.to_string();
        let ((net_id, class, position, seen, count), used) =
            codec::decode_prefix::<EntityHead, 128>("saved entity", &self.bytes[self.at..]).map_err(error)?;
        self.at += used;
        let mut components = Vec::new();
        for _ in 0..count {
            let rest = &self.bytes[self.at..];
            let ((kind, saved), used) =
                codec::decode_prefix::<(u16, Vec<u8>), HEADER_BYTES_MAX>("saved component", rest)
                    .map_err(error)?;
            self.at += used;
            let kind = self.kinds.get(usize::from(kind));
            components.push((*kind.ok_or("it names a component kind that it does not list")?, saved));
        }
        Ok(SavedEntity { net_id, class, position, seen, components })
    }
}

/// Shows every entity of an image, and gives the node-wide state in it: (name, saved form).
///
/// # Errors
/// When the bytes are damaged, hold a component that the game does not know, or `see` fails.
pub(super) fn visit(
    image: &WorldImage,
    game: &Game,
    mut see: impl FnMut(SavedEntity) -> Result<(), String>,
) -> Result<Vec<(String, Vec<u8>)>, String> {
    let (header, mut reader) = ImageReader::begin(image, game)?;
    for _ in 0..header.entities {
        see(reader.entity()?)?;
    }
    Ok(header.globals)
}

/// Puts a saved world together in an empty one.
///
/// # Errors
/// When the bytes are damaged, or hold a component that the game no longer knows.
pub(super) fn restore(world: &mut World, image: &WorldImage) -> Result<(), String> {
    let game = world.resource::<GameOf>().0.clone();
    let bytes = &image.bytes[..];
    let error = |error: codec::DecodeError| error.to_string();
    let (header, mut reader) = ImageReader::begin(image, &game)?;
    let mut found = Vec::new();
    for _ in 0..header.entities {
        let SavedEntity { net_id, class, position, seen, components } = reader.entity()?;
        let position = Vec3::from_array(position);
        let place = seen.place(position);
        if !position.is_finite() || place.is_some_and(|place| !place.is_finite()) {
            return Err(format!("the position of {net_id} is not finite"));
        }
        found.extend(place.map(|place| (net_id, place)));
        let request = SpawnRequest { class, ..SpawnRequest::new(NetId::WORLD, position, ()) };
        spawn_saved(world, net_id, request).ok_or_else(|| format!("{net_id} is in it twice"))?;
        load_components(world, net_id, &components)?;
    }
    join_saved(world);
    restore_indexes(world, &found);
    let mut at = reader.at;
    for (name, count) in &header.messages {
        let kind = game
            .messages
            .iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| format!("it holds messages `{name}`, which this game does not register"))?;
        at += with_cells(world, |_, cells| {
            let first = cells.iter_mut().next().expect("a world has a cell");
            kind.load(&mut first.world, *count, &bytes[at..])
        })
        .map_err(error)?;
    }
    // Images of older programs hold none.
    if world.resource::<WorldSettings>().keeps_players && at != bytes.len() {
        let (mut avatars, used) =
            codec::decode_prefix::<Avatars, AVATARS_BYTES_MAX>("saved avatars", &bytes[at..])
                .map_err(error)?;
        at += used;
        if at != bytes.len() {
            let (versions, used) =
                codec::decode_prefix::<RowVersions, AVATARS_BYTES_MAX>("row versions", &bytes[at..])
                    .map_err(error)?;
            at += used;
            if versions.len() != avatars.len() {
                return Err(format!(
                    "it has row versions of {} avatars of {}",
                    versions.len(),
                    avatars.len()
                ));
            }
            for ((_, absent), version) in avatars.iter_mut().zip(versions) {
                absent.rows = version;
            }
        }
        world.resource_mut::<Absent>().0 = avatars.into_iter().collect();
    }
    if at != bytes.len() {
        return Err(format!("{} bytes too many at its end", bytes.len() - at));
    }
    Globals::load(world, &header.globals)?;
    world.resource_mut::<Births>().spawned = header.spawned.into_iter().collect();
    let epoch = image.counters.iter().find(|(name, _)| name == COUNTER_EPOCH).map_or(0, |(_, value)| *value);
    *world.resource_mut::<Parties>() = Parties::load(&header.parties)?;
    let mut sessions = world.resource_mut::<Sessions>();
    sessions.last_epoch = u32::try_from(epoch).unwrap_or(u32::MAX);
    // What became of actions before is in the image, but not which they were.
    sessions.departed.restore(header.ids_highest);
    Ok(())
}

/// Lets game systems find in their first tick what they would have found without the restart.
fn restore_indexes(world: &mut World, found: &[(NetId, Vec3)]) {
    let margin = world.resource::<WorldSettings>().ghost_margin_m;
    with_cells(world, |world, cells| {
        let rows = world.resource::<Rows>();
        for cell in cells.iter_mut() {
            let area = cell.leaf.area;
            let near = found.iter().filter(|(_, place)| area.contains_within(*place, margin));
            let entries = near.filter_map(|&(net_id, position)| {
                Some(IndexEntry { row: rows.row(net_id)?, net_id, position })
            });
            cell.world.resource_mut::<LastIndex>().rebuild(entries);
        }
    });
}

fn load_components(world: &mut World, net_id: NetId, components: &[(usize, Vec<u8>)]) -> Result<(), String> {
    let game = world.resource::<GameOf>().0.clone();
    with_cells(world, |world, cells| {
        world.resource_scope(|_, rows: Mut<Rows>| {
            let row = rows.row(net_id).ok_or("an entity that was just restored has no row")?;
            let cell = cells.at(rows.owner[row.index()]);
            let entity = cell.by_net_id[&net_id];
            let mut entity = cell.world.entity_mut(entity);
            debug_assert!(entity.contains::<Owned>());
            for (kind, saved) in components {
                let kind = &game.kinds[*kind];
                if kind.reach() == Reach::CellLocal {
                    return Err(format!("`{}` is cell-local and cannot be saved", kind.name()));
                }
                let used = kind.load(&mut entity, saved).map_err(|error| error.to_string())?;
                if used != saved.len() {
                    return Err(format!(
                        "`{}` of {net_id} has {} bytes too many",
                        kind.name(),
                        saved.len() - used
                    ));
                }
            }
            // What was hidden by a name that nobody knows any more would be shown to all.
            match entity.get::<Subject>().and_then(|subject| game.unknown_override(subject)) {
                Some(name) => Err(format!(
                    "the subject of {net_id} overrides the policy of `{name}`, which this game does not register: register \
                     it or migrate the save"
                )),
                None => Ok(()),
            }
        })
    })
}
