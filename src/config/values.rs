//! The values that flags and the file share: how they are written and what they come to.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is not the value it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct ValueError {
    /// How a right value looks.
    pub expected: &'static str,
}

/// How an address is written.
pub(super) const ADDRESS: &str = "an address IP:PORT such as \"127.0.0.1:5000\" or \"[::1]:5000\"";
/// How the address of the HTTP side is written.
pub(super) const ADDRESS_OR_OFF: &str = "an address IP:PORT such as \"127.0.0.1:8080\", or \"off\"";
/// How a grid is written on the command line.
const GRID: &str = "columns x rows such as 5x5";

/// Reads a whole number.
///
/// # Errors
/// When the text is anything else, a negative number or one with a fraction included.
pub(super) fn parse_whole(text: &str) -> Result<u64, ValueError> {
    text.parse().map_err(|_| ValueError { expected: "a whole number from 0 on, such as 20" })
}

/// Reads `IP:PORT`. Host names are not looked up: a server binds addresses, not names.
///
/// # Errors
/// When the text is anything else.
pub fn parse_address(text: &str) -> Result<SocketAddr, ValueError> {
    text.parse().map_err(|_| ValueError { expected: ADDRESS })
}

/// The world's initial cells: columns from west to east and rows from south to north. Written `5x5` on the
/// command line and `[5, 5]` in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(from = "[u32; 2]", into = "[u32; 2]")]
pub struct GridSize {
    /// Cells from west to east.
    pub columns: u32,
    /// Cells from south to north.
    pub rows: u32,
}

impl GridSize {
    /// How many cells that makes.
    #[must_use]
    pub fn cells(self) -> u64 {
        u64::from(self.columns) * u64::from(self.rows)
    }
}

impl fmt::Display for GridSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.columns, self.rows)
    }
}

impl From<[u32; 2]> for GridSize {
    fn from([columns, rows]: [u32; 2]) -> Self {
        Self { columns, rows }
    }
}

impl From<GridSize> for [u32; 2] {
    fn from(grid: GridSize) -> Self {
        [grid.columns, grid.rows]
    }
}

impl FromStr for GridSize {
    type Err = ValueError;
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (columns, rows) = text.split_once('x').ok_or(ValueError { expected: GRID })?;
        let number = |text: &str| text.parse().map_err(|_| ValueError { expected: GRID });
        Ok(Self { columns: number(columns)?, rows: number(rows)? })
    }
}

/// Where the HTTP side listens, if it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum HttpListen {
    /// Nowhere.
    Off,
    /// At this address; port 0 picks a free one.
    At(SocketAddr),
}

impl HttpListen {
    /// The address, if there is one.
    #[must_use]
    pub fn address(self) -> Option<SocketAddr> {
        match self {
            HttpListen::Off => None,
            HttpListen::At(address) => Some(address),
        }
    }
}

impl FromStr for HttpListen {
    type Err = ValueError;
    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text == "off" {
            return Ok(HttpListen::Off);
        }
        text.parse().map(HttpListen::At).map_err(|_| ValueError { expected: ADDRESS_OR_OFF })
    }
}

impl TryFrom<String> for HttpListen {
    type Error = ValueError;
    fn try_from(text: String) -> Result<Self, ValueError> {
        text.parse()
    }
}

/// The least serious lines that the log shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Nothing at all.
    Off,
    /// What is broken.
    Error,
    /// What someone should look at.
    Warn,
    /// The life of the world: start, saves, stop.
    #[default]
    Info,
    /// Also what single clients do wrong.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The level as a filter of `tracing` understands it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Off => "off",
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// How the report at the end of a run is written to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ReportFormat {
    /// One JSON object on one line.
    Json,
}
