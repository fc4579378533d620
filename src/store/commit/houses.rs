//! What houses hold while the plans of a batch are carried out. Many plans move something to or from the same few houses: their
//! rows are read when the first does, and written when the last has or somebody else is about to look at them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::statements::{HoldingKey, Statements};
use crate::reward::Lot;

/// The number of a house and that of an asset. Houses do not tell lots apart.
type Key = (i64, i64);

/// One row, if it is there at all.
#[derive(Clone, Copy, Debug)]
struct Row {
    written: Option<i64>,
    amount: Option<i64>,
}

fn row_of((account, asset): Key) -> HoldingKey {
    HoldingKey { account, asset, lot: Lot::PLAIN }
}

/// The rows of houses that the plans of one batch change.
#[derive(Debug, Default)]
pub(super) struct Houses {
    rows: BTreeMap<Key, Row>,
    /// What the plan under way changed and wrote, with how it was before.
    undo: Vec<(Key, Row)>,
}

impl Houses {
    /// What changes from here on can be taken back.
    pub(super) fn begin(&mut self) {
        self.undo.clear();
    }

    /// Takes back what changed since [`begin`](Self::begin).
    pub(super) fn take_back(&mut self) {
        self.rows.extend(self.undo.drain(..).rev());
    }

    /// Adds to what a house has, which may be less than nothing. Nothing is the answer if it would be beyond all bounds.
    pub(super) fn add(
        &mut self,
        sql: &mut Statements<'_>,
        house: i64,
        asset: i64,
        amount: i64,
    ) -> rusqlite::Result<Option<i64>> {
        let key = (house, asset);
        let row = match self.rows.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                let written = sql.holding(row_of(key))?;
                free.insert(Row { written, amount: written })
            }
        };
        let Some(sum) = row.amount.unwrap_or(0).checked_add(amount) else {
            return Ok(None);
        };
        self.undo.push((key, *row));
        row.amount = Some(sum);
        Ok(Some(sum))
    }

    /// Writes what has changed.
    pub(super) fn write(&mut self, sql: &mut Statements<'_>) -> rusqlite::Result<()> {
        for (&key, row) in &mut self.rows {
            if let Some(amount) = row.amount
                && row.written != Some(amount)
            {
                sql.write_holding(row_of(key), row.written, amount)?;
                // With a plan that is refused all goes that was written in its savepoint, also of plans before it.
                self.undo.push((key, *row));
                row.written = Some(amount);
            }
        }
        Ok(())
    }
}
