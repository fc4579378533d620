//! What depends on the configuration is added to a game; and nothing, if all is well, that its clients would have to know.

use crate::config::Settings;
use crate::replication::Schema;
use crate::replication::schema::ComponentSchema;
use crate::server::{ServerBuilder, WorldSettings};

use super::error::RunError;

/// Adds to a game what depends on the settings.
pub(super) type Setup =
    Box<dyn FnOnce(ServerBuilder, &Settings, &WorldSettings) -> Result<ServerBuilder, String>>;

/// Adds it, if there is something to add. What is sent and registered here is warned of: the client of this program is made of the game as
/// it is without settings, so that the world lets none of them in. A game with clients of its own may mean it.
///
/// # Errors
/// As the game says, and when its plugins are faulty.
pub(super) fn set_up(
    builder: ServerBuilder,
    setup: Option<Setup>,
    settings: &Settings,
    world: &WorldSettings,
) -> Result<ServerBuilder, RunError> {
    let Some(setup) = setup else { return Ok(builder) };
    let known = builder.learn()?;
    let builder = setup(builder, settings, world).map_err(RunError::Game)?;
    if let Some(what) = unknown_to_clients(&known.schema, &builder.learn()?.schema) {
        tracing::warn!(
            "the game's setup registers {what}, which the client of this program does not know: it is let in only if the plugin is added to \
             the game itself, before its setup"
        );
    }
    Ok(builder)
}

/// The first component, action or event that is sent, and of which a client that knows the other schema knows nothing.
fn unknown_to_clients(known: &Schema, sent: &Schema) -> Option<String> {
    if known == sent {
        return None;
    }
    let is_new =
        |component: &&ComponentSchema| known.components.iter().all(|other| other.name != component.name);
    let component = sent.components.iter().find(is_new).map(|new| format!("the component {}", new.name));
    let action = sent.actions.iter().find(|action| !known.actions.contains(action));
    let action = action.map(|action| format!("the action {}", action.split(' ').next().unwrap_or(action)));
    let event = sent.events.iter().find(|event| known.events.iter().all(|other| other.name != event.name));
    let event = event.map(|event| format!("the event {}", event.name));
    Some(component.or(action).or(event).unwrap_or_else(|| "something that is sent".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    /// Something that is sent.
    #[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
    struct Lamp {
        #[sync(broadcast)]
        is_lit: bool,
    }

    struct Lamps;

    impl Plugin for Lamps {
        fn build(&self, app: &mut App) {
            app.replicate::<Lamp>();
        }
    }

    /// H4: what the program's own client would have to know is found by name; all else may depend on the settings.
    #[test]
    fn what_a_setup_registers_behind_the_back_of_clients_is_found() {
        let schema = |builder: &ServerBuilder| builder.learn().expect("sound").schema.clone();
        let plain = ServerBuilder::default();
        let lamps = ServerBuilder::default().add_cell_plugins(Lamps);
        let found = unknown_to_clients(&schema(&plain), &schema(&lamps));
        assert_eq!(found.as_deref(), Some("the component Lamp"));
        let lit = lamps.avatars(|_| SpawnRequest::new(NetId::WORLD, Vec3::ZERO, Lamp::default()));
        let known = ServerBuilder::default().add_cell_plugins(Lamps);
        assert_eq!(unknown_to_clients(&schema(&known), &schema(&lit)), None);
    }
}
