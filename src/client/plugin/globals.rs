//! Node-wide state in the game's `App`: one resource for each.

use bevy_ecs::change_detection::DetectChangesMut;
use bevy_ecs::prelude::{Resource, World};

use crate::replication::Replicate;

use super::hidden::HiddenParts;
use super::kinds::{Applied, read_field, read_whole};
use super::told::Presence;

/// Node-wide state as this player may see it: `Res<Global<Market>>`, there from the start after
/// [`mirror_global`](super::ClientAppExt::mirror_global). It changes, as bevy counts changes, when what is seen does.
#[derive(Resource)]
pub struct Global<G: Replicate> {
    value: Option<G>,
    hidden: HiddenParts,
}

impl<G: Replicate> Default for Global<G> {
    fn default() -> Self {
        Self { value: None, hidden: HiddenParts::default() }
    }
}

impl<G: Replicate> Global<G> {
    /// The state, with what is hidden at its default; `None` before it has come, or while all of it is hidden. When the
    /// connection ends it stays as it was.
    #[must_use]
    pub fn get(&self) -> Option<&G> {
        self.value.as_ref()
    }

    /// Whether a field, or a part of one, is hidden: see [`Hidden::hides`](super::Hidden::hides).
    #[must_use]
    pub fn hides(&self, path: &str) -> bool {
        self.hidden.hides(path)
    }

    /// The paths of what is hidden.
    pub fn hidden_paths(&self) -> impl Iterator<Item = &str> + '_ {
        self.hidden.paths()
    }
}

impl<G: Replicate> std::fmt::Debug for Global<G> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (is_known, hidden) = (self.value.is_some(), &self.hidden);
        f.debug_struct("Global")
            .field("of", &G::NAME)
            .field("is_known", &is_known)
            .field("hidden", hidden)
            .finish()
    }
}

pub(super) fn apply<G: Replicate>(world: &mut World, is: &Presence) -> Applied {
    let mut applied = Applied::default();
    let mut global = world.resource_mut::<Global<G>>();
    let now = match is {
        Presence::Gone => Global::default(),
        Presence::Withdrawn => {
            Global { value: None, hidden: HiddenParts { whole: true, ..HiddenParts::default() } }
        }
        Presence::Whole(fields) => match read_whole::<G>(fields) {
            Ok((value, hidden)) => Global { value: Some(value), hidden },
            Err(_) => {
                applied.missing = true;
                Global::default()
            }
        },
        Presence::Fields(fields) => {
            let Global { value: Some(value), hidden } = global.bypass_change_detection() else {
                applied.unread.extend(fields.iter().map(|(field, ..)| *field));
                return applied;
            };
            for (field, bytes, _) in fields {
                match read_field(value, *field, bytes) {
                    Ok(paths) => hidden.set_field(*field, paths),
                    Err(_) => applied.unread.push(*field),
                }
            }
            if applied.unread.len() < fields.len() {
                global.set_changed();
            }
            return applied;
        }
    };
    *global = now;
    applied
}
