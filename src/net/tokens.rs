//! Reconnect tokens: what lets a player back into a session when its connection is lost.

use std::net::SocketAddr;
use std::time::Duration;

use super::auth::{Authentication, TokenError, issue_token};
use super::identity::Identity;

/// Issues the reconnect tokens of one shard. Only a secured server does: on an open one clients make their own.
#[derive(Clone, Debug)]
pub(super) struct TokenOffice {
    pub(super) authentication: Authentication,
    /// Where clients reach all shards.
    pub(super) addresses: Vec<SocketAddr>,
    /// For how long each is good.
    pub(super) expires: Duration,
    /// When the shard's own time began, since 1970.
    pub(super) unix_time: Duration,
}

impl TokenOffice {
    /// The text of a token for this player and session; `now` is the shard's time. About 20 us.
    ///
    /// # Errors
    /// As [`issue_token`].
    pub(super) fn issue(&self, identity: &Identity, now: Duration) -> Result<String, TokenError> {
        let unix_time = self.unix_time + now;
        let token = issue_token(&self.authentication, identity, &self.addresses, unix_time, self.expires)?;
        Ok(token.to_text())
    }

    /// When a token that is issued now is to be renewed: long before it expires, so that one that is lost with its
    /// connection is still good for a while.
    pub(super) fn renew_at(&self, now: Duration) -> Duration {
        now + self.expires / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{PlayerId, Role};
    use crate::limits::TOKEN_ADDRESSES_MAX;
    use crate::net::auth::SecretKey;
    use crate::net::envelope::EnvelopeWriter;
    use crate::net::{SERVER_CONTROL_BYTES_MAX, Token};
    use crate::protocol::messages::ServerControl;

    #[test]
    fn the_longest_token_fits_a_message() {
        let office = TokenOffice {
            authentication: Authentication::Secured(SecretKey::new([7; 32])),
            addresses: (0..TOKEN_ADDRESSES_MAX)
                .map(|shard| format!("[2001:db8:1:2:3:4:5:6]:{}", 60_000 + shard).parse().unwrap())
                .collect(),
            expires: Duration::from_secs(600),
            unix_time: Duration::from_secs(1_900_000_000),
        };
        let player = PlayerId::new(&"x".repeat(32)).unwrap();
        let identity = Identity { player, role: Role::Admin, resume: Some(u32::MAX) };
        let token = office.issue(&identity, Duration::from_secs(1 << 30)).unwrap();
        assert_eq!(Token::parse(&token).unwrap().addresses().count(), TOKEN_ADDRESSES_MAX);
        let mut writer = EnvelopeWriter::default();
        writer.set_epoch(u32::MAX);
        let bytes = writer.seal(&ServerControl::Reconnect { token });
        assert!(bytes.len() < SERVER_CONTROL_BYTES_MAX, "{} bytes", bytes.len());
    }
}
