//! Avatars as bytes: what a player leaves behind when it goes, and is given back when it comes.
//!
//! | when | where the avatar is |
//! |---|---|
//! | its player is in the world | in the world, and in every image |
//! | its player left | in the player's profile |
//! | the world crashed while its player was in it | in the newest image, and from the next start on in the player's profile; what came after that image is lost |
//!
//! An image names with each avatar the version of the profile that its session rests on: a profile that has another one
//! was saved after the image, and counts. Components that say so are written by themselves too, as rows that rest on the
//! profile in the same way: what is newer than profile and image is laid over them.

use std::any::TypeId;
use std::collections::BTreeMap;

use bevy_ecs::prelude::{Mut, Resource, World};
use bevy_ecs::world::EntityWorldMut;
use glam::Vec3;
use serde::{Deserialize, Serialize};

use crate::cell::attached::Attached;
use crate::cell::kinds::{ComponentKind, Reach};
use crate::cell::partition::{despawn_now, spawn_now};
use crate::cell::pool::{Cells, with_cells};
use crate::cell::registration::Game;
use crate::ids::{NetId, PlayerId};
use crate::players::{ComponentRow, PlayerRequest, Profile, ProfileSave};
use crate::protocol::codec;
use crate::replication::Rows;
use crate::replication::policy::Subject;
use crate::server::GameOf;
use crate::server::io::OutputSoFar;
use crate::space::Position;

use super::rows::KeptRows;
use super::{AvatarRecipe, AvatarRequest};

/// The form of the bytes, their first: raised when it changes.
const FORM: u8 = 1;

/// Most bytes of one avatar.
const AVATAR_BYTES_MAX: usize = 1 << 24;

/// An avatar as it is saved. Kinds are named, so a game may add and reorder them.
#[derive(Debug, Serialize, Deserialize)]
struct SavedAvatar {
    class: u8,
    position: [f32; 3],
    components: Vec<(String, Vec<u8>)>,
}

/// What an image holds of a player who was in the world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbsentPlayer {
    /// The version of the profile that its session rested on.
    pub version: u64,
    /// When it was first seen, milliseconds since 1970.
    pub first_seen_ms: u64,
    /// When the image was made: then it was last seen.
    pub seen_ms: u64,
    /// Its avatar; `None` when it had none.
    pub avatar: Option<Vec<u8>>,
    /// The highest version of a row that the avatar is no older than. Not among the bytes of older images, so images hold
    /// it apart.
    #[serde(skip)]
    pub rows: u64,
}

/// Players who were in the world when the image was made that it was restored from. The first tick hands them on to whoever
/// keeps players: an image would otherwise hold for ever who never comes back.
#[derive(Resource, Debug, Default)]
pub struct Absent(pub(crate) BTreeMap<PlayerId, AbsentPlayer>);

/// What an image held of players becomes their profiles. Where one was saved after the image, that one stays.
pub(super) fn keep_absent(world: &mut World) {
    if world.resource::<Absent>().0.is_empty() {
        return;
    }
    let absent = std::mem::take(&mut world.resource_mut::<Absent>().0);
    let saves = absent.into_iter().map(|(player, left)| {
        let profile = Profile {
            version: left.version,
            first_seen_ms: left.first_seen_ms,
            last_seen_ms: left.seen_ms,
            avatar: left.avatar,
        };
        PlayerRequest::Save(ProfileSave { player, profile, is_of_image: true, rows: left.rows })
    });
    world.resource_mut::<OutputSoFar>().players.extend(saves);
}

/// The saved form of an avatar; `None` when it is not alive. Whatever it was attached to is left out: nobody knows where
/// that is when the player comes back.
pub(crate) fn save_avatar(game: &Game, rows: &Rows, cells: &Cells, avatar: NetId) -> Option<Vec<u8>> {
    let row = rows.row(avatar)?;
    let cell = cells.get(rows.owner[row.index()])?;
    let entity = cell.world.get_entity(*cell.by_net_id.get(&avatar)?).ok()?;
    let mut components = Vec::new();
    for kind in game.kinds.iter().filter(|kind| kind.type_id() != TypeId::of::<Attached>()) {
        let mut bytes = Vec::new();
        if kind.save(&entity, &mut bytes) {
            components.push((kind.name().to_owned(), bytes));
        }
    }
    let position = entity.get::<Position>()?.0.to_array();
    let mut bytes = vec![FORM];
    codec::encode_into(&SavedAvatar { class: rows.class[row.index()], position, components }, &mut bytes);
    Some(bytes)
}

/// As [`save_avatar`], from a node system.
pub(super) fn save_avatar_of(world: &mut World, avatar: NetId) -> Option<Vec<u8>> {
    let game = world.resource::<GameOf>().0.clone();
    with_cells(world, |world, cells| save_avatar(&game, world.resource::<Rows>(), cells, avatar))
}

fn read(bytes: &[u8], game: &Game) -> Result<(SavedAvatar, Vec<usize>), String> {
    match bytes.split_first() {
        Some((&FORM, rest)) => {
            let saved: SavedAvatar = codec::decode::<_, AVATAR_BYTES_MAX>("saved avatar", rest)
                .map_err(|error| error.to_string())?;
            if !Vec3::from_array(saved.position).is_finite() {
                return Err("its position is not finite".into());
            }
            let mut kinds = Vec::new();
            for (name, _) in &saved.components {
                kinds.push(kind_of(game, name)?);
            }
            Ok((saved, kinds))
        }
        Some((form, _)) => Err(format!("it is in form {form}, and this program knows form {FORM}")),
        None => Err("it is empty".into()),
    }
}

/// Brings an avatar into the world: what the game's recipe makes, over it everything of `saved`, where there is one, and over
/// that the rows. `None` when the game makes none; with it what the store has of it.
///
/// # Errors
/// When what is saved cannot be read: then nothing of it is in the world.
pub(super) fn make_avatar(
    world: &mut World,
    request: &AvatarRequest,
    saved: Option<&[u8]>,
    rows: &[ComponentRow],
) -> Result<Option<(NetId, KeptRows)>, String> {
    let Some(recipe) = world.get_resource::<AvatarRecipe>().cloned() else { return Ok(None) };
    let mut spawn = (recipe.0)(request);
    let game = world.resource::<GameOf>().0.clone();
    let saved = saved.map(|saved| read(saved, &game)).transpose()?;
    let row_kinds: Vec<usize> =
        rows.iter().map(|row| kind_of(&game, &row.component)).collect::<Result<_, _>>()?;
    if let Some((saved, _)) = &saved {
        (spawn.class, spawn.position) = (saved.class, Vec3::from_array(saved.position));
    }
    let Some(net_id) = spawn_now(world, spawn) else { return Ok(None) };
    let loaded = with_cells(world, |world, cells| {
        world.resource_scope(|_, of_rows: Mut<Rows>| {
            let row = of_rows.row(net_id).expect("it was just spawned");
            let cell = cells.at(of_rows.owner[row.index()]);
            let entity = cell.by_net_id[&net_id];
            let mut entity = cell.world.entity_mut(entity);
            if let Some((saved, kinds)) = &saved {
                for (&kind, (_, bytes)) in kinds.iter().zip(&saved.components) {
                    load_one(&mut entity, &*game.kinds[kind], bytes)?;
                }
                // What it had lost must not come back with the recipe.
                for (index, kind) in game.kinds.iter().enumerate() {
                    if kind.reach() != Reach::CellLocal && !kinds.contains(&index) {
                        kind.remove(&mut entity);
                    }
                }
            }
            for (&kind, row) in row_kinds.iter().zip(rows) {
                match &row.data {
                    Some(bytes) => load_one(&mut entity, &*game.kinds[kind], bytes)?,
                    None => game.kinds[kind].remove(&mut entity),
                }
            }
            if let Some(mut subject) = entity.get_mut::<Subject>()
                && saved.is_some()
            {
                if let Some(name) = game.unknown_override(&subject) {
                    return Err(format!(
                        "it overrides the policy of `{name}`, which this game does not register"
                    ));
                }
                // Its player comes without one.
                subject.set_party(None);
            }
            let entity = cell.world.entity(cell.by_net_id[&net_id]);
            Ok(KeptRows::of(&game, rows, net_id, &entity, saved.is_some()))
        })
    });
    match loaded {
        Ok(kept) => Ok(Some((net_id, kept))),
        Err(error) => {
            despawn_now(world, net_id);
            Err(error)
        }
    }
}

fn kind_of(game: &Game, name: &str) -> Result<usize, String> {
    let kind = game.kinds.iter().position(|kind| kind.name() == name);
    kind.ok_or_else(|| format!("it holds components `{name}`, which this game does not register"))
}

fn load_one(entity: &mut EntityWorldMut<'_>, kind: &dyn ComponentKind, bytes: &[u8]) -> Result<(), String> {
    let name = kind.name();
    if kind.reach() == Reach::CellLocal {
        return Err(format!("`{name}` is cell-local now and cannot be loaded"));
    }
    let used = kind.load(entity, bytes).map_err(|error| error.to_string())?;
    match bytes.len() - used {
        0 => Ok(()),
        surplus => Err(format!("`{name}` has {surplus} bytes too many")),
    }
}
