use terrane_macros::Action;

#[derive(Action)]
#[action(scope = self, caller = player, reply = ())]
struct One;

#[derive(Action)]
#[action(scope = self, caller = player, reply = (), rate = 1)]
struct Two;

#[derive(Action)]
#[action(scope = self, caller = player, reply = (), rate = 1, burst = 5)]
struct Three;

#[derive(Action)]
#[action(scope = self, caller = player, latest_wins, rate = 1)]
struct Four;

#[derive(Action)]
#[action(scope = self, caller = player, reply = (), rate = 1, burst = 5, coalesce = none)]
struct Five;

#[derive(Action)]
#[action(scope = self, caller = player, latest_wins, durability = memory)]
struct Six;

fn main() {}
