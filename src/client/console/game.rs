//! What a game adds to the console: its verbs, and words for what is in view and for what comes.

use std::fmt::Debug;

use crate::client::mirror::MirrorEntity;
use crate::client::player::{Player, Reply};
use crate::ids::ActionId;
use crate::replication::{ReceivedEvent, Schema};

/// A verb and what it does, for `help`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verb {
    /// How it is written.
    pub usage: &'static str,
    /// What it does.
    pub does: &'static str,
}

/// What came of a command of the game's.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    /// It is done, and this is to be said.
    Said(String),
    /// The world was asked; its answer comes later.
    Asked(ActionId),
}

/// Something that somebody said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speech {
    /// Who.
    pub by: String,
    /// To whom, if not to everybody around: `the party`.
    pub to: Option<&'static str>,
    /// What.
    pub text: String,
}

impl Speech {
    pub(super) fn line(&self) -> String {
        match self.to {
            Some(to) => format!("{} to {to}: {:?}", self.by, self.text),
            None => format!("{}: {:?}", self.by, self.text),
        }
    }
}

/// What a game adds to the console: its verbs, and words for what is in view.
pub trait ClientGame: Clone {
    /// A line of the game's own, understood.
    type Command: Clone + Debug + PartialEq;

    /// Its verbs.
    const VERBS: &'static [Verb];

    /// Understands a line: its first word and the rest. `None` when the verb is not the game's.
    ///
    /// The error says what is wrong with the rest and what was expected.
    fn parse(&self, verb: &str, rest: &str) -> Option<Result<Self::Command, String>>;

    /// Carries a command out.
    ///
    /// # Errors
    /// When the connection does not take it.
    fn run(&self, player: &mut Player, command: &Self::Command) -> Result<Done, String>;

    /// What the world answered to a command that it has carried out, if that is more than that it is done.
    fn answer(&self, _command: &Self::Command, _reply: &Reply) -> Option<String> {
        None
    }

    /// What people call an entity.
    fn name(&self, schema: &Schema, entity: &MirrorEntity) -> Option<String>;

    /// What else there is to say of it, in a few words.
    fn describe(&self, _schema: &Schema, _entity: &MirrorEntity) -> String {
        String::new()
    }

    /// What somebody says with an event; `None` when the event is none of that kind.
    fn speech(&self, _schema: &Schema, _event: &ReceivedEvent) -> Option<Speech> {
        None
    }

    /// Whether it is a player.
    fn is_player(&self, _schema: &Schema, _entity: &MirrorEntity) -> bool {
        false
    }
}
