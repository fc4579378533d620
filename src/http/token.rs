//! The secret that private paths ask for.

use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use subtle::ConstantTimeEq;

use crate::private_file::{self, PrivateFileError};

/// Fewest characters of an operator's token: shorter ones can be guessed.
pub const TOKEN_CHARS_MIN: usize = 16;
/// Most bytes of a token file.
const TOKEN_BYTES_MAX: u64 = 1_024;
/// Random bytes of a token that the server makes.
const TOKEN_RANDOM_BYTES: usize = 32;

/// The admin token. Compared in constant time, never printed.
#[derive(Clone)]
pub struct AdminToken {
    secret: String,
    from_operator: bool,
}

impl fmt::Debug for AdminToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = if self.from_operator { "an operator's" } else { "generated" };
        write!(f, "AdminToken({origin})")
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be used.
    #[error("the admin token file {0}")]
    File(#[from] PrivateFileError),
    /// The text in it is no token.
    #[error(
        "the admin token file {path} must hold one line of {TOKEN_CHARS_MIN} to {TOKEN_BYTES_MAX} printable ASCII \
         characters without blanks: write a random one, such as from `openssl rand -hex 32`"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The system has no randomness.
    #[error("cannot make an admin token: the system gives no random bytes ({0})")]
    Random(getrandom::Error),
}

impl AdminToken {
    /// The token in an operator's file, which nobody else may be able to read.
    ///
    /// # Errors
    /// When the file is missing, readable by others or does not hold one long enough line.
    pub fn from_file(path: &Path) -> Result<Self, TokenError> {
        let bytes = private_file::read(path, TOKEN_BYTES_MAX + 2)?;
        let malformed = || TokenError::Malformed { path: path.to_owned() };
        let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
        let secret = text.trim_end_matches(['\r', '\n']);
        let length_fits = secret.len() >= TOKEN_CHARS_MIN && secret.len() as u64 <= TOKEN_BYTES_MAX;
        if !length_fits || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(malformed());
        }
        Ok(Self { secret: secret.to_owned(), from_operator: true })
    }

    /// A random token that lives as long as the process.
    ///
    /// # Errors
    /// When the system has no randomness.
    #[expect(clippy::disallowed_methods, reason = "the operators' token is drawn outside of the tick")]
    pub fn generate() -> Result<Self, TokenError> {
        let mut random = [0u8; TOKEN_RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(TokenError::Random)?;
        let secret = random.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { secret, from_operator: false })
    }

    /// The token that the server keeps in a world's folder: the one in the file, or a new one written there with
    /// mode 0600. Good for loopback only.
    ///
    /// # Errors
    /// When the file exists and is no token file, cannot be written, or the system has no randomness.
    pub fn load_or_create(path: &Path) -> Result<Self, TokenError> {
        let made = Self::generate()?;
        match private_file::create(path, format!("{}\n", made.secret).as_bytes()) {
            Ok(()) => Ok(made),
            Err(PrivateFileError::Io { error, .. }) if error.kind() == ErrorKind::AlreadyExists => {
                Ok(Self { from_operator: false, ..Self::from_file(path)? })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Whether `candidate` is the token. The time it takes tells nothing but the length.
    #[must_use]
    pub fn matches(&self, candidate: &str) -> bool {
        self.secret.as_bytes().ct_eq(candidate.as_bytes()).into()
    }

    /// Whether an operator gave it, as opposed to one that the server made.
    #[must_use]
    pub fn is_from_operator(&self) -> bool {
        self.from_operator
    }

    /// The secret, for a client of this process's own.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.secret
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("terrane-token-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        folder.join("admin.token")
    }

    /// H3
    #[test]
    fn a_made_token_is_kept_for_its_owner_alone_and_found_again() {
        use std::os::unix::fs::PermissionsExt;
        let path = scratch("made");
        let made = AdminToken::load_or_create(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = AdminToken::load_or_create(&path).unwrap();
        assert!(again.matches(made.reveal()) && !again.is_from_operator());
        assert!(!format!("{again:?}").contains(made.reveal()), "a token is never printed");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = AdminToken::load_or_create(&path).unwrap_err();
        assert!(
            matches!(refused, TokenError::File(PrivateFileError::Exposed { mode: 0o640, .. })),
            "{refused}"
        );
    }

    #[test]
    fn a_token_matches_itself_and_nothing_else() {
        let (one, other) = (AdminToken::generate().unwrap(), AdminToken::generate().unwrap());
        assert!(one.matches(one.reveal()));
        assert!(!one.matches(other.reveal()) && !one.matches("") && !one.matches(&one.reveal()[1..]));
    }

    #[test]
    fn short_blank_and_long_files_are_refused() {
        use std::os::unix::fs::PermissionsExt;
        let path = scratch("malformed");
        for text in
            ["", "short\n", "two words of a phrase\n", "first-line-is-long\nsecond\n", &"x".repeat(1_025)]
        {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let refused = AdminToken::from_file(&path).unwrap_err();
            assert!(matches!(refused, TokenError::Malformed { .. }), "{text:?}: {refused}");
        }
        std::fs::write(&path, "0123456789abcdef\n").unwrap();
        let token = AdminToken::from_file(&path).unwrap();
        assert!(token.matches("0123456789abcdef") && token.is_from_operator());
    }
}
