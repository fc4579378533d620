//! The policy functions: what the engine and the oracle have in common, being the definition.

use terrane::prelude::*;
use terrane::replication::policy::Viewing;

use super::{Part, Shape, Twig};
use crate::things::{NAMES, ask, by_name};

/// Of a number its second byte; of many the first ones; of one the kind.
pub fn trimmed(shape: Shape) -> Shape {
    match shape {
        Shape::Number(value) => Shape::Number(value & 0xff00),
        Shape::List(mut twigs) => {
            twigs.truncate(2);
            Shape::List(twigs)
        }
        Shape::ByNumber(mut twigs) => {
            twigs.retain(|key, _| key % 2 == 0);
            Shape::ByNumber(twigs)
        }
        Shape::ByPlayer(mut twigs) => {
            twigs.pop_last();
            Shape::ByPlayer(twigs)
        }
        Shape::Maybe(Some(twig)) if *twig == Twig::Empty => Shape::Maybe(None),
        Shape::Pair(twigs) => {
            let [_, second] = *twigs;
            Shape::Pair(Box::new([Twig::Single(7), second]))
        }
        other => other,
    }
}

pub fn trim<T: Part>(value: &T) -> T {
    T::of(trimmed(value.shape()))
}

/// What is asked: a number by itself, anything else by how many twigs it is.
fn question(shape: &Shape) -> u128 {
    match shape {
        Shape::Number(value) => *value,
        other => other.twigs().iter().map(|(_, twig)| twig.count() as u128).sum(),
    }
}

/// All of it, a part of it, or nothing.
pub fn asked(shape: Shape, viewing: &Viewing) -> Option<Shape> {
    let number = question(&shape);
    match shape {
        shape if ask(number, viewing) => Some(shape),
        Shape::Number(_) => None,
        shape => number.is_multiple_of(3).then(|| trimmed(shape)),
    }
}

/// The same by the player alone.
pub fn allotted(shape: Shape, player: &PlayerId) -> Option<Shape> {
    if let Shape::Number(number) = shape {
        return by_name(&number, player).map(Shape::Number);
    }
    let who = NAMES.iter().position(|name| *name == player.as_str())? as u128;
    match (question(&shape) + who) % 3 {
        0 => None,
        1 => Some(trimmed(shape)),
        _ => Some(shape),
    }
}

pub fn by_question<T: Part>(value: &T, viewing: &Viewing) -> Option<T> {
    asked(value.shape(), viewing).map(T::of)
}

pub fn for_some<T: Part>(value: &T, player: &PlayerId) -> Option<T> {
    allotted(value.shape(), player).map(T::of)
}

/// What is made of what a twig keeps to itself.
pub fn made(twig: &Twig) -> Shape {
    let source = twig.pieces().into_iter().find(|piece| piece.name == "source").expect("it has one");
    trimmed(source.value)
}

pub fn of_source<T: Part>(twig: &Twig) -> T {
    T::of(made(twig))
}
