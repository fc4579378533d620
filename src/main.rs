//! The shipped world: `cargo run --release` starts it.

use std::cell::OnceCell;
use std::rc::Rc;

use terrane::caravan::bots::{BotMap, Bots};
use terrane::caravan::console::CaravanConsole;
use terrane::caravan::{CaravanNode, CaravanPlugin, Lore, PostOffice, Roads, caravan_world, roads};
use terrane::prelude::*;

fn main() -> AppExit {
    // The bots walk the roads that the world has.
    let chosen = Rc::new(OnceCell::new());
    let roads_of_bots = chosen.clone();
    WorldServer::from_args()
        .reference::<Lore>()
        .add_cell_plugins(CaravanPlugin)
        .add_plugins(CaravanNode)
        .setup(move |builder, settings, world| {
            let roads = Roads::of_world(settings.config_file.as_deref(), world.area)
                .map_err(|error| error.to_string())?;
            let roads = chosen.get_or_init(|| roads);
            let letters = settings.world.save_folder().join("letters");
            let office = PostOffice::open(letters).map_err(|error| error.to_string())?;
            Ok(caravan_world(builder, roads.clone(), office))
        })
        .bots(move |request| {
            let map = BotMap::new(roads_of_bots.get_or_init(Roads::shipped), request.world.grid);
            Bots::new(&request.port, &request.schema, &map.into(), request.count, request.world.seed)
        })
        .console(|config_file| {
            let roads = Roads::of_world(config_file, roads::EVERYWHERE).map_err(|error| error.to_string())?;
            Ok(CaravanConsole::new(roads))
        })
        .run()
}
