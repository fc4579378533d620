//! Letters: what was worth something is written to the player, who may be away when it happens.
//!
//! A letter leaves in the plan of what it tells of, so there is none about what was not committed, and none is forgotten that was. From
//! the outbox the game's courier carries it to the post office; when it is there, the world hears of it, tells the player at
//! once if it is in the world, and lays it into its box, which it finds whenever it comes in.
//!
//! | file | what |
//! |---|---|
//! | `boxes` | who has which letters, each once, bounded in number and age |
//! | `office` | the same, in a file of its own beside the save |

mod boxes;
mod office;

pub use boxes::{ALL_LETTERS_MAX, Boxes, KEPT_MS, LETTERS_MAX};
pub use office::{PostError, PostOffice};

use std::collections::BTreeMap;
use std::fmt;

use crate::cell::pool::NodeContext;
use crate::ids::PlayerId;
use crate::prelude::*;
use crate::protocol::codec;
use crate::store::Delivery;
use crate::value::{Book, Delivered};

use super::campaign::Band;

/// What the outbox calls a letter.
pub const LETTER: &str = "letter";
/// Longest letter in the outbox, bytes.
const LETTER_BYTES_MAX: usize = 256;
/// Boxes are shown anew at least so often, s: whoever came in meanwhile finds its letters.
const SHOWN_EVERY_S: u64 = 1;

/// A letter on its way. Nothing in it was written by a player, so nobody who is muted speaks in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// To whom.
    pub to: PlayerId,
    /// When it was written, milliseconds of the world's calendar.
    pub at_ms: u64,
    /// What it tells.
    pub about: News,
}

/// What a letter tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum News {
    /// An errand was done.
    Errand {
        /// What the guild paid.
        silver: u64,
        /// How much more famous the player is.
        renown: u64,
    },
    /// A battle was won.
    Victory {
        /// Against whom.
        band: Band,
        /// How much more famous the player is.
        renown: u64,
        /// How many people were lost in it.
        lost: u16,
    },
}

impl Default for News {
    fn default() -> Self {
        Self::Errand { silver: 0, renown: 0 }
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Errand { silver, renown } => {
                write!(f, "the guild thanks you for your errand: {silver} silver, {renown} renown")
            }
            Self::Victory { band, renown, lost } => {
                write!(f, "they tell of your victory over {band}: {renown} renown, {lost} lost")
            }
        }
    }
}

/// A letter in a box.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// The number of its delivery: no two letters have the same.
    pub id: u64,
    /// When it was written, milliseconds of the world's calendar.
    pub at_ms: u64,
    /// What it tells.
    pub about: News,
}

/// The letters of those who are in the world, to each its own.
#[derive(Resource, Clone, Debug, Default, PartialEq, Replicate)]
pub struct Letters {
    /// By player, the newest letter first.
    #[sync(per_player_slice, max_bytes = 480)]
    pub boxes: BTreeMap<PlayerId, Vec<Received>>,
}

/// Tells a player of a letter that has just come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Replicate)]
pub struct Post {
    /// What it tells.
    #[sync(broadcast, max_bytes = 64)]
    pub about: News,
}

/// All letters that have come, in memory: what the post office had when the world began, and what was delivered since.
#[derive(Resource, Clone, Debug, Default)]
pub(super) struct Mail(Boxes);

/// The node's part: who carries letters, and who hears of them.
#[derive(Clone, Debug)]
pub(super) struct PostPlugin(pub(super) PostOffice);

impl Plugin for PostPlugin {
    fn build(&self, app: &mut App) {
        let office = self.0.clone();
        app.insert_resource(Mail(self.0.boxes()))
            .delivers(LETTER, move |delivery: &Delivery| {
                office.take(delivery.id, read(delivery)?).map_err(|error| error.to_string())
            })
            .add_systems(Tick, hand_out.after(super::campaign::settle_battles).in_set(TickSystems::Settle));
    }
}

fn read(delivery: &Delivery) -> Result<Letter, String> {
    codec::decode::<Letter, LETTER_BYTES_MAX>("letter", &delivery.payload).map_err(|error| error.to_string())
}

/// Lays what was delivered into boxes, tells of it, and shows the boxes of those who are in the world.
fn hand_out(
    delivered: Res<Delivered>,
    context: Res<NodeContext>,
    settings: Res<WorldSettings>,
    book: Res<Book>,
    mut mail: ResMut<Mail>,
    mut events: PlayerEvents,
    mut letters: ResMut<Letters>,
) {
    let mut is_news = false;
    for delivery in delivered.of(&LETTER.into()) {
        // One that cannot be read was not delivered.
        let Ok(letter) = read(delivery) else { continue };
        let (to, about) = (letter.to.clone(), letter.about.clone());
        // One that comes again was told of.
        if mail.0.put(delivery.id, letter) {
            events.send(NetId::WORLD, Audience::Player(to), Post { about });
            is_news = true;
        }
    }
    if !is_news && !context.0.tick.0.is_multiple_of(SHOWN_EVERY_S * u64::from(settings.hz)) {
        return;
    }
    let shown = |player: &PlayerId| -> Vec<Received> {
        let own = mail.0.of(player);
        own.map(|((at_ms, id), about)| Received { id, at_ms, about: about.clone() }).collect()
    };
    let boxes = book.players().map(|(player, _)| (player.clone(), shown(player)));
    let boxes: BTreeMap<_, _> = boxes.filter(|(_, letters)| !letters.is_empty()).collect();
    if letters.boxes != boxes {
        letters.boxes = boxes;
    }
}
