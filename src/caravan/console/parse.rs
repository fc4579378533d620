//! How lines of the game are read: each gives a command, or what is wrong with it and what is expected.

use crate::client::compass;
use crate::prelude::*;

use super::super::{Good, HIRED_AT_ONCE_MAX, Hand, LOADS_MAX, NodeId, PARTIES, WALK_M_S_MAX};
use super::{CaravanCommand, CaravanConsole};

impl CaravanConsole {
    pub(super) fn parse_march(&self, rest: &str) -> Result<CaravanCommand, String> {
        let wanted = rest.to_lowercase();
        let node = self.roads.nodes.iter().position(|node| node.name.to_lowercase() == wanted);
        node.map(|node| CaravanCommand::March(NodeId(node as u16))).ok_or_else(|| {
            let names: Vec<&str> = self.roads.nodes.iter().map(|node| node.name.as_str()).collect();
            format!("march {rest}: expected a node: {}", names.join(", "))
        })
    }
}

pub(super) fn parse_count(verb: &str, text: &str) -> Result<u16, String> {
    let count = text.trim().parse().ok().filter(|count| (1..=HIRED_AT_ONCE_MAX).contains(count));
    count.ok_or_else(|| format!("{verb}: `{text}` is no number of hands: expected 1 to {HIRED_AT_ONCE_MAX}"))
}

pub(super) fn parse_hands(verb: &str, rest: &str) -> Result<(u16, Hand), String> {
    let (count, hand) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let count = parse_count(verb, count)?;
    hand.trim().parse().map(|hand| (count, hand)).map_err(|error: String| format!("{verb}: {error}"))
}

pub(super) fn parse_trade(verb: &str, rest: &str) -> Result<(u16, Good, Option<u32>), String> {
    let mut words = rest.split_whitespace();
    let (Some(loads), Some(good)) = (words.next(), words.next()) else {
        return Err(format!("{verb} {rest}: expected how many loads, and of what: {verb} 3 salt"));
    };
    let loads = loads
        .parse()
        .ok()
        .filter(|loads| (1..=LOADS_MAX).contains(loads))
        .ok_or_else(|| format!("{verb}: `{loads}` is no number of loads: expected 1 to {LOADS_MAX}"))?;
    let good = good.parse().map_err(|error| format!("{verb}: {error}"))?;
    let price = words.next().map(|price| {
        price.parse().map_err(|_| format!("{verb}: `{price}` is no price: expected silver for a load"))
    });
    match words.next() {
        None => Ok((loads, good, price.transpose()?)),
        Some(word) => Err(format!("{verb}: `{word}` is too much: expected loads, a good and a price")),
    }
}

/// How fast people walk who do not say, m/s.
const WALK_M_S_DEFAULT: f32 = 4.0;

pub(super) fn named(rest: &str, command: fn(PlayerId) -> CaravanCommand) -> Result<CaravanCommand, String> {
    PlayerId::new(rest).map(command).map_err(|error| error.to_string())
}

pub(super) fn parse_party(rest: &str) -> Result<CaravanCommand, String> {
    match rest.parse::<u64>() {
        _ if rest == "none" => Ok(CaravanCommand::Join(None)),
        Ok(party) if (1..=PARTIES).contains(&party) => Ok(CaravanCommand::Join(Some(PartyId(party)))),
        _ => Err(format!("join {rest}: expected a party, 1 to {PARTIES}, or `none`")),
    }
}

pub(super) fn parse_appoint(rest: &str) -> Result<CaravanCommand, String> {
    let (role, name) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let game_master = match role {
        "gm" => true,
        "player" => false,
        _ => return Err(format!("appoint {role}: expected `gm` or `player`, and a name")),
    };
    let whom = PlayerId::new(name.trim()).map_err(|error| format!("appoint {role}: {error}"))?;
    Ok(CaravanCommand::Appoint(whom, game_master))
}

pub(super) fn parse_walk(rest: &str) -> Result<CaravanCommand, String> {
    let mut words = rest.split_whitespace();
    let way =
        words.next().ok_or("walk: expected a direction, n, ne, east … or degrees clockwise from north")?;
    let bearing = compass::parse(way).map_err(|error| format!("walk: {error}"))?;
    let speed_m_s = match words.next() {
        None => WALK_M_S_DEFAULT,
        Some(word) => match word.parse::<f32>() {
            Ok(speed) if (0.0..=WALK_M_S_MAX).contains(&speed) => speed,
            _ => return Err(format!("walk: `{word}` is no speed: expected 0 to {WALK_M_S_MAX} m/s")),
        },
    };
    match words.next() {
        None => Ok(CaravanCommand::Walk { bearing, speed_m_s }),
        Some(word) => Err(format!("walk: `{word}` is too much: expected a direction and a speed")),
    }
}
