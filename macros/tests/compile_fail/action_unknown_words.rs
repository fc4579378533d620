use terrane_macros::Action;

#[derive(Action)]
#[action(scope = everywhere, caller = player, reply = ())]
struct One;

#[derive(Action)]
#[action(scope = self, caller = root, reply = ())]
struct Two;

#[derive(Action)]
#[action(scope = self, caller = player, reply = (), cooldown = 3)]
struct Three;

#[derive(Action)]
#[action(scope = self, scope = group, caller = player, reply = ())]
struct Four;

fn main() {}
