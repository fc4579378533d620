//! The game at a console: its verbs, and what people call what they see.

use crate::client::Player;
use crate::client::compass;
use crate::client::console::{ClientGame, Done, Speech, Verb};
use crate::client::mirror::MirrorEntity;
use crate::prelude::*;
use crate::replication::{ReceivedEvent, Schema};

use super::{
    Accept, Appoint, BattleNews, Board, Buy, Cache, Campaign, Caravan, Charter, Chat, Deliver, Disband,
    Dismiss, Encounter, Errands, Fight, Gather, Good, HIRED_AT_ONCE_MAX, Halt, Hand, HandIn, Hire, Invite,
    JoinParty, LOADS_MAX, LeaveParty, Letters, March, Market, Mend, NodeId, Order, PARTIES, PartyEvent,
    PartyNews, PayOff, PeopleCommand, Post, Purse, Quotes, Ranks, Retinue, Roads, Say, Scout, Sell, Steer,
    TakeCoach, TakeErrand, TellParty, WALK_M_S_MAX, Walker, people, place_of,
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
    /// Buy loads of a good, each for at most so much.
    Buy(u16, Good, u32),
    /// Sell loads of a good, each for at least so much.
    Sell(u16, Good, u32),
    /// Hand in what the node's bounty asks for.
    HandIn,
    /// Tell what one owns.
    Purse,
    /// Tell what goods cost where one is.
    Quotes,
    /// March to the node of this name.
    March(NodeId),
    /// Stay where one is.
    Halt,
    /// Fight a round like this.
    Fight(Order),
    /// Hire so many.
    Hire(u16, Hand),
    /// Let so many go.
    PayOff(u16, Hand),
    /// Have so many wounded mended.
    Mend(u16),
    /// Take an errand.
    TakeErrand,
    /// Do the errand.
    Deliver,
    /// Tell who travels with one, what one has been asked to bring, and how a battle stands.
    Retinue,
    /// Tell what one has been written.
    Letters,
    /// What is about who one is.
    People(PeopleCommand),
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
        Verb {
            usage: "buy LOADS GOOD [PRICE]",
            does: "buy at the node where you are, at most at PRICE a load",
        },
        Verb {
            usage: "sell LOADS GOOD [PRICE]",
            does: "sell at the node where you are, at least at PRICE a load",
        },
        Verb { usage: "bounty", does: "hand in what the node's bounty asks for" },
        Verb { usage: "purse", does: "tell what you own" },
        Verb {
            usage: "quotes",
            does: "tell what goods cost at the node where you are, and what it still trades",
        },
        Verb { usage: "march NODE", does: "march to a node, along the roads" },
        Verb { usage: "halt", does: "stay where you are" },
        Verb { usage: "attack", does: "in a battle: strike hard in this round, and be struck" },
        Verb { usage: "defend", does: "in a battle: strike less, and be struck less" },
        Verb { usage: "flee", does: "in a battle: try to get away" },
        Verb { usage: "hire COUNT guards|archers|healers", does: "hire hands at the node where you are" },
        Verb { usage: "payoff COUNT guards|archers|healers", does: "let hands go" },
        Verb { usage: "mend COUNT", does: "have wounded hands mended at the node where you are" },
        Verb { usage: "errand", does: "take an errand" },
        Verb { usage: "deliver", does: "bring what the errand asks for, where it is wanted" },
        Verb { usage: "retinue", does: "tell who travels with you, your errand, and how a battle stands" },
        Verb { usage: "letters", does: "tell what you have been written" },
        Verb { usage: "coach", does: "take the coach to the middle of the map" },
        people::VERBS[0],
        people::VERBS[1],
        people::VERBS[2],
        people::VERBS[3],
        people::VERBS[4],
        people::VERBS[5],
        people::VERBS[6],
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
            "buy" => parse_trade("buy", rest)
                .map(|(loads, good, silver)| CaravanCommand::Buy(loads, good, silver.unwrap_or(u32::MAX))),
            "sell" => parse_trade("sell", rest)
                .map(|(loads, good, silver)| CaravanCommand::Sell(loads, good, silver.unwrap_or(0))),
            "bounty" => alone(CaravanCommand::HandIn),
            "purse" => alone(CaravanCommand::Purse),
            "quotes" => alone(CaravanCommand::Quotes),
            "march" => self.parse_march(rest),
            "halt" => alone(CaravanCommand::Halt),
            "attack" => alone(CaravanCommand::Fight(Order::Attack)),
            "defend" => alone(CaravanCommand::Fight(Order::Defend)),
            "flee" => alone(CaravanCommand::Fight(Order::Flee)),
            "hire" => parse_hands("hire", rest).map(|(count, hand)| CaravanCommand::Hire(count, hand)),
            "payoff" => parse_hands("payoff", rest).map(|(count, hand)| CaravanCommand::PayOff(count, hand)),
            "mend" => parse_count("mend", rest).map(CaravanCommand::Mend),
            "errand" => alone(CaravanCommand::TakeErrand),
            "deliver" => alone(CaravanCommand::Deliver),
            "retinue" => alone(CaravanCommand::Retinue),
            "letters" => alone(CaravanCommand::Letters),
            _ => return PeopleCommand::parse(verb, rest).map(|read| read.map(CaravanCommand::People)),
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
            CaravanCommand::Buy(loads, good, at_most) => {
                player.act(&Buy { good: *good, loads: *loads, at_most: *at_most })
            }
            CaravanCommand::Sell(loads, good, at_least) => {
                player.act(&Sell { good: *good, loads: *loads, at_least: *at_least })
            }
            CaravanCommand::HandIn => player.act(&HandIn),
            CaravanCommand::March(to) => player.act(&March { to: *to }),
            CaravanCommand::Halt => player.act(&Halt),
            CaravanCommand::Fight(order) => player.act(&Fight { order: *order }),
            CaravanCommand::Hire(count, hand) => player.act(&Hire { hand: *hand, count: *count }),
            CaravanCommand::PayOff(count, hand) => player.act(&PayOff { hand: *hand, count: *count }),
            CaravanCommand::Mend(count) => player.act(&Mend { count: *count }),
            CaravanCommand::TakeErrand => player.act(&TakeErrand),
            CaravanCommand::Deliver => player.act(&Deliver),
            CaravanCommand::Letters => return Ok(Done::Said(self.letters(player))),
            CaravanCommand::People(command) => return command.run(player),
            CaravanCommand::Retinue => return Ok(Done::Said(self.retinue(player))),
            CaravanCommand::Quotes => return Ok(Done::Said(self.quotes(player))),
            CaravanCommand::Purse => {
                let schema = player.schema().clone();
                let avatar = player.avatar().and_then(|avatar| player.view().get(avatar));
                let purse = avatar.and_then(|avatar| avatar.component::<Purse>(&schema));
                return Ok(Done::Said(
                    purse.map_or_else(|| "you see no purse yet".to_owned(), |purse| purse.to_string()),
                ));
            }
        };
        asked.map(Done::Asked).map_err(|error| error.to_string())
    }

    fn name(&self, schema: &Schema, entity: &MirrorEntity) -> Option<String> {
        let walker = entity.component::<Walker>(schema).map(|walker| walker.name);
        walker
            .or_else(|| entity.component::<Caravan>(schema).map(|caravan| caravan.name))
            .or_else(|| entity.component::<Cache>(schema).map(|cache| cache.name))
            .or_else(|| entity.component::<Market>(schema).map(|_| "the market".to_owned()))
            .or_else(|| entity.component::<Board>(schema).map(|_| "the board".to_owned()))
            .or_else(|| entity.component::<Ranks>(schema).map(|_| "the ranks".to_owned()))
            .or_else(|| entity.component::<Letters>(schema).map(|_| "the letters".to_owned()))
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
        if let Some(board) = entity.component::<Board>(schema) {
            let asked = self.roads.nodes.iter().zip(&board.asked);
            return asked.map(|(node, good)| format!("{} {good}", node.name)).collect::<Vec<_>>().join(", ");
        }
        if let Some(ranks) = entity.component::<Ranks>(schema) {
            let best = ranks.best.iter().map(|(name, renown)| format!("{name} {renown}"));
            return best.collect::<Vec<_>>().join(", ");
        }
        if let Some(Campaign { band: Some(band), foes, round, .. }) = entity.component::<Campaign>(schema) {
            return format!("fights {foes} {band}, round {round}");
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
        if let Some(Ok(news)) = event.read::<BattleNews>(schema) {
            let counts = match (news.is_void, news.died) {
                (true, _) => ", for nothing: it could not be kept",
                (false, true) => ", and you died of it",
                (false, false) => "",
            };
            let text =
                format!("{} against {} after {} rounds{counts}", news.end.name(), news.band, news.rounds);
            return Some(Speech { by: "battle".to_owned(), to: None, text });
        }
        if let Some(Ok(Encounter { with, is_hostile })) = event.read::<Encounter>(schema) {
            let text = if is_hostile {
                format!("{with} and its people attack you")
            } else {
                format!("you meet {with}")
            };
            return Some(Speech { by: "the road".to_owned(), to: None, text });
        }
        if let Some(Ok(post)) = event.read::<Post>(schema) {
            return Some(Speech { by: "the post".to_owned(), to: None, text: post.about.to_string() });
        }
        let chat = event.read::<Chat>(schema)?.ok()?;
        Some(Speech { by: chat.by, to: chat.to_party.then_some("the party"), text: chat.text })
    }

    fn is_player(&self, schema: &Schema, entity: &MirrorEntity) -> bool {
        entity.component::<Walker>(schema).is_some()
    }
}

impl CaravanConsole {
    fn parse_march(&self, rest: &str) -> Result<CaravanCommand, String> {
        let wanted = rest.to_lowercase();
        let node = self.roads.nodes.iter().position(|node| node.name.to_lowercase() == wanted);
        node.map(|node| CaravanCommand::March(NodeId(node as u16))).ok_or_else(|| {
            let names: Vec<&str> = self.roads.nodes.iter().map(|node| node.name.as_str()).collect();
            format!("march {rest}: expected a node: {}", names.join(", "))
        })
    }

    /// What a player has been written, a line each, the newest first.
    #[must_use]
    pub fn letters(&self, player: &Player) -> String {
        let schema = player.schema();
        let all = player.view().entities().find_map(|entity| entity.component::<Letters>(schema));
        let own = all.into_iter().flat_map(|letters| letters.boxes.into_values()).flatten();
        let lines: Vec<String> = own.map(|letter| letter.about.to_string()).collect();
        if lines.is_empty() { "nobody has written to you".to_owned() } else { lines.join("\n") }
    }

    /// What goods cost at the node where a player is.
    #[must_use]
    pub fn quotes(&self, player: &Player) -> String {
        let own = player.avatar().and_then(|avatar| player.view().get(avatar));
        let quotes = own.and_then(|own| own.component::<Quotes>(player.schema())).unwrap_or_default();
        match quotes.node.and_then(|node| self.roads.nodes.get(usize::from(node.0))) {
            Some(node) => format!("{}: {quotes}", node.name),
            None => "you are at no node".to_owned(),
        }
    }

    /// Who travels with a player, what it has been asked to bring, and how its battle or march stands.
    #[must_use]
    pub fn retinue(&self, player: &Player) -> String {
        let schema = player.schema();
        let own = player.avatar().and_then(|avatar| player.view().get(avatar));
        let Some(own) = own else { return "you see nobody yet".to_owned() };
        let mut text = own.component::<Retinue>(schema).unwrap_or_default().to_string();
        let errands = own.component::<Errands>(schema).unwrap_or_default();
        if let Some(errand) = errands.current() {
            let to = &self.roads.node(place_of(&errand, &self.roads)).name;
            text.push_str(&format!("; {} {} are wanted in {to}", errand.loads, errand.good));
        }
        let campaign = own.component::<Campaign>(schema).unwrap_or_default();
        if let Some(band) = campaign.band {
            let Campaign { foes, round, health, .. } = campaign;
            text.push_str(&format!("; fighting {foes} {band} in round {round}, health {health}"));
        } else if let Some(to) = campaign.to.and_then(|to| self.roads.nodes.get(usize::from(to.0))) {
            text.push_str(&format!("; marching to {}", to.name));
        }
        text
    }
}

fn parse_count(verb: &str, text: &str) -> Result<u16, String> {
    let count = text.trim().parse().ok().filter(|count| (1..=HIRED_AT_ONCE_MAX).contains(count));
    count.ok_or_else(|| format!("{verb}: `{text}` is no number of hands: expected 1 to {HIRED_AT_ONCE_MAX}"))
}

fn parse_hands(verb: &str, rest: &str) -> Result<(u16, Hand), String> {
    let (count, hand) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let count = parse_count(verb, count)?;
    hand.trim().parse().map(|hand| (count, hand)).map_err(|error: String| format!("{verb}: {error}"))
}

fn parse_trade(verb: &str, rest: &str) -> Result<(u16, Good, Option<u32>), String> {
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
