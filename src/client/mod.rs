//! The client: connects, keeps the view, calls actions.
//!
//! *Does*: speaks the protocol from the other side: decodes updates into a [`mirror`], acks them, delivers
//! replies once what they caused can be seen.
//! *Does not*: share any state with the server.
//! *Reads*: the server's messages. *Writes*: the player's.

pub mod connection;
pub mod interpolation;
pub mod mirror;
pub mod player;

pub use connection::{Connection, ConnectionError, Ended, ServerEvent};
pub use interpolation::Interpolation;
pub use mirror::Mirror;
pub use player::{Player, Reply};
