use terrane_macros::Action;

#[derive(Action)]
#[action(scope = group, reply = ())]
struct Say {
    text: String,
}

/// What reaches everybody's data is not for everybody.
#[derive(Action)]
#[action(scope = global, caller = player, reply = (), rate = 1, burst = 1, coalesce = none, durability = memory)]
struct Tax;

fn main() {}
