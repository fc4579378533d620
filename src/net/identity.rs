//! Who a connection is: what a connect token's 256 bytes of user data say.
//!
//! Layout: magic `TRNI`, version, role, epoch to resume (little end first, 0: none), length of the name,
//! the name, zeros, and in the last 8 bytes when its player came in (little end first, 0: it has not yet). On an open (unsecured, loopback only) server a client writes these bytes itself, so there
//! everybody is an ordinary player whatever they say.

use crate::ids::{PlayerId, Role};

/// Bytes of user data in a connect token.
pub const USER_DATA_BYTES: usize = 256;
const MAGIC: &[u8; 4] = b"TRNI";
const VERSION: u8 = 1;
/// Where it stands when the player came in.
const SINCE_AT: usize = USER_DATA_BYTES - 8;

/// Who a connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account.
    pub player: PlayerId,
    /// What it may do.
    pub role: Role,
    /// The epoch of the session that this token resumes, if it is a reconnect token.
    pub resume: Option<u32>,
    /// When its player came in with a connect token from outside, s since 1970: reconnect tokens pass it on, and lead back for
    /// a bounded time from then. 0: this is such a token.
    pub since_s: u64,
}

impl Identity {
    /// An ordinary player who comes anew.
    #[must_use]
    pub fn player(player: PlayerId) -> Self {
        Self { player, role: Role::Player, resume: None, since_s: 0 }
    }

    /// As user data.
    #[must_use]
    pub fn encode(&self) -> [u8; USER_DATA_BYTES] {
        let mut data = [0; USER_DATA_BYTES];
        data[..4].copy_from_slice(MAGIC);
        data[4] = VERSION;
        data[5] = match self.role {
            Role::Player => 0,
            Role::Gm => 1,
            Role::Admin => 2,
        };
        data[6..10].copy_from_slice(&self.resume.unwrap_or(0).to_le_bytes());
        let name = self.player.as_str().as_bytes();
        data[10] = name.len() as u8;
        data[11..11 + name.len()].copy_from_slice(name);
        data[SINCE_AT..].copy_from_slice(&self.since_s.to_le_bytes());
        data
    }

    /// From user data; `None` when it is not ours.
    #[must_use]
    pub fn decode(data: &[u8; USER_DATA_BYTES]) -> Option<Self> {
        if &data[..4] != MAGIC || data[4] != VERSION {
            return None;
        }
        let role = match data[5] {
            0 => Role::Player,
            1 => Role::Gm,
            2 => Role::Admin,
            _ => return None,
        };
        let resume = u32::from_le_bytes([data[6], data[7], data[8], data[9]]);
        let end = 11 + usize::from(data[10]);
        let name = std::str::from_utf8(data.get(11..end)?).ok()?;
        if data.get(end..SINCE_AT)?.iter().any(|&byte| byte != 0) {
            return None;
        }
        let since_s = u64::from_le_bytes(*data.last_chunk()?);
        let player = PlayerId::new(name).ok()?;
        Some(Self { player, role, resume: (resume != 0).then_some(resume), since_s })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_identity_survives_its_user_data(
            name in "[a-zA-Zäöü0-9]{1,16}", role in 0..3u8, epoch: u32, since_s: u64,
        ) {
            let role = [Role::Player, Role::Gm, Role::Admin][usize::from(role)];
            let identity = Identity {
                player: PlayerId::new(&name).unwrap(), role, resume: (epoch != 0).then_some(epoch), since_s,
            };
            prop_assert_eq!(Identity::decode(&identity.encode()), Some(identity));
        }

        #[test]
        fn damaged_user_data_never_panics(at in 0..USER_DATA_BYTES, byte: u8) {
            let mut data = Identity::player(PlayerId::new("alice").unwrap()).encode();
            data[at] = byte;
            let _ = Identity::decode(&data);
        }
    }

    #[test]
    fn random_user_data_names_nobody() {
        assert_eq!(Identity::decode(&[0x5A; USER_DATA_BYTES]), None);
        assert_eq!(Identity::decode(&[0; USER_DATA_BYTES]), None);
    }
}
