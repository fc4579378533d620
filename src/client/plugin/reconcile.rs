//! Makes the game's world what the newest update shows, and then tells of it.

use bevy_ecs::prelude::{Entity, World};

use crate::ids::NetId;
use crate::replication::Schema;
use crate::space::Position;

use super::client::Client;
use super::entities::{Mirrored, NetIds, OwnAvatar, TargetPosition};
use super::kinds::{Kind, Kinds};
use super::messages::{ComponentNews, Entered, FieldNews, Left};
use super::told::{EntityPlan, Plan, Presence, Told};

/// The messages of one update, written once everything is in place: whoever reads one sees the world it tells of.
#[derive(Default)]
struct News {
    left: Vec<Left>,
    entered: Vec<Entered>,
    components: Vec<ComponentNews>,
    fields: Vec<FieldNews>,
    undecodable: u64,
}

pub(super) fn reconcile(world: &mut World) {
    let Some((plan, schema, kinds)) = make_plan(world) else { return };
    let mut news = News::default();
    let avatar = world.resource::<Client>().avatar();
    for part in plan.globals.iter().flat_map(|global| &global.components) {
        if let Some(kind) = &kinds[part.component] {
            let applied = kind.apply_global(world, &part.is);
            news.undecodable += u64::from(applied.missing) + applied.unread.len() as u64;
        }
    }
    for net_id in plan.left {
        leave(world, net_id, &mut news);
    }
    for entered in &plan.entered {
        enter(world, entered, avatar, &schema, &kinds, &mut news);
    }
    for stayed in &plan.stayed {
        // Not there when the game despawned it.
        if let Some(entity) = world.resource::<NetIds>().entity(stayed.net_id) {
            change(world, entity, stayed, &schema, &kinds, &mut news);
        }
    }
    world.resource_mut::<Client>().count_undecodable(news.undecodable);
    world.write_message_batch(news.left);
    world.write_message_batch(news.entered);
    world.write_message_batch(news.components);
    world.write_message_batch(news.fields);
}

/// What differs; `None` when nothing can.
fn make_plan(world: &mut World) -> Option<(Plan, std::sync::Arc<Schema>, Vec<Option<Kind>>)> {
    let schema = world.resource::<Client>().player().schema().clone();
    let wanted = world.resource_mut::<Kinds>().wanted(&schema);
    world.resource_mut::<Client>().player_mut().view_mut().forget_events();
    world.resource_scope(|world, mut told: bevy_ecs::world::Mut<Told>| {
        let player = world.resource::<Client>().player();
        let (session, counts) = (player.connection().epoch(), player.counts());
        if !told.is_behind(session, counts.updates, counts.records) {
            return None;
        }
        let plan = told.plan(&schema, player.view(), wanted);
        Some((plan, schema, world.resource::<Kinds>().by_component().to_vec()))
    })
}

fn leave(world: &mut World, net_id: NetId, news: &mut News) {
    // One that the game despawned has no entity to tell of.
    let Some(entity) = world.resource::<NetIds>().entity(net_id) else { return };
    world.despawn(entity);
    news.left.push(Left { entity, net_id });
}

fn enter(
    world: &mut World,
    plan: &EntityPlan,
    avatar: Option<NetId>,
    schema: &Schema,
    kinds: &[Option<Kind>],
    news: &mut News,
) {
    let net_id = plan.net_id;
    let place = plan.lattice.expect("who enters is somewhere").to_place();
    let entity = world.spawn((net_id, Mirrored, Position(place), TargetPosition(place))).id();
    // Observers of the game may despawn it at once.
    let Ok(mut entity_mut) = world.get_entity_mut(entity) else { return };
    if avatar == Some(net_id) {
        entity_mut.insert(OwnAvatar);
    }
    world.resource_mut::<NetIds>().insert(net_id, entity);
    change(world, entity, plan, schema, kinds, news);
    news.entered.push(Entered { entity, net_id });
}

fn change(
    world: &mut World,
    entity: Entity,
    plan: &EntityPlan,
    schema: &Schema,
    kinds: &[Option<Kind>],
    news: &mut News,
) {
    let net_id = plan.net_id;
    for part in &plan.components {
        let Ok(mut entity_mut) = world.get_entity_mut(entity) else { return };
        let Some(kind) = &kinds[part.component] else { continue };
        let component = kind.name;
        let applied = kind.apply(&mut entity_mut, &part.is);
        news.undecodable += u64::from(applied.missing) + applied.unread.len() as u64;
        if let Some(change) = part.change.filter(|_| !applied.missing) {
            news.components.push(ComponentNews { entity, net_id, component, change });
        }
        let Presence::Fields(fields) = &part.is else { continue };
        let names = &schema.components[part.component].sent;
        for &(field, _, change) in fields {
            if !applied.unread.contains(&field) {
                let field = names[field].name;
                news.fields.push(FieldNews { entity, net_id, component, field, change });
            }
        }
    }
    if let Ok(mut entity_mut) = world.get_entity_mut(entity)
        && let Some(lattice) = plan.lattice
        && let Some(mut target) = entity_mut.get_mut::<TargetPosition>()
    {
        *target = TargetPosition(lattice.to_place());
    }
}
