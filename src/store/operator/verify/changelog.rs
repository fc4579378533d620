//! The changelog of each account: without a gap, in the order of its claims, up to the version of the account.

use super::{Look, ProblemKind};
use crate::store::retention::{CHANGELOG_AFTER, known};

/// What is known of one account's changelog after its rows were read.
#[derive(Clone, Copy, Debug)]
struct Read {
    account: i64,
    version: i64,
    claim: i64,
}

impl Look<'_> {
    /// Looks at every row of the changelog, and at the accounts that have none.
    pub(super) fn changelog(&mut self) -> rusqlite::Result<()> {
        self.begin("looking at the changelog")?;
        let connection = self.connection;
        let forgotten = known(connection, CHANGELOG_AFTER)?;
        let mut accounts = connection.prepare("SELECT id, data_version FROM account ORDER BY id")?;
        let mut accounts = accounts.query([])?;
        let mut sql = connection
            .prepare("SELECT account, data_version, claim FROM changelog ORDER BY account, data_version")?;
        let mut rows = sql.query([])?;
        let mut next = rows.next()?.map(read).transpose()?;
        while let Some(row) = accounts.next()? {
            self.step("looking at the changelog")?;
            let (account, version): (i64, i64) = (row.get(0)?, row.get(1)?);
            self.totals.accounts += 1;
            self.totals.houses += u64::from(account < 0);
            let mut last: Option<Read> = None;
            while let Some(change) = next.filter(|change| change.account <= account) {
                self.totals.changelog += 1;
                self.step("looking at the changelog")?;
                // Of an account that does not exist: an orphan, and named as one.
                if change.account == account {
                    self.change(change, last, forgotten)?;
                    last = Some(change);
                }
                next = rows.next()?.map(read).transpose()?;
            }
            let leads_to = last.map_or(0, |last| last.version);
            if leads_to != version {
                let who = self.account_name(account)?;
                let detail = format!("{who} is of version {version}, and its changelog leads to {leads_to}");
                self.findings.add(ProblemKind::Changelog, "account", &format!("id={account}"), detail);
            }
        }
        let sql = "SELECT count(*) FROM changelog";
        self.totals.changelog = connection.query_row(sql, [], |row| row.get::<_, i64>(0))?.cast_unsigned();
        self.clocks()
    }

    fn change(&mut self, change: Read, last: Option<Read>, forgotten: i64) -> rusqlite::Result<()> {
        let what = match last {
            Some(last) if change.version != last.version + 1 => {
                format!("the versions behind {} are missing", last.version)
            }
            Some(last) if change.claim <= last.claim => {
                format!("it names claim {}, and the version before it claim {}", change.claim, last.claim)
            }
            // The row before this one is of an older claim: if that is not forgotten, it must be there.
            None if change.version > 1 && forgotten == 0 => "the versions before it are missing".into(),
            _ => return Ok(()),
        };
        let who = self.account_name(change.account)?;
        let key = format!("account={} data_version={}", change.account, change.version);
        self.findings.add(ProblemKind::Changelog, "changelog", &key, format!("{who}: {what}"));
        Ok(())
    }

    /// Pools are counted by versions that there were.
    fn clocks(&mut self) -> rusqlite::Result<()> {
        let connection = self.connection;
        let mut sql = connection.prepare(
            "SELECT pool_clock.account, pool_clock.asset, pool_clock.data_version, account.data_version
             FROM pool_clock JOIN account ON account.id = pool_clock.account
             WHERE pool_clock.data_version > account.data_version",
        )?;
        let mut rows = sql.query([])?;
        while let Some(row) = rows.next()? {
            let (account, asset): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (set_by, version): (i64, i64) = (row.get(2)?, row.get(3)?);
            let who = self.account_name(account)?;
            let detail =
                format!("the pool was counted by version {set_by} of {who}, which is of version {version}");
            let key = format!("account={account} asset={asset}");
            self.findings.add(ProblemKind::Changelog, "pool_clock", &key, detail);
        }
        Ok(())
    }
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Read> {
    Ok(Read { account: row.get(0)?, version: row.get(1)?, claim: row.get(2)? })
}
