//! The game at a console: its verbs, and what people call what they see.

use crate::client::Player;
use crate::client::compass;
use crate::client::console::{ClientGame, Done, Speech, Verb};
use crate::client::mirror::MirrorEntity;
use crate::prelude::*;
use crate::replication::{ReceivedEvent, Schema};

use super::{
    Accept, Appoint, Cache, Caravan, Charter, Chat, Disband, Dismiss, Gather, Invite, JoinParty, LeaveParty,
    Market, PARTIES, PartyEvent, PartyNews, Roads, Say, Scout, Steer, TakeCoach, TellParty, WALK_M_S_MAX,
    Walker,
};

/// The caravan game, for [`run_repl`](crate::client::run_repl) and [`run_script`](crate::client::run_script).
#[derive(Clone, Debug)]
pub struct CaravanConsole {
    roads: Roads,
}

impl CaravanConsole {
    /// For a world with this map, which only gives destinations their names.
    #[must_use]
    pub fn new(roads: Roads) -> Self {
        Self { roads }
    }
}

/// A line of this game's.
#[derive(Clone, Debug, PartialEq)]
pub enum CaravanCommand {
    /// Walk this way.
    Walk {
        /// Degrees clockwise from north.
        bearing: f32,
        /// m/s.
        speed_m_s: f32,
    },
    /// Stand still.
    Stop,
    /// Say this.
    Say(String),
    /// Say this to the party.
    TellParty(String),
    /// Travel with that party, or with none.
    Join(Option<PartyId>),
    /// Ask somebody to travel along.
    Invite(PlayerId),
    /// Join a party to which one is invited.
    Accept(PartyId),
    /// Travel alone.
    Leave,
    /// Send somebody away.
    Dismiss(PlayerId),
    /// End the party.
    Disband,
    /// Call the party together.
    Gather,
    /// Go scouting, or home.
    Scout(bool),
    /// Make somebody a game master, or an ordinary player again.
    Appoint(PlayerId, bool),
    /// Take the coach.
    Coach,
}

impl ClientGame for CaravanConsole {
    type Command = CaravanCommand;

    const VERBS: &'static [Verb] = &[
        Verb { usage: "walk DIR|DEGREES [SPEED]", does: "walk n, ne, e … or by degrees, at SPEED m/s (4)" },
        Verb { usage: "stop", does: "stand still" },
        Verb { usage: "say TEXT", does: "say something to everybody who sees you" },
        Verb { usage: "party TEXT", does: "say something to your party, wherever it is" },
        Verb { usage: "join PARTY|none", does: "travel with party 1 to 64, or with none" },
        Verb { usage: "invite NAME", does: "ask NAME to travel with you" },
        Verb { usage: "accept PARTY", does: "join a party to which you are invited" },
        Verb { usage: "leave", does: "leave your party" },
        Verb { usage: "dismiss NAME", does: "leaders: send NAME away from the party" },
        Verb { usage: "disband", does: "leaders: end the party" },
        Verb { usage: "gather", does: "leaders: call the party together" },
        Verb { usage: "scout out|home", does: "scout one more road, or give it up" },
        Verb { usage: "appoint gm|player NAME", does: "game masters: make NAME one too, or a player again" },
        Verb { usage: "coach", does: "take the coach to the middle of the map" },
    ];

    fn parse(&self, verb: &str, rest: &str) -> Option<Result<CaravanCommand, String>> {
        let alone = |command| {
            if rest.is_empty() {
                Ok(command)
            } else {
                Err(format!("{verb} {rest}: expected nothing after `{verb}`"))
            }
        };
        Some(match verb {
            "walk" => parse_walk(rest),
            "stop" => alone(CaravanCommand::Stop),
            "coach" => alone(CaravanCommand::Coach),
            "say" if rest.is_empty() => Err("say: expected what to say".into()),
            "say" => Ok(CaravanCommand::Say(rest.into())),
            "party" if rest.is_empty() => Err("party: expected what to say".into()),
            "party" => Ok(CaravanCommand::TellParty(rest.into())),
            "join" => parse_party(rest),
            "invite" => named(rest, CaravanCommand::Invite).map_err(|error| format!("invite: {error}")),
            "dismiss" => named(rest, CaravanCommand::Dismiss).map_err(|error| format!("dismiss: {error}")),
            "accept" => match rest.parse::<u64>() {
                Ok(party) => Ok(CaravanCommand::Accept(PartyId(party))),
                Err(_) => Err(format!("accept {rest}: expected the number of a party")),
            },
            "leave" => alone(CaravanCommand::Leave),
            "disband" => alone(CaravanCommand::Disband),
            "gather" => alone(CaravanCommand::Gather),
            "scout" => match rest {
                "out" => Ok(CaravanCommand::Scout(true)),
                "home" => Ok(CaravanCommand::Scout(false)),
                _ => Err(format!("scout {rest}: expected `out` or `home`")),
            },
            "appoint" => parse_appoint(rest),
            _ => return None,
        })
    }

    fn run(&self, player: &mut Player, command: &CaravanCommand) -> Result<Done, String> {
        let asked = match command {
            CaravanCommand::Walk { bearing, speed_m_s } => {
                let steer = Steer { heading: compass::heading(*bearing), speed_m_s: *speed_m_s };
                player.want(&steer).map_err(|error| error.to_string())?;
                let way = compass::point(*bearing);
                return Ok(Done::Said(format!("walking {way} ({bearing:.0}°) at {speed_m_s} m/s")));
            }
            CaravanCommand::Stop => {
                player.want(&Steer { heading: 0.0, speed_m_s: 0.0 }).map_err(|error| error.to_string())?;
                return Ok(Done::Said("standing still".into()));
            }
            CaravanCommand::Say(text) => player.act(&Say { text: text.clone() }),
            CaravanCommand::TellParty(text) => player.act(&TellParty { text: text.clone() }),
            CaravanCommand::Join(party) => player.act(&JoinParty { party: *party }),
            CaravanCommand::Invite(whom) => player.act(&Invite { player: whom.clone() }),
            CaravanCommand::Accept(party) => player.act(&Accept { party: *party }),
            CaravanCommand::Leave => player.act(&LeaveParty),
            CaravanCommand::Dismiss(whom) => player.act(&Dismiss { player: whom.clone() }),
            CaravanCommand::Disband => player.act(&Disband),
            CaravanCommand::Gather => player.act(&Gather),
            CaravanCommand::Scout(out) => player.act(&Scout { out: *out }),
            CaravanCommand::Appoint(whom, game_master) => {
                player.act(&Appoint { player: whom.clone(), game_master: *game_master })
            }
            CaravanCommand::Coach => player.act(&TakeCoach),
        };
        asked.map(Done::Asked).map_err(|error| error.to_string())
    }

    fn name(&self, schema: &Schema, entity: &MirrorEntity) -> Option<String> {
        let walker = entity.component::<Walker>(schema).map(|walker| walker.name);
        walker
            .or_else(|| entity.component::<Caravan>(schema).map(|caravan| caravan.name))
            .or_else(|| entity.component::<Cache>(schema).map(|cache| cache.name))
            .or_else(|| entity.component::<Market>(schema).map(|_| "the market".to_owned()))
    }

    fn describe(&self, schema: &Schema, entity: &MirrorEntity) -> String {
        if let Some(caravan) = entity.component::<Caravan>(schema) {
            let node = self.roads.nodes.get(usize::from(caravan.destination));
            let destination = node.map_or("somewhere", |node| node.name.as_str());
            let mut told = format!("to {destination}, {:.1} m/s, {}", caravan.speed_m_s, caravan.burden);
            if entity.component::<Charter>(schema).is_some() {
                told.push_str(", chartered");
            }
            return told;
        }
        if let Some(market) = entity.component::<Market>(schema) {
            let prices = market.prices.iter().map(|(good, price)| format!("{good} {}", price.silver));
            return prices.collect::<Vec<_>>().join(", ");
        }
        match entity.component::<Walker>(schema) {
            Some(walker) if walker.speed_m_s > 0.0 => {
                let way = compass::point(compass::bearing(Vec2::from_angle(walker.heading)));
                format!("walks {way}, {:.1} m/s", walker.speed_m_s)
            }
            _ => String::new(),
        }
    }

    fn speech(&self, schema: &Schema, event: &ReceivedEvent) -> Option<Speech> {
        if let Some(Ok(news)) = event.read::<PartyNews>(schema) {
            let text = match news.what {
                PartyEvent::Invited => format!("come with us: accept {}", news.party.0),
                PartyEvent::Joined => "I am with you".to_owned(),
                PartyEvent::Gathers => "gather here".to_owned(),
            };
            return Some(Speech { by: news.by, to: Some("the party"), text });
        }
        let chat = event.read::<Chat>(schema)?.ok()?;
        Some(Speech { by: chat.by, to: chat.to_party.then_some("the party"), text: chat.text })
    }

    fn is_player(&self, schema: &Schema, entity: &MirrorEntity) -> bool {
        entity.component::<Walker>(schema).is_some()
    }
}

/// How fast people walk who do not say, m/s.
const WALK_M_S_DEFAULT: f32 = 4.0;

fn named(rest: &str, command: fn(PlayerId) -> CaravanCommand) -> Result<CaravanCommand, String> {
    PlayerId::new(rest).map(command).map_err(|error| error.to_string())
}

fn parse_party(rest: &str) -> Result<CaravanCommand, String> {
    match rest.parse::<u64>() {
        _ if rest == "none" => Ok(CaravanCommand::Join(None)),
        Ok(party) if (1..=PARTIES).contains(&party) => Ok(CaravanCommand::Join(Some(PartyId(party)))),
        _ => Err(format!("join {rest}: expected a party, 1 to {PARTIES}, or `none`")),
    }
}

fn parse_appoint(rest: &str) -> Result<CaravanCommand, String> {
    let (role, name) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let game_master = match role {
        "gm" => true,
        "player" => false,
        _ => return Err(format!("appoint {role}: expected `gm` or `player`, and a name")),
    };
    let whom = PlayerId::new(name.trim()).map_err(|error| format!("appoint {role}: {error}"))?;
    Ok(CaravanCommand::Appoint(whom, game_master))
}

fn parse_walk(rest: &str) -> Result<CaravanCommand, String> {
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
