//! The quarry as a program, with every command that `terrane` has.

use quarry::{Quarry, open};
use terrane::prelude::*;

fn main() -> AppExit {
    WorldServer::from_args().named("quarry").add_cell_plugins(Quarry).setup(|game, _, _| Ok(open(game))).run()
}
