//! What depends on the configuration is added to a game; and nothing that its clients would have to know.

use crate::config::Settings;
use crate::replication::Schema;
use crate::replication::schema::ComponentSchema;
use crate::server::{ServerBuilder, WorldSettings};

use super::error::RunError;

/// Adds to a game what depends on the settings.
pub(super) type Setup =
    Box<dyn FnOnce(ServerBuilder, &Settings, &WorldSettings) -> Result<ServerBuilder, String>>;

/// Adds it, if there is something to add.
///
/// # Errors
/// As the game says, when its plugins are faulty, and when it registers here what is sent: a client is made of the game as it is
/// without settings, so that it could read nothing of this world.
pub(super) fn set_up(
    builder: ServerBuilder,
    setup: Option<Setup>,
    settings: &Settings,
    world: &WorldSettings,
) -> Result<ServerBuilder, RunError> {
    let Some(setup) = setup else { return Ok(builder) };
    let known = builder.learn()?;
    let builder = setup(builder, settings, world).map_err(RunError::Game)?;
    let sent = builder.learn()?;
    if known.schema == sent.schema {
        return Ok(builder);
    }
    let what = first_new(&known.schema, &sent.schema).unwrap_or_else(|| "something that is sent".into());
    Err(RunError::Game(format!(
        "the game's setup registers {what}, which no client would know: add the plugin to the game itself, before its setup"
    )))
}

/// The first component, action or event of which the other schema knows nothing.
fn first_new(known: &Schema, sent: &Schema) -> Option<String> {
    let is_new =
        |component: &&ComponentSchema| known.components.iter().all(|other| other.name != component.name);
    let component =
        sent.components.iter().find(is_new).map(|component| format!("the component {}", component.name));
    let action = sent.actions.iter().find(|action| !known.actions.contains(action));
    let action = action.map(|action| format!("the action {}", action.split(' ').next().unwrap_or(action)));
    let event = sent.events.iter().find(|event| known.events.iter().all(|other| other.name != event.name));
    component.or(action).or(event.map(|event| format!("the event {}", event.name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunOptions;
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

    fn set(builder: ServerBuilder, setup: Setup) -> Result<(), String> {
        let settings = Settings::load(&RunOptions::default()).expect("those that a world comes with");
        let world = WorldSettings::default();
        set_up(builder, Some(setup), &settings, &world).map(drop).map_err(|error| error.to_string())
    }

    /// H4: what clients would have to know is refused at start, by name; everything else may depend on the settings.
    #[test]
    fn a_setup_that_registers_what_is_sent_is_refused() {
        let late: Setup = Box::new(|builder, _, _| Ok(builder.add_cell_plugins(Lamps)));
        let told = set(ServerBuilder::default(), late).unwrap_err();
        assert!(told.contains("registers the component Lamp,"), "{told}");
        let known = ServerBuilder::default().add_cell_plugins(Lamps);
        let honest: Setup = Box::new(|builder, _, _| {
            Ok(builder.avatars(|_| SpawnRequest::new(NetId::WORLD, Vec3::ZERO, Lamp::default())))
        });
        assert_eq!(set(known, honest), Ok(()));
        let refusing: Setup = Box::new(|_, _, _| Err("no map".into()));
        assert!(set(ServerBuilder::default(), refusing).unwrap_err().contains("no map"));
    }
}
