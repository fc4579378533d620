//! What a game's SQL may touch: tables of its own plugin, and nothing of the engine's but to read it.
//!
//! SQLite asks while it prepares a statement, so a prepared one costs nothing more. What is prepared for a game is kept apart
//! from the engine's statements by a mark in its text.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

/// Who prepares statements, and what for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Side {
    /// The engine: everything.
    #[default]
    Engine,
    /// A plugin's migration: tables with this prefix are made and changed.
    Migration(String),
    /// A plugin's kind of change: rows of tables with this prefix are written.
    Rows(String),
    /// A plugin's check: nothing is written.
    Reads,
}

/// Stands between a game and the tables of the engine.
#[derive(Debug, Default)]
pub(super) struct Fence {
    side: Mutex<Side>,
    /// How many actions were asked about: it stands still while all statements are prepared.
    #[cfg(test)]
    pub(super) asked: std::sync::atomic::AtomicU64,
}

/// The prefix of everything that a plugin has in the file.
pub(super) fn prefix_of(plugin: &str) -> String {
    format!("game_{plugin}_")
}

/// SQLite's own tables, which it writes itself while it makes or changes others.
fn is_schema(table: &str) -> bool {
    matches!(table, "sqlite_master" | "sqlite_schema" | "sqlite_temp_master" | "sqlite_sequence")
}

fn is_allowed(side: &Side, action: AuthAction<'_>) -> bool {
    use AuthAction as A;
    let reads = matches!(action, A::Select | A::Read { .. } | A::Recursive | A::Function { .. });
    match side {
        Side::Engine => true,
        Side::Reads => reads,
        Side::Rows(prefix) => match action {
            A::Insert { table_name } | A::Delete { table_name } | A::Update { table_name, .. } => {
                table_name.starts_with(prefix)
            }
            _ => reads,
        },
        Side::Migration(prefix) => match action {
            A::Insert { table_name } | A::Delete { table_name } | A::Update { table_name, .. } => {
                table_name.starts_with(prefix) || is_schema(table_name)
            }
            A::CreateTable { table_name }
            | A::DropTable { table_name }
            | A::AlterTable { table_name, .. }
            | A::CreateTrigger { table_name, .. }
            | A::DropTrigger { table_name, .. }
            | A::CreateIndex { table_name, .. }
            | A::DropIndex { table_name, .. } => table_name.starts_with(prefix) || is_schema(table_name),
            A::CreateView { view_name } | A::DropView { view_name } => view_name.starts_with(prefix),
            // Asked by SQLite itself when a column is added.
            A::Pragma { pragma_name, .. } => pragma_name == "quick_check",
            A::Reindex { index_name } => {
                index_name.starts_with(prefix) || index_name.starts_with("sqlite_auto")
            }
            _ => reads,
        },
    }
}

impl Fence {
    fn side(&self) -> MutexGuard<'_, Side> {
        self.side.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets it up on a new connection.
    pub(super) fn guard(self: &std::sync::Arc<Self>, connection: &mut Connection) -> rusqlite::Result<()> {
        let fence = self.clone();
        connection.authorizer(Some(move |asked: AuthContext<'_>| {
            #[cfg(test)]
            fence.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            match is_allowed(&fence.side(), asked.action) {
                true => Authorization::Allow,
                false => Authorization::Deny,
            }
        }))
    }

    /// Does something on the side of a game.
    pub(super) fn on<T>(&self, side: Side, work: impl FnOnce() -> T) -> T {
        /// Also after a panic in a game's code the engine is on its own side again.
        struct Back<'a>(&'a Fence);
        impl Drop for Back<'_> {
            fn drop(&mut self) {
                *self.0.side() = Side::Engine;
            }
        }
        *self.side() = side;
        let _back = Back(self);
        work()
    }
}
