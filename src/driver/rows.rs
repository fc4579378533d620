//! Rows of components on their way to the store: a chunk at a time behind everything else, so that nobody waits for many.

use std::collections::{BTreeMap, VecDeque};

use crate::ids::PlayerId;
use crate::limits::ROWS_PER_CHUNK;
use crate::players::{ComponentRow, RowsSave};

/// Which component of which player.
type Key = (PlayerId, String);

/// What waits, at most one row for each component of each player: a newer one takes the place of the older one, and a profile
/// that of all of its player. So there is never more of it than there is of avatars.
#[derive(Debug, Default)]
pub(super) struct WaitingRows {
    rows: BTreeMap<Key, ComponentRow>,
    /// In the order of their coming; of some the rows may be gone.
    immediate: VecDeque<Key>,
    /// The same, behind all those.
    others: VecDeque<Key>,
}

impl WaitingRows {
    /// How many rows wait.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none waits.
    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes rows in. O(log rows) each.
    pub(super) fn push(&mut self, save: RowsSave) {
        let queue = if save.is_immediate { &mut self.immediate } else { &mut self.others };
        for row in save.rows {
            let key = (row.player.clone(), row.component.clone());
            // It keeps the place of the one that it replaces.
            if self.rows.insert(key.clone(), row).is_none() {
                queue.push_back(key);
            }
        }
    }

    /// A profile is on its way that holds all that waits of this player. O(rows of all).
    pub(super) fn forget(&mut self, player: &PlayerId) {
        if self.rows.is_empty() {
            return;
        }
        let from = (player.clone(), String::new());
        let keys = self.rows.range(from..).map(|(key, _)| key).take_while(|(whose, _)| whose == player);
        let keys: Vec<Key> = keys.cloned().collect();
        if keys.is_empty() {
            return;
        }
        for key in &keys {
            self.rows.remove(key);
        }
        for queue in [&mut self.immediate, &mut self.others] {
            queue.retain(|(whose, _)| whose != player);
        }
    }

    /// The next rows, as many as fit one transaction.
    pub(super) fn take_chunk(&mut self) -> Option<RowsSave> {
        let is_immediate = !self.immediate.is_empty();
        let mut rows = Vec::new();
        while rows.len() < ROWS_PER_CHUNK
            && let Some(key) = self.immediate.pop_front().or_else(|| self.others.pop_front())
        {
            rows.extend(self.rows.remove(&key));
        }
        (!rows.is_empty()).then_some(RowsSave { is_immediate, rows })
    }

    /// Puts a chunk back that was not taken.
    pub(super) fn put_back(&mut self, chunk: RowsSave) {
        for row in chunk.rows.into_iter().rev() {
            let key = (row.player.clone(), row.component.clone());
            if let std::collections::btree_map::Entry::Vacant(place) = self.rows.entry(key.clone()) {
                place.insert(row);
                let queue = if chunk.is_immediate { &mut self.immediate } else { &mut self.others };
                queue.push_front(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(player: &str, component: &str, version: u64) -> ComponentRow {
        let player = PlayerId::new(player).unwrap();
        ComponentRow { player, component: component.into(), base: 0, version, data: None }
    }

    fn save(is_immediate: bool, rows: &[ComponentRow]) -> RowsSave {
        RowsSave { is_immediate, rows: rows.to_vec() }
    }

    fn taken(waiting: &mut WaitingRows) -> Vec<(String, u64)> {
        let chunk = waiting.take_chunk().map_or_else(Vec::new, |chunk| chunk.rows);
        chunk.iter().map(|row| (format!("{}/{}", row.player, row.component), row.version)).collect()
    }

    /// D5: what waits is bounded by what there is, and what is newer takes the place of what is older.
    #[test]
    fn of_a_component_the_newest_row_alone_waits_and_immediate_ones_go_first() {
        let mut waiting = WaitingRows::default();
        waiting.push(save(false, &[row("alice", "Mood", 1), row("bob", "Mood", 1)]));
        waiting.push(save(true, &[row("bob", "Quest", 2)]));
        waiting.push(save(false, &[row("alice", "Mood", 3)]));
        assert_eq!(waiting.len(), 3);
        let expected = [("bob/Quest", 2), ("alice/Mood", 3), ("bob/Mood", 1)];
        assert_eq!(taken(&mut waiting), expected.map(|(name, version)| (name.to_owned(), version)));
        assert!(waiting.is_empty() && waiting.take_chunk().is_none());
    }

    #[test]
    fn a_profile_takes_the_place_of_all_that_waits_of_its_player() {
        let mut waiting = WaitingRows::default();
        waiting.push(save(true, &[row("alice", "Quest", 1), row("alicia", "Quest", 1)]));
        waiting.push(save(false, &[row("alice", "Mood", 2)]));
        waiting.forget(&PlayerId::new("alice").unwrap());
        assert_eq!(taken(&mut waiting), [("alicia/Quest".to_owned(), 1)]);
        waiting.push(save(false, &[row("alice", "Mood", 3)]));
        assert_eq!(taken(&mut waiting), [("alice/Mood".to_owned(), 3)], "once, and not where it had waited");
    }

    #[test]
    fn what_was_put_back_is_first_again_but_for_what_is_newer() {
        let mut waiting = WaitingRows::default();
        waiting.push(save(false, &[row("alice", "Mood", 1), row("bob", "Mood", 1), row("carol", "Mood", 1)]));
        let chunk = waiting.take_chunk().expect("three wait");
        waiting.push(save(false, &[row("bob", "Mood", 2)]));
        waiting.put_back(chunk);
        let expected = [("alice/Mood", 1), ("carol/Mood", 1), ("bob/Mood", 2)];
        assert_eq!(taken(&mut waiting), expected.map(|(name, version)| (name.to_owned(), version)));
    }
}
