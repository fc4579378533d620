//! Single moments: what a player is told, and how many bytes that takes, when one thing changes.

use bevy_ecs::world::EntityWorldMut;
use terrane::cell::pool::with_cells;
use terrane::client::mirror::MirrorEvent;
use terrane::ids::{PartyId, TeamId};
use terrane::prelude::*;
use terrane::replication::Rows;
use terrane::replication::policy::{ComponentRule, Subject, ViewerContext};
use terrane::replication::wire::ROW_BYTES_MAX;
use terrane::session::Sessions;

use crate::game::{self, Plan, alice, name_of};
use crate::histories::assert_equal;
use crate::stage::{Network, Stage};
use crate::things::{Body, Camp, Chest, Fate, Item, Load, Orders, PRIVATE, Plot, Tree, Vault, Wagon};

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
            subject.override_component::<Load>(Some(ComponentRule::Everyone));
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
    let hide = |subject: &mut Subject| subject.override_component::<Load>(Some(ComponentRule::Nobody));
    let show = |subject: &mut Subject| subject.override_component::<Load>(None);
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
        subject.override_component::<Fate>(Some(ComponentRule::Everyone));
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

/// B7, A5: what a marker shows to a role goes in the tick in which the viewer has it no more, though nothing about the
/// entity has changed.
#[test]
fn who_loses_a_role_or_a_party_loses_sight_of_what_is_for_it() {
    let mut stage = with_one(plain);
    let one = name_of(1);
    type Change = fn(&mut ViewerContext);
    let cases: [(&str, fn(&mut Subject), Change, Change); 3] = [
        (
            "role",
            |subject| subject.set_visible_to_role(Some(Role::Gm)),
            |alice| alice.set_role(Role::Admin),
            |alice| alice.set_role(Role::Player),
        ),
        (
            "party",
            |subject| {
                subject.set_visible_to_role(None);
                subject.set_party(Some(PartyId(4)));
                subject.set_party_only(true);
            },
            |alice| alice.set_party(Some(PartyId(4))),
            |alice| alice.set_party(None),
        ),
        (
            "team",
            |subject| {
                subject.set_party_only(false);
                subject.set_team(Some(TeamId(4)));
                subject.set_team_only(true);
            },
            |alice| alice.set_team(Some(TeamId(4))),
            |alice| alice.set_team(Some(TeamId(5))),
        ),
    ];
    for (what, mark, get, lose) in cases {
        change_subject(&mut stage, one, mark);
        tell(&mut stage, what);
        for _ in 0..2 {
            for (change, event) in
                [(get, MirrorEvent::Entered { net_id: one }), (lose, MirrorEvent::Left { net_id: one })]
            {
                tell_nothing(&mut stage, what);
                let mut sessions = stage.server.node_mut().resource_mut::<Sessions>();
                let session =
                    sessions.iter_mut().find(|session| session.player == alice()).expect("she is in");
                change(&mut session.context);
                let (_, events) = tell(&mut stage, what);
                assert_eq!(events, [event], "{what}");
            }
        }
    }
}

/// Runs ticks in which something of no importance is sent, so that losses become known; gives the bytes of each.
fn let_losses_show(stage: &mut Stage, other: NetId) -> Vec<usize> {
    (0..6u16)
        .map(|number| {
            edit(stage, other, |entity| entity.get_mut::<Body>().expect("a body").mood = 100 + number);
            stage.tick();
            stage.client("alice").sent.iter().map(Vec::len).sum()
        })
        .collect()
}

/// Two things a step from Alice.
fn with_two() -> Stage {
    still(|world| {
        for _ in 0..2 {
            world.spawn(SpawnRequest::new(NetId::WORLD, HERE - Vec3::X, plain()));
        }
    })
}

/// B9: what was lost of a plain entity is told when that shows, though the entity has since become one that looks
/// different to different viewers.
#[test]
fn what_was_lost_before_an_entity_became_special_is_told_again() {
    let mut stage = with_two();
    let [one, other] = [1, 2].map(name_of);
    stage.network.loss = 1.0;
    edit(&mut stage, one, |entity| entity.get_mut::<Load>().expect("a load").weight = 77);
    stage.tick();
    stage.network.loss = 0.0;
    edit(&mut stage, one, |entity| {
        // Hidden, and first in the schema: its bits come before those of the load.
        entity.insert(Vault::default());
    });
    let_losses_show(&mut stage, other);
    tell(&mut stage, "after the loss has shown");
    tell_nothing(&mut stage, "nothing happens");
}

/// B16: what an enter record has told since is not told again because an older update was lost.
#[test]
fn a_loss_of_what_has_been_told_as_a_whole_since_sends_nothing() {
    let bytes = |loss: f32| {
        let mut stage = with_two();
        let [one, other] = [1, 2].map(name_of);
        edit(&mut stage, one, |entity| {
            entity.insert(Camp::default());
        });
        tell(&mut stage, "a camp comes");
        stage.network.loss = loss;
        edit(&mut stage, one, |entity| {
            entity.get_mut::<Load>().expect("a load").weight = 77;
            entity.get_mut::<Camp>().expect("a camp").name = "lost".into();
        });
        stage.tick();
        stage.network.loss = 0.0;
        edit(&mut stage, one, |entity| {
            entity.remove::<Load>();
        });
        stage.tick();
        let bytes = let_losses_show(&mut stage, other);
        tell(&mut stage, "after the loss has shown");
        bytes
    };
    assert_eq!(bytes(1.0), bytes(0.0), "with a loss and without");
}

/// B7: of what nests too deeply the innermost is hidden, also where it depends on who looks: all of it once was.
#[test]
fn of_what_is_too_deep_the_rest_is_told() {
    let mut stage = with_one(plain);
    for levels in [3, 15, 16, 17, 30] {
        // Divisible by eight: for the owner.
        let tree = (1..levels).fold(Tree { fruit: 8, branches: Vec::new() }, |inner, level| {
            let questions = [8, 9, 10];
            Tree { fruit: questions[level % 3], branches: vec![inner] }
        });
        edit(&mut stage, name_of(1), |entity| {
            entity.insert((tree, Subject::owned_by(alice())));
        });
        tell(&mut stage, &format!("{levels} levels"));
    }
}

/// H2, B16: of personal fields that are together more than a record can carry whoever may see them is told what fits, and
/// the others do not notice.
#[test]
fn who_may_see_more_of_an_entity_than_a_record_can_carry_is_told_what_fits() {
    let mut stage = with_one(plain);
    // Whatever is divisible by eight is for the owner.
    let large = PRIVATE << 80;
    let wagon = Wagon { secret: large, ..Wagon::default() };
    let chest = |coins: usize| Chest { items: vec![Item::Coin(large, 0); coins], ..Chest::default() };
    let camp = Camp {
        name: "x".repeat(500),
        password: (large, vec![name_of(1); 55]),
        wagons: vec![wagon.clone(); 38],
        reserve: vec![wagon; 38],
        bids: [(alice(), chest(42))].into(),
        leader: Some(Box::new(Wagon { chests: vec![chest(42)], ..Wagon::default() })),
        ..Camp::default()
    };
    let branches = vec![Tree { fruit: large, branches: Vec::new() }; 24];
    edit(&mut stage, name_of(1), |entity| {
        let mut subject = Subject::owned_by(alice());
        subject.set_team(Some(TeamId(1)));
        entity.insert((camp, Tree { fruit: 0, branches }, subject));
        entity.get_mut::<Body>().expect("a body").sightings = vec![(name_of(1), 5); 40];
    });
    for session in stage.server.node_mut().resource_mut::<Sessions>().iter_mut() {
        session.context.set_team(Some(TeamId(1)));
    }
    for _ in 0..10 {
        stage.tick();
    }
    let one = name_of(1);
    let fits = |stage: &Stage| {
        let number = stage.clients.iter().position(|client| client.name == alice()).expect("she is here");
        let (held, expected) = (stage.held(number).remove(&one), &stage.expected(&alice())[&one]);
        let held = held.expect("she is told all that is told");
        let row = stage.clients[number].mirror.get(one).expect("it is seen").encoded();
        assert!(row.bytes.len() <= ROW_BYTES_MAX, "{}", row.bytes.len());
        let (mut left_out, mut told) = (0, 0);
        for (component, truth) in &expected.components {
            for field in 0..truth.names.len() {
                let held = held.components[component].field(field);
                if held != truth.field(field) {
                    assert_eq!(held.1, [truth.names[field]], "what is not as it is is absent");
                    left_out += 1;
                } else {
                    told += truth.field(field).0.len();
                }
            }
        }
        (left_out, told)
    };
    let (left_out, told) = fits(&stage);
    assert!(left_out > 0 && told > ROW_BYTES_MAX / 2, "{left_out} fields left out, {told} bytes told");
    let number = stage.clients.iter().position(|client| client.name != alice()).expect("somebody else");
    let other = stage.clients[number].name.clone();
    assert_equal(&stage, &stage.held(number), stage.expected(&other), "the others are told all of theirs");

    // A field that fitted grows, one that did not shrinks: what fits follows from what is, not from what was.
    edit(&mut stage, one, |entity| {
        let mut camp = entity.get_mut::<Camp>().expect("a camp");
        camp.reserve.clear();
        camp.name = "short".into();
    });
    for _ in 0..5 {
        stage.tick();
    }
    let (fewer, _) = fits(&stage);
    assert!(fewer < left_out, "{fewer} fields left out, {left_out} before");
    edit(&mut stage, one, |entity| {
        entity.remove::<Camp>();
    });
    for _ in 0..5 {
        stage.tick();
    }
    tell(&mut stage, "there is room for everything");
}
