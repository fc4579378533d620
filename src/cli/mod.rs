//! The command line of every world binary.
//!
//! *Does*: parses arguments into one [`Command`], says what is wrong with them, maps every outcome to an exit
//! code, and carries out the one command that needs no world: `config check`.
//! *Does not*: start worlds, open sockets or saves.
//! *Reads*: arguments, and the file that `config check` names. *Writes*: what it is given to write to.

mod args;
mod config_check;
mod exit;
mod operate;
#[cfg(test)]
mod tests;

pub use args::{
    ClientMode, ClientOptions, Command, ConfigCheckOptions, ConfigExportOptions, ConfigReloadOptions,
    ModerateOptions, RulesOptions, TokenOptions, WhyOptions, parse,
};
pub use config_check::config_check;
pub use exit::{CliError, ExitCode};
pub use operate::{
    BackupOptions, CompensationFlags, CompensationsOptions, CompensationsSub, OperatorCommand, RanksOptions,
    RepairOptions, StatsOptions, VerifyOptions,
};
