//! Images: the whole world as of the end of one tick, written in one transaction, checked when read.

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use xxhash_rust::xxh3::Xxh3;

use crate::ids::TickNumber;

/// Most bytes of an image in one row: SQLite reads and writes a row in one piece.
pub const PART_BYTES_MAX: usize = 1 << 20;

/// Complete images that a save keeps: the newest, and the one to fall back to.
pub const IMAGES_KEPT: usize = 2;

/// The world as of the end of a tick.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The tick that it is the end of.
    pub tick: TickNumber,
    /// The sealed calendar time of that tick, in milliseconds.
    pub now_ms: u64,
    /// The world's fingerprint at that tick; compared by whoever restores it.
    pub fingerprint: u64,
    /// Counters that go on from here, such as each spawner's; at most 2^63 - 1 each, in any order.
    pub counters: Vec<(String, u64)>,
    /// Every owned entity, as the world encodes them.
    pub entities: Vec<u8>,
    /// How many entities that is.
    pub entity_count: u64,
}

impl Image {
    /// A sum over everything in it.
    fn checksum(&self) -> u64 {
        let mut sum = self.sum_before_entities();
        sum.update(&self.entities);
        sum.digest()
    }

    fn sum_before_entities(&self) -> Xxh3 {
        let mut sum = Xxh3::new();
        for number in [self.tick.0, self.now_ms, self.fingerprint, self.entity_count] {
            sum.update(&number.to_le_bytes());
        }
        sum.update(&(self.counters.len() as u64).to_le_bytes());
        for (name, value) in &self.counters {
            sum.update(&(name.len() as u64).to_le_bytes());
            sum.update(name.as_bytes());
            sum.update(&value.to_le_bytes());
        }
        sum
    }
}

/// The newest whole image of a file, and what was found in its stead.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The image; `None` with no image at all or none that is whole.
    pub(super) image: Option<Image>,
    /// Images newer than that one which are damaged, by row, with what is wrong.
    pub(super) damaged: Vec<(i64, String)>,
    /// How many images were ever written to the file.
    pub(super) written: u64,
}

/// Writes an image and removes what it makes superfluous: all but the newest [`IMAGES_KEPT`] that are complete
/// and not known as damaged. All of it happens or nothing.
pub(super) fn write(connection: &mut Connection, image: &Image, damaged: &[i64]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // An earlier try may have been committed although its answer was a failure.
    transaction.execute("DELETE FROM image WHERE tick = ?1", [image.tick.0.cast_signed()])?;
    for id in damaged {
        transaction.execute("DELETE FROM image WHERE id = ?1", [id])?;
    }
    insert(&transaction, image)?;
    transaction.execute(
        "DELETE FROM image WHERE id NOT IN
            (SELECT id FROM image WHERE complete = 1 ORDER BY id DESC LIMIT ?1)",
        [IMAGES_KEPT as i64],
    )?;
    transaction.commit()
}

fn insert(transaction: &Transaction<'_>, image: &Image) -> rusqlite::Result<()> {
    transaction.execute(
        "INSERT INTO image (tick, now_ms, fingerprint, entities, bytes, checksum, complete)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)",
        params![
            image.tick.0.cast_signed(),
            image.now_ms.cast_signed(),
            image.fingerprint.cast_signed(),
            image.entity_count.cast_signed(),
            image.entities.len() as i64,
            image.checksum().cast_signed(),
        ],
    )?;
    let id = transaction.last_insert_rowid();
    let mut part =
        transaction.prepare_cached("INSERT INTO image_part (image, part, bytes) VALUES (?1, ?2, ?3)")?;
    for (index, bytes) in image.entities.chunks(PART_BYTES_MAX).enumerate() {
        part.execute(params![id, index as i64, bytes])?;
    }
    let mut counter = transaction
        .prepare_cached("INSERT INTO image_counter (image, position, name, value) VALUES (?1, ?2, ?3, ?4)")?;
    for (position, (name, value)) in image.counters.iter().enumerate() {
        counter.execute(params![id, position as i64, name, value.cast_signed()])?;
        raise_counter(transaction, name, *value)?;
    }
    transaction.execute("UPDATE image SET complete = 1 WHERE id = ?1", [id])?;
    Ok(())
}

/// A counter; 0 if it never was set.
pub(super) fn counter(connection: &Connection, name: &str) -> rusqlite::Result<u64> {
    let value: Option<i64> = connection
        .prepare_cached("SELECT value FROM counter WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    Ok(value.map_or(0, i64::cast_unsigned))
}

/// Sets a counter to at least this value: it never runs backwards.
pub(super) fn raise_counter(connection: &Connection, name: &str, value: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO counter (name, value) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
        )?
        .execute(params![name, value.cast_signed()])?;
    Ok(())
}

/// Reads images from the newest on, until one is whole.
pub(super) fn find_newest(connection: &Connection) -> rusqlite::Result<Found> {
    // SQLite's own record of the ids it gave out stands in another page than the images: if their rows are
    // gone, it still knows that there were some.
    let written: Option<i64> = connection
        .query_row("SELECT seq FROM sqlite_sequence WHERE name = 'image'", [], |row| row.get(0))
        .optional()?;
    let mut found = Found { written: written.map_or(0, i64::cast_unsigned), ..Found::default() };
    let ids: Vec<i64> = connection
        .prepare("SELECT id FROM image ORDER BY id DESC")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    for id in ids {
        match read(connection, id) {
            Ok(Ok(image)) => {
                found.image = Some(image);
                break;
            }
            Ok(Err(damage)) => found.damaged.push((id, damage)),
            Err(error) if is_damage(&error) => found.damaged.push((id, error.to_string())),
            // A disk that does not answer says nothing about the image: an older one must not replace it.
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// Whether it says that what is in the file makes no sense, as opposed to a disk that does not answer.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType, Utf8Error};
    matches!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseCorrupt))
        || matches!(
            error,
            FromSqlConversionFailure(..)
                | IntegralValueOutOfRange(..)
                | InvalidColumnType(..)
                | Utf8Error(..)
        )
}

/// One image, or what is wrong with it.
fn read(connection: &Connection, id: i64) -> rusqlite::Result<Result<Image, String>> {
    let mut entities = Vec::new();
    let found = visit(connection, id, |part| entities.extend_from_slice(part))?;
    Ok(found.map(|image| Image { entities, ..image }))
}

/// Reads an image part by part, so that it need not be in memory as a whole: gives it without its entities, or what is wrong with it.
pub(super) fn visit(
    connection: &Connection,
    id: i64,
    mut part: impl FnMut(&[u8]),
) -> rusqlite::Result<Result<Image, String>> {
    let (mut image, bytes, checksum, complete) = connection.query_row(
        "SELECT tick, now_ms, fingerprint, entities, bytes, checksum, complete FROM image WHERE id = ?1",
        [id],
        |row| {
            let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            let image = Image {
                tick: TickNumber(number(0)?),
                now_ms: number(1)?,
                fingerprint: number(2)?,
                counters: Vec::new(),
                entities: Vec::new(),
                entity_count: number(3)?,
            };
            Ok((image, number(4)?, number(5)?, row.get::<_, bool>(6)?))
        },
    )?;
    if !complete {
        return Ok(Err("it is incomplete".into()));
    }
    image.counters = connection
        .prepare_cached("SELECT name, value FROM image_counter WHERE image = ?1 ORDER BY position")?
        .query_map([id], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())))?
        .collect::<Result<_, _>>()?;
    let mut sum = image.sum_before_entities();
    let mut parts =
        connection.prepare_cached("SELECT part, bytes FROM image_part WHERE image = ?1 ORDER BY part")?;
    let mut rows = parts.query([id])?;
    let (mut expected_part, mut read) = (0, 0);
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(0)? != expected_part {
            return Ok(Err(format!("part {expected_part} is missing")));
        }
        expected_part += 1;
        let bytes_here = row.get_ref(1)?.as_blob()?;
        sum.update(bytes_here);
        part(bytes_here);
        read += bytes_here.len() as u64;
        if read > bytes {
            break;
        }
    }
    if read != bytes {
        return Ok(Err(format!("{read} bytes where {bytes} were written")));
    }
    if sum.digest() != checksum {
        return Ok(Err("its checksum is another one than when it was written".into()));
    }
    Ok(Ok(image))
}
