//! The most famous players: a list that everybody can read, kept in memory and with the world's image.

use std::collections::BTreeMap;

use crate::cell::pool::NodeContext;
use crate::prelude::*;
use crate::value::Book;

use super::hands::RENOWN;

/// How many are listed.
pub const RANKS_MAX: usize = 10;
/// How often the list is made anew, s.
const EVERY_S: u64 = 2;

/// Who is most famous, the first one first; who is away keeps its place.
#[derive(Resource, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Ranks {
    /// Names and renown.
    #[sync(broadcast, max_bytes = 480)]
    pub best: Vec<(String, u64)>,
}

impl Ranks {
    /// Takes in what these players have now. Of equals the one whose name comes first goes first.
    fn update<'a>(&mut self, players: impl Iterator<Item = (&'a str, u64)>) {
        let mut all: BTreeMap<String, u64> = std::mem::take(&mut self.best).into_iter().collect();
        for (name, renown) in players {
            // Whose fame has gone with its character has no place any more.
            match renown {
                0 => all.remove(name),
                renown => all.insert(name.to_owned(), renown),
            };
        }
        self.best = all.into_iter().collect();
        self.best.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        self.best.truncate(RANKS_MAX);
    }
}

/// Brings the list up to date now and then.
pub(super) fn rank(
    context: Res<NodeContext>,
    settings: Res<WorldSettings>,
    book: Res<Book>,
    mut ranks: ResMut<Ranks>,
) {
    if !context.0.tick.0.is_multiple_of(EVERY_S * u64::from(settings.hz)) {
        return;
    }
    let mut next = ranks.clone();
    let renown = RENOWN.into();
    next.update(book.players().map(|(player, holdings)| (player.as_str(), holdings.amount(&renown))));
    if *ranks != next {
        *ranks = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_away_keeps_its_place_until_others_are_more_famous() {
        let mut ranks = Ranks::default();
        ranks.update([("bob", 5), ("anna", 5), ("carl", 0)].into_iter());
        assert_eq!(ranks.best, [("anna".to_owned(), 5), ("bob".to_owned(), 5)]);
        ranks.update([("bob", 9)].into_iter());
        assert_eq!(ranks.best, [("bob".to_owned(), 9), ("anna".to_owned(), 5)]);
        ranks.update([("bob", 0)].into_iter());
        assert_eq!(ranks.best, [("anna".to_owned(), 5)]);
        let many: Vec<(String, u64)> = (0..20).map(|number| (format!("p{number:02}"), 10 + number)).collect();
        ranks.update(many.iter().map(|(name, renown)| (name.as_str(), *renown)));
        assert_eq!((ranks.best.len(), ranks.best[0].0.as_str()), (RANKS_MAX, "p19"));
    }
}
