//! Files that only their owner may read: keys, tokens, the save itself.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::error::StoreError;

/// Mode of every private file.
pub(super) const PRIVATE_MODE: u32 = 0o600;
/// The permission bits of group and others.
const OTHERS: u32 = 0o077;
/// Most bytes of a key or token file: the largest holds a few kilobytes.
pub const PRIVATE_FILE_BYTES_MAX: u64 = 64 * 1_024;
/// Random bytes of an operator's token.
const TOKEN_BYTES: usize = 32;

/// Creates a file that nobody else can read, from its first moment on, and writes it through to the disk.
///
/// # Errors
/// When it exists already, or cannot be written.
pub fn create_private_file(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_MODE).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(StoreError::io(path, "create it as a private file"))?;
    sync_parent(path)
}

/// Reads a file that nobody else can read.
///
/// # Errors
/// When group or others have any permission (the message has the command that mends it), when it is no
/// ordinary file or larger than [`PRIVATE_FILE_BYTES_MAX`], or when it cannot be read.
pub fn read_private_file(path: &Path) -> Result<Vec<u8>, StoreError> {
    let not_private = |why| StoreError::NotAPrivateFile { file: path.to_owned(), why };
    let file = File::open(path).map_err(StoreError::io(path, "open it"))?;
    // Of the open file, not of the path: what is checked is what is read.
    let metadata = file.metadata().map_err(StoreError::io(path, "read its mode"))?;
    if !metadata.is_file() {
        return Err(not_private("it is not an ordinary file"));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(StoreError::LooseMode { file: path.to_owned(), mode });
    }
    let mut bytes = Vec::new();
    file.take(PRIVATE_FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(StoreError::io(path, "read it"))?;
    if bytes.len() as u64 > PRIVATE_FILE_BYTES_MAX {
        return Err(not_private("it is too large"));
    }
    Ok(bytes)
}

/// The token in a private file, which is made of 256 random bits if it is missing.
///
/// # Errors
/// As [`read_private_file`] and [`create_private_file`]; also when the file holds no text or the system no
/// randomness.
#[expect(clippy::disallowed_methods, reason = "keys and tokens are drawn outside of the tick")]
pub fn load_or_create_token(path: &Path) -> Result<String, StoreError> {
    if !path.exists() {
        let mut random = [0u8; TOKEN_BYTES];
        getrandom::fill(&mut random)
            .map_err(|error| StoreError::io(path, "draw a random token")(io::Error::other(error)))?;
        let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        create_private_file(path, token.as_bytes())?;
        return Ok(token);
    }
    let text = String::from_utf8(read_private_file(path)?).unwrap_or_default();
    match text.trim() {
        "" => Err(StoreError::NotAPrivateFile { file: path.to_owned(), why: "it holds no token" }),
        token => Ok(token.to_owned()),
    }
}

/// Takes group and others their permissions on a file of the save that has come with some, as a copied or
/// restored one does.
pub(super) fn tighten(path: &Path) -> Result<(), StoreError> {
    let mode =
        fs::metadata(path).map_err(StoreError::io(path, "read its mode"))?.permissions().mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    tracing::warn!(file = %path.display(), "mode {mode:04o} let others read a save: now 0600");
    fs::set_permissions(path, fs::Permissions::from_mode(PRIVATE_MODE))
        .map_err(StoreError::io(path, "set its mode to 0600"))
}

/// Makes a new entry of a folder durable.
pub(super) fn sync_parent(path: &Path) -> Result<(), StoreError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)
        .and_then(|folder| folder.sync_all())
        .map_err(StoreError::io(parent, "write the folder through to the disk"))
}
