//! Keys and connect tokens: how a server knows who a client is before it answers a single byte of game.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use renet_netcode::{ConnectToken, NETCODE_KEY_BYTES, generate_random_bytes};
use xxhash_rust::xxh3::xxh3_64;

use super::identity::Identity;
use crate::limits::TOKEN_ADDRESSES_MAX;
use crate::private_file::{self, PrivateFileError};
use crate::protocol::messages::PROTOCOL_ID;

/// How long a peer may be silent before either end gives the connection up.
pub const SILENCE_SECONDS_MAX: u32 = 10;
/// Most bytes of a key file: 64 digits and room for how they were written.
const KEY_FILE_BYTES_MAX: u64 = 256;
const ARMOUR: &str = "terrane-token:";

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read, or others can read it too.
    #[error("the key file {0}; make a key with `(umask 077 && head -c 32 /dev/urandom > FILE)`")]
    File(#[from] PrivateFileError),
    /// It does not hold a key.
    #[error("the key file {path} holds {bytes} bytes: expected 32 raw bytes or 64 hexadecimal digits", path = path.display())]
    NoKey {
        /// Which file.
        path: PathBuf,
        /// How long it is.
        bytes: usize,
    },
    /// The key is all zeros, which is the key that everybody knows.
    #[error("the key in {path} is all zeros, which protects nothing: make a random one", path = path.display())]
    Zero {
        /// Which file.
        path: PathBuf,
    },
}

/// The secret that a server and whoever issues its connect tokens share.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey([u8; NETCODE_KEY_BYTES]);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl SecretKey {
    /// A key from its bytes.
    #[must_use]
    pub fn new(bytes: [u8; NETCODE_KEY_BYTES]) -> Self {
        Self(bytes)
    }

    pub(super) fn bytes(&self) -> [u8; NETCODE_KEY_BYTES] {
        self.0
    }

    /// Reads a key file: 32 raw bytes or 64 hexadecimal digits, readable by its owner alone.
    ///
    /// # Errors
    /// When it cannot be read, is open to others, or holds no key.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let bytes = private_file::read(path, KEY_FILE_BYTES_MAX)?;
        let key = <[u8; NETCODE_KEY_BYTES]>::try_from(bytes.as_slice()).ok().or_else(|| {
            let text = std::str::from_utf8(&bytes).ok()?.trim();
            from_hex(text)?.try_into().ok()
        });
        match key {
            None => Err(KeyFileError::NoKey { path: path.into(), bytes: bytes.len() }),
            Some(key) if key == [0; NETCODE_KEY_BYTES] => Err(KeyFileError::Zero { path: path.into() }),
            Some(key) => Ok(Self(key)),
        }
    }
}

/// How a server knows its clients.
#[derive(Clone, Debug)]
pub enum Authentication {
    /// By connect tokens sealed with this key. The only way off loopback.
    Secured(SecretKey),
    /// It does not: a client says who it is, and everybody is an ordinary player. Loopback only.
    Open,
}

impl Authentication {
    fn key(&self) -> [u8; NETCODE_KEY_BYTES] {
        match self {
            Self::Secured(key) => key.0,
            Self::Open => [0; NETCODE_KEY_BYTES],
        }
    }
}

/// Why no token can be issued or read.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// There is no address, or more than a token holds.
    #[error("a connect token names 1 to {TOKEN_ADDRESSES_MAX} addresses, not {0}")]
    Addresses(usize),
    /// netcode would not make it.
    #[error("the connect token cannot be made: {0}")]
    Unmade(String),
    /// The text does not begin as a token does.
    #[error("this is no connect token: it should begin with `{ARMOUR}`")]
    NoToken,
    /// The text is damaged.
    #[error("the connect token is damaged (copied incompletely?): get it again")]
    Damaged,
    /// The token is for another protocol.
    #[error("the connect token is for another version of the protocol: get a new one")]
    OtherProtocol,
}

/// A connect token: lets one player in, at one of a few addresses, until it expires. A secret of that player's.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub(super) Box<ConnectToken>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(client {:016x}, expires {})", self.0.client_id, self.0.expire_timestamp)
    }
}

/// Issues connect tokens. `addresses` are what clients connect to: one per shard, exactly as they reach them.
///
/// # Errors
/// When there are no addresses or too many.
pub fn issue_token(
    authentication: &Authentication,
    identity: &Identity,
    addresses: &[SocketAddr],
    unix_time: Duration,
    expires: Duration,
) -> Result<Token, TokenError> {
    if addresses.is_empty() || addresses.len() > TOKEN_ADDRESSES_MAX {
        return Err(TokenError::Addresses(addresses.len()));
    }
    // Clients try the addresses in order, so a random start spreads them over the shards.
    let client_id = u64::from_le_bytes(generate_random_bytes());
    let mut addresses = addresses.to_vec();
    let first = (client_id % addresses.len() as u64) as usize;
    addresses.rotate_left(first);
    ConnectToken::generate(
        unix_time,
        PROTOCOL_ID,
        expires.as_secs().max(1),
        client_id,
        SILENCE_SECONDS_MAX as i32,
        addresses,
        Some(&identity.encode()),
        &authentication.key(),
    )
    .map(|token| Token(Box::new(token)))
    .map_err(|error| TokenError::Unmade(error.to_string()))
}

impl Token {
    /// The token as one line of text, about 2,500 characters.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut bytes = Vec::with_capacity(1_400);
        self.0.write(&mut bytes).expect("writing into memory");
        bytes.extend_from_slice(&xxh3_64(&bytes).to_le_bytes()[..4]);
        let mut text = String::with_capacity(ARMOUR.len() + 2 * bytes.len());
        text.push_str(ARMOUR);
        for byte in bytes {
            for digit in [byte >> 4, byte & 0xF] {
                text.push(char::from_digit(u32::from(digit), 16).expect("a hexadecimal digit"));
            }
        }
        text
    }

    /// Reads a token's text.
    ///
    /// # Errors
    /// When it is no token, damaged or for another protocol.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let digits = text.trim().strip_prefix(ARMOUR).ok_or(TokenError::NoToken)?;
        let bytes = from_hex(digits).ok_or(TokenError::Damaged)?;
        let (body, check) = bytes.split_last_chunk::<4>().ok_or(TokenError::Damaged)?;
        if xxh3_64(body).to_le_bytes()[..4] != *check {
            return Err(TokenError::Damaged);
        }
        let mut rest = body;
        let token = ConnectToken::read(&mut rest).map_err(|_| TokenError::OtherProtocol)?;
        if token.protocol_id != PROTOCOL_ID {
            return Err(TokenError::OtherProtocol);
        }
        // netcode subtracts the one from the other and takes the first address for granted.
        if !rest.is_empty()
            || token.expire_timestamp < token.create_timestamp
            || token.server_addresses[0].is_none()
        {
            return Err(TokenError::Damaged);
        }
        Ok(Self(Box::new(token)))
    }

    /// Where it can be used, in the order in which that is tried.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.0.server_addresses.iter().flatten().copied()
    }

    /// The same token with its `index`-th address first.
    pub(super) fn starting_at(&self, index: usize) -> ConnectToken {
        let mut addresses: Vec<_> = self.addresses().collect();
        let count = addresses.len().max(1);
        addresses.rotate_left(index % count);
        let mut token = (*self.0).clone();
        for (slot, address) in token.server_addresses.iter_mut().zip(addresses) {
            *slot = Some(address);
        }
        token
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) || digits.len() > 8_192 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|value| value as u8);
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PlayerId;

    fn token(addresses: &[SocketAddr]) -> Token {
        issue_token(
            &Authentication::Secured(SecretKey::new([7; 32])),
            &Identity::player(PlayerId::new("alice").unwrap()),
            addresses,
            Duration::from_secs(1_000),
            Duration::from_secs(60),
        )
        .unwrap()
    }

    #[test]
    fn a_token_survives_being_text() {
        let addresses: Vec<SocketAddr> =
            (0..8).map(|shard| format!("192.0.2.1:{}", 5_000 + shard).parse().unwrap()).collect();
        let token = token(&addresses);
        let text = token.to_text();
        assert_eq!(Token::parse(&format!(" {text}\n")).unwrap(), token);
        let mut named: Vec<_> = token.addresses().collect();
        named.sort();
        assert_eq!(named, addresses, "every shard can be reached with it");
    }

    #[test]
    fn a_damaged_token_is_refused_wherever_the_damage_is() {
        let text = token(&["192.0.2.1:5000".parse().unwrap()]).to_text();
        for at in (0..text.len()).step_by(7) {
            let mut damaged = text.clone().into_bytes();
            damaged[at] = if damaged[at] == b'0' { b'1' } else { b'0' };
            assert!(Token::parse(std::str::from_utf8(&damaged).unwrap()).is_err(), "damage at {at}");
            assert!(Token::parse(&text[..at]).is_err(), "cut at {at}");
        }
        assert!(matches!(Token::parse("hello"), Err(TokenError::NoToken)));
    }

    #[test]
    fn every_address_can_be_the_first_to_be_tried() {
        let addresses: Vec<SocketAddr> =
            (0..3).map(|shard| format!("192.0.2.1:{}", 5_000 + shard).parse().unwrap()).collect();
        let token = token(&addresses);
        let firsts: std::collections::BTreeSet<_> =
            (0..3).map(|index| token.starting_at(index).server_addresses[0].unwrap()).collect();
        assert_eq!(firsts.len(), 3);
    }

    /// H3: keys are for their owner's eyes.
    #[test]
    fn a_key_file_is_read_only_when_nobody_else_can() {
        use std::os::unix::fs::PermissionsExt;
        let path = std::env::temp_dir().join(format!("terrane-key-{}", std::process::id()));
        let write = |content: &[u8], mode: u32| {
            std::fs::write(&path, content).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        write(&[9; 32], 0o644);
        let message = SecretKey::load(&path).unwrap_err().to_string();
        assert!(message.contains("0644") && message.contains("chmod 600"), "{message}");
        write(&[9; 32], 0o600);
        assert_eq!(SecretKey::load(&path).unwrap(), SecretKey::new([9; 32]));
        write(format!("{}\n", "0a".repeat(32)).as_bytes(), 0o400);
        assert_eq!(SecretKey::load(&path).unwrap(), SecretKey::new([10; 32]));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        write(&[9; 31], 0o600);
        assert!(matches!(SecretKey::load(&path), Err(KeyFileError::NoKey { bytes: 31, .. })));
        write(&[0; 32], 0o600);
        assert!(matches!(SecretKey::load(&path), Err(KeyFileError::Zero { .. })));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(SecretKey::load(&path), Err(KeyFileError::File(PrivateFileError::Io { .. }))));
    }
}
