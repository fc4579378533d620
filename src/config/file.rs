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

/// So many unreadable values are enough to see that it is another kind of file.
const UNREADABLE_MAX: usize = 32;

/// A configuration file that was read and understood; its values are checked by
/// [`Settings::resolve`](super::Settings::resolve), together with the flags.
#[derive(Clone, Debug)]
pub struct WorldConfig {
    file: PathBuf,
    shown: String,
    text: String,
    pub(super) keys: FileKeys,
    /// Keys that do not exist and values of another type than their key's: left out of `keys`.
    pub(super) unreadable: Vec<Problem>,
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
    pub(super) session: SessionKeys,
    #[serde(default)]
    pub(super) network: NetworkKeys,
    #[serde(default)]
    pub(super) save: SaveKeys,
}

/// The keys under `[network]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NetworkKeys {
    pub(super) connections_per_address: Option<Spanned<u64>>,
    pub(super) client_bytes_per_s: Option<Spanned<u64>>,
    pub(super) client_messages_per_s: Option<Spanned<u64>>,
    pub(super) reconnect_token_s: Option<Spanned<u64>>,
    pub(super) login_s: Option<Spanned<u64>>,
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
    pub(super) tiers: Option<Spanned<Vec<(f32, u32)>>>,
    pub(super) client_bytes_per_tick: Option<Spanned<u64>>,
    pub(super) bucket_m: Option<Spanned<f32>>,
}

/// The keys under `[session]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SessionKeys {
    pub(super) grace_s: Option<Spanned<u64>>,
    pub(super) replies_kept_s: Option<Spanned<u64>>,
}

/// The keys under `[save]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SaveKeys {
    pub(super) image_every_s: Option<Spanned<u64>>,
    pub(super) periodic_every_s: Option<Spanned<u64>>,
    pub(super) claims_kept_s: Option<Spanned<u64>>,
    pub(super) history_kept_s: Option<Spanned<u64>>,
}

impl WorldConfig {
    /// Reads and understands a file.
    ///
    /// # Errors
    /// When it cannot be read, is larger than [`CONFIG_BYTES_MAX`], or is not TOML. Keys that do not exist and values
    /// of another type than their key's are told by [`Settings::resolve`](super::Settings::resolve), with all else.
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
        let wrong = |problem| ConfigError::Wrong { problems: vec![problem] };
        let whole = DeTable::parse(&text).map_err(|error| wrong(describe_syntax(&shown, &text, &error)))?;
        let mut left = whole.clone();
        let mut unreadable = Vec::new();
        // What cannot be read is told, taken out, and the rest read again: one look shows all that is wrong.
        let keys = loop {
            let error = match FileKeys::deserialize(toml::Deserializer::from(left.clone())) {
                Ok(keys) => break keys,
                Err(error) => error,
            };
            let span = error.span().unwrap_or(0..0);
            let Some(path) = path_of(left.get_ref(), &span) else {
                return Err(wrong(describe_syntax(&shown, &text, &error)));
            };
            unreadable.push(describe(&shown, &text, &span, path.join(".")));
            remove(left.get_mut(), &path);
            if unreadable.len() == UNREADABLE_MAX {
                return Err(ConfigError::Wrong { problems: unreadable });
            }
        };
        unreadable.sort_by_key(|problem| match &problem.origin {
            Origin::File(place) => (place.line, place.column),
            _ => (0, 0),
        });
        drop((whole, left));
        Ok(Self { file: file.to_owned(), shown, text, keys, unreadable })
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
pub(crate) fn place(file: &str, text: &str, offset: usize) -> FilePlace {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
    let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
    FilePlace { file: file.to_owned(), line: line as u32, column: column as u32 }
}

/// Turns an error of the TOML reader into a problem without a key: its own words are the best there are.
pub(crate) fn describe_syntax(file: &str, text: &str, error: &toml::de::Error) -> Problem {
    Problem {
        origin: Origin::File(place(file, text, error.span().map_or(0, |span| span.start))),
        key: String::new(),
        found: error.message().replace('\n', " "),
        expected: String::new(),
        fix: "correct the TOML there (a line is KEY = VALUE, text stands in quotes)".into(),
    }
}

/// What is wrong at the span of this key, whose place in the table of keys says what is expected.
fn describe(file: &str, text: &str, span: &Range<usize>, path: String) -> Problem {
    let origin = Origin::File(place(file, text, span.start));
    match key::expected_at(&path) {
        Some(expected) => Problem {
            origin,
            key: path,
            found: excerpt(text, span),
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

/// The path of the entry whose key or value the span begins in.
fn path_of(table: &DeTable<'_>, span: &Range<usize>) -> Option<Vec<String>> {
    let within = |range: Range<usize>| range.contains(&span.start);
    for (name, value) in table {
        let deeper = match value.get_ref() {
            DeValue::Table(inner) => path_of(inner, span),
            _ => None,
        };
        let here = || (within(name.span()) || within(value.span())).then(Vec::new);
        if let Some(mut path) = deeper.or_else(here) {
            path.insert(0, name.get_ref().to_string());
            return Some(path);
        }
    }
    None
}

/// Takes the entry at a path out.
fn remove(table: &mut DeTable<'_>, path: &[String]) {
    match path {
        [] => {}
        [name] => drop(table.remove(name.as_str())),
        [name, rest @ ..] => {
            if let Some(DeValue::Table(inner)) = table.get_mut(name.as_str()).map(toml::Spanned::get_mut) {
                remove(inner, rest);
            }
        }
    }
}

/// What stands at a span: its first line, cut where it grows long.
pub(crate) fn excerpt(text: &str, span: &Range<usize>) -> String {
    const CHARS_MAX: usize = 60;
    let line = text.get(span.clone()).unwrap_or_default().lines().next().unwrap_or_default();
    match line.char_indices().nth(CHARS_MAX) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line.to_owned(),
    }
}
