//! Where a value came from, and what is wrong with it.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::Serialize;

/// A place in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FilePlace {
    /// The file, as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for FilePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Who set a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Nobody: it is the default.
    Default,
    /// The configuration file.
    File(FilePlace),
    /// The command line, by this flag.
    Flag(&'static str),
    /// The save: it was fixed when the world was created.
    Save,
}

/// A value and who set it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Who set it.
    pub origin: Origin,
}

impl<T> Sourced<T> {
    /// A value that nobody set.
    pub fn default_of(value: T) -> Self {
        Self { value, origin: Origin::Default }
    }

    /// A value that was given on the command line by `flag`.
    pub fn flag(flag: &'static str, value: T) -> Self {
        Self { value, origin: Origin::Flag(flag) }
    }

    /// The same place with another value.
    pub(super) fn map<U>(self, map: impl FnOnce(T) -> U) -> Sourced<U> {
        Sourced { value: map(self.value), origin: self.origin }
    }
}

/// One thing that is wrong with the configuration, or merely unwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Who set the value.
    pub origin: Origin,
    /// The dotted key, such as `space.enter_radius_m`; empty when the fault lies in the file's syntax.
    pub key: String,
    /// What stands there.
    pub found: String,
    /// What should stand there.
    pub expected: String,
    /// What to do about it.
    pub fix: String,
}

impl fmt::Display for Problem {
    /// One line: place, key, what was found, what was expected, what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, key, found, expected, fix } = self;
        match origin {
            Origin::File(place) if key.is_empty() => write!(f, "{place}: {found}")?,
            Origin::File(place) => write!(f, "{place}: {key} is {found}")?,
            Origin::Flag(flag) => write!(f, "{flag} is {found}")?,
            Origin::Default => write!(f, "the default of {key} is {found}")?,
            Origin::Save => write!(f, "{key}, fixed when the world was created, is {found}")?,
        }
        if !expected.is_empty() {
            write!(f, "; expected {expected}")?;
        }
        write!(f, "; {fix}")
    }
}

/// Why there are no [`Settings`](super::Settings). Whoever meets one ends with exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read ({source}); name a readable TOML file with --config", file.display())]
    Read {
        /// The file as it was named.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is too large to be a configuration.
    #[error("{}: more than {max} bytes; name a TOML configuration with --config", file.display(), max = super::CONFIG_BYTES_MAX)]
    TooLarge {
        /// The file as it was named.
        file: PathBuf,
    },
    /// Values are wrong: every problem found, in the order of the keys.
    #[error("{}", lines(problems))]
    Wrong {
        /// At least one.
        problems: Vec<Problem>,
    },
}

impl ConfigError {
    /// What is wrong, value by value; empty when the file could not even be read.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        match self {
            ConfigError::Wrong { problems } => problems,
            ConfigError::Read { .. } | ConfigError::TooLarge { .. } => &[],
        }
    }
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}
