//! The game at a console: its verbs, and what people call what they see.

use crate::client::Player;
use crate::client::compass;
use crate::client::console::{ClientGame, Done, Speech, Verb};
use crate::client::mirror::MirrorEntity;
use crate::client::player::Reply;
use crate::prelude::*;
use crate::replication::{ReceivedEvent, Schema};

use super::{
    Accept, Appoint, BattleNews, Board, Buy, Cache, Campaign, Caravan, Charter, Chat, Deliver, Disband,
    Dismiss, Encounter, Fight, Gather, GiveUpErrand, Good, Halt, Hand, HandIn, Handbook, Hire, Invite,
    JoinParty, LeaveParty, Letters, March, Market, Mend, NodeId, Order, PartyNews, PayOff, PeopleCommand,
    Post, Ranks, Roads, Say, Scout, Sell, Steer, TakeCoach, TakeErrand, TellParty, Walker, people,
};

mod answers;
mod parse;
mod tell;

pub use answers::InWords;
use parse::{named, parse_appoint, parse_count, parse_hands, parse_party, parse_trade, parse_walk};
pub use tell::{battle_line, encounter_line, party_line};

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
    /// Tell what there is at the node where one is.
    Market,
    /// Tell how a battle stands.
    Battle,
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
    /// Give the errand up.
    GiveUp,
    /// Tell who travels with one, what one has been asked to bring, and how a battle stands.
    Retinue,
    /// Tell what one has been written.
    Letters,
    /// What is about who one is.
    People(PeopleCommand),
}

const VERBS: [Verb; 34] = [
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
    Verb { usage: "buy LOADS GOOD [PRICE]", does: "buy at the node where you are, at most at PRICE a load" },
    Verb {
        usage: "sell LOADS GOOD [PRICE]",
        does: "sell at the node where you are, at least at PRICE a load",
    },
    Verb { usage: "bounty", does: "hand in what the node's bounty asks for" },
    Verb { usage: "purse", does: "tell what you own, and how much of your pack is full" },
    Verb {
        usage: "market",
        does: "tell what there is at the node where you are: prices, its bounty, the errand offered",
    },
    Verb {
        usage: "quotes",
        does: "tell what goods cost at the node where you are, and what it still trades",
    },
    Verb { usage: "march NODE", does: "march to a node, along the roads" },
    Verb { usage: "halt", does: "stay where you are" },
    Verb { usage: "attack", does: "in a battle: strike hard in this round, and be struck" },
    Verb { usage: "defend", does: "in a battle: strike less, and be struck less" },
    Verb { usage: "flee", does: "in a battle: try to get away" },
    Verb { usage: "battle", does: "tell how your battle stands" },
    Verb { usage: "hire COUNT guards|archers|healers", does: "hire hands at the node where you are" },
    Verb { usage: "payoff COUNT guards|archers|healers", does: "let hands go" },
    Verb { usage: "mend COUNT", does: "have wounded hands mended at the node where you are" },
    Verb { usage: "errand", does: "take the errand that is offered at the node where you are" },
    Verb { usage: "giveup", does: "give up your errand: it takes a while until another is offered" },
    Verb { usage: "deliver", does: "bring what the errand asks for, where it is wanted" },
    Verb { usage: "retinue", does: "tell who travels with you, your errand, and how a battle stands" },
    Verb { usage: "letters", does: "tell what you have been written" },
    Verb { usage: "coach", does: "take the coach to the middle of the map" },
];

/// All of them: the game's, and those about people.
const ALL_VERBS: [Verb; VERBS.len() + people::VERBS.len()] = {
    let mut all = [VERBS[0]; VERBS.len() + people::VERBS.len()];
    let mut place = 0;
    while place < all.len() {
        all[place] = if place < VERBS.len() { VERBS[place] } else { people::VERBS[place - VERBS.len()] };
        place += 1;
    }
    all
};

impl ClientGame for CaravanConsole {
    type Command = CaravanCommand;

    const VERBS: &'static [Verb] = &ALL_VERBS;

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
            "market" => alone(CaravanCommand::Market),
            "battle" => alone(CaravanCommand::Battle),
            "giveup" => alone(CaravanCommand::GiveUp),
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
            CaravanCommand::GiveUp => player.act(&GiveUpErrand),
            CaravanCommand::Letters => return Ok(Done::Said(self.letters(player))),
            CaravanCommand::People(command) => return command.run(player),
            CaravanCommand::Retinue => return Ok(Done::Said(self.retinue(player))),
            CaravanCommand::Quotes => return Ok(Done::Said(self.quotes(player))),
            CaravanCommand::Market => return Ok(Done::Said(self.market(player))),
            CaravanCommand::Battle => {
                let stands = self.battle(player);
                return Ok(Done::Said(stands.unwrap_or_else(|| "nobody fights you".to_owned())));
            }
            CaravanCommand::Purse => return Ok(Done::Said(self.belongings(player))),
        };
        asked.map(Done::Asked).map_err(|error| error.to_string())
    }

    fn answer(&self, command: &CaravanCommand, reply: &Reply) -> Option<String> {
        self.answer_line(command, reply)
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
            .or_else(|| entity.component::<Handbook>(schema).map(|_| "the handbook".to_owned()))
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
            let text = party_line(&news);
            return Some(Speech { by: news.by, to: Some("the party"), text });
        }
        if let Some(Ok(news)) = event.read::<BattleNews>(schema) {
            let text = battle_line(&news);
            return Some(Speech { by: "battle".to_owned(), to: None, text });
        }
        if let Some(Ok(encounter)) = event.read::<Encounter>(schema) {
            let text = encounter_line(&encounter);
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
