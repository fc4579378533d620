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
    /// For how long after a player came in they lead back.
    pub(super) login: Duration,
    /// When the shard's own time began, since 1970.
    pub(super) unix_time: Duration,
}

/// A reconnect token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Issued {
    /// Its text.
    pub(super) token: String,
    /// When, in the shard's time, another one is to be issued; `None`: it is the last.
    pub(super) renew_at: Option<Duration>,
}

impl TokenOffice {
    /// Who somebody is who connects at `now`, the shard's time: who has a connect token from outside comes in by it.
    pub(super) fn receive(&self, identity: Identity, now: Duration) -> Identity {
        match identity.since_s {
            0 => Identity { since_s: (self.unix_time + now).as_secs(), ..identity },
            _ => identity,
        }
    }

    /// A token for this player and session; `now` is the shard's time. It is never good for longer than the login is from
    /// which it comes: whoever issues connect tokens decides again, at least so often, who plays and with which role. `None`
    /// when that time is over. About 20 us.
    ///
    /// # Errors
    /// As [`issue_token`].
    pub(super) fn issue(&self, identity: &Identity, now: Duration) -> Result<Option<Issued>, TokenError> {
        let unix_time = self.unix_time + now;
        let login_ends = Duration::from_secs(identity.since_s).saturating_add(self.login);
        let left = Duration::from_secs(login_ends.as_secs().saturating_sub(unix_time.as_secs()));
        if left.is_zero() {
            return Ok(None);
        }
        let expires = self.expires.min(left);
        let token = issue_token(&self.authentication, identity, &self.addresses, unix_time, expires)?;
        // Long before it expires, so that one that is lost with its connection is still good for a while.
        let renew_at = (expires < left).then(|| now + expires / 2);
        Ok(Some(Issued { token: token.to_text(), renew_at }))
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
            login: Duration::from_secs(86_400),
            unix_time: Duration::from_secs(1_900_000_000),
        };
        let player = PlayerId::new(&"x".repeat(32)).unwrap();
        let identity = Identity { player, role: Role::Admin, resume: Some(u32::MAX), since_s: 0 };
        let now = Duration::from_secs(1 << 30);
        let token =
            office.issue(&office.receive(identity, now), now).unwrap().expect("it just came in").token;
        assert_eq!(Token::parse(&token).unwrap().addresses().count(), TOKEN_ADDRESSES_MAX);
        let mut writer = EnvelopeWriter::default();
        writer.set_epoch(u32::MAX);
        let bytes = writer.seal(&ServerControl::Reconnect { token });
        assert!(bytes.len() < SERVER_CONTROL_BYTES_MAX, "{} bytes", bytes.len());
    }

    /// D1, H3: however often a player comes back, its tokens lead back until the time of its login is over and no longer, with
    /// the role it came in with.
    #[test]
    fn reconnect_tokens_do_not_outlive_the_login_that_they_come_from() {
        let began = 1_900_000_000;
        let office = TokenOffice {
            authentication: Authentication::Secured(SecretKey::new([7; 32])),
            addresses: vec!["192.0.2.1:5000".parse().unwrap()],
            expires: Duration::from_secs(600),
            login: Duration::from_secs(2_000),
            unix_time: Duration::from_secs(began),
        };
        let identity =
            Identity { role: Role::Gm, resume: Some(1), ..Identity::player(PlayerId::new("gm").unwrap()) };
        let came_in = Duration::from_secs(100);
        let mut identity = office.receive(identity, came_in);
        let mut now = came_in;
        let mut expiries = Vec::new();
        loop {
            let Issued { token, renew_at } = office.issue(&identity, now).unwrap().expect("in time");
            let token = Token::parse(&token).unwrap();
            expiries.push(token.0.expire_timestamp - began);
            // It comes back with it: what it is given then goes on where that one ended.
            identity = office.receive(Identity::decode(&identity.encode()).unwrap(), now);
            assert_eq!((identity.role, identity.since_s), (Role::Gm, began + 100));
            let Some(next) = renew_at else { break };
            assert_eq!(next, now + Duration::from_secs(300));
            now = next;
        }
        assert_eq!(expiries, [700, 1_000, 1_300, 1_600, 1_900, 2_100]);
        assert_eq!(office.issue(&identity, Duration::from_secs(2_100)).unwrap(), None);
    }
}
