use terrane_macros::Action;

#[derive(Action)]
#[action(scope = everywhere, caller = player, reply = (), rate = 1, burst = 1, coalesce = none, durability = memory)]
struct One;

#[derive(Action)]
#[action(scope = self, caller = root, reply = (), rate = 1, burst = 1, coalesce = none, durability = memory)]
struct Two;

#[derive(Action)]
#[action(scope = self, caller = player, reply = (), cooldown = 3)]
struct Three;

#[derive(Action)]
#[action(scope = self, scope = group, caller = player, reply = ())]
struct Four;

#[derive(Action)]
#[action(scope = self, caller = player, reply = (), rate = 1, burst = 1, coalesce = oldest, durability = memory)]
struct Five;

#[derive(Action)]
#[action(scope = self, caller = player, reply = (), rate = 0, burst = 1, coalesce = none, durability = memory)]
struct Six;

#[derive(Action)]
#[action(scope = self, caller = player, reply = (), rate = 1, burst = 0, coalesce = none, durability = memory)]
struct Seven;

#[derive(Action)]
#[action(scope = self, caller = player, on = wagon, reply = (), rate = 1, burst = 1, coalesce = none, durability = memory)]
struct Eight {
    cart: u64,
}

#[derive(Action)]
#[action(scope = group, caller = player, on = wagon, reply = (), rate = 1, burst = 1, coalesce = none, durability = memory)]
struct Nine {
    wagon: u64,
}

#[derive(Action)]
#[action(scope = self, caller = player, reply = (), rate = 1, burst = 1, coalesce = none, durability = eternal)]
struct Ten;

fn main() {}
