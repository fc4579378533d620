//! Coming back by itself: when to try, how often, and when to give up.
//!
//! *Does*: decides by why a connection ended whether another can help, waits longer after every failure, with full
//! jitter so that the clients of a restarted server do not come all at once, and gives up after a while.
//! *Does not*: read clocks, or know sessions: what is resumed the player says, and time is an argument.
//!
//! The waits are drawn from `0..min(10 s, 250 ms · 2ⁿ)`: "full jitter" of
//! <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use crate::ids::{DeviceId, PlayerId};
use crate::net::{Authentication, Conditions, Identity, LinkEnd, Token, UdpClientLink, issue_token};
use crate::protocol::messages::Resume;

use super::connection::{Connection, ConnectionError, Ended, OPEN_TOKEN_EXPIRES, new_device};

/// Who has been in for so long has come back for good: the next failure is waited for as a first one.
const STEADY_AFTER: Duration = Duration::from_secs(5);

/// What a connection that comes back can say of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again<'a> {
    /// The session that the player still holds all of; `None` where the newest token names an older one.
    pub resume: Option<Resume>,
    /// The newest reconnect token of the server's, if it sent one.
    pub token: Option<&'a str>,
    /// How many attempts have failed since the player was in last.
    pub attempt: u32,
}

/// Makes the connections of a player that comes back.
pub trait Dial: Send + Sync {
    /// Begins a connection. A failure counts as a failed attempt.
    ///
    /// # Errors
    /// When there is no socket, or no token.
    fn dial(&mut self, again: &Again<'_>) -> Result<Connection, ConnectionError>;
}

impl<F: FnMut(&Again<'_>) -> Result<Connection, ConnectionError> + Send + Sync> Dial for F {
    fn dial(&mut self, again: &Again<'_>) -> Result<Connection, ConnectionError> {
        self(again)
    }
}

/// How patient a player is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReconnectPolicy {
    /// Most of the first wait; each further one may be twice as long.
    pub first_wait: Duration,
    /// Most of every wait.
    pub longest_wait: Duration,
    /// For how long it is tried.
    pub patience: Duration,
    /// Whether also a player that was never in tries again.
    pub from_the_start: bool,
}

impl Default for ReconnectPolicy {
    fn default() -> Self {
        Self {
            first_wait: Duration::from_millis(250),
            longest_wait: Duration::from_secs(10),
            patience: Duration::from_secs(120),
            from_the_start: false,
        }
    }
}

impl ReconnectPolicy {
    /// How long to wait before the attempt that follows `failed` others; `random` decides within the bound.
    #[must_use]
    pub fn wait(&self, failed: u32, random: u64) -> Duration {
        let bound = self.first_wait.saturating_mul(1u32.checked_shl(failed).unwrap_or(u32::MAX));
        bound.min(self.longest_wait).mul_f64(random as f64 / u64::MAX as f64)
    }
}

/// Whether an end is one of those after which another connection can help: not after the server has decided against
/// this player, device or client.
#[must_use]
pub fn can_pass(ended: &Ended) -> bool {
    match ended {
        Ended::Refused(refusal) => refusal.is_passing(),
        Ended::Link(
            LinkEnd::Lost(_)
            | LinkEnd::NoAnswer(_)
            | LinkEnd::ClosedByServer
            | LinkEnd::Denied(_)
            | LinkEnd::Cut,
        ) => true,
        Ended::Link(LinkEnd::TokenExpired | LinkEnd::ClosedHere | LinkEnd::Broken(_))
        | Ended::Protocol(_) => false,
    }
}

/// Out of the world, on the way back.
#[derive(Debug)]
struct Out {
    why: Ended,
    since: Duration,
    /// When the next attempt begins; `None` while one is under way.
    retry_at: Option<Duration>,
}

/// A reconnect token that the server sent. It names the session in which it was given, and says nothing of another.
#[derive(Debug)]
struct KeptToken {
    text: String,
    /// Whether that session is the one whose state the player holds: it is over once another has begun.
    is_of_session: bool,
}

/// How a player comes back. All times are the player's own.
pub struct Reconnect {
    dial: Box<dyn Dial>,
    policy: ReconnectPolicy,
    random: Xoshiro256PlusPlus,
    /// The newest reconnect token.
    token: Option<KeptToken>,
    failed: u32,
    /// Since when the player has been in; `None` while it is not.
    in_since: Option<Duration>,
    was_in: bool,
    out: Option<Out>,
}

impl std::fmt::Debug for Reconnect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconnect")
            .field("policy", &self.policy)
            .field("failed", &self.failed)
            .field("out", &self.out)
            .finish_non_exhaustive()
    }
}

impl Reconnect {
    /// Over what `dial` makes; `seed` decides the waits and must differ between players.
    #[must_use]
    pub fn new(dial: impl Dial + 'static, policy: ReconnectPolicy, seed: u64) -> Self {
        Self {
            dial: Box::new(dial),
            policy,
            random: Xoshiro256PlusPlus::seed_from_u64(seed),
            token: None,
            failed: 0,
            in_since: None,
            was_in: false,
            out: None,
        }
    }

    /// Keeps the newest reconnect token, which the player's session was given.
    pub(super) fn keep_token(&mut self, text: String) {
        self.token = Some(KeptToken { text, is_of_session: true });
    }

    /// The player is in, in the session that it had (`resumed`) or in another, which has given no token yet.
    pub(super) fn is_in(&mut self, now: Duration, resumed: bool) {
        if let Some(token) = &mut self.token {
            token.is_of_session &= resumed;
        }
        self.out = None;
        self.was_in = true;
        self.in_since = Some(now);
    }

    /// A connection has ended. `Err` when it is over for good, with why.
    pub(super) fn lost(&mut self, ended: Ended, now: Duration) -> Result<(), Ended> {
        // Behind a reconnect token that is too old there is still the first one.
        let token_expired = ended == Ended::Link(LinkEnd::TokenExpired) && self.token.take().is_some();
        let passes = can_pass(&ended) || token_expired;
        let since = self.out.as_ref().map_or(now, |out| out.since);
        let tries = passes && (self.was_in || self.policy.from_the_start);
        if !tries || now.saturating_sub(since) > self.policy.patience {
            self.out = None;
            return Err(ended);
        }
        if self.in_since.take().is_some_and(|since| now.saturating_sub(since) >= STEADY_AFTER) {
            self.failed = 0;
        }
        self.wait_from(now, ended, since);
        Ok(())
    }

    fn wait_from(&mut self, now: Duration, why: Ended, since: Duration) {
        let wait = self.policy.wait(self.failed, self.random.next_u64());
        self.failed = self.failed.saturating_add(1);
        self.out = Some(Out { why, since, retry_at: Some(now + wait) });
    }

    /// The next attempt does not begin before that.
    pub(super) fn stay_away_until(&mut self, at: Duration) {
        if let Some(Out { retry_at: Some(retry_at), since, .. }) = &mut self.out {
            *retry_at = at.max(*retry_at);
            // Staying away on purpose does not wear patience out.
            *since = at.max(*since);
        }
    }

    /// Whether the next attempt is due.
    pub(super) fn is_due(&self, now: Duration) -> bool {
        self.out.as_ref().and_then(|out| out.retry_at).is_some_and(|at| now >= at)
    }

    /// Begins an attempt; `None` when there is no connection to be had now, and the next attempt is set. `Err` when
    /// patience is worn out.
    pub(super) fn dial(
        &mut self,
        resume: Option<Resume>,
        now: Duration,
    ) -> Result<Option<Connection>, Ended> {
        // The server would take the number of messages heard for that of the session which the token names.
        let resume = resume.filter(|_| self.token.as_ref().is_none_or(|token| token.is_of_session));
        let token = self.token.as_ref().map(|token| token.text.as_str());
        let again = Again { resume, token, attempt: self.failed.saturating_sub(1) };
        match self.dial.dial(&again) {
            Ok(connection) => {
                if let Some(out) = &mut self.out {
                    out.retry_at = None;
                }
                Ok(Some(connection))
            }
            Err(error) => {
                tracing::debug!("cannot connect again: {error}");
                let Some(out) = self.out.take() else { return Ok(None) };
                if now.saturating_sub(out.since) > self.policy.patience {
                    return Err(out.why);
                }
                self.wait_from(now, out.why, out.since);
                Ok(None)
            }
        }
    }

    /// Why the player is out, while it is on its way back.
    pub(super) fn why_out(&self) -> Option<&Ended> {
        self.out.as_ref().map(|out| &out.why)
    }
}

/// How a player gets into a world over UDP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UdpWay {
    /// An open server on loopback takes a client's word for who it is.
    Open {
        /// Where it listens.
        server: SocketAddr,
        /// Who.
        player: PlayerId,
    },
    /// By a connect token, until the server sends newer ones.
    Token(Box<Token>),
}

/// Dials over UDP.
#[derive(Debug)]
pub struct UdpDial {
    way: UdpWay,
    schema_hash: u64,
    version: String,
    device: DeviceId,
    conditions: Conditions,
    /// The token that was used last, and from where: the server takes a token from one address only.
    used: Option<(Token, SocketAddr)>,
}

impl UdpDial {
    /// For a client of this schema and version.
    #[must_use]
    pub fn new(way: UdpWay, schema_hash: u64, version: &str, conditions: Conditions) -> Self {
        Self { way, schema_hash, version: version.into(), device: new_device(), conditions, used: None }
    }

    /// The first connection.
    ///
    /// # Errors
    /// When there is no socket, or the token cannot be used.
    pub fn first(&mut self) -> Result<Connection, ConnectionError> {
        self.dial(&Again { resume: None, token: None, attempt: 0 })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "tokens expire by the calendar; clients run outside of the server"
    )]
    fn token(&self, again: &Again<'_>) -> Result<Token, ConnectionError> {
        match &self.way {
            UdpWay::Open { server, player } => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
                let resume = again.resume.map(|resume| resume.epoch);
                let identity = Identity { resume, ..Identity::player(player.clone()) };
                Ok(issue_token(&Authentication::Open, &identity, &[*server], now, OPEN_TOKEN_EXPIRES)?)
            }
            // The newest is tried first and most; one that the server does not take must not lock the player out.
            UdpWay::Token(first) => match again.token {
                Some(newest) if again.attempt % 3 < 2 => Ok(Token::parse(newest)?),
                _ => Ok((**first).clone()),
            },
        }
    }
}

impl Dial for UdpDial {
    fn dial(&mut self, again: &Again<'_>) -> Result<Connection, ConnectionError> {
        let token = self.token(again)?;
        let used = self.used.take().filter(|(used, _)| *used == token).map(|(_, address)| address);
        let link = match used.map(|from| UdpClientLink::connect_from(token.clone(), self.conditions, from)) {
            Some(Ok(link)) => link,
            // The port is somebody else's now.
            Some(Err(_)) | None => UdpClientLink::connect(token.clone(), self.conditions)?,
        };
        self.used = link.local_address().ok().map(|from| (token, from));
        let heard = again.resume.map(|resume| resume.heard);
        Ok(Connection::resuming(Box::new(link), self.schema_hash, &self.version, self.device, heard))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::messages::Refusal;

    fn lost() -> Ended {
        Ended::Link(LinkEnd::ClosedByServer)
    }

    fn nobody_answers(_: &Again<'_>) -> Result<Connection, ConnectionError> {
        Err(ConnectionError::Over)
    }

    proptest! {
        /// Whatever is drawn: within the bound, which doubles up to its end.
        #[test]
        fn every_wait_lies_within_its_bound(failed in 0..200u32, random: u64) {
            let policy = ReconnectPolicy::default();
            let wait = policy.wait(failed, random);
            let bound_ms = 250u64.checked_shl(failed.min(20)).unwrap_or(u64::MAX).min(10_000);
            prop_assert!(wait <= Duration::from_millis(bound_ms), "{wait:?} after {failed} failures");
        }
    }

    #[test]
    fn waits_take_all_of_their_range() {
        let policy = ReconnectPolicy::default();
        assert_eq!(policy.wait(0, 0), Duration::ZERO, "full jitter begins at nothing");
        assert_eq!(policy.wait(0, u64::MAX), Duration::from_millis(250));
        assert_eq!(policy.wait(3, u64::MAX), Duration::from_secs(2));
        assert_eq!(policy.wait(6, u64::MAX), Duration::from_secs(10));
        assert_eq!(policy.wait(u32::MAX, u64::MAX), Duration::from_secs(10));
        let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
        let waits: Vec<f64> = (0..10_000).map(|_| policy.wait(2, random.next_u64()).as_secs_f64()).collect();
        let mean = waits.iter().sum::<f64>() / waits.len() as f64;
        assert!((0.48..0.52).contains(&mean), "half of a second, on average {mean}");
    }

    /// D2, H3: who was taken over, sent away or does not fit stays out; what can pass is tried again.
    #[test]
    fn only_ends_that_can_pass_are_tried_again() {
        let address: SocketAddr = "192.0.2.1:5000".parse().unwrap();
        let refused = |refusal| Ended::Refused(refusal);
        let passing = [
            lost(),
            Ended::Link(LinkEnd::Lost(address)),
            Ended::Link(LinkEnd::NoAnswer(address)),
            Ended::Link(LinkEnd::Denied(address)),
            Ended::Link(LinkEnd::Cut),
            refused(Refusal::Full { players: 3 }),
            refused(Refusal::Draining),
            refused(Refusal::Profile("slow".into())),
            refused(Refusal::AddressLimit { most: 3 }),
            refused(Refusal::TimedOut { seconds: 5 }),
            refused(Refusal::TooSlow { waiting: 9 }),
        ];
        let schema =
            Refusal::Schema { client: 1, client_version: "1".into(), server: 2, server_version: "2".into() };
        let last = [
            refused(Refusal::TakenOver),
            refused(Refusal::Kicked("spam".into())),
            refused(Refusal::Banned { why: "spam".into(), until_ms: None }),
            refused(schema),
            refused(Refusal::Protocol("flood".into())),
            Ended::Protocol("nonsense".into()),
            Ended::Link(LinkEnd::ClosedHere),
            Ended::Link(LinkEnd::TokenExpired),
            Ended::Link(LinkEnd::Broken("nonsense".into())),
        ];
        for (ended, expected) in
            passing.iter().map(|end| (end, true)).chain(last.iter().map(|end| (end, false)))
        {
            let mut reconnect = Reconnect::new(nobody_answers, ReconnectPolicy::default(), 1);
            reconnect.is_in(Duration::ZERO, false);
            let tries = reconnect.lost(ended.clone(), Duration::from_secs(9));
            assert_eq!(tries.is_ok(), expected, "{ended}");
            assert_eq!(reconnect.is_due(Duration::from_secs(99)), expected, "{ended}");
        }
    }

    #[test]
    fn a_reconnect_token_that_is_too_old_leaves_the_first_one_to_try() {
        let mut reconnect = Reconnect::new(nobody_answers, ReconnectPolicy::default(), 1);
        reconnect.is_in(Duration::ZERO, false);
        reconnect.keep_token("newest".into());
        let expired = Ended::Link(LinkEnd::TokenExpired);
        assert_eq!(reconnect.lost(expired.clone(), Duration::from_secs(1)), Ok(()));
        assert_eq!(reconnect.lost(expired.clone(), Duration::from_secs(2)), Err(expired));
    }

    #[test]
    fn who_was_never_in_tries_again_only_if_that_is_wanted() {
        let mut reconnect = Reconnect::new(nobody_answers, ReconnectPolicy::default(), 1);
        assert!(reconnect.lost(lost(), Duration::ZERO).is_err());
        let policy = ReconnectPolicy { from_the_start: true, ..ReconnectPolicy::default() };
        let mut reconnect = Reconnect::new(nobody_answers, policy, 1);
        assert!(reconnect.lost(lost(), Duration::ZERO).is_ok());
    }

    /// A server that never comes back: attempts become rarer, and after a while it is over.
    #[test]
    fn patience_has_an_end_and_attempts_become_rare() {
        let policy = ReconnectPolicy { patience: Duration::from_secs(60), ..ReconnectPolicy::default() };
        for seed in 0..20 {
            let mut reconnect = Reconnect::new(nobody_answers, policy, seed);
            reconnect.is_in(Duration::ZERO, false);
            reconnect.lost(lost(), Duration::from_secs(100)).unwrap();
            let (mut attempts, mut gave_up_ms) = (0, None);
            for now_ms in 100_000..200_000 {
                let now = Duration::from_millis(now_ms);
                if reconnect.is_due(now) {
                    attempts += 1;
                    if reconnect.dial(None, now).is_err() {
                        gave_up_ms = Some(now_ms);
                        break;
                    }
                }
            }
            assert!((160_000..=170_000).contains(&gave_up_ms.expect("it gives up")), "{gave_up_ms:?}");
            assert!((8..80).contains(&attempts), "{attempts} attempts in a minute");
        }
    }

    /// Who is thrown out as soon as it is in waits longer each time; who was in for a while begins anew.
    #[test]
    fn being_in_for_a_moment_does_not_shorten_the_waits() {
        let policy = ReconnectPolicy::default();
        let mut reconnect = Reconnect::new(nobody_answers, policy, 1);
        let mut now = Duration::ZERO;
        for round in 0..5 {
            reconnect.is_in(now, false);
            now += Duration::from_secs(1);
            reconnect.lost(lost(), now).unwrap();
            assert_eq!(reconnect.failed, round + 1);
        }
        reconnect.is_in(now, false);
        now += STEADY_AFTER;
        reconnect.lost(lost(), now).unwrap();
        assert_eq!(reconnect.failed, 1);
    }

    #[test]
    fn who_stays_away_comes_back_after_that() {
        let mut reconnect = Reconnect::new(nobody_answers, ReconnectPolicy::default(), 1);
        reconnect.is_in(Duration::ZERO, false);
        reconnect.lost(Ended::Link(LinkEnd::Cut), Duration::from_secs(10)).unwrap();
        reconnect.stay_away_until(Duration::from_secs(500));
        assert!(!reconnect.is_due(Duration::from_secs(499)));
        assert!(reconnect.is_due(Duration::from_secs(500)));
        assert_eq!(
            reconnect.dial(None, Duration::from_secs(501)).map(|_| ()),
            Ok(()),
            "patience begins then"
        );
    }
}
