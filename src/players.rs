//! What is kept of players: profiles and rows of components, sanctions, what operators ordered. Plain data that the tick and the store exchange.
//!
//! The tick asks by [`PlayerRequest`] and [`AuditRow`] in its output; what the store found comes back as a [`ProfileAnswer`]
//! in the input of a later tick. Whoever stands between the two (a driver, a test) keeps the order of what was asked.

use serde::{Deserialize, Serialize};

use crate::ids::{PlayerId, TickNumber};
use crate::reward::{Claim, CommitBatch, Holdings};

/// What is stored of a player.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Grows with every save; a save replaces the very version that it rests on, or nothing.
    pub version: u64,
    /// When the player was first in the world, milliseconds since 1970.
    pub first_seen_ms: u64,
    /// When it was last in the world.
    pub last_seen_ms: u64,
    /// The avatar with which it left, encoded by the world; `None`: it had none.
    pub avatar: Option<Vec<u8>>,
}

/// A component of a player's avatar that was written by itself, between two saves of the profile.
///
/// It rests on a profile, as a session does: with any other version of that it is void, since a profile that is written
/// later holds the component too. Of two that rest on the same, the higher version counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentRow {
    /// Whose.
    pub player: PlayerId,
    /// The component, by the name under which it is registered.
    pub component: String,
    /// The version of the profile that the session rests on; 0 for a player who has none yet.
    pub base: u64,
    /// Grows with every row that is written of the player.
    pub version: u64,
    /// Its saved form; `None`: the avatar lost it.
    pub data: Option<Vec<u8>>,
}

impl ComponentRow {
    /// Whether it takes the place of another row of the same component.
    #[must_use]
    pub fn replaces(&self, other: &Self) -> bool {
        (self.base, self.version) > (other.base, other.version)
    }

    /// What becomes of it when a profile is written in the place of the one that it rests on: `None` where the profile holds
    /// at least what it does.
    #[must_use]
    pub fn after(self, save: &ProfileSave) -> Option<Self> {
        let counts_on = self.base == save.profile.version && self.version > save.rows;
        counts_on.then_some(Self { base: save.profile.version + 1, ..self })
    }
}

/// Components to be written by themselves, each in the place of an older row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsSave {
    /// Before all that can wait.
    pub is_immediate: bool,
    /// What.
    pub rows: Vec<ComponentRow>,
}

/// What the store found of a player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It has never been here.
    Nobody,
    /// This.
    Profile(Profile),
    /// Something that cannot be read: why. It must not be written over.
    Unreadable(String),
    /// Nothing can be said now, since the store does not work: why.
    NotNow(String),
}

/// The answer to [`PlayerRequest::Load`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileAnswer {
    /// Number of the request.
    pub number: u64,
    /// Whose profile.
    pub player: PlayerId,
    /// What was found.
    pub found: Found,
    /// What was written since of the avatar, by component: to be laid over that of the profile.
    pub rows: Vec<ComponentRow>,
    /// What it holds, as of the same moment.
    pub holdings: Holdings,
}

/// A profile to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileSave {
    /// Whose.
    pub player: PlayerId,
    /// What is written; its version is the one it replaces, and 0 for the first.
    pub profile: Profile,
    /// It comes from an image, after a crash: another one that stands in its place was saved later, and counts.
    pub is_of_image: bool,
    /// The highest version of a row that is no newer than its avatar. Rows of higher ones, which there are only when it comes
    /// from an image, are newer: they rest on what is written here from now on.
    pub rows: u64,
}

/// What a tick asks of whoever keeps players. To be carried out in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlayerRequest {
    /// Load a profile; answered by a [`ProfileAnswer`] of this number.
    Load {
        /// Grows with every request.
        number: u64,
        /// Whose.
        player: PlayerId,
    },
    /// Write a profile.
    Save(ProfileSave),
    /// Write components. It may be done after what is asked for later, since a row that has become void is not written.
    SaveRows(RowsSave),
    /// Write a sanction down, or take one away.
    Sanction(SanctionChange),
    /// Carry out plans.
    Commit(CommitBatch),
    /// Look up what came of a claim; answered under this number.
    FindClaim {
        /// Grows with every request.
        number: u64,
        /// Which.
        claim: Claim,
    },
}

/// What a player may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SanctionKind {
    /// Be in the world.
    Ban,
    /// Speak.
    Mute,
}

/// Something that a player may not, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sanction {
    /// Who.
    pub player: PlayerId,
    /// What it may not.
    pub kind: SanctionKind,
    /// Why, as whoever did it wrote.
    pub why: String,
    /// Since when, milliseconds since 1970.
    pub since_ms: u64,
    /// Until when; `None` for good.
    pub until_ms: Option<u64>,
    /// Who did it.
    pub by: String,
}

impl Sanction {
    /// Whether it still counts.
    #[must_use]
    pub fn holds_at(&self, now_ms: u64) -> bool {
        self.until_ms.is_none_or(|until_ms| now_ms < until_ms)
    }
}

/// A change of what is known of sanctions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SanctionChange {
    /// This one counts from now on, in the place of an older one of its kind and player.
    Set(Sanction),
    /// None of this kind counts any more.
    Lift {
        /// Whose.
        player: PlayerId,
        /// Of which kind.
        kind: SanctionKind,
    },
}

/// Something that was done with power over others, kept for good: moderation, and actions of scope `global`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// In which tick; of a world that did not run, the one it goes on with.
    pub tick: TickNumber,
    /// When, milliseconds since 1970.
    pub now_ms: u64,
    /// Who did it: a player, or an operator.
    pub who: String,
    /// What: `ban`, or the name of an action.
    pub what: String,
    /// To whom or what; empty for nobody in particular.
    pub target: String,
    /// What there is to say of it: why, what came of it.
    pub detail: String,
}

/// What an operator may order about a player.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderKind {
    /// Send it away; it may come back.
    Kick,
    /// Send it away and do not let it in.
    Ban,
    /// Let it in again.
    Unban,
    /// Let it not speak.
    Mute,
    /// Let it speak again.
    Unmute,
}

impl OrderKind {
    /// As on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            OrderKind::Kick => "kick",
            OrderKind::Ban => "ban",
            OrderKind::Unban => "unban",
            OrderKind::Mute => "mute",
            OrderKind::Unmute => "unmute",
        }
    }
}

/// What an operator orders about a player.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Grows with every order of a run: its outcome names it.
    pub number: u64,
    /// What.
    pub kind: OrderKind,
    /// About whom; it need never have been here.
    pub player: PlayerId,
    /// Why, for the player and for the records.
    pub why: String,
    /// For how long a ban or mute holds, s; `None` for good.
    pub for_s: Option<u64>,
    /// Who orders it.
    pub by: String,
}

impl Order {
    /// The sanction that it lays on the player, if it does.
    #[must_use]
    pub fn sanction(&self, now_ms: u64) -> Option<SanctionChange> {
        let (kind, is_set) = match self.kind {
            OrderKind::Kick => return None,
            OrderKind::Ban => (SanctionKind::Ban, true),
            OrderKind::Unban => (SanctionKind::Ban, false),
            OrderKind::Mute => (SanctionKind::Mute, true),
            OrderKind::Unmute => (SanctionKind::Mute, false),
        };
        let player = self.player.clone();
        if !is_set {
            return Some(SanctionChange::Lift { player, kind });
        }
        let until_ms = self.for_s.map(|seconds| now_ms.saturating_add(seconds.saturating_mul(1_000)));
        let (why, by) = (self.why.clone(), self.by.clone());
        Some(SanctionChange::Set(Sanction { player, kind, why, since_ms: now_ms, until_ms, by }))
    }

    /// What is kept of it for good.
    #[must_use]
    pub fn audit_row(&self, tick: TickNumber, now_ms: u64, outcome: &OrderOutcome) -> AuditRow {
        let length = self.for_s.map_or_else(String::new, |seconds| format!(" for {seconds} s"));
        AuditRow {
            tick,
            now_ms,
            who: self.by.clone(),
            what: self.kind.name().to_owned(),
            target: self.player.to_string(),
            detail: format!("{}{length}: {}", self.why, outcome.text),
        }
    }
}

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderOutcome {
    /// Its number.
    pub number: u64,
    /// Whether it changed anything.
    pub done: bool,
    /// What, in words.
    pub text: String,
}
