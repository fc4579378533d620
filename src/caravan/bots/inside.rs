//! Players inside the process: real clients but for the sockets.

use std::sync::Arc;
use std::time::Duration;

use crate::client::{Connection, Ended, Player};
use crate::driver::InProcessPlayers;
use crate::net::Identity;
use crate::net::loopback::LoopbackPort;
use crate::prelude::*;
use crate::protocol::messages::Refusal;
use crate::replication::Schema;

use super::{BotBrain, BotMap, BotProfile};

/// Every so many ticks a bot leaves the world, once nothing is under way for it.
const LEAVE_EVERY: u64 = 2_400;
/// So many ticks it stays away.
const AWAY_TICKS: u64 = 60;

/// What all bots of a process have counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BotCounts {
    /// Bots that are in the world.
    pub playing: u64,
    /// Bots whose connection ended, but for those that left by their own will and those that the world sent away when it ended itself.
    pub lost: u64,
    /// How often one left the world.
    pub left: u64,
    /// How often one that had left was back in.
    pub returned: u64,
    /// Updates applied.
    pub updates: u64,
    /// Their bytes.
    pub update_bytes: u64,
    /// Audits answered with "equal" or "different".
    pub audits: u64,
    /// Audits about which nothing could be said.
    pub audits_inconclusive: u64,
    /// Audits that found a difference.
    pub audit_failures: u64,
    /// Messages that could not be decoded.
    pub decode_errors: u64,
}

/// One of them.
#[derive(Debug)]
struct Bot {
    number: u64,
    brain: BotBrain,
    player: Player,
    /// How often it has come.
    lives: u64,
    /// Until when it is away, ticks; `None` while it is not.
    away_until: Option<u64>,
}

/// Players inside the process: real clients but for the sockets. Once a tick, call [`send`](Self::send) before
/// the tick's input is gathered and [`receive`](Self::receive) after its output is dispatched.
#[derive(Debug)]
pub struct Bots {
    port: LoopbackPort,
    schema: Arc<Schema>,
    seed: u64,
    bots: Vec<Bot>,
    ticks: u64,
    /// Of players that have left.
    former: BotCounts,
}

impl Bots {
    /// Connects `bots` traders, named `Bot 1` and so on. Now and then each leaves the world, and comes back.
    #[must_use]
    pub fn new(port: &LoopbackPort, schema: &Arc<Schema>, map: &Arc<BotMap>, bots: u32, seed: u64) -> Self {
        let bot = |number: u64| Bot {
            number,
            brain: BotBrain::new(BotProfile::Trade, map.clone(), seed, number),
            player: connect(port, schema, seed, number, 0),
            lives: 1,
            away_until: None,
        };
        Self {
            port: port.clone(),
            schema: schema.clone(),
            seed,
            bots: (0..u64::from(bots)).map(bot).collect(),
            ticks: 0,
            former: BotCounts::default(),
        }
    }

    /// Lets every bot decide and send. O(bots).
    pub fn send(&mut self) {
        self.ticks += 1;
        let now = self.ticks;
        for bot in &mut self.bots {
            if bot.away_until.is_some_and(|until| now >= until) {
                bot.away_until = None;
                self.former.add(&bot.player);
                bot.player = connect(&self.port, &self.schema, self.seed, bot.number, bot.lives);
                bot.lives += 1;
            }
            if bot.away_until.is_some() {
                continue;
            }
            bot.brain.think(&mut bot.player, now);
            bot.brain.round_trips().for_each(drop);
            bot.player.send();
            // Each at its own time, from the first such moment on at which nothing is under way for it.
            let stays = (now + bot.number * 7) / LEAVE_EVERY;
            let is_well = bot.player.welcome().is_some() && bot.player.ended().is_none();
            if stays >= bot.lives && is_well && bot.player.unanswered() == 0 {
                bot.player.leave();
                bot.brain.has_left();
                bot.away_until = Some(now + AWAY_TICKS);
                self.former.left += 1;
            }
        }
    }

    /// Takes what the world sent to every bot that is not away.
    pub fn receive(&mut self, elapsed: Duration) {
        for bot in self.bots.iter_mut().filter(|bot| bot.away_until.is_none()) {
            bot.player.receive(elapsed);
        }
    }

    /// What they have counted so far. O(bots).
    #[must_use]
    pub fn counts(&self) -> BotCounts {
        let mut sum = self.former;
        for bot in &self.bots {
            let player = &bot.player;
            sum.add(player);
            if bot.away_until.is_some() {
                sum.returned += bot.lives - 1;
                continue;
            }
            let is_in = player.welcome().is_some() && player.ended().is_none();
            sum.playing += u64::from(is_in);
            sum.returned += u64::from(is_in && bot.lives > 1) + bot.lives.saturating_sub(2);
            let sent_home = matches!(player.ended(), Some(Ended::Refused(Refusal::Draining)));
            sum.lost += u64::from(player.ended().is_some() && !sent_home);
        }
        sum
    }
}

impl BotCounts {
    /// Adds what a player has counted.
    fn add(&mut self, player: &Player) {
        let counts = player.counts();
        self.updates += counts.updates;
        self.update_bytes += counts.update_bytes;
        self.audits += counts.audits;
        self.audits_inconclusive += counts.audits_inconclusive;
        self.audit_failures += counts.audit_failures;
        self.decode_errors += counts.decode_errors;
    }
}

/// The player of bot number `number` that begins its life of this number, on its way in.
fn connect(port: &LoopbackPort, schema: &Arc<Schema>, seed: u64, number: u64, life: u64) -> Player {
    let name = PlayerId::new(&format!("Bot {}", number + 1)).expect("short and printable");
    let link = port.connect(Identity::player(name));
    let connection = Connection::over(Box::new(link), schema.hash(), crate::VERSION);
    // The ids of a life's actions must not be those of an earlier life's, so the seed takes part.
    let ids = Random::new(seed, NetId(number), TickNumber(life), 1).bits();
    Player::new(connection, schema.clone(), ids)
}

impl InProcessPlayers for Bots {
    fn send(&mut self) {
        Bots::send(self);
    }

    fn receive(&mut self, elapsed: Duration) {
        Bots::receive(self, elapsed);
    }

    fn counters(&self) -> Vec<(String, u64)> {
        let counts = self.counts();
        let all = [
            ("bots", self.bots.len() as u64),
            ("bots_lost", counts.lost),
            ("bots_left", counts.left),
            ("bots_returned", counts.returned),
            ("bots_updates", counts.updates),
            ("bots_decode_errors", counts.decode_errors),
            ("bots_audit_failures", counts.audit_failures),
        ];
        all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
