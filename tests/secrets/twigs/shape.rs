//! What a field of a twig may be, as one type.

use std::collections::BTreeMap;

use terrane::prelude::*;

use super::Twig;

/// A policy, by the word that declares it.
#[expect(non_camel_case_types, reason = "they are the words of the attribute")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    broadcast,
    masked,
    per_player,
    per_player_slice,
    custom,
    computed,
    server_only,
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Byte(u8),
    Number(u128),
    Name(NetId),
    Boxed(Box<Twig>),
    Maybe(Option<Box<Twig>>),
    List(Vec<Twig>),
    Pair(Box<[Twig; 2]>),
    ByNumber(BTreeMap<u8, Twig>),
    ByPlayer(BTreeMap<PlayerId, Twig>),
    Notes(BTreeMap<PlayerId, u128>),
}

impl Shape {
    /// The twigs in it, each with what a path says of its place.
    pub fn twigs(&self) -> Vec<(String, &Twig)> {
        let numbered =
            |all: &'_ [Twig]| -> Vec<String> { (0..all.len()).map(|at| format!("[{at}]")).collect() };
        match self {
            Shape::Byte(_) | Shape::Number(_) | Shape::Name(_) | Shape::Notes(_) => Vec::new(),
            Shape::Boxed(twig) => vec![(String::new(), twig)],
            Shape::Maybe(twig) => twig.iter().map(|twig| (String::new(), &**twig)).collect(),
            Shape::List(twigs) => numbered(twigs).into_iter().zip(twigs).collect(),
            Shape::Pair(twigs) => numbered(&**twigs).into_iter().zip(&**twigs).collect(),
            Shape::ByNumber(twigs) => twigs.iter().map(|(key, twig)| (format!("[{key}]"), twig)).collect(),
            Shape::ByPlayer(twigs) => twigs.iter().map(|(key, twig)| (format!("[{key}]"), twig)).collect(),
        }
    }

    /// The same with something made of each twig, in order.
    pub fn map(self, mut make: impl FnMut(Twig) -> Twig) -> Shape {
        match self {
            Shape::Byte(_) | Shape::Number(_) | Shape::Name(_) | Shape::Notes(_) => self,
            Shape::Boxed(twig) => Shape::Boxed(Box::new(make(*twig))),
            Shape::Maybe(twig) => Shape::Maybe(twig.map(|twig| Box::new(make(*twig)))),
            Shape::List(twigs) => Shape::List(twigs.into_iter().map(make).collect()),
            Shape::Pair(twigs) => Shape::Pair(Box::new(twigs.map(make))),
            Shape::ByNumber(twigs) => {
                Shape::ByNumber(twigs.into_iter().map(|(key, twig)| (key, make(twig))).collect())
            }
            Shape::ByPlayer(twigs) => {
                Shape::ByPlayer(twigs.into_iter().map(|(key, twig)| (key, make(twig))).collect())
            }
        }
    }

    /// One of the same kind with nothing in it.
    pub fn empty(&self) -> Shape {
        match self {
            Shape::Byte(_) => Shape::Byte(0),
            Shape::Number(_) => Shape::Number(0),
            Shape::Name(_) => Shape::Name(NetId::default()),
            Shape::Boxed(_) => Shape::Boxed(Box::default()),
            Shape::Maybe(_) => Shape::Maybe(None),
            Shape::List(_) => Shape::List(Vec::new()),
            Shape::Pair(_) => Shape::Pair(Box::default()),
            Shape::ByNumber(_) => Shape::ByNumber(BTreeMap::new()),
            Shape::ByPlayer(_) => Shape::ByPlayer(BTreeMap::new()),
            Shape::Notes(_) => Shape::Notes(BTreeMap::new()),
        }
    }
}

/// One field of a twig.
#[derive(Clone, Debug)]
pub struct Piece {
    pub name: &'static str,
    pub how: How,
    pub nested: bool,
    pub value: Shape,
}

impl Piece {
    pub fn of<T: Part>(name: &'static str, how: How, nested: bool, value: &T) -> Self {
        Self { name, how, nested, value: value.shape() }
    }
}

/// A type that fields of twigs have.
pub trait Part: Clone + Default {
    fn shape(&self) -> Shape;
    fn of(shape: Shape) -> Self;
}

macro_rules! parts {
    ($($type:ty: $shape:ident)*) => {$(
        impl Part for $type {
            fn shape(&self) -> Shape {
                Shape::$shape(self.clone())
            }
            fn of(shape: Shape) -> Self {
                match shape {
                    Shape::$shape(value) => value,
                    other => panic!("{other:?} is not of this type"),
                }
            }
        }
    )*};
}

parts! {
    u8: Byte
    u128: Number
    NetId: Name
    Box<Twig>: Boxed
    Option<Box<Twig>>: Maybe
    Vec<Twig>: List
    Box<[Twig; 2]>: Pair
    BTreeMap<u8, Twig>: ByNumber
    BTreeMap<PlayerId, Twig>: ByPlayer
    BTreeMap<PlayerId, u128>: Notes
}

impl Twig {
    /// How many twigs it is.
    pub fn count(&self) -> usize {
        let within = |piece: &Piece| piece.value.twigs().iter().map(|(_, twig)| twig.count()).sum::<usize>();
        1 + self.pieces().iter().map(within).sum::<usize>()
    }

    /// How many twigs there are at most within one another, itself included, where each decides about its own.
    pub fn levels(&self) -> usize {
        let nested = self.pieces();
        let nested = nested.iter().filter(|piece| piece.nested);
        let deepest = |piece: &Piece| piece.value.twigs().iter().map(|(_, twig)| twig.levels()).max();
        1 + nested.filter_map(deepest).max().unwrap_or(0)
    }
}
