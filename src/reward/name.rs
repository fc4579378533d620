//! Names of what rewards are made of: assets, tables, use cases, houses.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Most bytes of a name.
pub const NAME_BYTES_MAX: usize = 48;

/// A name in the tables and in the save: lower-case letters, digits, `_`, `-`, `.`, `:` and `/`. It is what a save refers to, so
/// that tables may be reordered. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty or too long.
    #[error("a name has 1 to {NAME_BYTES_MAX} bytes, not {0}")]
    Length(usize),
    /// It holds something else than names are made of.
    #[error("`{0}` is no name: lower-case letters, digits and `_-.:/` make one")]
    Character(String),
}

impl Name {
    /// A name from its text.
    ///
    /// # Errors
    /// When it is none.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > NAME_BYTES_MAX {
            return Err(NameError::Length(text.len()));
        }
        let is_fit =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.:/".contains(&byte);
        if !text.bytes().all(is_fit) {
            return Err(NameError::Character(text.to_owned()));
        }
        Ok(Self(text.into()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0.as_ref().to_owned()
    }
}

/// From a name written in the source of a game.
///
/// # Panics
/// When it is none.
impl From<&'static str> for Name {
    fn from(text: &'static str) -> Self {
        Self::new(text).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl From<&Name> for Name {
    fn from(name: &Name) -> Self {
        name.clone()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
