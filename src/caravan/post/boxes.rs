//! Who has which letters: bounded in number and age, and each there once, however often it comes.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::PlayerId;

use super::{Letter, News};

/// Most letters of one player: the newest are kept.
pub const LETTERS_MAX: usize = 8;
/// Most letters of all players: the newest are kept.
pub const ALL_LETTERS_MAX: usize = 20_000;
/// A letter is thrown away when the newest of all is so much younger, ms.
pub const KEPT_MS: u64 = 30 * 24 * 3_600 * 1_000;

/// The order of letters: by when they were written, then by the number of their delivery.
type Key = (u64, u64);

/// Letters, by age and by player.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boxes {
    letters: BTreeMap<Key, (PlayerId, News)>,
    of: BTreeMap<PlayerId, BTreeSet<Key>>,
}

impl Boxes {
    /// Takes the letter of a delivery; `false` when it is there already, or is too old to be kept: one that comes again after it
    /// was thrown away is thrown away again, since what has taken its place is newer. O(log letters) for each that goes.
    pub fn put(&mut self, id: u64, letter: Letter) -> bool {
        let key = (letter.at_ms, id);
        if self.letters.contains_key(&key) {
            return false;
        }
        self.of.entry(letter.to.clone()).or_default().insert(key);
        self.letters.insert(key, (letter.to.clone(), letter.about));
        let own = &self.of[&letter.to];
        if own.len() > LETTERS_MAX {
            let oldest = *own.first().expect("there are too many");
            self.throw_away(oldest);
        }
        let newest_ms = self.letters.last_key_value().map_or(0, |(key, _)| key.0);
        while let Some((&oldest, _)) = self.letters.first_key_value()
            && (self.letters.len() > ALL_LETTERS_MAX || oldest.0.saturating_add(KEPT_MS) < newest_ms)
        {
            self.throw_away(oldest);
        }
        self.letters.contains_key(&key)
    }

    /// Whether that letter is there. O(log letters).
    #[must_use]
    pub fn contains(&self, id: u64, letter: &Letter) -> bool {
        self.letters.contains_key(&(letter.at_ms, id))
    }

    fn throw_away(&mut self, key: Key) {
        let Some((player, _)) = self.letters.remove(&key) else { return };
        if let Some(own) = self.of.get_mut(&player) {
            own.remove(&key);
            if own.is_empty() {
                self.of.remove(&player);
            }
        }
    }

    /// What a player has been written, the newest first.
    pub fn of<'a>(&'a self, player: &PlayerId) -> impl Iterator<Item = (Key, &'a News)> {
        let keys = self.of.get(player).into_iter().flatten().rev();
        keys.map(|key| (*key, &self.letters[key].1))
    }

    /// All letters with the numbers of their deliveries, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (u64, Letter)> {
        self.letters
            .iter()
            .map(|(&(at_ms, id), (to, about))| (id, Letter { to: to.clone(), at_ms, about: about.clone() }))
    }

    /// How many letters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.letters.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.letters.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn letter(to: u8, at_ms: u64) -> Letter {
        let to = PlayerId::new(&format!("p{to}")).expect("a name");
        Letter { to, at_ms, about: News::Errand { silver: at_ms, renown: 1 } }
    }

    /// The rules, naively: of all that ever came, each once.
    fn kept(came: &[(u64, Letter)]) -> BTreeMap<Key, PlayerId> {
        let mut all: BTreeMap<Key, PlayerId> = BTreeMap::new();
        for (id, letter) in came {
            all.insert((letter.at_ms, *id), letter.to.clone());
            let own: Vec<Key> = all
                .iter()
                .filter(|(_, to)| **to == letter.to)
                .map(|(key, _)| *key)
                .rev()
                .skip(LETTERS_MAX)
                .collect();
            let newest = all.last_key_value().map_or(0, |(key, _)| key.0);
            all.retain(|key, _| !own.contains(key) && key.0 + KEPT_MS >= newest);
        }
        all
    }

    proptest! {
        /// C8: what is in the boxes is what plain rules say, whatever comes, in whatever order and however often.
        #[test]
        fn boxes_hold_what_the_rules_say(
            came in prop::collection::vec((0_u64..60, 0_u8..4, 0_u64..6), 0..120),
        ) {
            // The number decides what a letter says: a repeat says the same. Most are young enough, so that somebody has too many of them.
            let came: Vec<(u64, Letter)> = came
                .into_iter()
                .map(|(id, _, _)| (id, letter((id % 4) as u8, (id * 7 % 13) * (KEPT_MS / 10))))
                .collect();
            let mut boxes = Boxes::default();
            for (place, (id, letter)) in came.iter().enumerate() {
                let was_there = boxes.iter().any(|(there, _)| there == *id);
                let is_new = boxes.put(*id, letter.clone());
                let is_kept = kept(&came[..=place]).contains_key(&(letter.at_ms, *id));
                prop_assert_eq!(is_new, is_kept && !was_there);
            }
            let found: BTreeMap<Key, PlayerId> =
                boxes.iter().map(|(id, letter)| ((letter.at_ms, id), letter.to)).collect();
            prop_assert_eq!(&found, &kept(&came));
            for player in 0..4 {
                let player = letter(player, 0).to;
                let own: Vec<Key> = boxes.of(&player).map(|(key, _)| key).collect();
                let expected: Vec<Key> =
                    found.iter().rev().filter(|(_, to)| **to == player).map(|(key, _)| *key).collect();
                prop_assert_eq!(own, expected);
            }
            prop_assert_eq!(boxes.len(), found.len());
        }
    }

    #[test]
    fn of_all_letters_the_newest_are_kept() {
        let mut boxes = Boxes::default();
        for number in 0..ALL_LETTERS_MAX as u64 + 5 {
            let to = PlayerId::new(&format!("p{}", number / 4)).expect("a name");
            assert!(boxes.put(number, Letter { to, ..letter(0, number) }));
        }
        assert_eq!(boxes.len(), ALL_LETTERS_MAX);
        assert_eq!(boxes.iter().next().map(|(id, _)| id), Some(5));
        assert!(!boxes.put(2, letter(0, 2)), "what was thrown away is thrown away again");
    }
}
