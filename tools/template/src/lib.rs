//! A quarry: players stand at a face of rock, and break stones out of it.

use terrane::prelude::*;

/// Somebody who works in the quarry.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Mason {
    /// Its player's name.
    #[sync(broadcast, max_bytes = 40)]
    pub name: String,
    /// How often it has struck. What everybody is told of it is a round number.
    #[sync(masked = in_tens)]
    pub blows: u32,
}

fn in_tens(blows: &u32) -> u32 {
    blows / 10 * 10
}

/// Strike the rock.
#[derive(Debug, Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = u32, rate = 2, burst = 20, coalesce = none, durability = memory)]
pub struct Strike;

fn strike(_: &Strike, mason: &mut Mason, _: &mut OwnContext<'_>) -> Result<u32, String> {
    mason.blows += 1;
    Ok(mason.blows)
}

/// The game, built once in every cell.
pub struct Quarry;

impl Plugin for Quarry {
    fn build(&self, app: &mut App) {
        app.replicate::<Mason>();
        app.add_own_action::<Strike, Mason>(strike);
    }
}

/// What there is once for the whole world: where players come in, and as what.
pub fn open(game: ServerBuilder) -> ServerBuilder {
    let face = Vec3::new(100.0, 100.0, 0.0);
    game.avatars(move |request| {
        let mason = Mason { name: request.player.to_string(), ..Mason::default() };
        let subject = Subject::owned_by(request.player.clone());
        SpawnRequest::new(NetId::WORLD, face, (mason, subject))
    })
}
