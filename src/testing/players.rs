//! What is kept of players in a test: the boundary of the store, in memory, with faults that a test plants.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::ids::{PlayerId, TickNumber};
use crate::players::{
    AuditRow, ComponentRow, Found, OrderOutcome, PlayerRequest, Profile, ProfileAnswer, ProfileSave,
    Sanction, SanctionChange, SanctionKind,
};
use crate::reference::LoadedReference;
use crate::reward::{Account, CommitBatch, Holdings, RewardTables};
use crate::server::{TickInput, TickOutput};
use crate::store::game::GameStore;
use crate::store::{Bank, ClaimAnswer, Couriers, Delivery, ReferenceWrite};

/// What a [`TestWorld`](super::TestWorld) keeps of players. Answers come in the tick after the one that asked, unless a
/// fault is planted.
#[derive(Clone, Debug, Default)]
pub struct TestPlayers {
    profiles: BTreeMap<PlayerId, Profile>,
    rows: BTreeMap<(PlayerId, String), ComponentRow>,
    sanctions: BTreeMap<(PlayerId, SanctionKind), Sanction>,
    audit: Vec<AuditRow>,
    outcomes: Vec<OrderOutcome>,
    /// What was asked and not done yet, with the tick from which on it may be.
    waiting: VecDeque<(TickNumber, PlayerRequest)>,
    conflicts: Vec<PlayerId>,
    saves: u64,
    delay_ticks: u64,
    fails: bool,
    unreadable: BTreeSet<PlayerId>,
    /// What everybody holds, once there is a world.
    bank: Option<Bank>,
    /// Every batch of plans, once they are to be kept.
    batches: Option<Vec<CommitBatch>>,
    /// What was delivered and the world has not heard of.
    delivered: Vec<Delivery>,
}

impl TestPlayers {
    /// From now on everything takes so many ticks longer.
    pub fn set_delay_ticks(&mut self, ticks: u64) {
        self.delay_ticks = ticks;
    }

    /// From now on nothing works, until it is told to: loads are answered so, and what is to be written waits.
    pub fn set_failing(&mut self, fails: bool) {
        self.fails = fails;
    }

    /// The profile of this player cannot be read.
    pub fn damage(&mut self, player: &PlayerId) {
        self.unreadable.insert(player.clone());
    }

    /// The world is killed: what it has asked for and was not done yet is never done, and what it has not heard of it never hears of.
    pub fn lose_what_waits(&mut self) {
        self.waiting.clear();
        self.delivered.clear();
    }

    /// From now on every batch of plans is kept, for a test that carries them out elsewhere.
    pub fn keep_batches(&mut self) {
        self.batches.get_or_insert_default();
    }

    /// The batches of plans that were [kept](Self::keep_batches), in the order in which they were carried out.
    #[must_use]
    pub fn batches(&self) -> &[CommitBatch] {
        self.batches.as_deref().unwrap_or_default()
    }

    /// What is stored of a player.
    #[must_use]
    pub fn profile(&self, player: &PlayerId) -> Option<&Profile> {
        self.profiles.get(player)
    }

    /// What was written of components of a player by themselves, by component.
    pub fn rows_of<'a>(&'a self, player: &PlayerId) -> impl Iterator<Item = &'a ComponentRow> + use<'a> {
        let player = player.clone();
        let rows = self.rows.range((player.clone(), String::new())..);
        rows.take_while(move |((whose, _), _)| *whose == player).map(|(_, row)| row)
    }

    /// Rows of components that were asked to be written and are not yet, in their order.
    #[must_use]
    pub fn waiting_rows(&self) -> Vec<ComponentRow> {
        let rows = |(_, request): &(TickNumber, PlayerRequest)| match request {
            PlayerRequest::SaveRows(save) => save.rows.clone(),
            _ => Vec::new(),
        };
        self.waiting.iter().flat_map(rows).collect()
    }

    /// Stores something of a player, whatever was there.
    pub fn set_profile(&mut self, player: PlayerId, profile: Profile) {
        self.profiles.insert(player, profile);
    }

    /// The sanction of this kind that is written of a player.
    #[must_use]
    pub fn sanction(&self, player: &PlayerId, kind: SanctionKind) -> Option<&Sanction> {
        self.sanctions.get(&(player.clone(), kind))
    }

    /// All sanctions that are written.
    #[must_use]
    pub fn sanctions(&self) -> Vec<Sanction> {
        self.sanctions.values().cloned().collect()
    }

    /// What was done with power over others, the oldest first.
    #[must_use]
    pub fn audit(&self) -> &[AuditRow] {
        &self.audit
    }

    /// What came of orders, the oldest first.
    #[must_use]
    pub fn outcomes(&self) -> &[OrderOutcome] {
        &self.outcomes
    }

    /// Whose profiles were not written, because another version stood in their place.
    #[must_use]
    pub fn conflicts(&self) -> &[PlayerId] {
        &self.conflicts
    }

    /// How many profiles were written.
    #[must_use]
    pub fn saves(&self) -> u64 {
        self.saves
    }

    /// Puts what is answered by now into the next tick's input.
    pub(super) fn answer(&mut self, input: &mut TickInput) {
        input.delivered.append(&mut self.delivered);
        if self.fails {
            let number_of = |request: &PlayerRequest| match request {
                PlayerRequest::Load { number, player } => Some((*number, player.clone())),
                _ => None,
            };
            for (number, player) in self.waiting.iter().filter_map(|(_, request)| number_of(request)) {
                let found = Found::NotNow("it fails in this test".into());
                let (rows, holdings) = (Vec::new(), Holdings::default());
                input.profiles.push(ProfileAnswer { number, player, found, rows, holdings });
            }
            self.waiting.retain(|(_, request)| number_of(request).is_none());
            return;
        }
        // In order: what is slow holds up what is behind it.
        while let Some((_, request)) = self.waiting.pop_front_if(|(from, _)| *from <= input.tick) {
            self.carry_out(request, input);
        }
    }

    /// What everybody holds.
    ///
    /// # Panics
    /// Before there was a world with it.
    #[must_use]
    pub fn bank(&self) -> &Bank {
        self.bank.as_ref().expect("a world opens it")
    }

    /// A world begins with it.
    pub(super) fn open_bank(&mut self, tables: &RewardTables, game: &GameStore) {
        self.bank.get_or_insert_with(|| Bank::new(tables.assets(), game.clone()));
    }

    /// Writes a version of the reference data down.
    pub(super) fn adopt_reference(&self, reference: &LoadedReference, tick: TickNumber) {
        self.bank().adopt_reference(&ReferenceWrite { reference: reference.clone(), tick, now_ms: 0 });
    }

    /// Lets everything be delivered that is due, and writes down what came of it.
    pub(super) fn deliver(&mut self, couriers: &mut Couriers, now_ms: u64) {
        let delivered = self.bank().deliver(couriers, now_ms);
        self.delivered.extend(delivered);
    }

    fn carry_out(&mut self, request: PlayerRequest, input: &mut TickInput) {
        match request {
            PlayerRequest::Load { number, player } => {
                let found = match self.profiles.get(&player) {
                    _ if self.unreadable.contains(&player) => Found::Unreadable("it was damaged".into()),
                    Some(profile) => Found::Profile(profile.clone()),
                    None => Found::Nobody,
                };
                let holdings = self.bank().holdings(&Account::from(&player));
                let base = self.version(&player);
                let rows = self.rows_of(&player).filter(|row| row.base == base).cloned().collect();
                input.profiles.push(ProfileAnswer { number, player, found, rows, holdings });
            }
            PlayerRequest::Save(save) => self.save(save),
            PlayerRequest::SaveRows(save) => {
                for row in save.rows.into_iter() {
                    let key = (row.player.clone(), row.component.clone());
                    let is_newest = self.rows.get(&key).is_none_or(|there| row.replaces(there));
                    if row.base == self.version(&row.player) && is_newest {
                        self.rows.insert(key, row);
                    }
                }
            }
            PlayerRequest::Sanction(SanctionChange::Set(sanction)) => {
                self.sanctions.insert((sanction.player.clone(), sanction.kind), sanction);
            }
            PlayerRequest::Sanction(SanctionChange::Lift { player, kind }) => {
                self.sanctions.remove(&(player, kind));
            }
            PlayerRequest::Commit(batch) => {
                input.plans.extend(self.bank().commit(&batch));
                if let Some(batches) = &mut self.batches {
                    batches.push(batch);
                }
            }
            PlayerRequest::FindClaim { number, claim } => {
                let found = self.bank().find_claim(number, &claim);
                input.claims.push(ClaimAnswer { number, found });
            }
        }
    }

    fn version(&self, player: &PlayerId) -> u64 {
        self.profiles.get(player).map_or(0, |profile| profile.version)
    }

    fn save(&mut self, save: ProfileSave) {
        let there = self.version(&save.player);
        let is_damaged = save.is_of_image && self.unreadable.contains(&save.player);
        if there == save.profile.version && !is_damaged {
            self.saves += 1;
            let kept = self.rows_of(&save.player).cloned().filter_map(|row| row.after(&save));
            let kept: Vec<ComponentRow> = kept.collect();
            self.rows.retain(|(player, _), _| *player != save.player);
            self.rows.extend(kept.into_iter().map(|row| ((row.player.clone(), row.component.clone()), row)));
            self.profiles.insert(save.player, Profile { version: there + 1, ..save.profile });
        } else if !save.is_of_image {
            self.conflicts.push(save.player);
        }
    }

    /// Takes what a tick asks for.
    pub(super) fn take(&mut self, output: &mut TickOutput, tick: TickNumber) {
        let from = TickNumber(tick.0 + 1 + self.delay_ticks);
        self.waiting.extend(output.players.drain(..).map(|request| (from, request)));
        self.audit.extend(output.audit.iter().cloned());
        self.outcomes.extend(output.orders.iter().cloned());
    }
}
