use terrane_macros::Action;

#[derive(Action)]
#[action(scope = group, caller = player)]
struct Say;

#[derive(Action)]
#[action(scope = self, caller = player, latest_wins, reply = ())]
struct Steer;

#[derive(Action)]
#[action(scope = group, caller = player, latest_wins)]
struct Shove;

fn main() {}
