//! What the store thread is asked to do, and what it answers.

use super::compensation::{CompensationDone, CompensationOrder};
use super::image::Image;
use super::outbox::{Delivery, OutboxWork};
use super::players::{PlayerWork, PlayersDone};
use super::reference::ReferenceWrite;
use crate::ids::TickNumber;
use crate::reference::ReferenceVersion;

/// What the store thread is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreRequest {
    /// Write an image.
    SaveImage(Image),
    /// Reserve a counter's numbers below `up_to`.
    Reserve {
        /// The counter.
        counter: String,
        /// The first number that is not reserved.
        up_to: u64,
    },
    /// Read and write what is kept of players, as one transaction.
    Players {
        /// How many things were written of players in this run before: what is asked for again after a failure is done once.
        after: u64,
        /// What there is to do.
        batch: Vec<PlayerWork>,
    },
    /// Write down what was delivered and tell what is due.
    Outbox(OutboxWork),
    /// Do what an operator orders about something that waits for one.
    Compensation(CompensationOrder),
    /// Write a version of the reference data down.
    Reference(ReferenceWrite),
    /// Do nothing more: what was asked before this is done first.
    Shutdown,
}

/// A request that an answer is about, by what names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// To write the image of this tick.
    Image(TickNumber),
    /// To do what there was to do for players.
    Players,
    /// To work off the outbox.
    Outbox,
    /// To do what the order of this ticket says.
    Compensation(u64),
    /// To write this version of the reference data down.
    Reference(ReferenceVersion),
    /// To reserve a counter.
    Reserve {
        /// The counter.
        counter: String,
        /// How far.
        up_to: u64,
    },
}

/// What the store thread answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreResult {
    /// The image is on the disk.
    ImageSaved {
        /// Its tick.
        tick: TickNumber,
        /// Bytes of its entities.
        bytes: u64,
        /// Milliseconds that writing took.
        ms: u64,
    },
    /// The reservation is on the disk.
    Reserved {
        /// The counter.
        counter: String,
        /// The first number that is not reserved now: at least what was asked for.
        up_to: u64,
    },
    /// All of it is done, and on the disk.
    Players(PlayersDone),
    /// What was delivered is written down, and this is due.
    Due(Vec<Delivery>),
    /// What came of an operator's order.
    Compensation(CompensationDone),
    /// This version of the reference data is on the disk.
    ReferenceWritten(ReferenceVersion),
    /// A try failed; the save is as it was before.
    Failed {
        /// What failed.
        asked: Asked,
        /// Which try of it this was, from 1.
        attempt: u32,
        /// Milliseconds until the next try of its own accord; `None`: it was given up.
        retry_in_ms: Option<u64>,
        /// Whether the cause is one that passes, such as a full disk: then a later request may succeed.
        retryable: bool,
        /// What went wrong.
        message: String,
    },
}

/// A request that was not taken, handed back.
#[derive(Debug)]
pub enum Refused {
    /// The queue is full: try again at the next tick.
    Full(StoreRequest),
    /// The store thread has ended, by a panic: the world can no longer be saved.
    Stopped(StoreRequest),
}
