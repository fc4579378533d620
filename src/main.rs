//! The shipped world: `cargo run --release` starts it.

use std::path::Path;

use terrane::caravan::bots::{BotMap, Bots};
use terrane::caravan::console::CaravanConsole;
use terrane::caravan::{CaravanNode, CaravanPlugin, Roads, caravan_world};
use terrane::prelude::*;

/// The map, beside the configuration file that names the world.
const ROADS_FILE: &str = "assets/config/roads.toml";

fn main() -> AppExit {
    WorldServer::from_args()
        .add_cell_plugins(CaravanPlugin)
        .add_plugins(CaravanNode)
        .setup(|builder, settings, world| {
            let beside = settings.config_file.as_deref().and_then(Path::parent);
            let file = beside.map_or_else(|| ROADS_FILE.into(), |folder| folder.join("roads.toml"));
            let roads = Roads::load(&file, world.area).map_err(|error| error.to_string())?;
            Ok(caravan_world(builder, roads))
        })
        .bots(|request| {
            let map = BotMap::new(&Roads::shipped(), request.world.grid);
            Bots::new(&request.port, &request.schema, &map.into(), request.count, request.world.seed)
        })
        .console(|| CaravanConsole::new(Roads::shipped()))
        .run()
}
