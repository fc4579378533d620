//! Claims: what was asked for under which key, and what came of it.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::names::Names;
use super::{PlanOutcome, Stop};
use crate::reward::{Claim, ClaimKey, PlanRefusal};
use crate::store::summary::MutationSummary;

pub(super) const FIND: &str = "SELECT id, request, summary FROM claim WHERE key = ?1 AND account = ?2";

/// As it stands in a row: keys that grow lie side by side in the index.
pub(super) fn key_bytes(key: ClaimKey) -> [u8; 16] {
    key.0.to_be_bytes()
}

/// A claim that was fulfilled: its number, and what it came to.
pub(super) type Earlier = (i64, Arc<MutationSummary>);

/// What an earlier time made of a claim: nothing that is known, its summary, or a refusal for good. One that cannot be read is such a
/// refusal too: it was fulfilled, and whoever asks must not hold up everybody else.
pub(super) fn earlier(
    sql: &mut rusqlite::Statement<'_>,
    account: i64,
    claim: &Claim,
) -> Result<Option<Earlier>, Stop> {
    let found = sql
        .query_row(params![key_bytes(claim.key), account], |row| {
            let (id, request) = (row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned());
            if request != claim.request {
                return Ok(Err(PlanRefusal::KeyReused));
            }
            let bytes = row.get_ref(2)?.as_blob().map_err(|error| error.to_string());
            let summary =
                bytes.and_then(|bytes| MutationSummary::from_bytes(bytes).map_err(|error| error.to_string()));
            Ok(match summary {
                Ok(summary) => Ok((id, Arc::new(summary))),
                Err(error) => {
                    let account = &claim.account;
                    tracing::error!(claim = id, %account, "what came of a claim cannot be read: {error}");
                    Err(PlanRefusal::Unreadable { claim: id })
                }
            })
        })
        .optional()?;
    found.transpose().map_err(Stop::Refused)
}

/// Whether claims of that age are forgotten, so that nobody can know whether this one was fulfilled.
pub(super) fn is_too_old(key: ClaimKey, horizon_ms: u64) -> bool {
    key.made_ms().is_some_and(|made_ms| made_ms < horizon_ms)
}

/// What is known of a claim, `None`: nothing, and it may still be made.
pub(in crate::store) fn find_claim(
    connection: &Connection,
    names: &mut Names,
    number: u64,
    claim: &Claim,
    horizon_ms: u64,
) -> rusqlite::Result<Option<PlanOutcome>> {
    let known = |result: Result<Arc<MutationSummary>, PlanRefusal>| {
        let is_repeat = result.is_ok();
        Some(PlanOutcome { number, result, is_repeat, conflicts: 0 })
    };
    let found = match names.find(connection, &claim.account)? {
        Some(account) => earlier(&mut *connection.prepare_cached(FIND)?, account, claim),
        None => Ok(None),
    };
    match found {
        Ok(Some((_, summary))) => Ok(known(Ok(summary))),
        Err(Stop::Refused(refusal)) => Ok(known(Err(refusal))),
        Err(Stop::Broken(error)) => Err(error),
        Ok(None) if is_too_old(claim.key, horizon_ms) => Ok(known(Err(PlanRefusal::TooOld))),
        Ok(None) => Ok(None),
    }
}
