//! The client: connects, keeps the view, calls actions.
//!
//! *Does*: speaks the protocol from the other side: decodes updates into a [`mirror`], acks them, delivers
//! replies once what they caused can be seen; lets a person ([`repl`]), a file ([`script`]) or a
//! game's own `App` ([`plugin`]) drive a player.
//! *Does not*: share any state with the server.
//! *Reads*: the server's messages. *Writes*: the player's.

mod calls;
pub mod compass;
pub mod connection;
pub mod console;
pub mod fields;
pub mod interpolation;
pub mod mirror;
pub mod player;
pub mod plugin;
pub mod reach;
pub mod reconnect;
pub mod repl;
pub mod script;

pub use connection::{Connection, ConnectionError, Ended, ServerEvent, new_device};
pub use console::{ClientGame, Console};
pub use interpolation::Interpolation;
pub use mirror::Mirror;
pub use player::{Player, PlayerNews, Reply};
pub use plugin::{Client, ClientPlugin};
pub use reach::{As, ClientFailure, ClientTarget};
pub use reconnect::{Reconnect, ReconnectPolicy};
pub use repl::run_repl;
pub use script::run_script;
