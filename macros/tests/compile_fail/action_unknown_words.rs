use terrane_macros::Action;

#[derive(Action)]
#[action(scope = everywhere, caller = player, reply = (), rate = 1, burst = 1, coalesce = none)]
struct One;

#[derive(Action)]
#[action(scope = self, caller = root, reply = (), rate = 1, burst = 1, coalesce = none)]
struct Two;

#[derive(Action)]
#[action(scope = self, caller = player, reply = (), cooldown = 3)]
struct Three;

#[derive(Action)]
#[action(scope = self, scope = group, caller = player, reply = ())]
struct Four;

#[derive(Action)]
#[action(scope = self, caller = player, reply = (), rate = 1, burst = 1, coalesce = oldest)]
struct Five;

#[derive(Action)]
#[action(scope = self, caller = player, reply = (), rate = 0, burst = 1, coalesce = none)]
struct Six;

#[derive(Action)]
#[action(scope = self, caller = player, reply = (), rate = 1, burst = 0, coalesce = none)]
struct Seven;

#[derive(Action)]
#[action(scope = self, caller = player, on = wagon, reply = (), rate = 1, burst = 1, coalesce = none)]
struct Eight {
    cart: u64,
}

#[derive(Action)]
#[action(scope = group, caller = player, on = wagon, reply = (), rate = 1, burst = 1, coalesce = none)]
struct Nine {
    wagon: u64,
}

fn main() {}
