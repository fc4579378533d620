//! The configuration file: typed keys that remember where they stand.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, FilePlace, Origin, Problem, Sourced};
use super::key;
use super::values::{GridSize, HttpListen, LogLevel, ReportFormat};

/// Most bytes of a configuration file.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// A configuration file that was read and understood; its values are checked by
/// [`Settings::resolve`](super::Settings::resolve), together with the flags.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    file: PathBuf,
    shown: String,
    text: String,
    pub(super) keys: FileKeys,
}

/// The keys of the file. Unknown ones are refused: a key with a slip in it would silently do nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileKeys {
    pub(super) name: Option<Spanned<String>>,
    pub(super) saves: Option<Spanned<PathBuf>>,
    pub(super) listen: Option<Spanned<SocketAddr>>,
    pub(super) public: Option<Spanned<SocketAddr>>,
    pub(super) shards: Option<Spanned<u64>>,
    pub(super) max_players: Option<Spanned<u64>>,
    pub(super) http: Option<Spanned<HttpListen>>,
    pub(super) key_file: Option<Spanned<PathBuf>>,
    pub(super) admin_token_file: Option<Spanned<PathBuf>>,
    pub(super) threads: Option<Spanned<u64>>,
    pub(super) hz: Option<Spanned<u64>>,
    pub(super) seed: Option<Spanned<u64>>,
    pub(super) grid: Option<Spanned<GridSize>>,
    pub(super) size_m: Option<Spanned<[f32; 2]>>,
    pub(super) ticks: Option<Spanned<u64>>,
    pub(super) fast: Option<Spanned<bool>>,
    pub(super) npcs: Option<Spanned<u64>>,
    pub(super) bots: Option<Spanned<u64>>,
    pub(super) audit_every: Option<Spanned<u64>>,
    pub(super) log: Option<Spanned<LogLevel>>,
    pub(super) report: Option<Spanned<ReportFormat>>,
    #[serde(default)]
    pub(super) space: SpaceKeys,
    #[serde(default)]
    pub(super) save: SaveKeys,
}

/// The keys under `[space]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpaceKeys {
    pub(super) enter_radius_m: Option<Spanned<f32>>,
    pub(super) leave_radius_m: Option<Spanned<f32>>,
    pub(super) top_speed_m_s: Option<Spanned<f32>>,
    pub(super) attach_reach_m: Option<Spanned<f32>>,
    pub(super) ghost_margin_m: Option<Spanned<f32>>,
    pub(super) view_entities_max: Option<Spanned<u64>>,
    pub(super) bucket_m: Option<Spanned<f32>>,
}

/// The keys under `[save]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveKeys {
    pub(super) image_every_s: Option<Spanned<u64>>,
}

impl WorldConfig {
    /// Reads and understands a file.
    ///
    /// # Errors
    /// When it cannot be read, is larger than [`CONFIG_BYTES_MAX`], is not TOML, has a key that does not
    /// exist, or a value of another type than its key's. Syntax and types are told one at a time.
    pub fn load(file: &Path) -> Result<Self, ConfigError> {
        let read_error = |source| ConfigError::Read { file: file.to_owned(), source };
        let mut text = String::new();
        let opened = File::open(file).map_err(read_error)?;
        opened.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text).map_err(read_error)?;
        if text.len() as u64 > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLarge { file: file.to_owned() });
        }
        Self::parse(file, text)
    }

    /// Understands a text; `file` is what messages call it.
    ///
    /// # Errors
    /// As [`WorldConfig::load`], but for reading.
    pub fn parse(file: &Path, text: String) -> Result<Self, ConfigError> {
        let shown = file.to_string_lossy().into_owned();
        match toml::from_str(&text) {
            Ok(keys) => Ok(Self { file: file.to_owned(), shown, text, keys }),
            Err(error) => Err(ConfigError::Wrong { problems: vec![describe(&shown, &text, &error)] }),
        }
    }

    /// The file, as it was named.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// A value of the file with its place.
    pub(super) fn sourced<T: Clone>(&self, value: &Option<Spanned<T>>) -> Option<Sourced<T>> {
        value.as_ref().map(|spanned| Sourced {
            value: spanned.get_ref().clone(),
            origin: Origin::File(place(&self.shown, &self.text, spanned.span().start)),
        })
    }
}

/// Line and column of a byte of the text, both from 1.
fn place(file: &str, text: &str, offset: usize) -> FilePlace {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    FilePlace { file: file.to_owned(), line: line as u32, column: column as u32 }
}

/// Turns an error of the TOML reader into a problem: its span names the key, the key names what is expected.
fn describe(file: &str, text: &str, error: &toml::de::Error) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let origin = Origin::File(place(file, text, span.start));
    let found_path = DeTable::parse(text).ok().and_then(|table| path_of(table.get_ref(), &span, ""));
    let Some(path) = found_path else {
        // Not TOML at all: the reader's own words are the best there are, and there is no key to name.
        return Problem {
            origin,
            key: String::new(),
            found: error.message().replace('\n', " "),
            expected: String::new(),
            fix: "correct the TOML there (a line is KEY = VALUE, text stands in quotes)".into(),
        };
    };
    match key::expected_at(&path) {
        Some(expected) => Problem {
            origin,
            key: path,
            found: excerpt(text, &span),
            expected,
            fix: "correct it, or remove it to use the default".into(),
        },
        None => Problem {
            origin,
            found: "no key of this file".into(),
            expected: format!("one of: {}", key::siblings_of(&path)),
            key: path,
            fix: "correct its name or remove it".into(),
        },
    }
}

/// The dotted path of the entry whose key or value the span begins in.
fn path_of(table: &DeTable<'_>, span: &Range<usize>, prefix: &str) -> Option<String> {
    let within = |range: Range<usize>| range.contains(&span.start);
    for (name, value) in table {
        let path = format!("{prefix}{}", name.get_ref());
        if let DeValue::Table(inner) = value.get_ref()
            && let Some(found) = path_of(inner, span, &format!("{path}."))
        {
            return Some(found);
        }
        if within(name.span()) || within(value.span()) {
            return Some(path);
        }
    }
    None
}

/// What stands at a span: its first line, cut where it grows long.
fn excerpt(text: &str, span: &Range<usize>) -> String {
    const CHARS_MAX: usize = 60;
    let line = text.get(span.clone()).unwrap_or_default().lines().next().unwrap_or_default();
    match line.char_indices().nth(CHARS_MAX) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line.to_owned(),
    }
}
