//! What a viewer sees of a twig, and what a ghost holds: by walking over it, from its declaration alone.

use terrane::limits::NODE_LEVELS_MAX;
use terrane::replication::policy::{Sieved, Viewing};

use super::policies::{allotted, asked, made, trimmed};
use super::{Grove, How, Piece, Shape, Twig};

impl Grove {
    /// As one viewer sees it.
    pub fn seen(&self, viewing: &Viewing) -> Sieved<Grove> {
        let mut hidden = Vec::new();
        let root = self.root.seen(viewing, 1, "root", &mut hidden);
        Sieved { value: Grove { root, seed: 0 }, hidden }
    }
}

impl Twig {
    /// As one viewer sees it; it is the `level`-th of those within one another, at `path`.
    pub fn seen(&self, viewing: &Viewing, level: usize, path: &str, hidden: &mut Vec<String>) -> Twig {
        let values = self.pieces().into_iter().map(|piece| {
            if piece.how == How::server_only {
                return piece.value.empty();
            }
            let path = format!("{path}.{}", piece.name);
            let told = told(self, &piece, viewing);
            // The last level that is told has room for nothing but what holds no twigs.
            let told =
                told.filter(|told| !piece.nested || level < NODE_LEVELS_MAX || told.twigs().is_empty());
            let Some(told) = told else {
                hidden.push(path);
                return piece.value.empty();
            };
            if !piece.nested {
                return told;
            }
            let mut places: Vec<String> = told.twigs().into_iter().map(|(place, _)| place).collect();
            places.reverse();
            told.map(|twig| {
                let place = places.pop().expect("one for each");
                twig.seen(viewing, level + 1, &format!("{path}{place}"), hidden)
            })
        });
        let values = values.collect();
        self.with(values)
    }

    /// As everybody may know it, however deep.
    pub fn public(&self) -> Twig {
        let values = self.pieces().into_iter().map(|piece| {
            let told = match piece.how {
                How::broadcast => piece.value,
                How::masked => trimmed(piece.value),
                How::computed => made(self),
                How::per_player | How::per_player_slice | How::custom | How::server_only => {
                    return piece.value.empty();
                }
            };
            if piece.nested { told.map(|twig| twig.public()) } else { told }
        });
        let values = values.collect();
        self.with(values)
    }
}

/// What the field's own policy leaves of it; `None` where it hides it.
fn told(twig: &Twig, piece: &Piece, viewing: &Viewing) -> Option<Shape> {
    let player = viewing.viewer.player();
    match (piece.how, piece.value.clone()) {
        (How::server_only, _) => None,
        (How::broadcast, value) => Some(value),
        (How::masked, value) => Some(trimmed(value)),
        (How::computed, _) => Some(made(twig)),
        (How::per_player, value) => allotted(value, player),
        (How::custom, value) => asked(value, viewing),
        (How::per_player_slice, Shape::ByPlayer(mut entries)) => {
            entries.retain(|whose, _| whose == player);
            Some(Shape::ByPlayer(entries))
        }
        (How::per_player_slice, Shape::Notes(mut entries)) => {
            entries.retain(|whose, _| whose == player);
            Some(Shape::Notes(entries))
        }
        (How::per_player_slice, other) => panic!("no map by player: {other:?}"),
    }
}
