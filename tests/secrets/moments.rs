//! Single moments: what a player is told, and how many bytes that takes, when one thing changes.

use bevy_ecs::world::EntityWorldMut;
use terrane::cell::pool::with_cells;
use terrane::client::mirror::MirrorEvent;
use terrane::ids::{PartyId, TeamId};
use terrane::prelude::*;
use terrane::replication::Rows;
use terrane::replication::policy::{ComponentRule, Subject};
use terrane::session::Sessions;

use crate::game::{self, Plan, alice, name_of};
use crate::histories::assert_equal;
use crate::stage::{Network, Stage};
use crate::things::{Body, Camp, Fate, Load, Orders, Plot, Vault};

const HERE: Vec3 = Vec3::new(300.0, 300.0, 0.0);

/// Alice and Bob stand still beside each other, where four cells meet; so does everything else, until it is changed.
fn still(populate: impl Fn(&mut Population<'_>) + Send + Sync + 'static) -> Stage {
    let plan = Plan { population: 0, ..Plan::new(1) };
    plan.freeze();
    let game = game::game(&plan).populate(populate).avatars(|request| {
        let place = HERE + Vec3::X * request.player.as_str().len() as f32;
        SpawnRequest::new(NetId(1), place, (Body::default(), Subject::owned_by(request.player.clone())))
    });
    let mut stage = Stage::of(game, plan, WorldSettings { grid: [2, 2], ..game::settings(1) });
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
    (stage.clients[number].sent.iter().map(Vec::len).sum(), drained.events)
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

/// B9, B12: what changes for others, or comes to the same for this viewer, costs no byte.
#[test]
fn a_change_that_leaves_the_viewers_value_equal_sends_nothing() {
    let mut stage = with_one(plain);
    let one = name_of(1);
    let bob = PlayerId::new("bob").expect("a name");
    edit(&mut stage, one, |entity| {
        entity.insert(Camp { purse: 1_234, omen: 1 << 17, ..Camp::default() });
    });
    let (sent, _) = tell(&mut stage, "a camp comes");
    assert!(sent > 0);
    tell_nothing(&mut stage, "nothing happens");
    type Change = Box<dyn Fn(&mut Camp)>;
    let changes: Vec<(&str, Change)> = vec![
        ("what is not for her by name", Box::new(|camp| camp.omen = 7 << 17)),
        (
            "what only Bob's slice holds",
            Box::new(move |camp| {
                camp.shares.insert(bob.clone(), 77);
            }),
        ),
        ("what is masked away", Box::new(|camp| camp.purse = 1_299)),
        ("what nobody is sent", Box::new(|camp| camp.seed = 99)),
        ("what her team does not share", Box::new(|camp| camp.password = (5, vec![name_of(1)]))),
        ("nothing, though it is written", Box::new(|_| {})),
    ];
    for (what, change) in changes {
        edit(&mut stage, one, |entity| change(&mut entity.get_mut::<Camp>().expect("it has one")));
        tell_nothing(&mut stage, what);
    }
    // What policies go by changes, and what they say does not.
    let subjects: [(&str, fn(&mut Subject)); 5] = [
        ("it becomes Bob's", |subject| subject.set_owner(PlayerId::new("bob").ok())),
        ("it joins a party that is not hers", |subject| subject.set_party(Some(PartyId(9)))),
        ("it joins a team that is not hers", |subject| subject.set_team(Some(TeamId(9)))),
        ("it is hidden from Bob", |subject| {
            subject.set_hidden_from(PlayerId::new("bob").expect("a name"), true);
        }),
        ("everybody may see its load, as before", |subject| {
            subject.override_component("Load", Some(ComponentRule::Everyone));
        }),
    ];
    for (what, change) in subjects {
        change_subject(&mut stage, one, change);
        tell_nothing(&mut stage, what);
    }
    let mut sessions = stage.server.node_mut().resource_mut::<Sessions>();
    for session in sessions.iter_mut() {
        let number = session.player.as_str().len() as u64;
        session.context.set_party(Some(PartyId(number)));
        session.context.set_team(Some(TeamId(number as u32)));
        session.context.set_role(Role::Gm);
    }
    let (_, events) = tell(&mut stage, "roles and parties that change nothing");
    assert_eq!(events, []);
}

/// B12: a grant brings the value in the update of the very tick, and it goes as fast.
#[test]
fn what_is_granted_arrives_in_the_same_tick_and_what_is_hidden_goes_in_it() {
    let mut stage = with_one(plain);
    let (one, camp, field) = (name_of(1), component(&stage, "Camp"), 4);
    edit(&mut stage, one, |entity| {
        // Only the owner may see a rumour that is divisible by eight.
        entity.insert((Camp { rumour: 8_008, ..Camp::default() }, Subject::default()));
    });
    tell(&mut stage, "a camp comes");
    for turn in 0..3 {
        change_subject(&mut stage, one, |subject| subject.set_owner(Some(alice())));
        let (sent, events) = tell(&mut stage, "it becomes hers");
        assert!(
            events.contains(&MirrorEvent::FieldGranted { net_id: one, component: camp, field }),
            "{events:?}"
        );
        assert!((1..60).contains(&sent), "turn {turn}: {sent} bytes for one field of a few bytes");
        tell_nothing(&mut stage, "nothing happens");
        change_subject(&mut stage, one, |subject| subject.set_owner(None));
        let (_, events) = tell(&mut stage, "it is nobody's");
        assert!(
            events.contains(&MirrorEvent::FieldHidden { net_id: one, component: camp, field }),
            "{events:?}"
        );
        tell_nothing(&mut stage, "nothing happens");
    }
}

/// B12: hidden, granted, removed and added are four things.
#[test]
fn a_component_is_hidden_granted_removed_and_added() {
    let mut stage = with_one(plain);
    let (one, load) = (name_of(1), component(&stage, "Load"));
    let hide = |subject: &mut Subject| subject.override_component("Load", Some(ComponentRule::Nobody));
    let show = |subject: &mut Subject| subject.override_component("Load", None);
    change_subject(&mut stage, one, hide);
    let (_, events) = tell(&mut stage, "its load is hidden");
    assert_eq!(events, [MirrorEvent::ComponentHidden { net_id: one, component: load }]);
    // What becomes of it meanwhile is not told.
    edit(&mut stage, one, |entity| {
        entity.remove::<Load>();
    });
    tell_nothing(&mut stage, "the hidden load is taken away");
    edit(&mut stage, one, |entity| {
        entity.insert(Load { weight: 9, stamp: 1 });
    });
    tell_nothing(&mut stage, "another load comes, hidden");
    change_subject(&mut stage, one, show);
    let (_, events) = tell(&mut stage, "its load is shown");
    assert_eq!(events[0], MirrorEvent::ComponentGranted { net_id: one, component: load });
    edit(&mut stage, one, |entity| {
        entity.remove::<Load>();
    });
    let (_, events) = tell(&mut stage, "its load is taken away");
    assert_eq!(events, [MirrorEvent::ComponentRemoved { net_id: one, component: load }]);
    edit(&mut stage, one, |entity| {
        entity.insert(Load::default());
    });
    let (_, events) = tell(&mut stage, "a load comes");
    assert_eq!(events[0], MirrorEvent::ComponentAdded { net_id: one, component: load });
}

/// B16: an entity of which Alice was told all is not told again, nor is anything withdrawn, when it gets what she may not
/// see. It once was: with that it had become one that looks different to different viewers.
#[test]
fn what_a_plain_entity_gets_and_loses_in_secret_does_not_show() {
    let mut stage = with_one(plain);
    let one = name_of(1);
    tell_nothing(&mut stage, "nothing happens");
    edit(&mut stage, one, |entity| {
        entity.insert(Vault { gold: 5, ..Vault::default() });
    });
    tell_nothing(&mut stage, "a vault comes");
    edit(&mut stage, one, |entity| {
        entity.insert(Plot::default());
    });
    tell_nothing(&mut stage, "a plot comes");
    edit(&mut stage, one, |entity| {
        entity.remove::<Vault>();
    });
    tell_nothing(&mut stage, "the vault goes");
    let (_, events) = {
        edit(&mut stage, one, |entity| entity.get_mut::<Load>().expect("a load").weight = 8);
        edit(&mut stage, one, |entity| {
            entity.insert(Vault::default());
        });
        tell(&mut stage, "a vault comes with a change that shows")
    };
    let load = component(&stage, "Load");
    assert_eq!(events, [MirrorEvent::FieldChanged { net_id: one, component: load, field: 0 }]);
}

/// B16: who comes back into view before its leave is acknowledged was once told as having shown everything it has.
#[test]
fn who_comes_back_at_once_does_not_betray_what_it_hides() {
    let mut stage = with_one(plain);
    let one = name_of(1);
    stage.network = Network { delay: 3, ..Network::default() };
    edit(&mut stage, one, |entity| {
        entity.insert(Vault::default());
    });
    for hidden in [true, false, true, false] {
        change_subject(&mut stage, one, |subject| subject.set_hidden_from(alice(), hidden));
        stage.tick();
    }
    for _ in 0..20 {
        stage.tick();
    }
    tell(&mut stage, "after all has arrived");
    let held = stage.client("alice").mirror.get(one).expect("it is seen");
    assert_eq!(held.withdrawn_components(), 0, "she never saw its vault");
}

/// B7: who sees a component may depend on a part of it that is never sent.
#[test]
fn a_component_appears_and_vanishes_with_what_nobody_is_told_of_it() {
    let mut stage = with_one(plain);
    let (one, orders) = (name_of(1), component(&stage, "Orders"));
    edit(&mut stage, one, |entity| {
        let orders = Orders { level: 3, text: 9, sealed: true };
        entity.insert((orders, Subject::owned_by(alice())));
    });
    tell_nothing(&mut stage, "sealed orders come");
    let seal = |sealed: bool| {
        move |entity: &mut EntityWorldMut| entity.get_mut::<Orders>().expect("orders").sealed = sealed
    };
    edit(&mut stage, one, seal(false));
    let (_, events) = tell(&mut stage, "they are opened");
    assert_eq!(events[0], MirrorEvent::ComponentAdded { net_id: one, component: orders });
    edit(&mut stage, one, seal(true));
    let (_, events) = tell(&mut stage, "they are sealed");
    assert_eq!(events, [MirrorEvent::ComponentHidden { net_id: one, component: orders }]);
}

/// B1: nothing shows a `server_only` component: a subject that said everybody may see it once did.
#[test]
fn no_override_shows_what_is_for_the_server_alone() {
    let mut stage = with_one(plain);
    edit(&mut stage, name_of(1), |entity| {
        entity.insert(Fate { thread: 3 });
    });
    change_subject(&mut stage, name_of(1), |subject| {
        subject.override_component("Fate", Some(ComponentRule::Everyone));
    });
    tell_nothing(&mut stage, "everybody may see its fate");
}

/// B9: what is always relevant to somebody and dies is gone in that very tick; it once stayed for another, without
/// anything in it.
#[test]
fn what_one_owns_is_gone_in_the_tick_of_its_death() {
    let mut stage = with_one(plain);
    let one = name_of(1);
    change_subject(&mut stage, one, |subject| subject.set_owner(Some(alice())));
    tell(&mut stage, "it is hers");
    kill(&mut stage, one);
    let (_, events) = tell(&mut stage, "it dies");
    assert_eq!(events, [MirrorEvent::Left { net_id: one }]);
}

/// A10: who has lost the avatar sees from nowhere, and yet the own things where they are, however far from the origin:
/// they were once told by the low bits of their places.
#[test]
fn who_has_no_avatar_sees_the_own_things_where_they_are() {
    let far = Vec3::new(590.0, 580.0, 1.0);
    let mut stage = still(move |world| {
        let mine = (Body::default(), Load::default(), Subject::owned_by(alice()));
        world.spawn(SpawnRequest::new(NetId::WORLD, far, mine));
    });
    let avatar = stage.client("alice").avatar.expect("she is in");
    kill(&mut stage, avatar);
    tell(&mut stage, "she dies");
    for step in 0..4 {
        edit(&mut stage, name_of(1), |entity| entity.get_mut::<Position>().expect("a place").0.x += 0.5);
        tell(&mut stage, &format!("step {step} of what is hers"));
        assert_eq!(stage.expected(&alice()).len(), 1);
    }
}
