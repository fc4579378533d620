//! The client: connects, keeps the view, calls actions.
//!
//! *Does*: speaks the protocol from the other side. *Does not*: share any state with the server.
//! *Reads*: the server's messages. *Writes*: the player's.

pub mod connection;

pub use connection::{Connection, ConnectionError, Ended, ServerEvent};
