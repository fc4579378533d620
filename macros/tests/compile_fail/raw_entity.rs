use terrane_macros::Action;
use terrane_macros::Replicate;

#[derive(Replicate)]
struct Hunter {
    #[sync(server_only)]
    prey: Option<Entity>,
    #[sync(broadcast)]
    pack: Vec<(bevy_ecs::entity::Entity, u8)>,
}

#[derive(Action)]
#[action(scope = self, caller = player, reply = (), rate = 1, burst = 1, coalesce = none, durability = memory)]
struct Hunt {
    prey: Entity,
}

fn main() {}
