//! The post office: where letters are once they have left the world. It has a file of its own and knows nothing of the world's save, as
//! a mail service elsewhere would not either.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::private_file::{PRIVATE_MODE, sync_folder_of};

use super::Letter;
use super::boxes::{ALL_LETTERS_MAX, Boxes};

/// Longest line of the file, bytes: what is longer is no letter.
const LINE_BYTES_MAX: u64 = 1_024;
/// The file is written anew when it has so many lines more than there are letters.
const SURPLUS_LINES_MAX: usize = ALL_LETTERS_MAX;
/// Most lines that are read: more than the file ever has.
const LINES_MAX: usize = 4 * ALL_LETTERS_MAX;

/// Why there is no post office.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// The disk refuses.
    #[error("{}: cannot {what} the letters: {error}; check its path, and that this user has permission", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// There is something else in it.
    #[error("{}:{line}: this is no letter: {error}; take the line out, or the file away: then the letters so far are lost", file.display())]
    NoLetter {
        /// The file.
        file: PathBuf,
        /// The line.
        line: usize,
        /// What is wrong with it.
        error: String,
    },
}

/// A letter as a line of the file.
#[derive(serde::Serialize, serde::Deserialize)]
struct Line {
    id: u64,
    letter: Letter,
}

/// One post office, for all who know it. What it was given it has written down, and keeps each letter once by the number of its delivery.
#[derive(Clone)]
pub struct PostOffice(Arc<Mutex<Office>>);

struct Office {
    /// Where; nowhere but in memory for tests.
    file: Option<PathBuf>,
    boxes: Boxes,
    /// Lines in the file; `None` when its last one may not be whole.
    lines: Option<usize>,
}

impl fmt::Debug for PostOffice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let office = self.office();
        f.debug_struct("PostOffice")
            .field("file", &office.file)
            .field("letters", &office.boxes.len())
            .finish()
    }
}

impl PostOffice {
    /// One that is gone with the process.
    #[must_use]
    pub fn in_memory() -> Self {
        Self(Arc::new(Mutex::new(Office { file: None, boxes: Boxes::default(), lines: Some(0) })))
    }

    /// One with a file, which is made when the first letter comes. O(letters).
    ///
    /// # Errors
    /// When the file is there and cannot be read. A last line that was not finished is none: its letter comes again.
    pub fn open(file: PathBuf) -> Result<Self, PostError> {
        let (boxes, lines) = match fs::File::open(&file) {
            Ok(opened) => read(&file, opened)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Boxes::default(), Some(0)),
            Err(error) => return Err(PostError::Io { file, what: "open", error }),
        };
        Ok(Self(Arc::new(Mutex::new(Office { file: Some(file), boxes, lines }))))
    }

    /// What it has.
    #[must_use]
    pub fn boxes(&self) -> Boxes {
        self.office().boxes.clone()
    }

    /// Takes a letter under the number of its delivery: it is on the disk when this returns. One that is there is not taken again.
    ///
    /// # Errors
    /// When the disk refuses: then it is not there.
    pub fn take(&self, id: u64, letter: Letter) -> Result<(), PostError> {
        self.office().take(id, letter)
    }

    fn office(&self) -> MutexGuard<'_, Office> {
        // A panic in between leaves a letter out, which comes again.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Office {
    fn take(&mut self, id: u64, letter: Letter) -> Result<(), PostError> {
        if self.boxes.contains(id, &letter) {
            return Ok(());
        }
        if let Some(file) = self.file.clone() {
            let io = |what| {
                let file = file.clone();
                move |error| PostError::Io { file, what, error }
            };
            let lines = match self.lines.filter(|lines| *lines <= self.boxes.len() + SURPLUS_LINES_MAX) {
                Some(lines) => lines,
                None => {
                    write_anew(&file, &self.boxes).map_err(io("write anew"))?;
                    self.boxes.len()
                }
            };
            // Until this one is known to be whole.
            self.lines = None;
            append(&file, &line_of(id, &letter)).map_err(io("write"))?;
            self.lines = Some(lines + 1);
        }
        self.boxes.put(id, letter);
        Ok(())
    }
}

fn line_of(id: u64, letter: &Letter) -> Vec<u8> {
    let mut line = serde_json::to_vec(&Line { id, letter: letter.clone() }).expect("a letter is JSON");
    line.push(b'\n');
    line
}

fn append(file: &Path, line: &[u8]) -> io::Result<()> {
    let is_there = file.exists();
    let mut opened = OpenOptions::new().append(true).create(true).mode(PRIVATE_MODE).open(file)?;
    opened.write_all(line)?;
    opened.sync_data()?;
    if is_there { Ok(()) } else { sync_folder_of(file) }
}

/// Puts the letters that are kept in the place of the file: it is the old one or the new one, whenever power is lost.
fn write_anew(file: &Path, boxes: &Boxes) -> io::Result<()> {
    let beside = file.with_extension("new");
    let mut opened =
        OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE_MODE).open(&beside)?;
    let lines: Vec<u8> = boxes.iter().flat_map(|(id, letter)| line_of(id, &letter)).collect();
    opened.write_all(&lines)?;
    opened.sync_all()?;
    fs::rename(&beside, file)?;
    sync_folder_of(file)
}

/// The letters of a file, and how many lines it has; `None` when the last one was not finished.
fn read(file: &Path, opened: fs::File) -> Result<(Boxes, Option<usize>), PostError> {
    let (mut boxes, mut reader) = (Boxes::default(), BufReader::new(opened));
    let mut text = Vec::new();
    for number in 0..LINES_MAX {
        text.clear();
        let mut limited = (&mut reader).take(LINE_BYTES_MAX);
        let read = limited.read_until(b'\n', &mut text);
        let bytes = read.map_err(|error| PostError::Io { file: file.to_owned(), what: "read", error })?;
        let no_letter =
            |error: String| PostError::NoLetter { file: file.to_owned(), line: number + 1, error };
        match text.strip_suffix(b"\n") {
            None if bytes == 0 => return Ok((boxes, Some(number))),
            None if (bytes as u64) < LINE_BYTES_MAX => return Ok((boxes, None)),
            None => return Err(no_letter(format!("it is longer than {LINE_BYTES_MAX} bytes"))),
            Some(line) => {
                let Line { id, letter } =
                    serde_json::from_slice(line).map_err(|error| no_letter(error.to_string()))?;
                boxes.put(id, letter);
            }
        }
    }
    let error = format!("there are more than {LINES_MAX} lines");
    Err(PostError::NoLetter { file: file.to_owned(), line: LINES_MAX, error })
}

#[cfg(test)]
mod tests {
    use super::super::News;
    use super::*;
    use crate::ids::PlayerId;

    fn letter(to: &str, at_ms: u64) -> Letter {
        let to = PlayerId::new(to).expect("a name");
        Letter { to, at_ms, about: News::Errand { silver: at_ms, renown: 1 } }
    }

    fn lines(file: &Path) -> usize {
        fs::read_to_string(file).expect("text").lines().count()
    }

    /// C8: a letter is there once, whichever process it comes to, and however often.
    #[test]
    fn a_letter_is_kept_once_over_restarts() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("letters");
        let office = PostOffice::open(file.clone()).expect("there is none yet");
        assert!(!file.exists(), "nothing was written");
        for (id, to) in [(7, "anna"), (8, "bob"), (7, "anna")] {
            office.take(id, letter(to, id)).expect("written");
        }
        assert_eq!((lines(&file), office.boxes().len()), (2, 2));
        let again = PostOffice::open(file.clone()).expect("readable");
        assert_eq!(again.boxes(), office.boxes());
        again.take(8, letter("bob", 8)).expect("it is there");
        again.take(9, letter("bob", 9)).expect("written");
        assert_eq!(lines(&file), 3);
        let bob = PlayerId::new("bob").expect("a name");
        let told: Vec<u64> = again.boxes().of(&bob).map(|((_, id), _)| id).collect();
        assert_eq!(told, [9, 8]);
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, PRIVATE_MODE);
    }

    /// C8: a process that dies while it writes leaves a line that is not whole: its letter comes again, and those before are there.
    #[test]
    fn a_line_that_was_not_finished_is_no_letter() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("letters");
        let office = PostOffice::open(file.clone()).expect("there is none yet");
        office.take(1, letter("anna", 1)).expect("written");
        let whole = fs::read(&file).expect("there");
        let second = line_of(2, &letter("bob", 2));
        for end in 1..second.len() {
            fs::write(&file, [&whole[..], &second[..end]].concat()).expect("written");
            let office = PostOffice::open(file.clone()).expect("readable");
            assert_eq!(office.boxes().len(), 1, "{end} bytes");
            office.take(2, letter("bob", 2)).expect("it comes again");
            office.take(3, letter("bob", 3)).expect("written");
            assert_eq!(PostOffice::open(file.clone()).expect("readable").boxes().len(), 3, "{end} bytes");
        }
    }

    #[test]
    fn what_is_no_letter_is_named_with_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("letters");
        let good = String::from_utf8(line_of(1, &letter("anna", 1))).expect("text");
        for (text, why) in [("{}\n".to_owned(), "missing field"), ("x".repeat(2_000), "longer than")] {
            fs::write(&file, format!("{good}{text}")).expect("written");
            let error = PostOffice::open(file.clone()).expect_err(why).to_string();
            assert!(error.contains("letters:2: ") && error.contains(why), "{error}");
        }
    }

    #[test]
    fn the_file_is_written_anew_when_most_of_it_was_thrown_away() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("letters");
        let office = PostOffice::open(file.clone()).expect("there is none yet");
        office.take(1, letter("anna", 1)).expect("written");
        office.office().lines = Some(SURPLUS_LINES_MAX + 2);
        let before = fs::read(&file).expect("there");
        fs::write(&file, [&before[..], &before[..]].concat()).expect("written");
        office.take(2, letter("bob", 2)).expect("written");
        assert_eq!(lines(&file), 2);
        assert_eq!(PostOffice::open(file).expect("readable").boxes(), office.boxes());
    }

    #[test]
    fn a_disk_that_refuses_is_told_and_the_letter_is_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let office = PostOffice::open(folder.path().join("none/letters")).expect("there is none yet");
        let error = office.take(1, letter("anna", 1)).expect_err("there is no such folder").to_string();
        assert!(error.contains("none/letters: cannot write"), "{error}");
        assert!(office.boxes().is_empty());
        fs::create_dir(folder.path().join("none")).expect("made");
        office.take(1, letter("anna", 1)).expect("now there is");
        assert_eq!(office.boxes().len(), 1);
    }
}
