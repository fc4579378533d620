//! Players: profiles with compare-and-set and the rows that rest on them, sanctions, and what was done with power over others.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use xxhash_rust::xxh3::Xxh3;

use super::commit::{self, Memory, PlanOutcome, Rules, find_claim, load_holdings};
use super::error::StoreError;
use super::image::{self, is_damage};
use super::rows;
use super::save::{Store, counter};
use crate::ids::{PlayerId, TickNumber};
use crate::players::{
    AuditRow, ComponentRow, Found, PlayerRequest, Profile, ProfileAnswer, ProfileSave, Sanction,
    SanctionChange, SanctionKind,
};
use crate::reward::{Account, CommitBatch};

/// The form of a row of `player`: raised when what stands in it means something else.
const FORM: i64 = 1;

/// One thing to do, in a batch that is done whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlayerWork {
    /// What a tick asked for.
    Request(PlayerRequest),
    /// To be appended to the records.
    Audit(AuditRow),
    /// Nothing; but its number is given back when all before it is durable.
    Mark(u64),
}

/// What came of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlayersDone {
    /// What was loaded.
    pub profiles: Vec<ProfileAnswer>,
    /// How many profiles were written.
    pub saved: u64,
    /// How many rows of components were written.
    pub rows: u64,
    /// Whose profile was not written, because it is not the one any more that the save rests on.
    pub conflicts: Vec<PlayerId>,
    /// What came of plans.
    pub plans: Vec<PlanOutcome>,
    /// What was found of claims.
    pub claims: Vec<ClaimAnswer>,
    /// The marks in the batch.
    pub marks: Vec<u64>,
}

/// The answer to [`PlayerRequest::FindClaim`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimAnswer {
    /// Number of the request.
    pub number: u64,
    /// What came of the claim, under that number; `None`: nothing is known of it, and it may still be made.
    pub found: Option<PlanOutcome>,
}

fn checksum(player: &PlayerId, profile: &Profile) -> i64 {
    let mut sum = Xxh3::new();
    sum.update(player.as_str().as_bytes());
    for number in [profile.version, profile.first_seen_ms, profile.last_seen_ms] {
        sum.update(&number.to_le_bytes());
    }
    sum.update(&[u8::from(profile.avatar.is_some())]);
    sum.update(profile.avatar.as_deref().unwrap_or_default());
    sum.digest().cast_signed()
}

/// What is stored of a player. A disk that does not answer is an error, a row that makes no sense is not.
pub(super) fn load(connection: &Connection, player: &PlayerId) -> rusqlite::Result<Found> {
    let row = connection
        .prepare_cached(
            "SELECT version, first_seen_ms, last_seen_ms, avatar, checksum, form FROM player WHERE name = ?1",
        )?
        .query_row([player.as_str()], |row| {
            let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            let profile = Profile {
                version: number(0)?,
                first_seen_ms: number(1)?,
                last_seen_ms: number(2)?,
                avatar: row.get(3)?,
            };
            Ok((profile, row.get::<_, i64>(4)?, row.get::<_, i64>(5)?))
        })
        .optional();
    Ok(match row {
        Ok(None) => Found::Nobody,
        Ok(Some((_, _, form))) if form > FORM => Found::Unreadable(format!(
            "it is in form {form} of a newer program, and this one knows form {FORM}"
        )),
        Ok(Some((profile, sum, _))) if sum == checksum(player, &profile) => Found::Profile(profile),
        Ok(Some(_)) => Found::Unreadable("its checksum is another one than when it was written".into()),
        Err(error) if is_damage(&error) => Found::Unreadable(error.to_string()),
        Err(error) => return Err(error),
    })
}

/// What is stored of a player, and the rows that rest on it.
fn load_with_rows(
    connection: &Connection,
    player: &PlayerId,
) -> rusqlite::Result<(Found, Vec<ComponentRow>)> {
    let found = load(connection, player)?;
    let base = match &found {
        Found::Nobody => 0,
        Found::Profile(profile) => profile.version,
        Found::Unreadable(_) | Found::NotNow(_) => return Ok((found, Vec::new())),
    };
    Ok(match rows::load(connection, player, base)? {
        Ok(rows) => (found, rows),
        Err(why) => (Found::Unreadable(why), Vec::new()),
    })
}

/// Writes a profile in the place of the version that it rests on; `false` when another one stands there.
fn save(transaction: &Transaction<'_>, save: &ProfileSave) -> rusqlite::Result<bool> {
    let ProfileSave { player, profile, is_of_image, .. } = save;
    // Who comes in was loaded, and so is known to be readable; of whom an image tells that is not known.
    if *is_of_image && matches!(load(transaction, player)?, Found::Unreadable(_)) {
        return Ok(false);
    }
    let based_on = profile.version;
    let profile = Profile { version: based_on + 1, ..profile.clone() };
    let sum = checksum(player, &profile);
    let values = params![
        player.as_str(),
        profile.version.cast_signed(),
        profile.first_seen_ms.cast_signed(),
        profile.last_seen_ms.cast_signed(),
        FORM,
        profile.avatar,
        sum,
    ];
    let written = if based_on == 0 {
        transaction
            .prepare_cached(
                "INSERT INTO player (name, version, first_seen_ms, last_seen_ms, form, avatar, checksum)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
            )?
            .execute(values)?
    } else {
        transaction
            .prepare_cached(
                "UPDATE player SET version = ?2, first_seen_ms = ?3, last_seen_ms = ?4, form = ?5, avatar = ?6,
                 checksum = ?7 WHERE name = ?1 AND version = ?2 - 1 AND form <= ?5",
            )?
            .execute(values)?
    };
    if written == 1 {
        return Ok(true);
    }
    // An earlier try may have been committed although its answer was a failure.
    let there: Option<i64> = transaction
        .query_row(
            "SELECT checksum FROM player WHERE name = ?1 AND version = ?2",
            params![player.as_str(), profile.version.cast_signed()],
            |row| row.get(0),
        )
        .optional()?;
    Ok(there == Some(sum))
}

const fn name_of(kind: SanctionKind) -> &'static str {
    match kind {
        SanctionKind::Ban => "ban",
        SanctionKind::Mute => "mute",
    }
}

fn sanction(transaction: &Transaction<'_>, change: &SanctionChange) -> rusqlite::Result<()> {
    match change {
        SanctionChange::Set(sanction) => transaction.execute(
            "INSERT OR REPLACE INTO sanction (player, kind, why, since_ms, until_ms, by)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                sanction.player.as_str(),
                name_of(sanction.kind),
                sanction.why,
                sanction.since_ms.cast_signed(),
                sanction.until_ms.map(u64::cast_signed),
                sanction.by,
            ],
        )?,
        SanctionChange::Lift { player, kind } => transaction.execute(
            "DELETE FROM sanction WHERE player = ?1 AND kind = ?2",
            params![player.as_str(), name_of(*kind)],
        )?,
    };
    Ok(())
}

pub(super) fn append(transaction: &Connection, row: &AuditRow) -> rusqlite::Result<()> {
    transaction
        .prepare_cached(
            "INSERT INTO audit (tick, now_ms, who, what, target, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            row.tick.0.cast_signed(),
            row.now_ms.cast_signed(),
            row.who,
            row.what,
            row.target,
            row.detail
        ])?;
    Ok(())
}

/// The plans that are to be carried out, if that is what there is to do.
pub(super) fn plans_of(work: &PlayerWork) -> Option<&CommitBatch> {
    match work {
        PlayerWork::Request(PlayerRequest::Commit(plans)) => Some(plans),
        _ => None,
    }
}

/// Whether any of it is plans.
pub(super) fn has_plans(batch: &[PlayerWork]) -> bool {
    batch.iter().any(|work| plans_of(work).is_some())
}

fn is_load(work: &PlayerWork) -> bool {
    use PlayerRequest::{FindClaim, Load};
    matches!(work, PlayerWork::Request(Load { .. } | FindClaim { .. }))
}

/// `before`: how many things were written in the life of the world before this batch. What of it is written already, by a try
/// whose commit was told as a failure, is not written again; of plans it is their claims that tell.
fn carry_out(
    connection: &mut Connection,
    memory: &mut Memory,
    batch: &[PlayerWork],
    before: Option<u64>,
    rules: &Rules<'_>,
) -> rusqlite::Result<PlayersDone> {
    use PlayerRequest::{FindClaim, Load};
    let behavior = match batch.iter().all(is_load) {
        true => TransactionBehavior::Deferred,
        false => TransactionBehavior::Immediate,
    };
    let transaction = connection.transaction_with_behavior(behavior)?;
    let mut done = PlayersDone::default();
    let written: u64 = match before {
        Some(before) => image::counter(&transaction, counter::PLAYER_WRITES)?.saturating_sub(before),
        None => 0,
    };
    let mut number = 0;
    for work in batch {
        number += u64::from(!is_load(work));
        match work {
            PlayerWork::Request(Load { number, player }) => {
                let (found, rows) = load_with_rows(&transaction, player)?;
                let (number, player) = (*number, player.clone());
                let holdings =
                    load_holdings(&transaction, &mut memory.names, &Account::Player(player.clone()))?;
                done.profiles.push(ProfileAnswer { number, player, found, rows, holdings });
            }
            PlayerWork::Request(FindClaim { number, claim }) => {
                let found = find_claim(&transaction, &mut memory.names, *number, claim, rules.horizon_ms)?;
                done.claims.push(ClaimAnswer { number: *number, found });
            }
            PlayerWork::Request(PlayerRequest::Commit(batch)) => {
                done.plans.append(&mut commit::carry_out(&transaction, memory, batch, rules)?);
            }
            PlayerWork::Mark(mark) => done.marks.push(*mark),
            _ if number <= written => {
                done.saved += u64::from(matches!(work, PlayerWork::Request(PlayerRequest::Save(_))));
            }
            PlayerWork::Request(PlayerRequest::Save(profile)) => {
                if save(&transaction, profile)? {
                    rows::follow(&transaction, profile)?;
                    done.saved += 1;
                } else if profile.is_of_image {
                    tracing::info!(player = %profile.player, "what is kept of a player is newer than the image");
                } else {
                    done.conflicts.push(profile.player.clone());
                }
            }
            PlayerWork::Request(PlayerRequest::SaveRows(save)) => {
                done.rows += rows::write(&transaction, &save.rows)?;
            }
            PlayerWork::Request(PlayerRequest::Sanction(change)) => sanction(&transaction, change)?,
            PlayerWork::Audit(row) => append(&transaction, row)?,
        }
    }
    if let Some(before) = before
        && number > 0
    {
        image::raise_counter(&transaction, counter::PLAYER_WRITES, before + number)?;
    }
    transaction.commit()?;
    Ok(done)
}

impl Store {
    /// Does a whole batch, in its order, in one durable transaction.
    ///
    /// # Errors
    /// When the disk refuses: then nothing of it was done, or all of it.
    pub fn carry_out(&mut self, batch: &[PlayerWork]) -> Result<PlayersDone, StoreError> {
        self.carry_out_numbered(batch, None)
    }

    /// The same, of a run that numbers what it writes: `after` things were written in it before this batch, in this order. So
    /// what is asked for again after a failure, in whatever batches, is done once, also where the failure was told of a commit
    /// that is durable all the same.
    ///
    /// # Errors
    /// When the disk refuses: then nothing of it was done, or all of it, and it may be asked for again.
    pub fn carry_out_after(&mut self, after: u64, batch: &[PlayerWork]) -> Result<PlayersDone, StoreError> {
        let before = match self.writes_before {
            Some(before) => before,
            None => {
                let before = self.counter(counter::PLAYER_WRITES)?;
                *self.writes_before.insert(before)
            }
        };
        self.carry_out_numbered(batch, Some(before + after))
    }

    /// As [`carry_out_after`](Self::carry_out_after), one thing after the other, and plans one by one: of those one may be such
    /// that nothing that is done together with it can be done.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn carry_out_apart(
        &mut self,
        after: u64,
        batch: &[PlayerWork],
    ) -> Result<PlayersDone, StoreError> {
        let (mut all, mut after) = (PlayersDone::default(), after);
        for work in batch {
            let nothing = PlayerWork::Request(PlayerRequest::Commit(CommitBatch::default()));
            // What stands for the plans counts them as written.
            let (work, plans) = match plans_of(work) {
                Some(plans) => (&nothing, self.commit_apart(plans)?),
                None => (work, Vec::new()),
            };
            let done = self.carry_out_after(after, std::slice::from_ref(work))?;
            after += u64::from(!is_load(work));
            all.plans.extend(plans);
            all.profiles.extend(done.profiles);
            all.saved += done.saved;
            all.rows += done.rows;
            all.conflicts.extend(done.conflicts);
            all.claims.extend(done.claims);
            all.marks.extend(done.marks);
        }
        Ok(all)
    }

    fn carry_out_numbered(
        &mut self,
        batch: &[PlayerWork],
        before: Option<u64>,
    ) -> Result<PlayersDone, StoreError> {
        const DOING: &str = "read and write what is kept of players";
        let file = self.database.file().to_owned();
        let plans = batch.iter().filter_map(plans_of).map(|plans| plans.now_ms);
        let horizon_ms = self.claims_horizon_ms(plans.max().unwrap_or(0))?;
        let fence = self.database.fence().clone();
        let rules = Rules { horizon_ms, game: &self.game, fence: &fence };
        let done = carry_out(self.database.connection()?, &mut self.memory, batch, before, &rules)
            .map_err(StoreError::sqlite(&file, DOING))?;
        for player in &done.conflicts {
            tracing::error!(%player, "a profile was not written: a newer one stands in its place");
        }
        self.database.answer(done).map_err(StoreError::sqlite(&file, DOING))
    }

    /// All sanctions there are, whether they still count or not.
    ///
    /// # Errors
    /// When the disk refuses, or a row makes no sense: a ban that cannot be read must not be forgotten.
    pub fn sanctions(&mut self) -> Result<Vec<Sanction>, StoreError> {
        let file = self.database.file().to_owned();
        let read = |connection: &Connection| -> rusqlite::Result<Vec<Sanction>> {
            connection
                .prepare(
                    "SELECT player, kind, why, since_ms, until_ms, by FROM sanction ORDER BY player, kind",
                )?
                .query_map([], |row| {
                    let player = PlayerId::new(&row.get::<_, String>(0)?).map_err(|error| {
                        rusqlite::Error::FromSqlConversionFailure(
                            0,
                            rusqlite::types::Type::Text,
                            error.into(),
                        )
                    })?;
                    let is_ban = row.get::<_, String>(1)? == name_of(SanctionKind::Ban);
                    Ok(Sanction {
                        player,
                        kind: if is_ban { SanctionKind::Ban } else { SanctionKind::Mute },
                        why: row.get(2)?,
                        since_ms: row.get::<_, i64>(3)?.cast_unsigned(),
                        until_ms: row.get::<_, Option<i64>>(4)?.map(i64::cast_unsigned),
                        by: row.get(5)?,
                    })
                })?
                .collect()
        };
        read(self.database.connection()?).map_err(StoreError::sqlite(&file, "read the sanctions"))
    }

    /// The newest records of what was done with power over others, the newest first.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn audit_rows(&mut self, at_most: usize) -> Result<Vec<AuditRow>, StoreError> {
        let file = self.database.file().to_owned();
        let read = |connection: &Connection| -> rusqlite::Result<Vec<AuditRow>> {
            connection
                .prepare(
                    "SELECT tick, now_ms, who, what, target, detail FROM audit ORDER BY id DESC LIMIT ?1",
                )?
                .query_map([at_most as i64], |row| {
                    Ok(AuditRow {
                        tick: TickNumber(row.get::<_, i64>(0)?.cast_unsigned()),
                        now_ms: row.get::<_, i64>(1)?.cast_unsigned(),
                        who: row.get(2)?,
                        what: row.get(3)?,
                        target: row.get(4)?,
                        detail: row.get(5)?,
                    })
                })?
                .collect()
        };
        read(self.database.connection()?).map_err(StoreError::sqlite(&file, "read the records"))
    }

    /// The tick with which the world goes on, without reading its images: 1 of one that has none.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn next_tick(&mut self) -> Result<TickNumber, StoreError> {
        let file = self.database.file().to_owned();
        let tick: Option<i64> = self
            .database
            .connection()?
            .query_row("SELECT max(tick) FROM image", [], |row| row.get(0))
            .map_err(StoreError::sqlite(&file, "read the newest tick"))?;
        Ok(TickNumber(tick.map_or(1, i64::cast_unsigned)))
    }
}
