//! Players without people: they walk, crowd or cross borders, and now and then say something.
//!
//! *Does*: decides once a tick what a player wants, as a function of (seed, number, tick) and of what the player
//! sees; lets players leave and come back; runs players inside the process over the loopback network, through full encode and decode.
//! *Does not*: know anything that a client would not know.
//! *Reads*: the player's view and answers. *Writes*: the player's inputs and actions.

use std::f32::consts::TAU;
use std::sync::Arc;
use std::time::Duration;

use crate::client::Player;
use crate::ids::ActionId;
use crate::prelude::*;

use super::{
    Appoint, BattleNews, Chat, JoinParty, March, PARTIES, PartyNews, Say, Scout, Steer, TakeCoach, TellParty,
    WALK_M_S_MAX, Walker,
};

mod fellowship;
mod inside;
mod map;
mod trading;

use fellowship::Fellowship;
pub use inside::{BotCounts, Bots};
pub use map::BotMap;
use trading::{Deed, Trading};
pub use trading::{DoneByBot, TradedByBot};

/// Where a bot likes to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BotProfile {
    /// Everywhere: from trade node to trade node, at random.
    #[default]
    Walk,
    /// All in one place: they take the coach to the middle of the map and mill about.
    Crowd,
    /// On the borders of cells and around their corners, to and fro.
    Border,
    /// They become somebody, march from node to node, trade there, hire people and run errands, fight whoever lies in wait on the way,
    /// and travel and talk with each other.
    Trade,
    /// As `Walk`; besides they speak to their parties, change them, scout and come home, and appoint each other if they
    /// may: of all that policies decide by, nothing stays as it is.
    Caravan,
}

/// So near to where it goes, a bot has arrived: more than it walks while its wish is on its way, m.
const ARRIVED_M: f32 = 1.5;
/// After so many ticks a bot looks again where it is going.
const LOOK_EVERY: u64 = 20;
/// After so many ticks it gives up to get there.
const LEG_TICKS_MAX: u64 = 1_200;
/// Every so many ticks it says something.
const SAY_EVERY: u64 = 60;
/// Every so many ticks it asks again for the coach.
const COACH_EVERY: u64 = 100;
/// Every so many ticks a player of the caravan profile does something about its side, one thing after the other.
const SIDE_EVERY: u64 = 40;
/// Every so many ticks a trader that is at a node trades.
const TRADE_EVERY: u64 = 30;
/// Every so many ticks a trader becomes somebody, learns something or puts something on, if it can.
const GROW_EVERY: u64 = 120;
/// Every so many ticks a trader does something about its party.
const PARTY_EVERY: u64 = 80;
/// Every so many ticks a bot looks whether it has to fight.
const FIGHT_EVERY: u64 = 10;
/// One player in so many tries to appoint others: in a world that knows who its game masters are, the first may.
const APPOINTS_EVERY: u64 = 100;
/// Ticks between two of its appointments.
const APPOINT_EVERY: u64 = 40;
/// Every so many ticks it forgets what has happened in its view.
const FORGET_EVERY: u64 = 32;
/// How far from a trade node it goes, m.
const AROUND_NODE_M: f32 = 20.0;
/// How far from the middle of the map the crowd reaches, m.
const CROWD_M: f32 = 12.0;
/// How far beyond a border it goes before it turns, m.
const BEYOND_BORDER_M: f32 = 4.0;
/// Answer times kept until somebody asks for them.
const ROUND_TRIPS_MAX: usize = 1_024;

/// Purposes of chance.
const NEXT_LEG: u32 = 0;
const SIDE: u32 = 2;
const TRADE: u32 = 3;
const FIGHT: u32 = 4;
const GROW: u32 = 5;
const PARTY: u32 = 6;

/// Where a bot is going.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Leg {
    to: Vec2,
    speed_m_s: f32,
    begun: u64,
    /// It stays there until this long after it came, ticks.
    rests: u64,
    /// When it came.
    arrived: Option<u64>,
}

/// Decides what one bot does. Call [`think`](Self::think) once a tick, before the player sends.
#[derive(Debug)]
pub struct BotBrain {
    profile: BotProfile,
    map: Arc<BotMap>,
    seed: u64,
    number: u64,
    legs: u64,
    leg: Option<Leg>,
    round_trips: Vec<Duration>,
    /// How often it has done something about its side.
    turns: u64,
    heard: HeardByBot,
    trading: Trading,
    fellowship: Fellowship,
    /// Whom it knows without having seen them.
    fellows: Vec<PlayerId>,
    dreads: Option<&'static str>,
}

/// What a bot has heard others say, and itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeardByBot {
    /// By somebody in view.
    pub around: u64,
    /// By somebody of the party.
    pub in_party: u64,
    /// What nobody should say: see [`BotBrain::dreading`].
    pub dreaded: u64,
}

impl BotBrain {
    /// Bot number `number` of those with this seed.
    #[must_use]
    pub fn new(profile: BotProfile, map: Arc<BotMap>, seed: u64, number: u64) -> Self {
        Self {
            profile,
            map,
            seed,
            number,
            legs: 0,
            leg: None,
            round_trips: Vec::new(),
            turns: 0,
            heard: HeardByBot::default(),
            trading: Trading::default(),
            fellowship: Fellowship::default(),
            fellows: Vec::new(),
            dreads: None,
        }
    }

    /// Lets it know players whom it may appoint though it does not see them.
    #[must_use]
    pub fn knowing(self, fellows: Vec<PlayerId>) -> Self {
        Self { fellows, ..self }
    }

    /// Lets it count how often this is said, by whomever.
    #[must_use]
    pub fn dreading(self, text: &'static str) -> Self {
        Self { dreads: Some(text), ..self }
    }

    /// Lets it keep the id of each trade that it was told is done: 16 bytes for each, without an end.
    #[must_use]
    pub fn keeping_receipts(mut self) -> Self {
        self.trading.keep_receipts();
        self
    }

    /// The role that a bot needs to play its part. A world without a key takes everybody for an ordinary player.
    #[must_use]
    pub fn role(profile: BotProfile, number: u64) -> Role {
        let appoints = profile == BotProfile::Caravan && number.is_multiple_of(APPOINTS_EVERY);
        if appoints { Role::Gm } else { Role::Player }
    }

    /// Decides on the tick's wishes, and hears the answers to earlier ones. Does nothing until the player is in.
    pub fn think(&mut self, player: &mut Player, tick: u64) {
        for reply in player.replies() {
            self.trading.hear(&reply);
            if self.round_trips.len() < ROUND_TRIPS_MAX {
                self.round_trips.push(reply.waited);
            }
        }
        if player.ended().is_some() {
            return;
        }
        // Each at its own time, so that a thousand bots do not do the same in one tick.
        let turn = tick + self.number;
        if turn.is_multiple_of(FORGET_EVERY) {
            let schema = player.schema().clone();
            drop(player.view_mut().drain_events(&schema));
            for event in player.events() {
                if let Some(Ok(chat)) = event.read::<Chat>(&schema) {
                    self.heard.dreaded += u64::from(self.dreads.is_some_and(|text| chat.text == text));
                    *if chat.to_party { &mut self.heard.in_party } else { &mut self.heard.around } += 1;
                } else if let Some(Ok(news)) = event.read::<PartyNews>(&schema) {
                    self.fellowship.hear(&news);
                } else if let Some(Ok(BattleNews { is_own: true, .. })) = event.read(&schema) {
                    self.trading.hear_of_battle();
                }
            }
        }
        let Some((place, area)) = whereabouts(player) else { return };
        if turn.is_multiple_of(SAY_EVERY) {
            // What the connection does not take now, the next turn says.
            let said = player.act(&Say { text: format!("{} has come {} ways", self.number, self.legs) });
            self.trading.expect(Deed::Say, said.ok());
        }
        let to_middle = place.distance((area.min + area.max) / 2.0);
        if self.profile == BotProfile::Crowd && to_middle > 3.0 * CROWD_M && turn.is_multiple_of(COACH_EVERY)
        {
            let _ = player.act(&TakeCoach);
        }
        if self.profile == BotProfile::Trade && turn.is_multiple_of(TRADE_EVERY) {
            let mut chance = Random::new(self.seed, NetId(self.number), TickNumber(tick), TRADE);
            self.trading.trade(player, &self.map, place, &mut chance);
        }
        if self.profile == BotProfile::Trade && (turn + TRADE_EVERY / 2).is_multiple_of(GROW_EVERY) {
            let mut chance = Random::new(self.seed, NetId(self.number), TickNumber(tick), GROW);
            self.trading.grow(player, &mut chance);
        }
        if self.profile == BotProfile::Trade && (turn + TRADE_EVERY / 3).is_multiple_of(PARTY_EVERY) {
            let mut chance = Random::new(self.seed, NetId(self.number), TickNumber(tick), PARTY);
            self.fellowship.turn(player, &mut self.trading, &mut chance);
        }
        // Whoever goes far from any node may be attacked.
        if turn.is_multiple_of(FIGHT_EVERY) {
            let mut chance = Random::new(self.seed, NetId(self.number), TickNumber(tick), FIGHT);
            self.trading.fight(player, &mut chance);
        }
        if self.profile == BotProfile::Caravan {
            if turn.is_multiple_of(SIDE_EVERY) {
                self.change_side(player, tick);
            }
            if Self::role(self.profile, self.number) == Role::Gm && turn.is_multiple_of(APPOINT_EVERY) {
                self.appoint(player, tick);
            }
        }
        self.walk(player, place, &area, tick);
    }

    /// Changes what policies know of the player, or speaks to those who are on its side.
    fn change_side(&mut self, player: &mut Player, tick: u64) {
        let mut chance = Random::new(self.seed, NetId(self.number), TickNumber(tick), SIDE);
        // What the connection does not take is left out.
        let _ = match self.turns % 4 {
            0 => {
                let alone = chance.chance(0.2);
                let party = 1 + chance.below(PARTIES as usize) as u64;
                player.act(&JoinParty { party: (!alone).then_some(PartyId(party)) })
            }
            1 => player.act(&Scout { out: self.turns % 8 == 1 }),
            _ => player.act(&TellParty { text: format!("{} is here after {} ways", self.number, self.legs) }),
        };
        self.turns += 1;
    }

    /// Makes somebody in view, or whom it knows, a game master, or an ordinary player again.
    fn appoint(&mut self, player: &mut Player, tick: u64) {
        let schema = player.schema().clone();
        let own = player.avatar();
        let others = player.view().entities().filter(|entity| Some(entity.net_id()) != own);
        let seen = others.filter_map(|entity| PlayerId::new(&entity.component::<Walker>(&schema)?.name).ok());
        let mut names: Vec<PlayerId> = seen.chain(self.fellows.iter().cloned()).collect();
        names.sort_unstable();
        let mut chance = Random::new(self.seed, NetId(self.number), TickNumber(tick), SIDE);
        if !names.is_empty() {
            let whom = names.swap_remove(chance.below(names.len()));
            let _ = player.act(&Appoint { player: whom, game_master: chance.chance(0.5) });
        }
    }

    fn walk(&mut self, player: &mut Player, place: Vec2, area: &Area, tick: u64) {
        let Some(leg) = &mut self.leg else { return self.set_out(player, place, area, tick) };
        if let Some(arrived) = leg.arrived {
            if tick >= arrived + leg.rests {
                self.set_out(player, place, area, tick);
            }
        } else if place.distance(leg.to) < ARRIVED_M || tick > leg.begun + LEG_TICKS_MAX {
            leg.arrived = Some(tick);
            if leg.rests > 0 && leg.speed_m_s > 0.0 {
                steer(player, 0.0, 0.0);
            }
        } else if leg.speed_m_s > 0.0 && (tick - leg.begun).is_multiple_of(LOOK_EVERY) {
            steer(player, (leg.to - place).to_angle(), leg.speed_m_s);
        }
    }

    fn set_out(&mut self, player: &mut Player, place: Vec2, area: &Area, tick: u64) {
        let mut chance = Random::new(self.seed, NetId(self.number), TickNumber(tick), NEXT_LEG);
        let (to, rests) = match self.profile {
            BotProfile::Trade if !self.map.places.is_empty() => {
                // It is taken there, and bargains for a while.
                let to = Trading::destination(player, &self.map, &mut chance);
                let _ = player.act(&March { to });
                let rests = TRADE_EVERY * (2 + chance.below(6) as u64);
                let to = self.map.places[usize::from(to.0)];
                self.leg = Some(Leg { to, speed_m_s: 0.0, begun: tick, rests, arrived: None });
                self.legs += 1;
                return;
            }
            BotProfile::Walk | BotProfile::Trade | BotProfile::Caravan => {
                let node = match self.map.places.len() {
                    0 => (area.min + area.max) / 2.0,
                    places => self.map.places[chance.below(places)],
                };
                (node + anywhere_within(AROUND_NODE_M, &mut chance), chance.below(60) as u64)
            }
            BotProfile::Crowd => {
                let middle = (area.min + area.max) / 2.0;
                (middle + anywhere_within(CROWD_M, &mut chance), chance.below(20) as u64)
            }
            BotProfile::Border => (self.beyond_border(place, area), 0),
        };
        let to = area.clamp(to.extend(0.0)).truncate();
        let speed_m_s = chance.between(WALK_M_S_MAX / 3.0..WALK_M_S_MAX);
        steer(player, (to - place).to_angle(), speed_m_s);
        self.leg = Some(Leg { to, speed_m_s, begun: tick, rests, arrived: None });
        self.legs += 1;
    }

    /// The other side of the nearest border; every third bot goes around the nearest corner instead.
    fn beyond_border(&self, place: Vec2, area: &Area) -> Vec2 {
        let cell = self.map.cell_size(area);
        let inner = |at: f32, min: f32, edge: f32, cells: u32| {
            let line = ((at - min) / edge).round().clamp(1.0, cells.saturating_sub(1).max(1) as f32);
            min + line * edge
        };
        let x = inner(place.x, area.min.x, cell.x, self.map.grid[0]);
        let y = inner(place.y, area.min.y, cell.y, self.map.grid[1]);
        if self.number.is_multiple_of(3) {
            let quarter = (self.legs % 4) as f32 * TAU / 4.0 + TAU / 8.0;
            return Vec2::new(x, y) + Vec2::from_angle(quarter) * BEYOND_BORDER_M;
        }
        let beyond = |at: f32, line: f32| line + if at < line { BEYOND_BORDER_M } else { -BEYOND_BORDER_M };
        if (place.x - x).abs() < (place.y - y).abs() {
            Vec2::new(beyond(place.x, x), place.y)
        } else {
            Vec2::new(place.x, beyond(place.y, y))
        }
    }

    /// How many ways it has gone, the one it is on included.
    #[must_use]
    pub fn legs(&self) -> u64 {
        self.legs
    }

    /// What it has heard.
    #[must_use]
    pub fn heard(&self) -> HeardByBot {
        self.heard
    }

    /// What came of its trades.
    #[must_use]
    pub fn traded(&self) -> TradedByBot {
        self.trading.traded()
    }

    /// What it did.
    #[must_use]
    pub fn done(&self) -> DoneByBot {
        self.trading.done()
    }

    /// Its player has left the world, and comes back as another: what it waited for does not come any more.
    pub fn has_left(&mut self) {
        self.trading.forget_asked();
        self.fellowship.forget();
        self.leg = None;
    }

    /// The trades that it was told are done, if it [keeps](Self::keeping_receipts) them.
    #[must_use]
    pub fn receipts(&self) -> &[ActionId] {
        self.trading.receipts()
    }

    /// From each action to its answer, since the last call; at most 1,024 are kept.
    pub fn round_trips(&mut self) -> impl Iterator<Item = Duration> + '_ {
        self.round_trips.drain(..)
    }
}

/// Where the player's avatar is in which world; `None` until it has been seen.
fn whereabouts(player: &Player) -> Option<(Vec2, Area)> {
    let welcome = player.welcome()?;
    let avatar = player.view().get(welcome.avatar)?;
    Some((avatar.lattice().to_place().truncate(), welcome.area))
}

fn steer(player: &mut Player, heading: f32, speed_m_s: f32) {
    // Both ends have the same schema, or there would be no session: the action is known.
    let _ = player.want(&Steer { heading, speed_m_s });
}

fn anywhere_within(radius_m: f32, chance: &mut Random) -> Vec2 {
    Vec2::from_angle(chance.unit() * TAU) * radius_m * chance.unit()
}
