//! The components that a game's `App` mirrors: bytes of a component's fields to the component.

use bevy_ecs::change_detection::DetectChangesMut;
use bevy_ecs::prelude::{EntityWorldMut, Resource, World};

use crate::protocol::codec::DecodeError;
use crate::replication::{FieldSpec, Replicate, Schema};

use super::globals;
use super::hidden::{Hidden, HiddenParts};
use super::told::Presence;

/// What the game asked for.
#[derive(Resource, Debug, Default)]
pub(super) struct Kinds {
    asked: Vec<Kind>,
    /// By index in the schema, once that is known.
    by_component: Vec<Option<Kind>>,
    wanted: u64,
    resolved: bool,
}

/// One mirrored component type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    fields: &'static [FieldSpec],
    to: To,
}

/// Where a value goes.
#[derive(Clone, Copy, Debug)]
enum To {
    Entity(fn(&mut EntityWorldMut<'_>, &Presence) -> Applied),
    Global(fn(&mut World, &Presence) -> Applied),
}

/// What came of a change to a component.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// The fields whose bytes are no value of theirs, or whose component is not there.
    pub(super) unread: Vec<usize>,
    /// The component is to be there and is not.
    pub(super) missing: bool,
}

impl Kinds {
    pub(super) fn add<C: Replicate>(&mut self) {
        self.push::<C>(To::Entity(apply::<C>));
    }

    pub(super) fn add_global<G: Replicate>(&mut self) {
        self.push::<G>(To::Global(globals::apply::<G>));
    }

    fn push<C: Replicate>(&mut self, to: To) {
        assert!(
            !self.resolved,
            "{}: call it before the App's first update",
            call(&to, C::NAME, "comes too late")
        );
        if self.asked.iter().all(|kind| kind.name != C::NAME) {
            self.asked.push(Kind { name: C::NAME, fields: C::FIELDS, to });
        }
    }

    /// The set of components that are mirrored; the first call finds them in the schema.
    ///
    /// # Panics
    /// When the schema does not have one, or not as what it was asked for.
    pub(super) fn wanted(&mut self, schema: &Schema) -> u64 {
        if !self.resolved {
            self.resolved = true;
            self.by_component = vec![None; schema.components.len()];
            for kind in &self.asked {
                let wrong = |what: &str| -> ! { panic!("{}", call(&kind.to, kind.name, what)) };
                let Some(index) = schema.component(kind.name) else {
                    wrong("the world does not replicate it: its plugins must")
                };
                if schema.components[index].fields != kind.fields {
                    wrong("the world replicates another type of that name");
                }
                match (kind.to, schema.globals >> index & 1 == 1) {
                    (To::Entity(_), true) => wrong("it is node-wide state: call mirror_global"),
                    (To::Global(_), false) => wrong("it is a component of entities: call mirror"),
                    _ => {}
                }
                self.by_component[index] = Some(*kind);
                self.wanted |= 1 << index;
            }
        }
        self.wanted
    }

    /// The mirrored components by index in the schema.
    pub(super) fn by_component(&self) -> &[Option<Kind>] {
        &self.by_component
    }
}

impl Kind {
    /// Makes the component of an entity what it is from now on.
    pub(super) fn apply(&self, entity: &mut EntityWorldMut<'_>, is: &Presence) -> Applied {
        match self.to {
            To::Entity(apply) => apply(entity, is),
            To::Global(_) => Applied::default(),
        }
    }

    /// Makes node-wide state what it is from now on.
    pub(super) fn apply_global(&self, world: &mut World, is: &Presence) -> Applied {
        match self.to {
            To::Entity(_) => Applied::default(),
            To::Global(apply) => apply(world, is),
        }
    }
}

/// A call of the game's that is wrong, in words.
fn call(to: &To, name: &str, what: &str) -> String {
    let function = if matches!(to, To::Global(_)) { "mirror_global" } else { "mirror" };
    format!("{function}::<{name}>(): {what}")
}

fn apply<C: Replicate>(entity: &mut EntityWorldMut<'_>, is: &Presence) -> Applied {
    let mut applied = Applied::default();
    match is {
        Presence::Gone => {
            entity.remove::<(C, Hidden<C>)>();
        }
        Presence::Withdrawn => {
            entity.remove::<C>();
            set_hidden::<C>(entity, HiddenParts { whole: true, ..HiddenParts::default() });
        }
        Presence::Whole(fields) => match read_whole::<C>(fields) {
            Ok((value, hidden)) => {
                set_hidden::<C>(entity, hidden);
                entity.insert(value);
            }
            Err(_) => {
                entity.remove::<(C, Hidden<C>)>();
                applied.missing = true;
            }
        },
        Presence::Fields(fields) => {
            let mut hidden =
                entity.get::<Hidden<C>>().map_or_else(HiddenParts::default, |it| it.parts().clone());
            let Some(mut value) = entity.get_mut::<C>() else {
                // It could not be read when it came, or the game has taken it away: fields alone do not make it.
                applied.unread.extend(fields.iter().map(|(field, ..)| *field));
                return applied;
            };
            for (field, bytes, _) in fields {
                match read_field(value.bypass_change_detection(), *field, bytes) {
                    Ok(paths) => hidden.set_field(*field, paths),
                    Err(_) => applied.unread.push(*field),
                }
            }
            if applied.unread.len() < fields.len() {
                value.set_changed();
                set_hidden::<C>(entity, hidden);
            }
        }
    }
    applied
}

pub(super) fn read_whole<C: Replicate>(
    fields: &[(usize, Box<[u8]>)],
) -> Result<(C, HiddenParts), DecodeError> {
    let (mut value, mut hidden) = (C::default(), HiddenParts::default());
    for (field, bytes) in fields {
        hidden.set_field(*field, read_field(&mut value, *field, bytes)?);
    }
    Ok((value, hidden))
}

/// Sets a field and gives the paths of what is hidden of it.
pub(super) fn read_field<C: Replicate>(
    value: &mut C,
    field: usize,
    bytes: &[u8],
) -> Result<Vec<String>, DecodeError> {
    let paths = C::hidden_paths(field, bytes)?;
    value.decode_sent(field, bytes)?;
    Ok(paths)
}

/// Touches it only when something else is hidden now, so that a game may react to changes.
fn set_hidden<C: Replicate>(entity: &mut EntityWorldMut<'_>, parts: HiddenParts) {
    if parts.is_empty() {
        if entity.contains::<Hidden<C>>() {
            entity.remove::<Hidden<C>>();
        }
    } else if entity.get::<Hidden<C>>().is_none_or(|hidden| *hidden.parts() != parts) {
        entity.insert(Hidden::<C>::new(parts));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bevy_ecs::prelude::{Component, World};

    use crate::client::plugin::messages::FieldChange;

    #[derive(Component, Clone, Debug, Default, PartialEq, terrane_macros::Replicate)]
    struct Sign {
        #[sync(broadcast)]
        text: String,
        #[sync(broadcast)]
        size: u32,
    }

    /// The length prefix is right, the text is none.
    const NO_TEXT: [u8; 3] = [3, 1, 0xff];

    fn bytes(bytes: &[u8]) -> Box<[u8]> {
        bytes.into()
    }

    #[test]
    fn bytes_that_are_no_value_leave_what_was_there_and_are_counted() {
        let mut world = World::new();
        let mut entity = world.spawn_empty();
        let whole = Presence::Whole(vec![(0, bytes(&NO_TEXT)), (1, bytes(&[7]))]);
        assert!(apply::<Sign>(&mut entity, &whole).missing);
        assert!(!entity.contains::<Sign>(), "half a component is none");
        let fields = Presence::Fields(vec![(1, bytes(&[8]), FieldChange::Changed)]);
        assert_eq!(apply::<Sign>(&mut entity, &fields).unread, [1], "and fields do not make it one");

        let whole = Presence::Whole(vec![(0, bytes(&[3, 1, b'a'])), (1, bytes(&[7]))]);
        assert!(!apply::<Sign>(&mut entity, &whole).missing);
        let fields = vec![(0, bytes(&NO_TEXT), FieldChange::Changed), (1, bytes(&[8]), FieldChange::Changed)];
        assert_eq!(apply::<Sign>(&mut entity, &Presence::Fields(fields)).unread, [0]);
        assert_eq!(entity.get::<Sign>(), Some(&Sign { text: "a".into(), size: 8 }));
    }

    #[test]
    fn what_is_hidden_stands_beside_the_component_and_goes_with_it() {
        let mut world = World::new();
        let mut entity = world.spawn_empty();
        let hides = |entity: &EntityWorldMut<'_>, path: &str| {
            entity.get::<Hidden<Sign>>().is_some_and(|hidden| hidden.hides(path))
        };
        apply::<Sign>(&mut entity, &Presence::Whole(vec![(0, bytes(&[0])), (1, bytes(&[7]))]));
        assert!(hides(&entity, "text") && hides(&entity, "text.first") && !hides(&entity, "texture"));
        let granted = vec![(0, bytes(&[3, 1, b'a']), FieldChange::Granted)];
        apply::<Sign>(&mut entity, &Presence::Fields(granted));
        assert!(!entity.contains::<Hidden<Sign>>(), "nothing is hidden any longer");
        apply::<Sign>(&mut entity, &Presence::Withdrawn);
        assert!(!entity.contains::<Sign>() && hides(&entity, "size"), "all of it");
        apply::<Sign>(&mut entity, &Presence::Gone);
        assert!(!entity.contains::<Hidden<Sign>>());
    }
}
