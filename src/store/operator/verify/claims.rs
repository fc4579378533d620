//! Claims: each once, and each what its ledger, changelog and outbox say.

use std::collections::{BTreeMap, BTreeSet};

use super::{Look, ProblemKind};
use crate::reward::{AffectedDomains, ClaimKey};
use crate::store::retention::{CHANGELOG_AFTER, LEDGER_BEFORE, known};
use crate::store::summary::MutationSummary;

/// A row of `claim`.
struct Claim {
    id: i64,
    account: i64,
    key: Option<[u8; 16]>,
    request: i64,
    plan_hash: i64,
    use_case: String,
    tick: i64,
    now_ms: i64,
    summary: Option<Vec<u8>>,
}

/// What of the history is still there as it was written.
#[derive(Clone, Copy, Debug)]
struct Kept {
    /// The ledger of claims of that time and later, milliseconds since 1970.
    ledger_from_ms: i64,
    /// The changelog of claims behind this one.
    changelog_after: i64,
}

/// What moved by a claim: by account, asset and lot. Names, as in a summary.
type Moved = BTreeMap<(String, String, i64, i64), i128>;

impl Look<'_> {
    /// Looks at every claim in its order.
    pub(super) fn claims(&mut self) -> rusqlite::Result<()> {
        self.begin("looking at claims")?;
        let connection = self.connection;
        let kept = self.kept()?;
        let assets: BTreeMap<i64, String> = connection
            .prepare("SELECT id, name FROM asset")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let mut sql = connection.prepare(
            "SELECT id, account, key, request, plan_hash, use_case, tick, now_ms, summary FROM claim ORDER BY id",
        )?;
        let mut rows = sql.query([])?;
        while let Some(row) = rows.next()? {
            self.step("looking at claims")?;
            self.totals.claims += 1;
            let claim = Claim {
                id: row.get(0)?,
                account: row.get(1)?,
                key: row.get(2)?,
                request: row.get(3)?,
                plan_hash: row.get(4)?,
                use_case: row.get(5)?,
                tick: row.get(6)?,
                now_ms: row.get(7)?,
                summary: row.get(8)?,
            };
            self.claim(&claim, kept, &assets)?;
        }
        self.claimed_twice()
    }

    fn kept(&self) -> rusqlite::Result<Kept> {
        let connection = self.connection;
        let ledger_from_ms = known(connection, LEDGER_BEFORE)?;
        let is_rolled_up: bool =
            connection.query_row("SELECT EXISTS (SELECT 1 FROM opening)", [], |row| row.get(0))?;
        Ok(Kept {
            // Summed up by a program that did not write down how far.
            ledger_from_ms: if is_rolled_up && ledger_from_ms == 0 { i64::MAX } else { ledger_from_ms },
            changelog_after: known(connection, CHANGELOG_AFTER)?,
        })
    }

    fn claim(&mut self, claim: &Claim, kept: Kept, assets: &BTreeMap<i64, String>) -> rusqlite::Result<()> {
        let (moved, players) = self.ledger_of(claim, kept, assets)?;
        let changed = self.changes_of(claim)?;
        let has_changelog = claim.id > kept.changelog_after;
        if has_changelog {
            for player in players.iter().filter(|player| !changed.contains_key(player)) {
                let who = self.account_name(*player)?;
                let detail = format!("claim {} moved something of {who}, and no row of it says so", claim.id);
                self.findings.add(ProblemKind::Changelog, "changelog", &format!("account={player}"), detail);
            }
        }
        let (Some(key), Some(bytes)) = (&claim.key, &claim.summary) else { return Ok(()) };
        let id = format!("id={}", claim.id);
        let summary = match MutationSummary::from_bytes(bytes) {
            Ok(summary) => summary,
            Err(error) => {
                let detail = format!("its summary cannot be read: {error}");
                self.findings.add(ProblemKind::Claim, "claim", &id, detail);
                return Ok(());
            }
        };
        self.row_is_as_its_summary(claim, key, &summary)?;
        if claim.now_ms >= kept.ledger_from_ms && moved != moved_by(&summary) {
            let detail = format!("what moved by {} is not what its summary says", told(&summary));
            self.findings.add(ProblemKind::Ledger, "ledger", &format!("claim={}", claim.id), detail);
        }
        if has_changelog {
            self.changelog_is_as_the_summary(claim, &summary, &changed)?;
        }
        let (waiting, last): (i64, Option<i64>) = self
            .connection
            .prepare_cached("SELECT count(*), max(position) FROM outbox WHERE claim = ?1")?
            .query_row([claim.id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let most = i64::from(summary.outbox());
        if waiting > most || last.is_some_and(|last| last >= most) {
            let detail = format!("{waiting} deliveries of {} wait, which asked for {most}", told(&summary));
            self.findings.add(ProblemKind::Delivery, "outbox", &format!("claim={}", claim.id), detail);
        }
        Ok(())
    }

    /// What the ledger says of a claim, and the players it names. Its rows are numbered without a gap, but that the first of old
    /// claims may be summed up.
    fn ledger_of(
        &mut self,
        claim: &Claim,
        kept: Kept,
        assets: &BTreeMap<i64, String>,
    ) -> rusqlite::Result<(Moved, BTreeSet<i64>)> {
        let connection = self.connection;
        let mut sql = connection.prepare_cached(
            "SELECT position, asset, expires_ms, instance, from_account, to_account, amount FROM ledger
             WHERE claim = ?1 ORDER BY position",
        )?;
        let mut rows = sql.query([claim.id])?;
        let (mut moved, mut players) = (Moved::new(), BTreeSet::new());
        let mut expected = (claim.now_ms >= kept.ledger_from_ms).then_some(0);
        while let Some(row) = rows.next()? {
            self.totals.rows += 1;
            let position: i64 = row.get(0)?;
            for missing in expected.unwrap_or(position)..position.min(expected.unwrap_or(position) + 8) {
                let key = format!("claim={} position={missing}", claim.id);
                self.findings.add(ProblemKind::Ledger, "ledger", &key, "the row is missing".into());
            }
            expected = Some(position + 1);
            let asset: i64 = row.get(1)?;
            let amount: i64 = row.get(6)?;
            for (account, amount) in [(row.get(4)?, -i128::from(amount)), (row.get(5)?, amount.into())] {
                let (expires_ms, instance) = if account < 0 { (0, 0) } else { (row.get(2)?, row.get(3)?) };
                players.extend((account > 0).then_some(account));
                // Without a summary there is nothing to compare it with.
                if claim.summary.is_some() {
                    let asset = assets.get(&asset).cloned().unwrap_or_else(|| asset.to_string());
                    let at = (self.account_name(account)?, asset, expires_ms, instance);
                    *moved.entry(at).or_default() += amount;
                }
            }
        }
        moved.retain(|_, amount| *amount != 0);
        Ok((moved, players))
    }

    /// What the changelog says of a claim: of each account, its version and what was changed.
    fn changes_of(&self, claim: &Claim) -> rusqlite::Result<BTreeMap<i64, (i64, i64)>> {
        self.connection
            .prepare_cached("SELECT account, data_version, domains FROM changelog WHERE claim = ?1")?
            .query_map([claim.id], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?
            .collect()
    }

    fn row_is_as_its_summary(
        &mut self,
        claim: &Claim,
        key: &[u8; 16],
        summary: &MutationSummary,
    ) -> rusqlite::Result<()> {
        let who = self.account_name(claim.account)?;
        let of = summary.claim();
        for (what, is_same) in [
            ("account", who == of.account.to_string()),
            ("key", ClaimKey(u128::from_be_bytes(*key)) == of.key),
            ("request", claim.request.cast_unsigned() == of.request),
            ("plan_hash", claim.plan_hash.cast_unsigned() == summary.plan_hash()),
            ("use_case", claim.use_case == summary.use_case().as_str()),
            ("tick", claim.tick.cast_unsigned() == summary.tick().0),
            ("now_ms", claim.now_ms.cast_unsigned() == summary.now_ms()),
        ] {
            if !is_same {
                let detail = format!("its {what} is another one than its summary says");
                self.findings.add(ProblemKind::Claim, "claim", &format!("id={}", claim.id), detail);
            }
        }
        Ok(())
    }

    fn changelog_is_as_the_summary(
        &mut self,
        claim: &Claim,
        summary: &MutationSummary,
        changed: &BTreeMap<i64, (i64, i64)>,
    ) -> rusqlite::Result<()> {
        let mut rows = BTreeMap::new();
        for (account, change) in changed {
            rows.insert(self.account_name(*account)?, (*account, *change));
        }
        let domains = i64::from(summary.domains().bits());
        for (account, version) in summary.versions() {
            let version = version.cast_signed();
            let (key, what) = match rows.remove(&account.to_string()) {
                Some((_, change)) if change == (version, domains) => continue,
                Some((id, (there, _))) if there != version => {
                    (format!("account={id} data_version={there}"), format!("says version {there}"))
                }
                Some((id, (there, other))) => {
                    let names = AffectedDomains::from_bits(u8::try_from(other).unwrap_or(0));
                    (format!("account={id} data_version={there}"), format!("says that it changed: {names}"))
                }
                None => (format!("claim={}", claim.id), format!("has no row for {account}")),
            };
            let detail = format!(
                "of claim {} it {what}, and the summary version {version} and: {}",
                claim.id,
                summary.domains()
            );
            self.findings.add(ProblemKind::Changelog, "changelog", &key, detail);
        }
        for (name, (id, (version, _))) in rows {
            let detail = format!("{name} took no part in claim {}, which it names", claim.id);
            let key = format!("account={id} data_version={version}");
            self.findings.add(ProblemKind::Changelog, "changelog", &key, detail);
        }
        Ok(())
    }

    /// A key is of one claim.
    fn claimed_twice(&mut self) -> rusqlite::Result<()> {
        self.begin("looking for claims made twice")?;
        let connection = self.connection;
        let mut sql = connection.prepare(
            "SELECT key, account, count(*), min(id), max(id) FROM claim WHERE key IS NOT NULL
             GROUP BY key, account HAVING count(*) > 1",
        )?;
        let mut rows = sql.query([])?;
        while let Some(row) = rows.next()? {
            let (key, account): (Vec<u8>, i64) = (row.get(0)?, row.get(1)?);
            let (count, first, last): (i64, i64, i64) = (row.get(2)?, row.get(3)?, row.get(4)?);
            let key: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            let who = self.account_name(account)?;
            let detail = format!("{who} has {count} claims of one key, from {first} to {last}");
            self.findings.add(
                ProblemKind::DuplicateClaim,
                "claim",
                &format!("key={key} account={account}"),
                detail,
            );
        }
        Ok(())
    }
}

fn told(summary: &MutationSummary) -> String {
    format!("{} of {}", summary.use_case(), summary.claim().account)
}

fn moved_by(summary: &MutationSummary) -> Moved {
    let mut moved = Moved::new();
    for changed in summary.holdings() {
        let (account, asset) = (changed.account.to_string(), changed.asset.to_string());
        let at = (account, asset, changed.lot.expires_ms.cast_signed(), changed.lot.instance.cast_signed());
        *moved.entry(at).or_default() += i128::from(changed.delta);
    }
    moved.retain(|_, amount| *amount != 0);
    moved
}
