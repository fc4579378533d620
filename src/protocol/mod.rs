//! The words between server and client.
//!
//! *Does*: defines every message, its envelope, the codec and its bounds.
//! *Does not*: send anything, nor keep state.
//! *Reads*: bytes that a foe may have written. *Writes*: bytes.

pub mod codec;
mod guard;
pub mod messages;
