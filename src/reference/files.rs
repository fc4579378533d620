//! The texts of a game's files: from a folder, or those that come with the game.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use super::check::Checker;
use crate::config::{FilePlace, Origin, Problem};

/// Most bytes of one file.
pub const FILE_BYTES_MAX: u64 = 1 << 20;
/// Most rows of one list in a file.
pub const ROWS_MAX: usize = 10_000;

/// One of the files that a game's data stand in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferenceFile {
    /// Its name in the folder of the world's configuration.
    pub name: &'static str,
    /// What it says where the folder has no such file: the text that comes with the game.
    pub shipped: &'static str,
}

/// The text of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceText {
    pub(super) name: &'static str,
    /// What messages call it.
    pub(super) shown: String,
    pub(super) text: Arc<str>,
    pub(super) is_shipped: bool,
}

/// The texts of all files of a game, read at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceFiles {
    texts: Vec<ReferenceText>,
}

impl ReferenceFiles {
    /// Those that come with the game.
    #[must_use]
    pub fn shipped(files: &[ReferenceFile]) -> Self {
        Self { texts: files.iter().map(shipped).collect() }
    }

    /// Those of a folder, each that is not there as it comes with the game.
    ///
    /// # Errors
    /// Every file that is there and cannot be read, is too large or no text.
    pub fn load(files: &[ReferenceFile], folder: &Path) -> Result<Self, Vec<Problem>> {
        let (mut texts, mut problems) = (Vec::new(), Vec::new());
        for file in files {
            match read(file, &folder.join(file.name)) {
                Ok(text) => texts.push(text),
                Err(problem) => problems.push(*problem),
            }
        }
        if problems.is_empty() { Ok(Self { texts }) } else { Err(problems) }
    }

    /// The same with another text of one file, as if it stood in a folder: for tests and tools.
    ///
    /// # Panics
    /// When there is no such file.
    #[must_use]
    pub fn with(mut self, name: &str, text: impl Into<String>) -> Self {
        let place = self.texts.iter_mut().find(|file| file.name == name);
        let place = place.unwrap_or_else(|| panic!("{name} is none of the game's files"));
        *place = ReferenceText {
            name: place.name,
            shown: name.to_owned(),
            text: text.into().into(),
            is_shipped: false,
        };
        self
    }

    /// One file.
    ///
    /// # Panics
    /// When the game has not declared it.
    #[must_use]
    pub fn text(&self, name: &str) -> &ReferenceText {
        let found = self.texts.iter().find(|text| text.name == name);
        found.unwrap_or_else(|| panic!("{name} is none of the game's files"))
    }

    /// Begins to check one file.
    ///
    /// # Panics
    /// When the game has not declared it.
    pub fn check(&self, name: &str) -> Checker<'_> {
        Checker::of(self.text(name))
    }
}

impl ReferenceText {
    /// What messages call it.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// What stands in it.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it comes with the game, because the folder has no such file.
    #[must_use]
    pub fn is_shipped(&self) -> bool {
        self.is_shipped
    }
}

fn shipped(file: &ReferenceFile) -> ReferenceText {
    ReferenceText {
        name: file.name,
        shown: format!("{} (that of the game)", file.name),
        text: file.shipped.into(),
        is_shipped: true,
    }
}

fn read(file: &ReferenceFile, path: &Path) -> Result<ReferenceText, Box<Problem>> {
    let shown = path.display().to_string();
    let problem = |found: String, fix: &str| {
        Box::new(Problem {
            origin: Origin::File(FilePlace { file: shown.clone(), line: 1, column: 1 }),
            key: String::new(),
            found,
            expected: String::new(),
            fix: fix.to_owned(),
        })
    };
    let unreadable =
        |error: std::io::Error| problem(format!("cannot be read ({error})"), "make it a readable text file");
    let opened = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(shipped(file)),
        opened => opened.map_err(unreadable)?,
    };
    let mut text = String::new();
    opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(problem(format!("more than {FILE_BYTES_MAX} bytes"), "shorten it"));
    }
    Ok(ReferenceText { name: file.name, shown, text: text.into(), is_shipped: false })
}
