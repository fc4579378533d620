//! Single moments: what a player is told, and how many bytes that takes, when one thing changes.

mod changes;
mod hidden;
mod losses;
mod sizes;

use bevy_ecs::world::EntityWorldMut;
use terrane::cell::pool::with_cells;
use terrane::client::mirror::MirrorEvent;
use terrane::prelude::*;
use terrane::replication::Rows;
use terrane::replication::policy::Subject;

use crate::game::{self, Plan, alice};
use crate::histories::assert_equal;
use crate::stage::Stage;
use crate::things::{Body, Load};

const HERE: Vec3 = Vec3::new(300.0, 300.0, 0.0);

/// Alice and Bob stand still beside each other, where four cells meet; so does everything else, until it is changed.
fn still(populate: impl Fn(&mut Population<'_>) + Send + Sync + 'static) -> Stage {
    still_where(WorldSettings { grid: [2, 2], ..game::settings(1) }, populate)
}

fn still_where(
    settings: WorldSettings,
    populate: impl Fn(&mut Population<'_>) + Send + Sync + 'static,
) -> Stage {
    let plan = Plan { population: 0, ..Plan::new(1) };
    plan.freeze();
    let game = game::game(&plan).populate(populate).avatars(|request| {
        let place = HERE + Vec3::X * request.player.as_str().len() as f32;
        SpawnRequest::new(NetId(1), place, (Body::default(), Subject::owned_by(request.player.clone())))
    });
    let mut stage = Stage::of(game, plan, settings);
    stage.meddles = false;
    stage.join("alice");
    stage.join("bob");
    for _ in 0..12 {
        stage.tick();
    }
    let schema = stage.schema.clone();
    stage.clients.iter_mut().for_each(|client| drop(client.mirror.drain_events(&schema)));
    stage
}

fn kill(stage: &mut Stage, net_id: NetId) {
    edit(stage, net_id, |entity| {
        let id = entity.id();
        entity.world_scope(|world| world.despawn(id));
    });
}

/// One thing of the population, a step from Alice.
fn with_one(bundle: impl Fn() -> (Body, Load) + Send + Sync + 'static) -> Stage {
    still(move |world| {
        world.spawn(SpawnRequest::new(NetId::WORLD, HERE - Vec3::X, bundle()));
    })
}

fn plain() -> (Body, Load) {
    (Body { mood: 3, ..Body::default() }, Load { weight: 4, stamp: 5 })
}

fn edit(stage: &mut Stage, net_id: NetId, edit: impl FnOnce(&mut EntityWorldMut)) {
    with_cells(stage.server.node_mut(), |world, cells| {
        let rows = world.resource::<Rows>();
        let owner = rows.owner[rows.row(net_id).expect("alive").index()];
        let cell = cells.at(owner);
        let entity = cell.by_net_id[&net_id];
        edit(&mut cell.world.entity_mut(entity));
    });
}

fn change_subject(stage: &mut Stage, net_id: NetId, change: impl FnOnce(&mut Subject)) {
    edit(stage, net_id, |entity| {
        let mut subject = entity.get::<Subject>().cloned().unwrap_or_default();
        change(&mut subject);
        entity.insert(subject);
    });
}

/// Runs a tick after which Alice must hold what is true; gives how many bytes of updates she was sent, and the events.
fn tell(stage: &mut Stage, when: &str) -> (usize, Vec<MirrorEvent>) {
    stage.tick();
    let number = stage.clients.iter().position(|client| client.name == alice()).expect("she is here");
    let schema = stage.schema.clone();
    let drained = stage.clients[number].mirror.drain_events(&schema);
    assert_equal(stage, &stage.held(number), stage.expected(&alice()), when);
    assert_eq!(stage.report.audits.failures, 0, "{when}");
    // What masters are told of the world is not what is looked at.
    let decree = component(stage, "Decree");
    let mut events = drained.events;
    events.retain(|event| {
        let (MirrorEvent::ComponentAdded { component, .. }
        | MirrorEvent::ComponentGranted { component, .. }
        | MirrorEvent::ComponentHidden { component, .. }
        | MirrorEvent::FieldChanged { component, .. }) = event
        else {
            return true;
        };
        *component != decree
    });
    (stage.clients[number].bytes_told(), events)
}

/// Runs a tick in which Alice must be sent nothing at all, and one more.
fn tell_nothing(stage: &mut Stage, when: &str) {
    for _ in 0..2 {
        assert_eq!(tell(stage, when), (0, Vec::new()), "{when}: nothing is sent");
    }
}

fn component(stage: &Stage, name: &str) -> usize {
    stage.schema.component(name).expect("it is registered")
}
