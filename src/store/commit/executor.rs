//! One plan after the other, each in a savepoint of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::amounts::{Moved, Transfer};
use super::claims::{self, Earlier, is_too_old, key_bytes};
use super::houses::Houses;
use super::names::Names;
use super::recent::{RecentClaims, SubmissionId};
use super::statements::Statements;
use super::{Memory, PlanOutcome, Rules, Stop};
use crate::ids::TickNumber;
use crate::reward::{
    Account, AffectedDomains, CommitBatch, Mutation, MutationPlan, Name, PlanRefusal, Submission,
};
use crate::store::compensation::reference_of;
use crate::store::error::text_of;
use crate::store::fence::Side;
use crate::store::game::{GameTransaction, TOLD_BY_PLAN_BYTES_MAX};
use crate::store::summary::{ChangedClock, ChangedHolding, Content, MutationSummary, Told};

/// Somebody whose holdings the plan under way rests on.
#[derive(Debug)]
struct Party {
    account: Account,
    id: i64,
    /// The version that the plan was made from.
    frozen: u64,
    /// The one that is there.
    version: i64,
}

/// What the plan under way has done so far, for the rows that are written last and for the summary.
#[derive(Debug, Default)]
pub(super) struct Work {
    parties: Vec<Party>,
    pub(super) holdings: Vec<ChangedHolding>,
    pub(super) moved: Vec<Moved>,
    clocks: Vec<ChangedClock>,
    pub(super) domains: AffectedDomains,
    told: Vec<Told>,
}

/// Carries out the plans of one batch.
pub(super) struct Executor<'a> {
    pub(super) connection: &'a Connection,
    pub(super) sql: Statements<'a>,
    pub(super) names: &'a mut Names,
    recent: &'a mut RecentClaims,
    pub(super) houses: Houses,
    tick: TickNumber,
    now_ms: u64,
    rules: Rules<'a>,
    pub(super) work: Work,
    /// Whether plans wait for an operator.
    any_waits: bool,
}

impl<'a> Executor<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        memory: &'a mut Memory,
        batch: &CommitBatch,
        rules: &Rules<'a>,
    ) -> rusqlite::Result<Self> {
        let sql = Statements::new(connection)?;
        let CommitBatch { tick, now_ms, .. } = *batch;
        let any_waits = "SELECT EXISTS (SELECT 1 FROM compensation WHERE kind = 'plan')";
        let any_waits = connection.prepare_cached(any_waits)?.query_one([], |row| row.get(0))?;
        let Memory { names, recent } = memory;
        let (houses, work) = Default::default();
        Ok(Self { connection, sql, names, recent, houses, tick, now_ms, rules: *rules, work, any_waits })
    }

    /// Writes what is written once for all plans.
    pub(super) fn finish(mut self) -> rusqlite::Result<()> {
        self.houses.write(&mut self.sql)
    }

    /// Carries out one plan, or nothing of it. An error is not the plan's: everything is void.
    pub(super) fn outcome(&mut self, submission: &Submission) -> rusqlite::Result<PlanOutcome> {
        let Submission { number, plan } = submission;
        let id = (self.tick, self.now_ms, *number);
        let told =
            |result, is_repeat, conflicts| PlanOutcome { number: *number, result, is_repeat, conflicts };
        match self.earlier(plan) {
            Ok(None) => {}
            Ok(Some((claim, summary))) => {
                let is_repeat = !self.recent.is_of(claim, id);
                return Ok(told(Ok(summary), is_repeat, 0));
            }
            Err(Stop::Refused(refusal)) => return Ok(told(Err(refusal), false, 0)),
            Err(Stop::Broken(error)) => return Err(error),
        }
        self.names.begin();
        self.houses.begin();
        self.work = Work::default();
        self.sql.savepoint.execute([])?;
        let done = self.carry_out(plan, id);
        let moved_on = |party: &&Party| party.version.cast_unsigned() != party.frozen;
        let conflicts = self.work.parties.iter().filter(moved_on).count() as u32;
        let result = match done {
            Ok(summary) => {
                if self.any_waits {
                    // It failed before and is carried out after all: nothing is left to be made good. So what waits was never
                    // carried out, and may be tried again however old its key is.
                    let over = "DELETE FROM compensation WHERE kind = 'plan' AND reference = ?1";
                    self.connection.prepare_cached(over)?.execute([reference_of(plan)])?;
                }
                Ok(Arc::new(summary))
            }
            Err(Stop::Refused(refusal)) => {
                self.sql.undo.execute([])?;
                self.names.take_back();
                self.houses.take_back();
                Err(refusal)
            }
            Err(Stop::Broken(error)) => return Err(error),
        };
        self.sql.release.execute([])?;
        Ok(told(result, false, conflicts))
    }

    /// What became of the claim before, and its number.
    fn earlier(&mut self, plan: &MutationPlan) -> Result<Option<Earlier>, Stop> {
        let found = match self.names.find(self.connection, &plan.claim.account)? {
            Some(account) => claims::earlier(&mut self.sql.find_claim, account, &plan.claim)?,
            None => None,
        };
        if found.is_none() && is_too_old(plan.claim.key, self.rules.horizon_ms) {
            return Err(PlanRefusal::TooOld.into());
        }
        Ok(found)
    }

    fn carry_out(&mut self, plan: &MutationPlan, submission: SubmissionId) -> Result<MutationSummary, Stop> {
        self.take_parties(plan)?;
        let claimant = self.account_id(&plan.claim.account)?;
        let mut deliveries = Vec::new();
        for mutation in &plan.mutations {
            match mutation {
                Mutation::Transfer { asset, lot, from, to, amount, cap } => {
                    let (lot, amount, cap) = (*lot, *amount, *cap);
                    self.transfer(Transfer { asset, lot, from, to, amount, cap })?;
                }
                Mutation::PoolClock { account, asset, as_of_ms } => {
                    self.set_clock(account, asset, *as_of_ms)?
                }
                Mutation::Slots { account, most } => self.check_slots(account, *most)?,
                Mutation::Outbox { kind, payload } => deliveries.push((kind, payload)),
                Mutation::Game { kind, data } => self.carry_out_kind(kind, data)?,
            }
        }
        if !deliveries.is_empty() {
            self.work.domains |= AffectedDomains::OUTBOX;
        }
        let summary = self.summary(plan, deliveries.len() as u32);
        let claim = self.add_claim(claimant, plan, &summary)?;
        self.recent.writes(claim, submission);
        self.add_rows(claim)?;
        for (position, (kind, payload)) in deliveries.into_iter().enumerate() {
            let now_ms = self.now_ms.cast_signed();
            self.sql.outbox.execute(params![claim, position as i64, kind.as_str(), payload, now_ms])?;
        }
        Ok(summary)
    }

    /// The players who take part, with the versions that are there now.
    fn take_parties(&mut self, plan: &MutationPlan) -> Result<(), Stop> {
        for participant in &plan.participants {
            let account = participant.account.clone();
            if account.player().is_none() {
                continue;
            }
            if self.work.parties.iter().any(|party| party.account == account) {
                return Err(PlanRefusal::Invalid { why: format!("{account} takes part twice") }.into());
            }
            let id = self.names.account(self.connection, &account)?;
            let version = self.sql.version.query_one([id], |row| row.get(0))?;
            self.work.parties.push(Party { account, id, frozen: participant.version, version });
        }
        Ok(())
    }

    fn party(&self, account: &Account) -> Result<&Party, Stop> {
        let party = self.work.parties.iter().find(|party| party.account == *account);
        party.ok_or_else(|| PlanRefusal::Invalid { why: format!("{account} does not take part") }.into())
    }

    /// The number of an account that a plan may name: a house, or a player who takes part.
    pub(super) fn account_id(&mut self, account: &Account) -> Result<i64, Stop> {
        match account {
            Account::House(_) => Ok(self.names.account(self.connection, account)?),
            Account::Player(_) => self.party(account).map(|party| party.id),
        }
    }

    /// A clock that was set after the plan was made has counted what the plan counts as well.
    fn set_clock(&mut self, account: &Account, asset: &Name, as_of_ms: u64) -> Result<(), Stop> {
        let of = self.names.asset(self.connection, asset)?;
        let party = self.party(account)?;
        let (id, next, frozen) = (party.id, party.version + 1, party.frozen.cast_signed());
        let set = self.sql.clock.execute(params![id, of.id, as_of_ms.cast_signed(), next, frozen])?;
        let (account, asset) = (account.clone(), asset.clone());
        if set == 0 {
            return Err(PlanRefusal::Overtaken { account, asset }.into());
        }
        self.work.domains |= AffectedDomains::POOLS;
        self.work.clocks.push(ChangedClock { account, asset, as_of_ms });
        Ok(())
    }

    fn check_slots(&mut self, account: &Account, most: u64) -> Result<(), Stop> {
        let id = self.party(account)?.id;
        let needs: i64 = self.sql.slots.query_one([id], |row| row.get(0))?;
        let needs = needs.cast_unsigned();
        if needs > most {
            return Err(PlanRefusal::NoRoom { account: account.clone(), most, needs }.into());
        }
        Ok(())
    }

    /// A change of the game's own: refused as the game says, or void with everything else.
    fn carry_out_kind(&mut self, name: &Name, data: &[u8]) -> Result<(), Stop> {
        let Some(kind) = self.rules.game.kind(name) else {
            let name = name.to_string();
            return Err(PlanRefusal::Unknown { what: "kind of change".into(), name }.into());
        };
        // It may look at what houses hold.
        self.houses.write(&mut self.sql)?;
        let mut tx = GameTransaction::new(self.connection, &kind.prefix, self.now_ms);
        let done = self.rules.fence.on(Side::Rows(kind.prefix.clone()), || {
            // What panics in a game is void like what fails, and no more: the store goes on.
            catch_unwind(AssertUnwindSafe(|| (kind.carry_out)(&mut tx, data)))
        });
        let told = tx.take_told();
        tx.finish().map_err(Stop::Broken)?;
        let done = done.map_err(|panic| {
            let text = format!("the kind of change `{name}` panicked: {}", text_of(panic.as_ref()));
            Stop::Broken(rusqlite::Error::ToSqlConversionFailure(text.into()))
        })?;
        self.work.domains |= AffectedDomains::GAME;
        self.work.told.extend(told.into_iter().map(|bytes| (name.clone(), bytes)));
        let bytes: usize = self.work.told.iter().map(|(_, bytes)| bytes.len()).sum();
        if bytes > TOLD_BY_PLAN_BYTES_MAX {
            let why = format!("its changes tell more than {TOLD_BY_PLAN_BYTES_MAX} bytes");
            return Err(PlanRefusal::Invalid { why }.into());
        }
        done.map_err(|refusal| {
            PlanRefusal::Game { kind: name.clone(), reason: refusal.reason().to_owned() }.into()
        })
    }

    fn summary(&mut self, plan: &MutationPlan, outbox: u32) -> MutationSummary {
        let version = |party: &Party| (party.account.clone(), party.version.cast_unsigned() + 1);
        let told = std::mem::take(&mut self.work.told);
        let content = Content {
            claim: plan.claim.clone(),
            plan_hash: plan.hash(),
            use_case: plan.use_case.clone(),
            tick: self.tick,
            now_ms: self.now_ms,
            versions: self.work.parties.iter().map(version).collect(),
            holdings: std::mem::take(&mut self.work.holdings),
            clocks: std::mem::take(&mut self.work.clocks),
            domains: self.work.domains,
            outbox,
            lines: plan.lines.clone(),
        };
        MutationSummary::new(content, told)
    }

    fn add_claim(
        &mut self,
        claimant: i64,
        plan: &MutationPlan,
        summary: &MutationSummary,
    ) -> rusqlite::Result<i64> {
        self.sql.add_claim.insert(params![
            claimant,
            key_bytes(plan.claim.key),
            plan.claim.request.cast_signed(),
            summary.plan_hash().cast_signed(),
            plan.use_case.as_str(),
            self.tick.0.cast_signed(),
            self.now_ms.cast_signed(),
            summary.to_bytes(),
        ])
    }

    /// The ledger's rows of the plan under way, and one of the changelog for each player, which raises the version.
    fn add_rows(&mut self, claim: i64) -> rusqlite::Result<()> {
        for (position, moved) in self.work.moved.iter().enumerate() {
            self.sql.ledger.execute(params![
                claim,
                position as i64,
                moved.asset,
                moved.lot.expires_ms.cast_signed(),
                moved.lot.instance.cast_signed(),
                moved.from,
                moved.to,
                moved.amount,
            ])?;
        }
        for party in &self.work.parties {
            let (next, domains) = (party.version + 1, self.work.domains.bits());
            self.sql.change.execute(params![party.id, next, claim, domains])?;
        }
        Ok(())
    }
}
