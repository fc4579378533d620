//! Random twigs, which grow, shrink and change.
//!
//! Of a foreign one everything that Alice may see is from open chance: which twigs there are, and what nobody hides.

use terrane::prelude::*;

use super::{Grove, How, Piece, Shape, Twig};
use crate::game::Dice;
use crate::things::NAMES;

/// Bits of a number that survive a mask.
const ROUGHLY: u128 = 0xff00;

/// Where a twig grows.
#[derive(Clone, Copy)]
struct Place {
    /// How many more may be within one another.
    levels: usize,
    /// Something around it is told as a whole, whatever is in it.
    whole: bool,
    /// It goes on to the last level, and most see that.
    long: bool,
}

impl Dice {
    pub fn grove(&mut self) -> Grove {
        let (levels, twigs) = match self.open.below(12) {
            // A long one, sometimes longer than is told.
            0 => (12 + self.open.below(10), 26),
            1 => (1, 1),
            _ => (2 + self.open.below(8), 12),
        };
        Grove { root: self.tree(levels, twigs), seed: self.private() }
    }

    /// A tree of at most so many levels and twigs.
    pub fn tree(&mut self, levels: usize, twigs: usize) -> Twig {
        self.twig(Place { levels, whole: false, long: levels > 10 }, &mut { twigs })
    }

    fn twig(&mut self, place: Place, left: &mut usize) -> Twig {
        *left = left.saturating_sub(1);
        if place.long && place.levels > 1 {
            return self.long_twig(place, left);
        }
        let kinds = Twig::kinds();
        let is_last = place.levels <= 1 || *left == 0;
        let kind = match self.open.below(20) {
            0 | 1 if is_last => 0,
            2 | 3 if is_last => 1,
            _ if is_last => 2,
            0 => 0,
            1 => 1,
            2 => 2,
            _ => 3 + self.open.below(kinds.len() - 3),
        };
        let kind = &kinds[kind];
        // Of a field in parts and one as a whole mostly one has anything in it.
        let only = self.open.below(3);
        let values = kind.pieces().into_iter().enumerate().map(|(number, piece)| {
            let holds = !matches!(piece.value, Shape::Byte(_) | Shape::Number(_) | Shape::Name(_));
            let skips = holds && number % 3 != only && self.open.chance(0.5);
            if skips { piece.value } else { self.value(&piece, place, left) }
        });
        let values = values.collect();
        kind.with(values)
    }

    /// One whose nested fields lead on, each by one twig.
    fn long_twig(&mut self, place: Place, left: &mut usize) -> Twig {
        let is_easy = |piece: &Piece| matches!(piece.how, How::broadcast | How::masked);
        let easy = self.open.chance(0.9);
        let leads_on = |kind: &Twig| {
            let is_of_source = kind.pieces().iter().any(|piece| piece.name == "source");
            kind.pieces().iter().any(|piece| piece.nested && (is_easy(piece) || !easy)) && !is_of_source
        };
        let kinds: Vec<Twig> = Twig::kinds().into_iter().filter(leads_on).collect();
        let kind = &kinds[self.open.below(kinds.len())];
        let within = Place { levels: place.levels - 1, ..place };
        let mut is_first = true;
        let values = kind.pieces().into_iter().map(|piece| {
            if !piece.nested || !std::mem::take(&mut is_first) {
                let is_number = matches!(piece.value, Shape::Number(_));
                return if is_number { self.value(&piece, place, left) } else { piece.value };
            }
            let twig = self.twig(within, left);
            let player = |name: &str| PlayerId::new(name).expect("a name");
            match piece.value {
                Shape::Boxed(_) => Shape::Boxed(Box::new(twig)),
                Shape::Maybe(_) => Shape::Maybe(Some(Box::new(twig))),
                Shape::List(_) => Shape::List(vec![twig]),
                Shape::Pair(_) => Shape::Pair(Box::new([Twig::Empty, twig])),
                Shape::ByNumber(_) => Shape::ByNumber([(self.open.below(3) as u8 * 2, twig)].into()),
                Shape::ByPlayer(_) => {
                    Shape::ByPlayer([(player("alice"), twig), (player("erin"), Twig::Empty)].into())
                }
                other => other,
            }
        });
        let values = values.collect();
        kind.with(values)
    }

    fn value(&mut self, piece: &Piece, place: Place, left: &mut usize) -> Shape {
        // What is computed of a source is told as a whole.
        let of_source = piece.name == "source" && !matches!(piece.value, Shape::Number(_));
        let within = Place {
            levels: place.levels.saturating_sub(1),
            whole: place.whole || !piece.nested && !of_source,
            long: false,
        };
        let count = match self.open.below(4) {
            _ if *left == 0 || place.levels <= 1 => 0,
            0 => 0,
            1 => 2,
            _ => 1,
        };
        let key = |dice: &mut Self| PlayerId::new(NAMES[dice.open.below(NAMES.len())]).expect("a name");
        match &piece.value {
            Shape::Byte(_) => Shape::Byte(self.open.bits() as u8),
            Shape::Number(_) => Shape::Number(self.number(piece, place)),
            Shape::Name(_) => Shape::Name(Self::somebody(&mut self.open)),
            Shape::Boxed(_) if *left == 0 => Shape::Boxed(Box::default()),
            Shape::Boxed(_) => Shape::Boxed(Box::new(self.twig(within, left))),
            Shape::Maybe(_) => Shape::Maybe((count > 0).then(|| Box::new(self.twig(within, left)))),
            Shape::List(_) => Shape::List((0..count).map(|_| self.twig(within, left)).collect()),
            Shape::Pair(_) if *left == 0 => Shape::Pair(Box::default()),
            Shape::Pair(_) => Shape::Pair(Box::new([self.twig(within, left), self.twig(within, left)])),
            Shape::ByNumber(_) => Shape::ByNumber(
                (0..count).map(|_| (self.open.below(6) as u8, self.twig(within, left))).collect(),
            ),
            Shape::ByPlayer(_) => {
                Shape::ByPlayer((0..count).map(|_| (key(self), self.twig(within, left))).collect())
            }
            Shape::Notes(_) => {
                let count = self.open.below(4);
                Shape::Notes((0..count).map(|_| (key(self), self.public())).collect())
            }
        }
    }

    /// A number for a field with this policy.
    fn number(&mut self, piece: &Piece, place: Place) -> u128 {
        let public = self.public();
        match piece.how {
            _ if place.whole => public,
            How::broadcast | How::computed => public,
            How::masked => self.private() & !ROUGHLY | public & ROUGHLY,
            How::server_only if piece.name == "source" => self.private() & !ROUGHLY | public & ROUGHLY,
            _ => self.private(),
        }
    }

    /// Changes something of a tree: a part of it grows anew or withers, or only its numbers change.
    pub fn change_twig(&mut self, twig: &mut Twig) {
        let levels = 2 + self.open.below(6);
        self.change_at(twig, Place { levels, whole: false, long: false });
    }

    fn change_at(&mut self, twig: &mut Twig, place: Place) {
        let mut pieces = twig.pieces();
        let held: Vec<usize> = (0..pieces.len()).filter(|&at| !pieces[at].value.twigs().is_empty()).collect();
        if held.is_empty() || self.open.chance(0.2) {
            *twig = match self.open.below(5) {
                0 => Twig::Empty,
                _ => self.twig(place, &mut 5),
            };
            return;
        }
        let at = held[self.open.below(held.len())];
        let piece = &mut pieces[at];
        let of_source = piece.name == "source";
        let within = Place { whole: place.whole || !piece.nested && !of_source, ..place };
        let (count, mut number) = (piece.value.twigs().len(), 0);
        let which = self.open.below(count);
        piece.value = piece.value.clone().map(|mut inner| {
            if number == which {
                self.change_at(&mut inner, within);
            }
            number += 1;
            inner
        });
        *twig = twig.with(pieces.into_iter().map(|piece| piece.value).collect());
    }

    /// Changes what only some are told, or nobody.
    pub fn reseal_twig(&mut self, twig: &mut Twig) {
        let values = twig.pieces().into_iter().map(|piece| match piece.value {
            Shape::Number(old) => match piece.how {
                How::broadcast | How::computed => Shape::Number(old),
                How::masked => Shape::Number(self.private() & !ROUGHLY | old & ROUGHLY),
                How::server_only if piece.name == "source" => {
                    Shape::Number(self.private() & !ROUGHLY | old & ROUGHLY)
                }
                _ => Shape::Number(self.private()),
            },
            value if piece.nested => value.map(|mut inner| {
                self.reseal_twig(&mut inner);
                inner
            }),
            value => value,
        });
        let values = values.collect();
        *twig = twig.with(values);
    }
}
