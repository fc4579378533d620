//! How many bytes the fields of a saved world take.

use std::cell::Cell as Shared;

use bevy_ecs::prelude::World;
use bevy_ecs::world::EntityRef;

use crate::cell::kinds::{ComponentKind, Reach, SUBJECT_KIND};
use crate::cell::registration::Game;
use crate::ids::{NetId, PlayerId, Role};
use crate::replication::FieldWriter;
use crate::replication::field::{FieldSpec, FieldWire, prefixed_length, prefixed_payload};
use crate::replication::policy::{Depends, Permissions, Shown, Subject, ViewerContext, Viewing};
use crate::replication::view::PersonalValues;

use super::super::image;
use super::super::io::WorldImage;
use super::{ComponentRules, FieldRules, Measured, MeasuredWorld, Rules};

/// Measures every component of every entity of an image, and the node-wide state in it.
///
/// A personal field counts as its owner is told it, with the highest role, every permission, and in the party and team
/// of the entity; where even that player is not, it does not count.
pub(in crate::server) fn measure(
    rules: &mut Rules,
    game: &Game,
    globals: &[Box<dyn ComponentKind>],
    image: &WorldImage,
) -> Result<(), String> {
    // Entities are put together in a world of their own, one after the other.
    let mut scratch = World::new();
    let mut entities = 0;
    let saved = image::visit(image, game, |saved| {
        entities += 1;
        let mut entity = scratch.spawn_empty();
        for (kind, bytes) in &saved.components {
            game.kinds[*kind].load(&mut entity, bytes).map_err(|error| error.to_string())?;
        }
        let id = entity.id();
        let entity = EntityRef::from(&entity);
        let subject = entity.get::<Subject>().cloned().unwrap_or_default();
        debug_assert!(game.kinds[SUBJECT_KIND].is_on(&entity) || subject.is_plain());
        for kind in &game.kinds {
            if let Reach::Replicated(index) = kind.reach()
                && kind.is_on(&entity)
            {
                let specs = &game.schema.components[index].sent;
                measure_one(&mut rules.components[index], specs, &**kind, &entity, saved.net_id, &subject);
            }
        }
        scratch.despawn(id);
        Ok(())
    })?;
    let first = game.schema.components.len() - globals.len();
    for (name, bytes) in &saved {
        let Some(place) = globals.iter().position(|kind| kind.name() == name) else {
            return Err(format!("it holds node-wide state `{name}`, which this game does not register"));
        };
        let kind = &globals[place];
        let mut entity = scratch.spawn_empty();
        kind.load(&mut entity, bytes).map_err(|error| error.to_string())?;
        let (component, specs) =
            (&mut rules.components[first + place], &game.schema.components[first + place].sent);
        let subject = Subject::default();
        // It stays: what is a resource is not taken off an entity like any other component.
        measure_one(component, specs, &**kind, &EntityRef::from(&entity), NetId::WORLD, &subject);
    }
    rules.measured = Some(MeasuredWorld { tick: image.tick.0, entities });
    Ok(())
}

/// Who may see most of an entity.
fn best_informed(subject: &Subject) -> ViewerContext {
    let nobody = || PlayerId::new("nobody").expect("a short name");
    let mut viewer = ViewerContext::new(subject.owner().cloned().unwrap_or_else(nobody), Role::Admin);
    viewer.set_party(subject.party());
    viewer.set_team(subject.team());
    viewer.set_permissions(Permissions(u64::MAX));
    viewer
}

fn measure_one(
    component: &mut ComponentRules,
    specs: &[FieldSpec],
    kind: &dyn ComponentKind,
    entity: &EntityRef<'_>,
    net_id: NetId,
    subject: &Subject,
) {
    let mut writer = FieldWriter::default();
    kind.encode_sent(entity, &mut writer);
    let viewer = best_informed(subject);
    let reads = Shared::new(Depends::NONE);
    let viewing = Viewing::new(&viewer, net_id, subject, &reads);
    let (mut begin, mut all) = (0, 0);
    for (number, (spec, &end)) in specs.iter().zip(&writer.ends).enumerate() {
        let wire = &writer.bytes[begin..usize::from(end)];
        begin = usize::from(end);
        let field = component.fields.iter_mut().find(|field| field.name == spec.name);
        let field: &mut FieldRules = field.expect("a sent field is a field");
        let measured = field.measured.get_or_insert_default();
        let bytes = match (spec.personal, spec.wire) {
            (true, _) => {
                let mut values = PersonalValues::default();
                kind.encode_personal(entity, 1 << number, &viewing, &mut values);
                match values.fields[0].shown {
                    Shown::Visible => Ok(values.payload_of(&values.fields[0]).len()),
                    Shown::Hidden => continue,
                    Shown::TooLong | Shown::CutShort => Err(()),
                }
            }
            (false, FieldWire::Prefixed) => prefixed_payload(wire).ok().flatten().map(<[u8]>::len).ok_or(()),
            (false, FieldWire::Fixed(_) | FieldWire::Varint) => Ok(wire.len()),
        };
        match bytes {
            Ok(bytes) => {
                measured.add(bytes);
                all += if spec.wire == FieldWire::Prefixed { prefixed_length(bytes) } else { bytes };
            }
            Err(()) => measured.too_long += 1,
        }
    }
    component.measured.get_or_insert_with(Measured::default).add(all);
}
