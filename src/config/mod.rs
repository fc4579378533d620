//! The configuration of a world: read once, checked whole, typed.
//!
//! *Does*: reads a TOML file and the flags of the command line, merges them (flags win, defaults fill the
//! rest), checks every value and every relation between values, and names file, line and key of what is wrong.
//! *Does not*: act on anything: no socket, no save, no thread is opened here.
//! *Reads*: one file. *Writes*: nothing.
//!
//! [`RunOptions`] are the flags, [`WorldConfig`] is the file, [`Settings`] is what both come to.

mod check;
mod error;
mod file;
mod key;
mod options;
mod settings;
#[cfg(test)]
mod tests;
mod values;

pub use error::{ConfigError, FilePlace, Origin, Problem, Sourced};
pub use file::{CONFIG_BYTES_MAX, WorldConfig};
pub(crate) use file::{describe_syntax, excerpt, place};
pub use options::{CONFIG_FILE_DEFAULT, RunOptions, config_file};
pub use settings::{
    NetworkSettings, Pace, RunSettings, SaveSettings, SessionSettings, Settings, SpaceSettings, WorldChoice,
};
pub use values::{GridSize, HttpListen, LogLevel, ReportFormat, ValueError, parse_address};
