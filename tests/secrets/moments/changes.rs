//! What is granted, hidden, added and removed is told at once, and nothing else is.

use terrane::client::mirror::MirrorEvent;
use terrane::ids::{PartyId, TeamId};
use terrane::prelude::*;
use terrane::replication::policy::{ComponentRule, Subject, ViewerContext};
use terrane::session::Sessions;

use super::{change_subject, component, edit, plain, tell, tell_nothing, with_one};
use crate::game::{alice, name_of};
use crate::things::{Camp, Load};

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
