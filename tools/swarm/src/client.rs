//! One client's life: it connects, plays, comes back when its connection is lost, and leaves.

use std::collections::BTreeSet;
use std::time::Duration;

use terrane::caravan::Say;
use terrane::caravan::bots::BotBrain;
use terrane::client::player::PlayerCounts;
use terrane::client::{Ended, Player, PlayerNews};
use terrane::ids::ActionId;
use terrane::net::LinkEnd;
use terrane::net::auth::SILENCE_SECONDS_MAX;
use terrane::protocol::messages::{Health, Refusal};

use crate::args::Profile;
use crate::measured::Measured;
use crate::plan::{Mishap, Plan};

/// How long a client may take to get in, or back in where the world waits no longer.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// How long a device whose place was taken may go without hearing of it: if the world dies meanwhile, it hears of that by its
/// silence, and of its successor when it comes back.
const FORMER_GRACE: Duration = Duration::from_secs(SILENCE_SECONDS_MAX as u64 + 10);
/// How often what is to befall a client does.
const MISHAP_EVERY: Duration = Duration::from_secs(10);
/// How much longer than the world waits a client stays away that is to lose its session.
const AWAY_LONGER: Duration = Duration::from_secs(2);
/// How long a player of the trade profile stays before it leaves the world and comes back.
const STAYS: Duration = Duration::from_secs(30);
/// How long before the end nothing befalls a client any more.
const QUIET_END: Duration = Duration::from_secs(3);
/// What a device says after its place was taken. Nobody must ever hear it.
pub(crate) const PROBE: &str = "taken over";
/// Every so many of its ticks it counts what it sees.
const COUNT_EVERY: u64 = 10;
/// Every so many of its ticks a device that was taken over tries to act.
const PROBE_EVERY: u64 = 5;

enum State {
    /// Its time has not come.
    Waiting,
    /// It connects, plays, or is on its way back.
    Playing(Box<Player>),
    /// It is gone, by its own will or not.
    Gone,
}

/// A player's device whose place another one has taken.
struct Former {
    player: Box<Player>,
    since: Duration,
    /// What it asked for since then: nothing of that may be done.
    asked: BTreeSet<ActionId>,
}

/// One client. All times are since the start of the swarm.
pub(crate) struct Client {
    number: u32,
    brain: BotBrain,
    state: State,
    /// Another device of the same player, on its way in.
    second: Option<Box<Player>>,
    former: Option<Former>,
    mishap: Option<Mishap>,
    mishap_at: Duration,
    /// When it leaves by its own will, if it ever does.
    leaves_at: Option<Duration>,
    /// How many devices it has had.
    lives: u64,
    /// Its own ticks.
    ticks: u64,
    /// Whether it was ever in the world.
    was_in: bool,
    /// For how long the world said that it waits for who is cut off.
    world_waits: Duration,
    /// Whether the last that it was told of the world's health is that it does badly.
    is_told_degraded: bool,
    /// Since when it has wanted in, while it is not.
    out_since: Option<Duration>,
    polled_at: Duration,
    next_tick: Duration,
    /// What had been counted when it was last looked at.
    seen: PlayerCounts,
    seen_tick: u64,
    updated_at: Option<Duration>,
}

impl Client {
    /// A client that begins to connect at `begin` and ticks from then on.
    pub(crate) fn new(plan: &Plan, number: u32, begin: Duration) -> Self {
        // Spread, so that not all are cut off at once.
        let share = f64::from(number % 97) / 97.0;
        Self {
            number,
            brain: plan.brain(number),
            state: State::Waiting,
            second: None,
            former: None,
            mishap: plan.args.mishap(number),
            mishap_at: begin + MISHAP_EVERY.mul_f64(0.2 + 0.8 * share),
            leaves_at: (plan.args.profile == Profile::Trade && !plan.args.stays)
                .then(|| begin + STAYS.mul_f64(0.2 + 0.8 * share)),
            lives: 0,
            ticks: 0,
            was_in: false,
            world_waits: Duration::ZERO,
            is_told_degraded: false,
            out_since: None,
            polled_at: begin,
            next_tick: begin,
            seen: PlayerCounts::default(),
            seen_tick: 0,
            updated_at: None,
        }
    }

    /// When it ticks next; `None` when it does no more.
    pub(crate) fn next_tick(&self) -> Option<Duration> {
        (!matches!(self.state, State::Gone)).then_some(self.next_tick)
    }

    /// Whether an answer is on its way to it, whose time shall be taken well.
    pub(crate) fn awaits_answer(&self) -> bool {
        matches!(&self.state, State::Playing(player) if player.unanswered() > 0)
    }

    /// Until when it may still come in or back, or its former device be told; `None` when nothing is awaited.
    pub(crate) fn awaited_until(&self) -> Option<Duration> {
        let former = self.former.as_ref().map(|former| former.since + FORMER_GRACE);
        let out = self.out_since.map(|since| since + self.grace());
        former.into_iter().chain(out).max()
    }

    pub(crate) fn is_in(&self) -> bool {
        matches!(self.state, State::Playing(_)) && self.out_since.is_none()
    }

    /// How long it may be out: as long as the world would wait for it, and long enough for one attempt. Who left by its own will and is on
    /// its way back has as much: a world that dies meanwhile is silent for as long to it as to everybody.
    fn grace(&self) -> Duration {
        self.world_waits.max(GRACE)
    }

    /// Takes what has come, and notes it.
    pub(crate) fn poll(&mut self, now: Duration, measuring: bool, measured: &mut Measured) {
        let elapsed = now.saturating_sub(self.polled_at);
        self.polled_at = now;
        self.poll_former(elapsed, now, measured);
        self.poll_second(elapsed, now, measured);
        let State::Playing(player) = &mut self.state else { return };
        let was_complete = player.is_complete();
        player.receive(elapsed);
        let counts = player.counts();
        let new = counts.updates - self.seen.updates;
        measured.updates_seen += new;
        measured.audits_seen += counts.audits - self.seen.audits;
        measured.failures_seen += counts.audit_failures - self.seen.audit_failures;
        if new > 0 {
            let tick = player.view().tick().0;
            let ticks = tick.saturating_sub(self.seen_tick);
            if let Some(last) = self.updated_at
                && measuring
                && was_complete
                && ticks > 0
            {
                measured.interval_us.add((now - last).as_micros() as u64, 1);
                let bytes = counts.update_bytes - self.seen.update_bytes;
                measured.bytes.add(bytes / ticks, ticks);
            }
            (self.seen_tick, self.updated_at) = (tick, Some(now));
        }
        self.seen = counts;
        let news: Vec<PlayerNews> = player.news().collect();
        let ended = player.ended().cloned();
        if let Some(welcome) = player.welcome() {
            self.world_waits = Duration::from_secs(u64::from(welcome.grace_s));
        }
        for news in news {
            match news {
                PlayerNews::Connected => self.came_in(false, measured),
                PlayerNews::Resumed => self.came_in(true, measured),
                PlayerNews::Lost(why) => {
                    if why != Ended::Link(LinkEnd::Cut) {
                        measured.note_end(&why.to_string());
                    }
                    self.out_since.get_or_insert(now);
                    self.updated_at = None;
                }
                PlayerNews::Health(Health::Degraded(_)) => {
                    measured.told_degraded += u64::from(!self.is_told_degraded);
                    self.is_told_degraded = true;
                }
                PlayerNews::Health(Health::Normal) => {
                    measured.told_well += u64::from(self.is_told_degraded);
                    self.is_told_degraded = false;
                }
                PlayerNews::Health(Health::Draining) => {}
            }
        }
        if let Some(ended) = ended {
            self.ended(&ended, now, measured);
        }
    }

    fn came_in(&mut self, resumed: bool, measured: &mut Measured) {
        if self.was_in {
            measured.returned += 1;
        } else {
            measured.connected += 1;
        }
        measured.resumed += u64::from(resumed);
        (self.was_in, self.out_since) = (true, None);
    }

    /// It does not come back.
    fn ended(&mut self, ended: &Ended, now: Duration, measured: &mut Measured) {
        if matches!(ended, Ended::Refused(Refusal::Kicked(_) | Refusal::Banned { .. })) {
            measured.note_end(&ended.to_string());
            measured.removed += 1;
            self.take_leave_of_player(measured);
            self.out_since = None;
        } else if *ended == Ended::Refused(Refusal::TakenOver)
            && let Some(second) = self.second.take()
        {
            // The second device is in, and has not read so yet: the two are told over different sockets.
            self.out_since = Some(now);
            self.replace_with(second, now);
        } else {
            self.lost(&ended.to_string(), measured);
        }
    }

    /// Its tick: takes what has come, decides, and sends.
    pub(crate) fn tick(&mut self, plan: &Plan, now: Duration, measuring: bool, measured: &mut Measured) {
        let period = plan.args.tick();
        measured.ticks += 1;
        self.next_tick += period;
        while self.next_tick <= now {
            self.next_tick += period;
            measured.ticks_missed += 1;
        }
        self.ticks += 1;
        if matches!(self.state, State::Waiting) {
            self.connect(plan, now, measured);
        } else {
            self.poll(now, measuring, measured);
        }
        let too_long = self.out_since.is_some_and(|since| now > since + self.grace());
        // Who was never in may stand in a queue for long; it is lost when its attempts fail.
        if too_long && self.was_in {
            let why = match &self.state {
                State::Playing(player) => player.why_out().map_or_else(String::new, |why| format!(": {why}")),
                _ => String::new(),
            };
            self.lost(&format!("did not get back in within the grace time{why}"), measured);
        }
        self.let_happen(plan, now, measured);
        self.leave_and_return(plan, now, measured);
        let State::Playing(player) = &mut self.state else { return };
        self.brain.think(player, self.ticks);
        for waited in self.brain.round_trips() {
            if measuring {
                measured.rtt_us.add(waited.as_micros() as u64, 1);
            }
        }
        if measuring && self.ticks.is_multiple_of(COUNT_EVERY) && player.is_complete() {
            measured.visible.add(player.view().entities().count() as u64, 1);
        }
        player.send();
    }

    fn connect(&mut self, plan: &Plan, now: Duration, measured: &mut Measured) {
        self.lives += 1;
        self.out_since = Some(now);
        match plan.connect(self.number, self.lives) {
            Ok(player) => self.state = State::Playing(Box::new(player)),
            Err(error) => self.lost(&error.to_string(), measured),
        }
    }

    /// What is to befall the client, when its time has come and it is well.
    fn let_happen(&mut self, plan: &Plan, now: Duration, measured: &mut Measured) {
        let Some(mishap) = self.mishap else { return };
        let end = plan.args.ramp + plan.args.play;
        if now < self.mishap_at || now + QUIET_END > end || !self.is_in() {
            return;
        }
        let grace = self.grace();
        let State::Playing(player) = &mut self.state else { return };
        if !player.is_complete() || self.second.is_some() || self.former.is_some() {
            return;
        }
        self.mishap_at = now + MISHAP_EVERY;
        match mishap {
            Mishap::Cut => {
                measured.cuts += 1;
                player.cut(Duration::ZERO);
                self.out_since = Some(now);
            }
            Mishap::Absence => {
                let away = grace + AWAY_LONGER;
                if now + away + QUIET_END > end {
                    return;
                }
                measured.absences += 1;
                player.cut(away);
                self.out_since = Some(now + away);
                self.mishap_at += away;
            }
            Mishap::Takeover => {
                self.lives += 1;
                match plan.connect(self.number, self.lives) {
                    Ok(second) => self.second = Some(Box::new(second)),
                    Err(error) => measured.note_end(&error.to_string()),
                }
            }
        }
    }

    /// Leaves the world and connects again, when it has stayed for long enough and nothing is under way for it.
    fn leave_and_return(&mut self, plan: &Plan, now: Duration, measured: &mut Measured) {
        let Some(at) =
            self.leaves_at.filter(|_| self.is_in() && self.second.is_none() && self.former.is_none())
        else {
            return;
        };
        let end = plan.args.ramp + plan.args.play;
        let State::Playing(player) = &mut self.state else { return };
        let is_well = *player.health() == Health::Normal;
        if now < at || now + QUIET_END > end || !is_well || !player.is_complete() || player.unanswered() > 0 {
            return;
        }
        self.leaves_at = Some(now + STAYS);
        player.leave();
        measured.add_counts(&player.counts());
        measured.left += 1;
        self.brain.has_left();
        (self.seen, self.seen_tick, self.updated_at) = (PlayerCounts::default(), 0, None);
        self.connect(plan, now, measured);
    }

    /// The second device takes the place of the first once it is in.
    fn poll_second(&mut self, elapsed: Duration, now: Duration, measured: &mut Measured) {
        let Some(second) = &mut self.second else { return };
        second.receive(elapsed);
        second.flush();
        if let Some(ended) = second.ended() {
            measured.note_end(&ended.to_string());
            self.second = None;
            return;
        }
        if second.welcome().is_none() {
            return;
        }
        // Its news, of the session that begins, is the takeover itself. Whether the first device was out does not matter any more.
        second.news().for_each(drop);
        if let Some(second) = self.second.take() {
            self.out_since = second.why_out().is_some().then_some(now);
            self.replace_with(second, now);
        }
    }

    /// From now on it plays on that device.
    fn replace_with(&mut self, second: Box<Player>, now: Duration) {
        (self.seen, self.seen_tick, self.updated_at) = (PlayerCounts::default(), 0, None);
        if let State::Playing(player) = std::mem::replace(&mut self.state, State::Playing(second)) {
            self.former = Some(Former { player, since: now, asked: BTreeSet::new() });
        }
    }

    /// The first device goes on as if nothing were, until it is told; nothing that it asks for may be done.
    fn poll_former(&mut self, elapsed: Duration, now: Duration, measured: &mut Measured) {
        let Some(former) = &mut self.former else { return };
        let player = &mut former.player;
        player.receive(elapsed);
        let done = player.replies().filter(|reply| reply.result.is_ok() && former.asked.contains(&reply.id));
        measured.acted_after_takeover += done.count() as u64;
        let probe = || Say { text: PROBE.into() };
        match player.ended() {
            Some(Ended::Refused(Refusal::TakenOver)) => {
                measured.taken_over += 1;
                measured.acted_after_takeover += u64::from(player.act(&probe()).is_ok());
            }
            Some(other) => {
                measured.note_end(&format!("a device that was taken over was told: {other}"));
                measured.lost += 1;
            }
            None if now > former.since + FORMER_GRACE => {
                measured.note_end("a device that was taken over was not told");
                measured.lost += 1;
                player.leave();
            }
            None => {
                if self.ticks.is_multiple_of(PROBE_EVERY)
                    && let Ok(id) = player.act(&probe())
                {
                    former.asked.insert(id);
                }
                player.send();
                return;
            }
        }
        measured.add_counts(&player.counts());
        self.former = None;
    }

    fn lost(&mut self, why: &str, measured: &mut Measured) {
        measured.note_end(why);
        measured.lost += 1;
        self.take_leave_of_player(measured);
        self.out_since = None;
    }

    /// Adds up what the player counted, and lets it go.
    fn take_leave_of_player(&mut self, measured: &mut Measured) {
        measured.acted_after_takeover += self.brain.heard().dreaded;
        measured.add_trades(self.brain.traded());
        measured.done += self.brain.done();
        measured.receipts.extend_from_slice(self.brain.receipts());
        if let State::Playing(mut player) = std::mem::replace(&mut self.state, State::Gone) {
            player.leave();
            measured.add_counts(&player.counts());
        }
        self.second = None;
    }

    /// Leaves politely, or is lost if it is not in.
    pub(crate) fn finish(&mut self, measured: &mut Measured) {
        if let Some(mut former) = self.former.take() {
            former.player.leave();
            measured.add_counts(&former.player.counts());
        }
        match &self.state {
            State::Playing(_) if self.out_since.is_none() => self.take_leave_of_player(measured),
            State::Playing(_) => self.lost("was not in when the time was up", measured),
            State::Waiting | State::Gone => {}
        }
    }
}
