//! Answers, from ids to messages of the action's type.

use bevy_ecs::message::Messages;
use bevy_ecs::world::World;

use crate::action::Action;
use crate::client::player::Reply;

use super::client::Client;
use super::messages::Answer;

/// Writes the answer to an action of type `A`, if the game wants to be told.
pub(super) fn deliver<A: Action>(world: &mut World, reply: Reply) {
    if let Some(mut answers) = world.get_resource_mut::<Messages<Answer<A>>>() {
        answers.write(Answer { id: reply.id, result: reply.read::<A>(), waited: reply.waited });
    }
}

pub(super) fn deliver_answers(world: &mut World) {
    let mut client = world.resource_mut::<Client>();
    let replies: Vec<Reply> = client.player_mut().replies().collect();
    for reply in replies {
        let deliver = world.resource_mut::<Client>().asked.remove(&reply.id);
        if let Some(deliver) = deliver {
            deliver(world, reply);
        }
    }
}
