//! What is hidden does not show in anything else.

use bevy_ecs::world::EntityWorldMut;
use terrane::client::mirror::MirrorEvent;
use terrane::prelude::*;
use terrane::replication::policy::{ComponentRule, Subject};
use terrane::replication::rule::{Tier, Tiers};

use super::{
    HERE, change_subject, component, edit, kill, plain, still, still_where, tell, tell_nothing, with_one,
};
use crate::game::{alice, name_of, settings};
use crate::stage::Network;
use crate::things::{Body, Fate, Load, Orders, Plot, Vault};

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
        assert_eq!(stage.expected(&alice()).len(), 3, "what is hers, and the state of the world");
    }
}

/// B16: what waits and becomes again what it was is told all the same; it was not where the entity had something to hide.
#[test]
fn what_changes_back_while_it_waits_does_not_betray_what_is_hidden() {
    // Of what is so far every fifth tick brings news.
    let tiers = Tiers::new(&[Tier { beyond_m: 3.0, every: 5 }]).expect("one alone ascends");
    let bytes = |hides: bool| -> Vec<usize> {
        let settings = WorldSettings { tiers, ..settings(1) };
        let mut stage = still_where(settings, |world| {
            world.spawn(SpawnRequest::new(NetId::WORLD, HERE - Vec3::X, plain()));
        });
        let one = name_of(1);
        if hides {
            edit(&mut stage, one, |entity| {
                entity.insert(Vault::default());
            });
        }
        let mut sent = Vec::new();
        for phase in 0..5 {
            for weight in [9, 4] {
                edit(&mut stage, one, |entity| entity.get_mut::<Load>().expect("a load").weight = weight);
                stage.tick();
                sent.push(stage.client("alice").bytes_told());
            }
            for _ in 0..9 + phase % 2 {
                stage.tick();
                sent.push(stage.client("alice").bytes_told());
            }
            tell(&mut stage, "it is as it was");
        }
        sent
    };
    let (plain, special) = (bytes(false), bytes(true));
    assert_eq!(plain, special, "with nothing to hide and with something");
    assert!(plain.iter().filter(|&&bytes| bytes > 0).count() >= 5, "it is told at last: {plain:?}");
}
