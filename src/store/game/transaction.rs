//! What a game sees of a transaction.

use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, ToSql, params_from_iter};
use serde::Serialize;

use super::{KindRefusal, TOLD_BYTES_MAX};
use crate::protocol::codec;

/// Most rows that one query returns.
const ROWS_MAX: usize = 100_000;

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum SqlValue {
    /// None.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number.
    Real(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl SqlValue {
    /// The whole number, if it is one.
    #[must_use]
    pub fn integer(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(value) => Some(value),
            _ => None,
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident),*) => {
        $(impl From<$from> for SqlValue {
            fn from(value: $from) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from!(i64 => Integer, i32 => Integer, u32 => Integer, u16 => Integer, u8 => Integer, bool => Integer, f64 => Real,
    String => Text, &str => Text, Vec<u8> => Blob, &[u8] => Blob);

impl<T: Into<SqlValue>> From<Option<T>> for SqlValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

impl ToSql for SqlValue {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(value) => ValueRef::Text(value.as_bytes()),
            Self::Blob(value) => ValueRef::Blob(value),
        }))
    }
}

/// The transaction that a change is part of. It ends with the plan, not here.
#[derive(Debug)]
pub struct GameTransaction<'a> {
    connection: &'a Connection,
    /// Keeps statements of different sides apart.
    mark: &'a str,
    now_ms: u64,
    /// What the change tells of itself, each encoded.
    told: Vec<Vec<u8>>,
    /// What went wrong that is not the game's doing: it voids the whole transaction, whatever the game makes of it.
    broken: Option<rusqlite::Error>,
}

impl<'a> GameTransaction<'a> {
    pub(in crate::store) fn new(connection: &'a Connection, mark: &'a str, now_ms: u64) -> Self {
        Self { connection, mark, now_ms, told: Vec::new(), broken: None }
    }

    /// What went wrong, if something did. A game's SQL that ends the transaction goes wrong as well.
    pub(in crate::store) fn finish(self) -> rusqlite::Result<()> {
        match self.broken {
            Some(error) => Err(error),
            None if self.connection.is_autocommit() => Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ABORT),
                Some("a game's SQL ended the transaction".into()),
            )),
            None => Ok(()),
        }
    }

    /// What the change told, in its order.
    pub(in crate::store) fn take_told(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.told)
    }

    /// Tells something to whoever hears of the plan, such as what is left: it stands in the plan's
    /// [summary](crate::store::MutationSummary::told), so that a repeat is told the same.
    ///
    /// # Errors
    /// When all that this change tells is more than [`TOLD_BYTES_MAX`].
    pub fn tell<T: Serialize>(&mut self, what: &T) -> Result<(), KindRefusal> {
        let bytes = codec::encode(what);
        if self.told.iter().map(Vec::len).sum::<usize>() + bytes.len() > TOLD_BYTES_MAX {
            return Err(KindRefusal::new(format!("it tells more than {TOLD_BYTES_MAX} bytes")));
        }
        self.told.push(bytes);
        Ok(())
    }

    /// Calendar time of the tick that commits it, milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Carries a statement out; `?1` is the first of the values. Tells how many rows were changed.
    ///
    /// # Errors
    /// When a constraint is against it, or the statement touches what is not the plugin's: give it on, or do something else.
    pub fn execute(&mut self, sql: &str, values: &[SqlValue]) -> Result<usize, KindRefusal> {
        let marked = self.marked(sql);
        let done =
            self.connection.prepare_cached(&marked).and_then(|mut sql| sql.execute(params_from_iter(values)));
        done.map_err(|error| self.refusal(error))
    }

    /// The rows of a query.
    ///
    /// # Errors
    /// As [`execute`](Self::execute), and when there are more than 100,000 rows.
    pub fn query(&mut self, sql: &str, values: &[SqlValue]) -> Result<Vec<Vec<SqlValue>>, KindRefusal> {
        let marked = self.marked(sql);
        let read = || -> rusqlite::Result<Vec<Vec<SqlValue>>> {
            let mut sql = self.connection.prepare_cached(&marked)?;
            let columns = sql.column_count();
            let mut rows = sql.query(params_from_iter(values))?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                let values = (0..columns).map(|column| row.get::<_, Value>(column).map(value_of));
                found.push(values.collect::<Result<_, _>>()?);
                if found.len() > ROWS_MAX {
                    break;
                }
            }
            Ok(found)
        };
        let found = read().map_err(|error| self.refusal(error))?;
        if found.len() > ROWS_MAX {
            return Err(KindRefusal::new(format!("more than {ROWS_MAX} rows: {sql}")));
        }
        Ok(found)
    }

    /// The first row of a query, if there is one.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub fn first(&mut self, sql: &str, values: &[SqlValue]) -> Result<Option<Vec<SqlValue>>, KindRefusal> {
        Ok(self.query(sql, values)?.into_iter().next())
    }

    fn marked(&self, sql: &str) -> String {
        format!("/* {} */ {sql}", self.mark)
    }

    /// What is the game's own doing it may answer itself; anything else is kept as well.
    fn refusal(&mut self, error: rusqlite::Error) -> KindRefusal {
        use rusqlite::ErrorCode::{AuthorizationForStatementDenied, ConstraintViolation};
        let refusal = KindRefusal::new(error.to_string());
        if !matches!(error.sqlite_error_code(), Some(ConstraintViolation | AuthorizationForStatementDenied)) {
            self.broken.get_or_insert(error);
        }
        refusal
    }
}

fn value_of(value: Value) -> SqlValue {
    match value {
        Value::Null => SqlValue::Null,
        Value::Integer(value) => SqlValue::Integer(value),
        Value::Real(value) => SqlValue::Real(value),
        Value::Text(value) => SqlValue::Text(value),
        Value::Blob(value) => SqlValue::Blob(value),
    }
}
