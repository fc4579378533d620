//! Functions that are no policies of their field: another type in or out, or another question.

use std::collections::BTreeMap;

use terrane::ids::PlayerId;
use terrane::replication::Replicate;
use terrane::replication::policy::Viewing;

#[derive(Clone, Default, Replicate)]
#[sync(custom = not_a_gate)]
struct Caravan {
    #[sync(masked = to_text)]
    purse: u32,
    #[sync(per_player = for_anybody)]
    omen: u32,
    #[sync(custom = for_player)]
    cargo: u32,
    #[sync(computed = of_a_field)]
    total: u32,
    #[sync(per_player_slice)]
    bids: BTreeMap<String, u32>,
}

fn not_a_gate(_: &Caravan) -> bool {
    true
}

fn to_text(purse: &u32) -> String {
    purse.to_string()
}

fn for_anybody(omen: &u32) -> Option<u32> {
    Some(*omen)
}

fn for_player(cargo: &u32, _: &Viewing) -> Option<u64> {
    Some(u64::from(*cargo))
}

fn of_a_field(total: &u32) -> u32 {
    *total
}

fn main() {
    let _: Option<PlayerId> = None;
}
