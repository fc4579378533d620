//! Value has one way: who plans it cannot say that it happened, and who shows it has a commit to show.

use terrane::players::ComponentRow;
use terrane::prelude::*;
use terrane::reward::{Account, DisplayReward, MutationPlan};
use terrane::server::{TickInput, TickOutput};
use terrane::session::Sessions;
use terrane::store::{MutationSummary, ShownReward};

#[derive(Component, Clone, Default, Serialize, Deserialize, Persist)]
#[persist(immediate)]
struct Purse {
    silver: Settled<u64>,
}

// What is planned did not happen yet: there is no summary of it.
fn believe(plan: MutationPlan) -> MutationSummary {
    MutationSummary::from_bytes(&plan.to_bytes())
}

fn invent(plan: MutationPlan) -> MutationSummary {
    MutationSummary { content: plan }
}

// What will be shown cannot be sent, and is not what is shown.
#[derive(Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = DisplayReward, rate = 1, burst = 1, coalesce = none, durability = memory)]
struct Brag {}

fn show_early(plan: &MutationPlan, account: &Account) -> ShownReward {
    DisplayReward::of(plan, account)
}

fn show(plan: &MutationPlan) -> ShownReward {
    ShownReward { use_case: plan.use_case.clone(), lines: Vec::new() }
}

// No system of a game can name a connection, nor put anything on its way to one.
fn send(output: ResMut<TickOutput>, input: Res<TickInput>) {}

fn address(sessions: Res<Sessions>) {
    for session in sessions.iter() {
        let _ = session.connection;
    }
}

// What is written of an avatar by itself is no way to write value either.
fn enrich(purse: &mut Purse, row: &ComponentRow) {
    purse.silver = Settled::from(1_000_000);
    *purse.silver = 1_000_000;
    purse.silver.settle(row);
}

fn main() {
    let mut app = App::empty();
    app.add_systems(Tick, (send, address));
}
