//! Why a world did not run.

use super::reference::lines;
use crate::cli::{CliError, ExitCode};
use crate::reference::Problem;
use crate::server::ServerError;

/// Why a world did not run, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Configuration, save or usage.
    #[error(transparent)]
    Cli(#[from] CliError),
    /// The game's own files are wrong.
    #[error("{0}")]
    Game(String),
    /// The game's reference data are wrong.
    #[error("{}", lines(_0))]
    Reference(Vec<Problem>),
    /// The game or the saved world is faulty.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Sockets.
    #[error(transparent)]
    Net(#[from] crate::net::NetError),
    /// The key.
    #[error(transparent)]
    Key(#[from] crate::net::auth::KeyFileError),
    /// The operators' side.
    #[error(transparent)]
    Http(#[from] crate::http::HttpError),
    /// The operators' token.
    #[error(transparent)]
    Token(#[from] crate::http::TokenError),
    /// The system refused signals or threads.
    #[error("the system refuses signal handlers or threads: {0}")]
    System(#[from] std::io::Error),
    /// The game has nobody to play.
    #[error("--bots {0}: this game has no bots; leave --bots out")]
    NoBots(usize),
    /// The game has no NPCs.
    #[error("--npcs {0}: this game has no NPCs; leave --npcs out")]
    NoNpcs(u64),
    /// A tick panicked.
    #[error("{0}")]
    Panicked(String),
    /// A shard or the store is gone.
    #[error("{0}: the world was saved as far as possible and has ended")]
    Fault(String),
}

impl RunError {
    /// What the process ends with.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            RunError::Cli(error) => error.exit_code(),
            RunError::Panicked(_) | RunError::Fault(_) | RunError::System(_) => ExitCode::CheckFailed,
            RunError::Server(ServerError::Image(_)) => ExitCode::CheckFailed,
            _ => ExitCode::Usage,
        }
    }
}

impl From<crate::store::StoreError> for RunError {
    fn from(error: crate::store::StoreError) -> Self {
        RunError::Cli(error.into())
    }
}

impl From<crate::config::ConfigError> for RunError {
    fn from(error: crate::config::ConfigError) -> Self {
        RunError::Cli(error.into())
    }
}
