//! A town of lamps: whoever comes near one lights it. Run it: `cargo run --release --example lamps`
use terrane::prelude::*;

/// A lamp in the street.
#[derive(Component, Clone, Default, Replicate)]
pub struct Lamp {
    /// Whether it burns.
    #[sync(broadcast)]
    pub lit: bool,
    #[sync(server_only)] // not even an encoder for it exists
    burnt_ticks: u64,
}

#[derive(Serialize, Deserialize)]
struct Shine; // what one entity does to another is a message, whichever cells the two are in

fn shine(all: Query<(&NetId, &Position), Without<Lamp>>, near: Nearby, mut out: EntityOutbox<Shine>) {
    for (&player, place) in &all {
        for other in near.within(place.0, 10.0).unwrap_or_default() {
            out.send(player, other.net_id, Shine);
        }
    }
}

fn burn(shone: EntityInbox<Shine>, mut lamps: Query<(&NetId, &mut Lamp)>) {
    for (&name, mut lamp) in &mut lamps {
        lamp.lit = shone.iter().any(|message| message.to == name);
        lamp.burnt_ticks += u64::from(lamp.lit);
    }
}

/// The game, built once in every cell.
pub struct Lamps;
impl Plugin for Lamps {
    fn build(&self, app: &mut App) {
        app.replicate::<Lamp>().add_entity_message::<Shine>().add_systems(Simulate, (shine, burn).chain());
    }
}

/// What a new world holds, and where a player comes in.
pub fn town(game: ServerBuilder) -> ServerBuilder {
    let place = |n: u16| Vec3::new(f32::from(n % 20) * 50.0, f32::from(n / 20) * 50.0, 0.0);
    game.avatars(move |_| SpawnRequest::new(NetId::WORLD, place(210) + Vec3::X, ())).populate(move |world| {
        for n in 0..400 {
            world.spawn(SpawnRequest::new(NetId::WORLD, place(n), Lamp::default()));
        }
    })
}

fn main() -> AppExit {
    WorldServer::from_args().named("lamps").add_cell_plugins(Lamps).setup(|game, _, _| Ok(town(game))).run()
}
