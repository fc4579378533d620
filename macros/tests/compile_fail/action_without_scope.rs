use terrane_macros::Action;

#[derive(Action)]
#[action(caller = player, reply = ())]
struct Say {
    text: String,
}

#[derive(Action)]
struct Shout;

fn main() {}
