use terrane_macros::Action;

#[derive(Action)]
#[action(scope = group, reply = ())]
struct Say {
    text: String,
}

fn main() {}
