//! How a command ends.

use crate::config::ConfigError;
use crate::store::StoreError;

/// What the process answers to whoever started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitCode {
    /// 0: everything went as asked.
    Fine,
    /// 1: a check failed, or the world did.
    CheckFailed,
    /// 2: wrong usage or configuration; nothing was done.
    Usage,
}

impl ExitCode {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            ExitCode::Fine => 0,
            ExitCode::CheckFailed => 1,
            ExitCode::Usage => 2,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(exit: ExitCode) -> Self {
        std::process::ExitCode::from(exit.code())
    }
}

/// Why a command did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// Nothing is wrong: help or the version was asked for, and this is it.
    #[error("{0}")]
    Help(clap::Error),
    /// The command line is wrong.
    #[error("{0}")]
    Usage(clap::Error),
    /// The configuration is wrong.
    #[error("{0}")]
    Config(#[from] ConfigError),
    /// The save cannot be used, or not this way.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// A check failed; the text says which and how.
    #[error("{0}")]
    CheckFailed(String),
}

impl CliError {
    /// What the process should end with.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        match self {
            CliError::Help(_) => ExitCode::Fine,
            CliError::Usage(_) | CliError::Config(_) => ExitCode::Usage,
            CliError::Store(error) if error.is_usage() => ExitCode::Usage,
            CliError::Store(_) | CliError::CheckFailed(_) => ExitCode::CheckFailed,
        }
    }

    /// Tells a person: help goes to stdout, everything else to stderr.
    pub fn print(&self) {
        match self {
            // clap knows about colours and about closed pipes, which are nobody's fault.
            CliError::Help(error) | CliError::Usage(error) => drop(error.print()),
            other => eprintln!("error: {other}"),
        }
    }
}
