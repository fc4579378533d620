//! Files that only their owner may read: keys, tokens, saves.
//!
//! *Does*: creates them so that nobody else can read them from their first moment on, and refuses to read one
//! that others can. *Does not*: know what is in them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Mode of every private file.
pub const PRIVATE_MODE: u32 = 0o600;
/// The permission bits of group and others.
pub(crate) const OTHERS: u32 = 0o077;

/// Why a private file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrivateFileError {
    /// The operating system refuses.
    #[error("{}: cannot {what} it: {error}; check its path, and that this user has permission", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        error: io::Error,
    },
    /// Group or others have some permission.
    #[error("{}: mode {mode:04o} lets others than its owner at it, 0600 is needed; run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is a folder, a device, or larger than what it should hold.
    #[error("{}: {why}; name an ordinary file of at most {bytes_max} bytes", path.display())]
    NotSuchAFile {
        /// What was named.
        path: PathBuf,
        /// What it is instead.
        why: &'static str,
        /// How large it may be.
        bytes_max: u64,
    },
}

/// Creates a file that nobody else can read, and writes it through to the disk, its name included.
///
/// # Errors
/// When it exists already ([`PrivateFileError::Io`] of that kind), or cannot be written.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), PrivateFileError> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE_MODE).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        sync_folder_of(path)
    };
    write().map_err(|error| PrivateFileError::Io { path: path.to_owned(), what: "create", error })
}

/// Reads a file that nobody else can read.
///
/// # Errors
/// When group or others have any permission (the message has the command that mends it), when it is no
/// ordinary file or larger than `bytes_max`, or when it cannot be read.
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, PrivateFileError> {
    let io = |what| move |error| PrivateFileError::Io { path: path.to_owned(), what, error };
    let not_such = |why| PrivateFileError::NotSuchAFile { path: path.to_owned(), why, bytes_max };
    // A pipe that nobody writes to must not hold the server up.
    if std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return Err(not_such("it is not an ordinary file"));
    }
    let file = File::open(path).map_err(io("open"))?;
    // Of the open file, not of the path: what is checked is what is read.
    let metadata = file.metadata().map_err(io("read the mode of"))?;
    if !metadata.is_file() {
        return Err(not_such("it is not an ordinary file"));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS != 0 {
        return Err(PrivateFileError::Exposed { path: path.to_owned(), mode });
    }
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(io("read"))?;
    if bytes.len() as u64 > bytes_max {
        return Err(not_such("it is too large"));
    }
    Ok(bytes)
}

/// Makes a new entry of a folder durable.
///
/// # Errors
/// When the folder cannot be opened or written through.
pub fn sync_folder_of(path: &Path) -> io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES_MAX: u64 = 1_000;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    /// H3
    #[test]
    fn a_created_file_is_its_owners_alone_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        create(&path, b"secret").unwrap();
        assert_eq!((mode(&path), read(&path, BYTES_MAX).unwrap()), (0o600, b"secret".to_vec()));
        let error = create(&path, b"other").unwrap_err();
        assert!(
            matches!(&error, PrivateFileError::Io { error, .. } if error.kind() == io::ErrorKind::AlreadyExists)
        );
        assert_eq!(read(&path, BYTES_MAX).unwrap(), b"secret");
    }

    /// H3
    #[test]
    fn a_file_that_others_can_reach_is_refused_with_the_command_that_mends_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        create(&path, b"secret").unwrap();
        for loose in [0o640, 0o604, 0o660, 0o601, 0o777] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(loose)).unwrap();
            let message = read(&path, BYTES_MAX).unwrap_err().to_string();
            assert!(message.contains(&format!("mode {loose:04o}")), "{message}");
            assert!(message.ends_with(&format!("chmod 600 {}", path.display())), "{message}");
        }
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        assert!(read(&path, BYTES_MAX).is_ok(), "stricter is fine");
    }

    #[test]
    fn folders_devices_and_large_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let large = folder.path().join("large");
        create(&large, &vec![b'x'; BYTES_MAX as usize + 1]).unwrap();
        for path in [folder.path(), Path::new("/dev/zero"), &large] {
            let refused = read(path, BYTES_MAX).unwrap_err();
            assert!(matches!(refused, PrivateFileError::NotSuchAFile { .. }), "{refused}");
        }
        assert!(matches!(read(&folder.path().join("none"), 9), Err(PrivateFileError::Io { .. })));
    }
}
