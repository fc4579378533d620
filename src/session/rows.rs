//! What is written of a player's avatar by itself while the player is in the world: the newest rows, as one session knows them.

use crate::cell::persist::{DurabilityClass, PersistedKind};
use crate::cell::registration::Game;
use crate::ids::{NetId, PlayerId};
use crate::players::ComponentRow;

use bevy_ecs::world::EntityRef;

use crate::cell::markers::OwnedData;
use crate::cell::survey::print_of;

/// What the store has, or was last given, of the components of one avatar that are written by themselves.
#[derive(Debug, Default)]
pub struct KeptRows {
    /// The highest version of a row of the player.
    version: u64,
    /// By place in the game's list: the print of what the store has; 0 where it has none, and for what the avatar lacks.
    prints: Vec<u64>,
}

impl KeptRows {
    /// Of a player who comes in: what was written of it so far, and its avatar as that was put together. `is_stored`: the store
    /// has all that the avatar is.
    pub(super) fn of(
        game: &Game,
        rows: &[ComponentRow],
        avatar: NetId,
        entity: &EntityRef<'_>,
        is_stored: bool,
    ) -> Self {
        let version = rows.iter().map(|row| row.version).max().unwrap_or(0);
        let print = |persisted: &PersistedKind| {
            let kind = &game.kinds[persisted.kind];
            let is_known = is_stored || rows.iter().any(|row| row.component == kind.name());
            let mut bytes = Vec::new();
            let is_there = is_known && kind.save(entity, &mut bytes);
            if is_there { print_of(avatar, persisted.kind, &bytes) } else { 0 }
        };
        Self { version, prints: game.persisted().iter().map(print).collect() }
    }

    /// The highest version of a row of the player so far: an image or a profile that is made now is no older than any of them.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The same of a player whose avatar is another one from now on, of which the store has nothing.
    pub(super) fn with_another_avatar(self) -> Self {
        Self { prints: Vec::new(), ..self }
    }

    /// The components of a class that are not what the store was given last, as rows, by name. What changed and is again what
    /// it was needs none. To be called when the cells have followed the tick's changes. O(components of any class), and bytes
    /// of those that changed.
    pub(super) fn take_changed(
        &mut self,
        game: &Game,
        class: DurabilityClass,
        (player, base): (&PlayerId, u64),
        entity: &EntityRef<'_>,
        rows: &mut Vec<ComponentRow>,
    ) {
        let Some(data) = entity.get::<OwnedData>() else { return };
        self.prints.resize(game.persisted().len(), 0);
        for (persisted, kept) in game.persisted().iter().zip(&mut self.prints) {
            let print = data.prints[persisted.kind];
            if persisted.class != class || *kept == print {
                continue;
            }
            *kept = print;
            self.version += 1;
            let kind = &game.kinds[persisted.kind];
            let mut bytes = Vec::new();
            let data = kind.save(entity, &mut bytes).then_some(bytes);
            let (player, component) = (player.clone(), kind.name().to_owned());
            rows.push(ComponentRow { player, component, base, version: self.version, data });
        }
    }
}
