//! The words between server and client.
//!
//! *Does*: defines every message, its envelope, the codec and its bounds.
//! *Does not*: send anything, nor keep state.

pub mod codec;
mod guard;
pub mod messages;
