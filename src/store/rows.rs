//! Components of avatars that are written by themselves: rows that rest on a profile, and are void with any other version of it.
//!
//! | what is written | what becomes of the rows of its player |
//! |---|---|
//! | a row on the profile that is there | it takes the place of an older one of its component |
//! | a row on any other | nothing: a profile that was written later holds the component |
//! | a profile, when the player leaves | all go: it holds what they do |
//! | a profile, from an image after a crash | those that the image is no older than go, newer ones rest on it from now on |

use rusqlite::{Connection, Transaction, params};
use xxhash_rust::xxh3::Xxh3;

use super::image::is_damage;
use crate::ids::PlayerId;
use crate::players::{ComponentRow, ProfileSave};

/// The form of a row: raised when what stands in it means something else.
const FORM: i64 = 1;

/// Of all but the profile it rests on, which is another one once a profile is written from an image.
fn checksum(player: &PlayerId, component: &str, version: u64, data: Option<&[u8]>) -> i64 {
    let mut sum = Xxh3::new();
    for text in [player.as_str(), component] {
        sum.update(&(text.len() as u64).to_le_bytes());
        sum.update(text.as_bytes());
    }
    sum.update(&version.to_le_bytes());
    sum.update(&[u8::from(data.is_some())]);
    sum.update(data.unwrap_or_default());
    sum.digest().cast_signed()
}

/// Writes rows, and says how many of them: those that are void, or older than what is there, are not.
pub(super) fn write(transaction: &Transaction<'_>, rows: &[ComponentRow]) -> rusqlite::Result<u64> {
    let mut statement = transaction.prepare_cached(
        "INSERT INTO component_row (player, component, base, version, form, data, checksum)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
             WHERE ?3 = coalesce((SELECT version FROM player WHERE name = ?1), 0)
         ON CONFLICT (player, component) DO UPDATE SET
             base = excluded.base, version = excluded.version, form = excluded.form, data = excluded.data,
             checksum = excluded.checksum
             WHERE (excluded.base, excluded.version) > (base, version) AND form <= excluded.form",
    )?;
    let mut written = 0;
    for ComponentRow { player, component, base, version, data } in rows {
        written += statement.execute(params![
            player.as_str(),
            component,
            base.cast_signed(),
            version.cast_signed(),
            FORM,
            data,
            checksum(player, component, *version, data.as_deref()),
        ])? as u64;
    }
    Ok(written)
}

/// A profile was written: its rows that it holds go, newer ones rest on it.
pub(super) fn follow(transaction: &Transaction<'_>, save: &ProfileSave) -> rusqlite::Result<()> {
    let (player, based_on) = (save.player.as_str(), save.profile.version.cast_signed());
    transaction
        .prepare_cached(
            "UPDATE component_row SET base = ?2 + 1 WHERE player = ?1 AND base = ?2 AND version > ?3",
        )?
        .execute(params![player, based_on, save.rows.cast_signed()])?;
    transaction
        .prepare_cached("DELETE FROM component_row WHERE player = ?1 AND base <= ?2")?
        .execute(params![player, based_on])?;
    Ok(())
}

/// The rows of a player that rest on this version of its profile, by component; or why they cannot be read. A disk that does
/// not answer is an error, a row that makes no sense is not.
pub(super) fn load(
    connection: &Connection,
    player: &PlayerId,
    base: u64,
) -> rusqlite::Result<Result<Vec<ComponentRow>, String>> {
    let mut statement = connection.prepare_cached(
        "SELECT component, version, form, data, checksum FROM component_row
         WHERE player = ?1 AND base = ?2 ORDER BY component",
    )?;
    let found = statement.query_map(params![player.as_str(), base.cast_signed()], |row| {
        let component: String = row.get(0)?;
        let version = row.get::<_, i64>(1)?.cast_unsigned();
        let data: Option<Vec<u8>> = row.get(3)?;
        let (form, sum) = (row.get::<_, i64>(2)?, row.get::<_, i64>(4)?);
        Ok((ComponentRow { player: player.clone(), component, base, version, data }, form, sum))
    })?;
    let mut rows = Vec::new();
    for found in found {
        let (row, form, sum) = match found {
            Ok(found) => found,
            Err(error) if is_damage(&error) => return Ok(Err(error.to_string())),
            Err(error) => return Err(error),
        };
        let component = &row.component;
        if form > FORM {
            return Ok(Err(format!(
                "its `{component}` is in form {form} of a newer program, and this one knows form {FORM}"
            )));
        }
        if sum != checksum(player, component, row.version, row.data.as_deref()) {
            return Ok(Err(format!(
                "the checksum of its `{component}` is another one than when it was written"
            )));
        }
        rows.push(row);
    }
    Ok(Ok(rows))
}
