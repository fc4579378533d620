//! A type that contains itself under every policy and in every shape: a random value of it is a random tree of policies.
//! What a viewer is to see of one, [`oracle`] finds without anything that `derive(Replicate)` has written.

mod oracle;
mod policies;
mod random;
mod shape;
mod tests;

use std::collections::BTreeMap;

use terrane::prelude::*;
use terrane::protocol::codec;
use terrane::replication::policy::{Sieved, Viewing};

use crate::things::{Blank, Thing};
use policies::{by_question, for_some, of_source, trim};
pub use shape::{How, Part, Piece, Shape};

/// What an entity has of it.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(priority = 2)]
pub struct Grove {
    #[sync(broadcast, nested, max_bytes = 2_400)]
    pub root: Twig,
    #[sync(server_only)]
    pub seed: u128,
}

/// A twig of any kind, in pieces and from pieces.
macro_rules! twigs {
    (
        each { $(
            $type:ty: $broadcast:ident $masked:ident $per_player:ident $custom:ident $computed:ident
        )* }
        alone { $(
            $alone:ident { $(
                $field:ident: $alone_type:ty => $policy:ident $(($function:ident))? $(+ $nested:ident)?
            ),* }
        )* }
    ) => {
        /// Every policy but `server_only` over every shape that may hold twigs, nested and as a whole; what is for the
        /// server alone beside it.
        #[derive(Component, Clone, Debug, Default, PartialEq, Serialize, Deserialize, Replicate)]
        #[sync(max_bytes = 2_400)]
        pub enum Twig {
            #[default]
            Empty,
            Single(#[sync(broadcast)] u8),
            $($alone {
                $(#[sync($policy $(= $function)? $(, $nested)?)] $field: $alone_type,)*
            },)*
            $($broadcast {
                #[sync(broadcast, nested)]
                inside: $type,
                #[sync(broadcast)]
                whole: $type,
                #[sync(server_only)]
                secret: u128,
            },
            $masked {
                #[sync(server_only)]
                secret: u128,
                #[sync(masked = trim, nested)]
                inside: $type,
                #[sync(masked = trim)]
                whole: $type,
            },
            $per_player {
                #[sync(per_player = for_some)]
                whole: $type,
                #[sync(server_only)]
                secret: u128,
                #[sync(per_player = for_some, nested)]
                inside: $type,
            },
            $custom {
                #[sync(custom = by_question, nested)]
                inside: $type,
                #[sync(server_only)]
                secret: u128,
                #[sync(custom = by_question)]
                whole: $type,
            },
            $computed {
                #[sync(server_only)]
                source: $type,
                #[sync(computed = of_source, nested)]
                inside: $type,
                #[sync(server_only)]
                secret: u128,
            },)*
        }

        impl Twig {
            /// One of each kind, with nothing in it.
            pub fn kinds() -> Vec<Twig> {
                let empty = Default::default;
                vec![
                    Twig::Empty,
                    Twig::Single(0),
                    $(Twig::$alone { $($field: Default::default()),* },)*
                    $(
                        Twig::$broadcast { inside: Default::default(), whole: Default::default(), secret: empty() },
                        Twig::$masked { inside: Default::default(), whole: Default::default(), secret: empty() },
                        Twig::$per_player { inside: Default::default(), whole: Default::default(), secret: empty() },
                        Twig::$custom { inside: Default::default(), whole: Default::default(), secret: empty() },
                        Twig::$computed { inside: Default::default(), source: Default::default(), secret: empty() },
                    )*
                ]
            }

            /// Its fields, as one reads them in its declaration.
            pub fn pieces(&self) -> Vec<Piece> {
                match self {
                    Twig::Empty => Vec::new(),
                    Twig::Single(number) => vec![Piece::of("0", How::broadcast, false, number)],
                    $(Twig::$alone { $($field),* } => {
                        vec![$(Piece::of(stringify!($field), How::$policy, twigs!(is $($nested)?), $field)),*]
                    })*
                    $(
                        Twig::$broadcast { inside, whole, secret } => vec![
                            Piece::of("inside", How::broadcast, true, inside),
                            Piece::of("whole", How::broadcast, false, whole),
                            Piece::of("secret", How::server_only, false, secret),
                        ],
                        Twig::$masked { inside, whole, secret } => vec![
                            Piece::of("secret", How::server_only, false, secret),
                            Piece::of("inside", How::masked, true, inside),
                            Piece::of("whole", How::masked, false, whole),
                        ],
                        Twig::$per_player { inside, whole, secret } => vec![
                            Piece::of("whole", How::per_player, false, whole),
                            Piece::of("secret", How::server_only, false, secret),
                            Piece::of("inside", How::per_player, true, inside),
                        ],
                        Twig::$custom { inside, whole, secret } => vec![
                            Piece::of("inside", How::custom, true, inside),
                            Piece::of("secret", How::server_only, false, secret),
                            Piece::of("whole", How::custom, false, whole),
                        ],
                        Twig::$computed { inside, source, secret } => vec![
                            Piece::of("source", How::server_only, false, source),
                            Piece::of("inside", How::computed, true, inside),
                            Piece::of("secret", How::server_only, false, secret),
                        ],
                    )*
                }
            }

            /// One of the same kind with other values in its fields, in the order of [`pieces`](Self::pieces).
            pub fn with(&self, values: Vec<Shape>) -> Twig {
                let mut values = values.into_iter();
                match self {
                    Twig::Empty => Twig::Empty,
                    Twig::Single(_) => Twig::Single(next(&mut values)),
                    $(Twig::$alone { .. } => Twig::$alone { $($field: next(&mut values)),* },)*
                    $(
                        Twig::$broadcast { .. } => {
                            let (inside, whole, secret) = (next(&mut values), next(&mut values), next(&mut values));
                            Twig::$broadcast { inside, whole, secret }
                        }
                        Twig::$masked { .. } => {
                            let (secret, inside, whole) = (next(&mut values), next(&mut values), next(&mut values));
                            Twig::$masked { secret, inside, whole }
                        }
                        Twig::$per_player { .. } => {
                            let (whole, secret, inside) = (next(&mut values), next(&mut values), next(&mut values));
                            Twig::$per_player { whole, secret, inside }
                        }
                        Twig::$custom { .. } => {
                            let (inside, secret, whole) = (next(&mut values), next(&mut values), next(&mut values));
                            Twig::$custom { inside, secret, whole }
                        }
                        Twig::$computed { .. } => {
                            let (source, inside, secret) = (next(&mut values), next(&mut values), next(&mut values));
                            Twig::$computed { source, inside, secret }
                        }
                    )*
                }
            }
        }
    };
    (is nested) => { true };
    (is) => { false };
}

impl Blank for Twig {
    fn blank(&mut self, seen: &dyn Fn(NetId) -> bool) {
        let values = self.pieces().into_iter().map(|piece| match piece.value {
            Shape::Name(mut name) => {
                name.blank(seen);
                Shape::Name(name)
            }
            value => value.map(|mut twig| {
                twig.blank(seen);
                twig
            }),
        });
        let values = values.collect();
        *self = self.with(values);
    }
}

impl Blank for Grove {
    fn blank(&mut self, seen: &dyn Fn(NetId) -> bool) {
        self.root.blank(seen);
    }
}

impl Thing for Grove {
    fn parts(&self) -> Vec<Vec<u8>> {
        vec![codec::encode(&self.root)]
    }
    fn naive(&self, viewing: &Viewing) -> Sieved<Self> {
        self.seen(viewing)
    }
}

fn next<T: Part>(values: &mut impl Iterator<Item = Shape>) -> T {
    T::of(values.next().expect("a value for each field"))
}

twigs! {
    each {
        Box<Twig>: BoxBroadcast BoxMasked BoxPerPlayer BoxCustom BoxComputed
        Option<Box<Twig>>: MaybeBroadcast MaybeMasked MaybePerPlayer MaybeCustom MaybeComputed
        Vec<Twig>: ListBroadcast ListMasked ListPerPlayer ListCustom ListComputed
        Box<[Twig; 2]>: PairBroadcast PairMasked PairPerPlayer PairCustom PairComputed
        BTreeMap<u8, Twig>: NumbersBroadcast NumbersMasked NumbersPerPlayer NumbersCustom NumbersComputed
        BTreeMap<PlayerId, Twig>: PlayersBroadcast PlayersMasked PlayersPerPlayer PlayersCustom PlayersComputed
    }
    alone {
        Leaves {
            open: u128 => broadcast,
            rough: u128 => masked(trim),
            mine: u128 => per_player(for_some),
            asked: u128 => custom(by_question),
            source: u128 => server_only,
            made: u128 => computed(of_source),
            named: NetId => broadcast
        }
        Slices {
            inside: BTreeMap<PlayerId, Twig> => per_player_slice + nested,
            whole: BTreeMap<PlayerId, Twig> => per_player_slice,
            notes: BTreeMap<PlayerId, u128> => per_player_slice
        }
        Fork {
            left: Box<Twig> => broadcast + nested,
            middle: Option<Box<Twig>> => custom(by_question) + nested,
            secret: u128 => server_only,
            right: Vec<Twig> => per_player(for_some) + nested,
            hint: u128 => custom(by_question)
        }
    }
}
