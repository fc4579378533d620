use terrane_macros::Replicate;

#[derive(Replicate)]
struct Caravan {
    #[sync(masked)]
    purse: u32,
    #[sync(custom = |cargo, viewing| None)]
    cargo: u32,
    #[sync(per_player = "own")]
    omen: u32,
    #[sync(computed = total())]
    total: u32,
    #[sync(per_player_slice = own)]
    bids: u32,
    #[sync(masked = round, custom = own)]
    debt: u32,
}

fn main() {}
