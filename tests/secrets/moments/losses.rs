//! What was lost on the way and has changed meanwhile.

use terrane::prelude::*;

use super::{HERE, edit, plain, still, tell, tell_nothing};
use crate::game::name_of;
use crate::stage::Stage;
use crate::things::{Body, Camp, Load, Vault};

/// Runs ticks in which something of no importance is sent, so that losses become known; gives the bytes of each.
fn let_losses_show(stage: &mut Stage, other: NetId) -> Vec<usize> {
    (0..6u16)
        .map(|number| {
            edit(stage, other, |entity| entity.get_mut::<Body>().expect("a body").mood = 100 + number);
            stage.tick();
            stage.client("alice").bytes_told()
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
