//! Value has one way: what is planned did not happen yet, and what will be shown of it cannot leave before it has.

use terrane::prelude::*;
use terrane::reward::{Account, DisplayReward, MutationPlan};
use terrane::server::{TickInput, TickOutput};
use terrane::session::Sessions;
use terrane::store::{MutationSummary, ShownReward};

// A summary is no other form of a plan.
fn believe(plan: MutationPlan) -> MutationSummary {
    MutationSummary::from_bytes(&plan.to_bytes())
}

// What will be shown is no answer of an action, and is not what is shown.
#[derive(Serialize, Deserialize, Action)]
#[action(scope = self, caller = player, reply = DisplayReward, rate = 1, burst = 1, coalesce = none, durability = memory)]
struct Brag {}

fn show_early(plan: &MutationPlan, account: &Account) -> ShownReward {
    DisplayReward::of(plan, account)
}

// No system of a game can name a connection, nor put anything on its way to one.
fn send(output: ResMut<TickOutput>) {}

fn listen(input: Res<TickInput>) {}

fn address(sessions: Res<Sessions>) {
    for session in sessions.iter() {
        let _ = session.connection;
    }
}

fn main() {
    let mut app = App::empty();
    app.add_systems(Tick, (send, listen, address));
}
