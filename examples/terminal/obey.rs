//! What is done with a line that was typed.

use terrane::caravan::console::{CaravanCommand, CaravanConsole};
use terrane::caravan::{
    Accept, Appoint, Buy, DeleteCharacter, Deliver, Disband, Dismiss, Fight, Gather, GiveUpErrand, Halt,
    HandIn, Hire, Invite, JoinParty, Learn, LeaveParty, March, Mend, PayOff, PeopleCommand, Say, Scout, Sell,
    Steer, TakeCoach, TakeErrand, TakeOff, TellParty, Treat, Wear,
};
use terrane::client::fields::clean;
use terrane::client::plugin::Client;
use terrane::client::{ClientGame, compass};

/// What came of a line.
#[derive(Debug, PartialEq)]
pub(crate) enum Obeyed {
    /// It was sent, or there was nothing to do.
    Done,
    /// That is the answer.
    Told(String),
    /// That is to be read.
    Page(Vec<String>),
    /// The player leaves.
    Left,
}

/// All commands, two in a line where there is room.
pub(crate) fn help() -> Vec<String> {
    let mut lines: Vec<String> =
        CaravanConsole::VERBS.iter().map(|verb| format!("{:<36} {}", verb.usage, verb.does)).collect();
    lines.push(format!("{:<36} leave the world", "quit"));
    lines
}

/// Carries out a line.
pub(crate) fn obey(client: &mut Client, console: &CaravanConsole, line: &str) -> Result<Obeyed, String> {
    let line = line.trim();
    let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match verb {
        "" => return Ok(Obeyed::Done),
        "quit" | "exit" => return Ok(Obeyed::Left),
        "help" | "?" => return Ok(Obeyed::Page(help())),
        _ => {}
    }
    let command = console.parse(verb, rest.trim());
    let command = command.ok_or_else(|| format!("there is no command `{}`: help tells all", clean(verb)))?;
    let say = |text: String| Ok(Obeyed::Told(text));
    let sent = match command? {
        CaravanCommand::Walk { bearing, speed_m_s } => {
            client.want(&Steer { heading: compass::heading(bearing), speed_m_s })
        }
        CaravanCommand::Stop => client.want(&Steer { heading: 0.0, speed_m_s: 0.0 }),
        CaravanCommand::Say(text) => client.call(&Say { text }).map(drop),
        CaravanCommand::TellParty(text) => client.call(&TellParty { text }).map(drop),
        CaravanCommand::Invite(player) => client.call(&Invite { player }).map(drop),
        CaravanCommand::Accept(party) => client.call(&Accept { party }).map(drop),
        CaravanCommand::Leave => client.call(&LeaveParty).map(drop),
        CaravanCommand::Dismiss(player) => client.call(&Dismiss { player }).map(drop),
        CaravanCommand::Disband => client.call(&Disband).map(drop),
        CaravanCommand::Gather => client.call(&Gather).map(drop),
        CaravanCommand::Join(party) => client.call(&JoinParty { party }).map(drop),
        CaravanCommand::Scout(out) => client.call(&Scout { out }).map(drop),
        CaravanCommand::Appoint(player, game_master) => {
            client.call(&Appoint { player, game_master }).map(drop)
        }
        CaravanCommand::Buy(loads, good, at_most) => client.call(&Buy { good, loads, at_most }).map(drop),
        CaravanCommand::Sell(loads, good, at_least) => client.call(&Sell { good, loads, at_least }).map(drop),
        CaravanCommand::HandIn => client.call(&HandIn).map(drop),
        CaravanCommand::March(to) => client.call(&March { to }).map(drop),
        CaravanCommand::Halt => client.call(&Halt).map(drop),
        CaravanCommand::Fight(order) => client.call(&Fight { order }).map(drop),
        CaravanCommand::Hire(count, hand) => client.call(&Hire { hand, count }).map(drop),
        CaravanCommand::PayOff(count, hand) => client.call(&PayOff { hand, count }).map(drop),
        CaravanCommand::Mend(count) => client.call(&Mend { count }).map(drop),
        CaravanCommand::TakeErrand => client.call(&TakeErrand).map(drop),
        CaravanCommand::Deliver => client.call(&Deliver).map(drop),
        CaravanCommand::GiveUp => client.call(&GiveUpErrand).map(drop),
        CaravanCommand::Retinue => return say(console.retinue(client.player())),
        CaravanCommand::Letters => return say(console.letters(client.player())),
        CaravanCommand::Quotes => return say(console.quotes(client.player())),
        CaravanCommand::Market => return say(console.market(client.player())),
        CaravanCommand::Battle => {
            let stands = console.battle(client.player());
            return say(stands.unwrap_or_else(|| "nobody fights you".to_owned()));
        }
        CaravanCommand::Purse => return say(console.belongings(client.player())),
        CaravanCommand::Coach => client.call(&TakeCoach).map(drop),
        CaravanCommand::People(command) => match command {
            PeopleCommand::Create(create) => client.call(&create).map(drop),
            PeopleCommand::Delete(name) => client.call(&DeleteCharacter { name }).map(drop),
            PeopleCommand::Learn(what) => client.call(&Learn { what }).map(drop),
            PeopleCommand::Wear(item) => client.call(&Wear { item }).map(drop),
            PeopleCommand::TakeOff(slot) => client.call(&TakeOff { slot }).map(drop),
            PeopleCommand::Treat(count, item) => client.call(&Treat { item, count }).map(drop),
            PeopleCommand::Character => return say(PeopleCommand::tell(client.player())),
            PeopleCommand::Known(about) => {
                let told = about.tell(client.player());
                return Ok(Obeyed::Page(told.lines().map(str::to_owned).collect()));
            }
        },
    };
    sent.map(|()| Obeyed::Done).map_err(|error| error.to_string())
}
