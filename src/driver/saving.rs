//! Between the tick and the store thread: images when they are due, counters reserved ahead.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::http::{CompensationOrders, Orders, ReloadOrders, Reply};
use crate::ids::TickNumber;
use crate::server::io::{TickInput, TickOutput, WorldImage};
use crate::server::{Server, image};
use crate::store::{
    Asked, Image, ReferenceWrite, Refused, SaveFolder, Store, StoreError, StoreHandle, StoreRequest,
    StoreResult, StoreStats, counter,
};
use crate::telemetry::Readiness;

use super::compensations::CompensationsDesk;
use super::dispatcher::Dispatcher;
use super::live::now_ms;
use super::players::PlayersDesk;
use super::reference::ReferenceDesk;
use super::troubles::{Trouble, Troubles};

/// Epochs and births that are reserved at a time: a restart after a crash skips at most so many numbers.
const RESERVED_AHEAD: u64 = 10_000;

/// How long the store may take for what was asked of it before players are told that it is slow, seconds.
const STALLED_AFTER_S: u64 = 2;

/// How often the outbox is looked into while nothing of it is under way, seconds.
const OUTBOX_EVERY_S: u64 = 1;

/// The store as the driver sees it.
pub(super) struct Saving {
    store: StoreHandle,
    every_ticks: u64,
    /// After so many ticks the store counts as stalled.
    stalled_after: u64,
    due: TickNumber,
    /// Made and not taken by the store yet.
    held_back: Option<HeldBack>,
    /// On its way, until the store says it is durable.
    under_way: usize,
    reserved_epoch: u64,
    reserved_births: u64,
    asked_epoch: u64,
    asked_births: u64,
    /// What is kept of players.
    players: PlayersDesk,
    dispatcher: Dispatcher,
    compensations: CompensationsDesk,
    /// Of a game that has reference data, once somebody watches its files.
    reference: Option<ReferenceDesk>,
    troubles: Troubles,
    /// The newest tick.
    tick: TickNumber,
    /// Its calendar time.
    now_ms: u64,
}

/// An image on its way to the store.
///
/// Who has left is no longer in it, and is lost if it replaces the image before it while what that player was is written
/// nowhere else. So it waits until everything that was to be written of players by the end of its tick is durable. What
/// comes later does not hold it up.
struct HeldBack {
    image: Image,
    /// How many things of players must be durable before it.
    after: u64,
}

/// How long a world that ends waits for what is still to be written of its players.
const LAST_WRITES_WITHIN: Duration = Duration::from_secs(20);

impl Saving {
    /// Reserves the first numbers, lets the server skip what may have been given out, and starts the thread.
    pub(super) fn start(
        mut store: Store,
        server: &mut Server,
        every_ticks: u64,
        next: TickNumber,
    ) -> Result<Self, StoreError> {
        let epoch = store.counter(counter::SESSION_EPOCH)?;
        let births = store.counter(counter::WORLD_SPAWNS)?;
        server.skip_counters(u32::try_from(epoch).unwrap_or(u32::MAX), births);
        server.set_sanctions(store.sanctions()?);
        if !store.is_new() {
            server.remember_nothing();
        }
        let reference = server.reference().cloned();
        if reference.as_ref().is_none_or(|reference| reference.rewards().is_none()) {
            store.adopt_assets(server.reward_tables().assets())?;
        }
        if let Some(reference) = reference {
            store.adopt_reference(&ReferenceWrite { reference, tick: next, now_ms: now_ms() })?;
        }
        store.adopt_game(server.game_store().clone())?;
        let hz = u64::from(server.settings().hz);
        let dispatcher = Dispatcher::start(server.take_couriers(), OUTBOX_EVERY_S * hz)
            .map_err(StoreError::io(store.folder().path(), "start the thread of couriers"))?;
        let (last_epoch, last_birth) = server.counters();
        let reserved_epoch = store.reserve(counter::SESSION_EPOCH, u64::from(last_epoch) + RESERVED_AHEAD)?;
        let reserved_births = store.reserve(counter::WORLD_SPAWNS, last_birth + RESERVED_AHEAD)?;
        Ok(Self {
            store: store.start()?,
            every_ticks,
            stalled_after: STALLED_AFTER_S * hz,
            due: TickNumber(next.0 + every_ticks),
            held_back: None,
            under_way: 0,
            reserved_epoch,
            reserved_births,
            asked_epoch: reserved_epoch,
            asked_births: reserved_births,
            players: PlayersDesk::default(),
            dispatcher,
            compensations: CompensationsDesk::default(),
            reference: None,
            troubles: Troubles::default(),
            tick: next,
            now_ms: 0,
        })
    }

    /// Where the world is saved.
    pub(super) fn folder(&self) -> &Arc<SaveFolder> {
        self.store.folder()
    }

    /// How many things wait for the store or are under way.
    pub(super) fn backlog(&self) -> u64 {
        (self.players.backlog() + self.under_way + usize::from(self.held_back.is_some())) as u64
    }

    /// For how many ticks the oldest of what is to be kept of players has waited.
    pub(super) fn waits_ticks(&self) -> u64 {
        self.players.waits_ticks()
    }

    /// For how many ticks the couriers have been at what they took last.
    pub(super) fn delivers_ticks(&self) -> u64 {
        self.dispatcher.delivers_ticks(self.tick)
    }

    /// What the thread has done.
    pub(super) fn stats(&self) -> &Arc<StoreStats> {
        self.store.stats()
    }

    /// Puts the store's answers into the next tick's input, and asks for an image when one is due.
    pub(super) fn fill(&mut self, input: &mut TickInput, readiness: &Readiness, orders: &Orders) {
        let results: Vec<StoreResult> = self.store.try_results().collect();
        for result in results {
            self.take(result, input, readiness);
        }
        (self.tick, self.now_ms) = (input.tick, input.now_ms);
        input.delivered.extend(self.dispatcher.turn(input.tick, input.now_ms, &self.store));
        self.players.fill(input, orders);
        if self.players.is_stalled(input.tick, self.stalled_after) {
            self.troubles.begin(Trouble::Stalled);
            readiness.set_degraded(self.troubles.text());
        }
        input.value_refused = self.troubles.value_refused();
        if input.tick >= self.due && self.held_back.is_none() {
            input.save = true;
            self.due = TickNumber(input.tick.0 + self.every_ticks);
        }
    }

    /// Hands what operators order about what failed for good to the store.
    pub(super) fn take_compensations(&mut self, input: &TickInput, orders: &CompensationOrders) {
        self.compensations.hand_over(input, orders, &self.store);
    }

    /// From now on the world follows its files of reference data.
    pub(super) fn follow_files(&mut self, reference: ReferenceDesk) {
        self.reference = Some(reference);
    }

    /// Takes what the files of reference data say now, and orders to read them.
    pub(super) fn take_reloads(&mut self, input: &TickInput, orders: &ReloadOrders) {
        match &mut self.reference {
            Some(reference) => reference.turn(input, orders, &self.store),
            None => orders.answer(1, |_| Reply::Unknown("this game has no reference data".into())),
        }
    }

    /// Waits until the store has answered everything, as lockstep does before each tick.
    pub(super) fn wait(&mut self, input: &mut TickInput, readiness: &Readiness) {
        while (self.under_way > 0
            || self.players.is_under_way()
            || self.dispatcher.is_asked()
            || self.reloads())
            && let Some(result) = self.store.wait_result(Duration::from_secs(60))
        {
            let works = !matches!(result, StoreResult::Failed { .. });
            self.take(result, input, readiness);
            if works {
                self.players.send(&self.store);
                self.send_image();
            }
        }
        input.delivered.extend(self.dispatcher.wait(input.tick));
    }

    fn reloads(&self) -> bool {
        self.reference.as_ref().is_some_and(ReferenceDesk::is_under_way)
    }

    fn take(&mut self, result: StoreResult, input: &mut TickInput, readiness: &Readiness) {
        match result {
            StoreResult::ImageSaved { tick, .. } => {
                self.under_way = self.under_way.saturating_sub(1);
                input.images_saved.push(tick);
                self.troubles.end(Trouble::Images);
            }
            StoreResult::Players(done) => {
                self.troubles.end(self.players_trouble());
                self.troubles.end(Trouble::Stalled);
                self.players.done(done);
            }
            StoreResult::Compensation(done) => self.compensations.done(done, input),
            StoreResult::ReferenceWritten(version) => {
                if let Some(reference) = &mut self.reference {
                    reference.written(version, input);
                }
            }
            // What there was stays in force, and nothing of it is lost.
            StoreResult::Failed { asked: Asked::Reference(_), retry_in_ms, message, .. } => {
                if let (None, Some(reference)) = (retry_in_ms, &mut self.reference) {
                    reference.gave_up(&message);
                }
            }
            StoreResult::Due(due) => {
                self.troubles.end(Trouble::Deliveries);
                self.dispatcher.take(due, input.tick);
            }
            StoreResult::Reserved { counter: name, up_to } => {
                self.troubles.end(Trouble::Reserves);
                if name == counter::SESSION_EPOCH {
                    self.reserved_epoch = up_to;
                } else {
                    self.reserved_births = up_to;
                }
            }
            // Whoever ordered it is told; nobody else waits for it.
            StoreResult::Failed { asked: Asked::Compensation(ticket), retry_in_ms, message, .. } => {
                tracing::error!("{message}");
                if retry_in_ms.is_none() {
                    self.compensations.gave_up(ticket, &message);
                }
            }
            StoreResult::Failed { asked, retry_in_ms, message, .. } => {
                tracing::error!("{message}");
                self.troubles.begin(match asked {
                    Asked::Image(_) => Trouble::Images,
                    Asked::Players | Asked::Compensation(_) | Asked::Reference(_) => self.players_trouble(),
                    Asked::Outbox => Trouble::Deliveries,
                    Asked::Reserve { .. } => Trouble::Reserves,
                });
                if retry_in_ms.is_none() {
                    match asked {
                        // A fresh image is better than the old one again.
                        Asked::Image(_) => {
                            self.under_way = self.under_way.saturating_sub(1);
                            self.due = input.tick;
                        }
                        Asked::Players => self.players.gave_up(&message),
                        Asked::Outbox => self.dispatcher.gave_up(input.tick),
                        Asked::Compensation(_) | Asked::Reference(_) => {}
                        Asked::Reserve { .. } => {
                            self.asked_epoch = self.reserved_epoch;
                            self.asked_births = self.reserved_births;
                        }
                    }
                }
            }
        }
        readiness.set_degraded(self.troubles.text());
    }

    /// What it is that fails or works when what the store does for players does.
    fn players_trouble(&self) -> Trouble {
        if self.players.is_writing() { Trouble::Players } else { Trouble::LookUps }
    }

    /// Hands what the tick wants kept of players, and its image, to the store, and reserves more numbers where they run low.
    pub(super) fn hand_over(&mut self, output: &mut TickOutput, server: &Server) {
        self.players.hand_over(output, &self.store);
        if let Some(made) = output.image.take() {
            self.held_back = Some(HeldBack { image: as_saved(made), after: self.players.given() });
        }
        self.send_image();
        let (epoch, birth) = server.counters();
        let low = RESERVED_AHEAD / 2;
        if u64::from(epoch) + low > self.asked_epoch {
            self.asked_epoch = u64::from(epoch) + RESERVED_AHEAD;
            self.reserve(counter::SESSION_EPOCH, self.asked_epoch);
        }
        if birth + low > self.asked_births {
            self.asked_births = birth + RESERVED_AHEAD;
            self.reserve(counter::WORLD_SPAWNS, self.asked_births);
        }
    }

    /// Hands the image that is held back to the store, if its turn has come and there is room.
    fn send_image(&mut self) {
        let Some(HeldBack { image, after }) =
            self.held_back.take_if(|held| held.after <= self.players.durable())
        else {
            return;
        };
        match self.store.try_request(StoreRequest::SaveImage(image)) {
            Ok(()) => self.under_way += 1,
            Err(Refused::Full(StoreRequest::SaveImage(image))) => {
                self.held_back = Some(HeldBack { image, after });
            }
            Err(_) => tracing::error!("the store thread has ended: the world is no longer saved"),
        }
    }

    fn reserve(&self, name: &'static str, up_to: u64) {
        // A full queue is tried again when the numbers have run a little lower.
        if self.store.try_request(StoreRequest::Reserve { counter: name.into(), up_to }).is_err() {
            tracing::warn!(counter = name, "the store is busy: no numbers reserved for now");
        }
    }

    /// Takes what the closing of the world wants kept of players.
    pub(super) fn take_last(&mut self, output: &mut TickOutput) {
        self.players.hand_over(output, &self.store);
    }

    /// Writes what is still to be written of players. A store that does not work is not waited for beyond
    /// [`LAST_WRITES_WITHIN`], nor is one asked again that cannot do it.
    #[expect(clippy::disallowed_methods, reason = "how long a world that ends waits for its store")]
    fn write_last(&mut self) -> Result<(), StoreError> {
        let began = Instant::now();
        while !self.players.is_empty() && began.elapsed() < LAST_WRITES_WITHIN {
            self.players.send(&self.store);
            match self.store.wait_result(Duration::from_millis(200)) {
                Some(StoreResult::Players(done)) => self.players.done(done),
                Some(StoreResult::Failed {
                    asked: Asked::Players,
                    retry_in_ms: None,
                    retryable,
                    message,
                    ..
                }) => {
                    self.players.gave_up(&message);
                    if !retryable {
                        break;
                    }
                }
                _ => {}
            }
        }
        match self.players.unwritten() {
            0 => Ok(()),
            unwritten => Err(StoreError::PlayersLost { unwritten }),
        }
    }

    /// Ends the thread after everything is written, the last image included: but not if something of players is not, since
    /// who is no longer in that image would be lost.
    pub(super) fn finish(mut self, last: Option<WorldImage>) -> Result<(), StoreError> {
        let players = self.write_last();
        self.dispatcher.finish(self.now_ms, &self.store);
        let last = last.filter(|_| players.is_ok()).map(as_saved).or_else(|| {
            let held_back = self.held_back.take()?;
            (held_back.after <= self.players.durable()).then_some(held_back.image)
        });
        let images = self.store.finish(last).map(drop);
        players.and(images)
    }
}

fn as_saved(made: WorldImage) -> Image {
    let counters = made
        .counters
        .into_iter()
        // What is reserved in the table counts; the image must not lower it.
        .filter(|(name, _)| name != image::COUNTER_EPOCH)
        .collect();
    Image {
        tick: made.tick,
        now_ms: made.now_ms,
        fingerprint: made.fingerprint,
        counters,
        entity_count: made.entities,
        entities: made.bytes.to_vec(),
    }
}

/// An image of the store as the server reads it.
pub(super) fn as_world_image(image: Image) -> WorldImage {
    WorldImage {
        tick: image.tick,
        now_ms: image.now_ms,
        fingerprint: image.fingerprint,
        entities: image.entity_count,
        counters: image.counters,
        bytes: image.entities.into(),
    }
}

#[cfg(test)]
mod tests;
