//! Why a plan cannot be made, or can no longer be carried out.

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::name::Name;

/// Why nothing was granted. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum PlanRefusal {
    /// An account has less than is to be paid.
    #[error("{account} has {has} {asset}, and {needs} are needed")]
    TooLittle {
        /// Whose.
        account: Account,
        /// Of what.
        asset: Name,
        /// How much there is.
        has: u64,
        /// How much is needed.
        needs: u64,
    },
    /// A grant would go beyond what may be held.
    #[error("{account} may hold at most {cap} {asset}")]
    OverCap {
        /// Whose.
        account: Account,
        /// Of what.
        asset: Name,
        /// How much may be held.
        cap: u64,
    },
    /// There are not enough slots.
    #[error("{account} has {most} slots, and {needs} are needed")]
    NoRoom {
        /// Whose.
        account: Account,
        /// How many there are.
        most: u64,
        /// How many would be needed.
        needs: u64,
    },
    /// The account has it already.
    #[error("{account} has {asset} already")]
    AlreadyHas {
        /// Whose.
        account: Account,
        /// What.
        asset: Name,
    },
    /// What is to be taken is not there: another lot or instance was named.
    #[error("{account} does not hold that {asset}")]
    NotHeld {
        /// Whose.
        account: Account,
        /// What.
        asset: Name,
    },
    /// A table, asset or participant that is asked for is not there.
    #[error("there is no {what} `{name}`")]
    Unknown {
        /// What was asked for.
        what: String,
        /// Under which name.
        name: String,
    },
    /// The game's own kind of change is not possible any more: sold out, say.
    #[error("{kind}: {reason}")]
    Game {
        /// Which kind of change.
        kind: Name,
        /// Why, as the kind says.
        reason: String,
    },
    /// The plan is larger than may be, or could become so: more changes than the bound.
    #[error("it could make {changes} changes, and {most} are possible in one plan")]
    TooLarge {
        /// How many it could make, as far as it was planned.
        changes: u64,
        /// How many may be.
        most: u64,
    },
    /// Chance would have to be asked more often than may be.
    #[error("it would roll and drop {steps} times in the worst case, and {most} are possible in one plan")]
    TooManyRolls {
        /// How often, in the worst case.
        steps: u64,
        /// How often at most.
        most: u64,
    },
    /// What is asked for makes no sense, whoever asks and whatever is held.
    #[error("what is asked for makes no sense: {why}")]
    Senseless {
        /// Which part of it, and why.
        why: String,
    },
    /// What had filled up in a pool was counted by another use case in the meantime: counted again, it would be paid twice.
    #[error("{asset} of {account} was counted by something else in the meantime")]
    Overtaken {
        /// Whose.
        account: Account,
        /// Which pool.
        asset: Name,
    },
    /// The plan is none that can be carried out: whoever made it is at fault.
    #[error("the plan is none that can be carried out: {why}")]
    Invalid {
        /// Why.
        why: String,
    },
    /// It failed for another reason than its own, again and again, and waits for an operator.
    #[error("it could not be carried out and waits for an operator as compensation {number}")]
    Compensation {
        /// Under which number.
        number: u64,
    },
    /// The key was used for something else.
    #[error("the id was used for something else")]
    KeyReused,
    /// The key is older than claims are kept.
    #[error("the id is older than what is remembered")]
    TooOld,
    /// Too much of one player waits for its turn.
    #[error("{most} things wait for their turn already: ask again later")]
    Busy {
        /// How many may wait.
        most: u64,
    },
    /// The store does not work: why. Nothing of value changes hands until it does.
    #[error("the store does not work ({why}): nothing of value changes hands until it does")]
    Degraded {
        /// Why.
        why: String,
    },
    /// It was done before, and what it came to cannot be read: the save is damaged there.
    #[error(
        "it was done before, and what it came to cannot be read: `terrane verify` tells of claim {claim}"
    )]
    Unreadable {
        /// The number of its row in the save.
        claim: i64,
    },
}
