//! How much of a shard one client, and one address, may take. Pure: time is an argument.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustc_hash::FxHashMap;

/// Connections that one address may hold, unless told otherwise: a household behind one router, each of whose members
/// comes back once.
pub const CONNECTIONS_PER_ADDRESS_DEFAULT: u32 = 16;
/// Refused connections of one address that are told why at a time; further ones are ended without a word.
const TOLD_PER_ADDRESS_MAX: u32 = 4;
/// What was not used is kept for so long.
const BURST_S: f64 = 2.0;
/// New connections of one address in a minute, per connection that it may hold: who is cut off does not come back with
/// fresh supplies as often as it likes.
const ARRIVALS_PER_MINUTE: u32 = 4;
/// Addresses whose arrivals are remembered at a time.
const ARRIVALS_KEPT_MAX: usize = 65_536;
/// How often, at most, all of them are looked through for some to forget.
const FORGET_EVERY: Duration = Duration::from_secs(1);

/// What clients may take of a server's network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NetLimits {
    /// Most connections of one address, those included that have not said hello. `None`: 16, and any number from this
    /// machine itself. A `/64` of IPv6 is one address. Of new connections an address may make four times as many a minute.
    pub connections_per_address: Option<u32>,
    /// Bytes of packets that a client may send per second; twice as many at once.
    pub client_bytes_per_s: u32,
    /// Messages that a client may send per second; twice as many at once.
    pub client_messages_per_s: u32,
    /// For how long a reconnect token is good.
    pub reconnect_token: Duration,
    /// For how long after a player came in with a connect token from outside it is given reconnect tokens, and the last of them
    /// is good: then it needs a new one of the former kind.
    pub login: Duration,
}

impl Default for NetLimits {
    /// An honest client at 60 Hz sends 60 states, a handful of actions and, after it came back, 100 repeats a second.
    fn default() -> Self {
        Self {
            connections_per_address: None,
            client_bytes_per_s: 131_072,
            client_messages_per_s: 300,
            reconnect_token: Duration::from_secs(600),
            login: Duration::from_secs(86_400),
        }
    }
}

/// A supply that fills up at a steady rate, up to some bound.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenBucket {
    per_s: f64,
    most: f64,
    level: f64,
    at: Duration,
}

impl TokenBucket {
    /// A full one of two seconds' worth.
    pub(super) fn new(per_s: u32, now: Duration) -> Self {
        let per_s = f64::from(per_s);
        let most = per_s * BURST_S;
        Self { per_s, most, level: most, at: now }
    }

    /// A full one of a minute's worth.
    fn of_a_minute(per_minute: f64, now: Duration) -> Self {
        Self { per_s: per_minute / 60.0, most: per_minute, level: per_minute, at: now }
    }

    fn fill(&mut self, now: Duration) {
        let elapsed_s = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.level = (self.level + elapsed_s * self.per_s).min(self.most);
    }

    /// Takes so much out; `false` when there is not as much, which makes for a debt.
    pub(super) fn take(&mut self, amount: usize, now: Duration) -> bool {
        self.fill(now);
        self.level -= amount as f64;
        self.level >= 0.0
    }

    /// Takes one out if there is one.
    fn take_one(&mut self, now: Duration) -> bool {
        self.fill(now);
        let is_there = self.level >= 1.0;
        if is_there {
            self.level -= 1.0;
        }
        is_there
    }

    fn is_full(&mut self, now: Duration) -> bool {
        self.fill(now);
        self.level >= self.most
    }
}

/// Whether a client takes what it is told: a watch over the reliable messages that it has not confirmed.
#[derive(Debug)]
pub(super) struct Attention {
    /// Bytes that were said since it came, and those of them that it had confirmed when last looked at.
    said: u64,
    confirmed: u64,
    /// When it last confirmed something, or nothing waited.
    heard_at: Duration,
}

impl Attention {
    /// Of a client that comes now.
    pub(super) fn new(now: Duration) -> Self {
        Self { said: 0, confirmed: 0, heard_at: now }
    }

    /// It is told so much more.
    pub(super) fn note_said(&mut self, bytes: usize) {
        self.said += bytes as u64;
    }

    /// For how long something has waited for it without its confirming anything; `waiting` bytes are unconfirmed. Call it often:
    /// what happens between two calls is taken to have happened at the later one.
    pub(super) fn deaf_for(&mut self, waiting: usize, now: Duration) -> Duration {
        let confirmed = self.said.saturating_sub(waiting as u64);
        if waiting == 0 || confirmed != self.confirmed {
            (self.confirmed, self.heard_at) = (confirmed, now);
        }
        now.saturating_sub(self.heard_at)
    }
}

/// What becomes of a new connection of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It may stay.
    Held,
    /// It is one too many, and is told so.
    Told,
    /// It is one too many, and so are others that are being told.
    None,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    held: u32,
    told: u32,
}

/// How often each address has come lately. It outlives the connections.
#[derive(Debug, Default)]
struct Arrivals {
    buckets: FxHashMap<IpAddr, TokenBucket>,
    forgot_at: Duration,
}

impl Arrivals {
    /// Whether another connection of an address may be had, of which it may hold `most`. While too many addresses have come
    /// for all to be remembered, those that are not are not limited in this.
    fn take(&mut self, key: IpAddr, most: u32, now: Duration) -> bool {
        if self.buckets.len() >= ARRIVALS_KEPT_MAX
            && !self.buckets.contains_key(&key)
            && !self.forget_some(now)
        {
            return true;
        }
        let per_minute = f64::from(most) * f64::from(ARRIVALS_PER_MINUTE);
        let bucket = self.buckets.entry(key).or_insert_with(|| TokenBucket::of_a_minute(per_minute, now));
        bucket.take_one(now)
    }

    /// Forgets those that have not come for so long that it makes no difference. Says whether there is room.
    fn forget_some(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.forgot_at) >= FORGET_EVERY {
            self.forgot_at = now;
            self.buckets.retain(|_, bucket| !bucket.is_full(now));
        }
        self.buckets.len() < ARRIVALS_KEPT_MAX
    }
}

/// What is known of addresses. As many counts as there are connections, at most, and so many arrivals.
#[derive(Debug, Default)]
struct Known {
    counts: FxHashMap<IpAddr, Count>,
    arrivals: Arrivals,
}

/// How many connections each address has, over all shards, and how often it makes new ones.
#[derive(Debug)]
pub(super) struct Addresses {
    most: Option<u32>,
    known: Mutex<Known>,
}

impl Addresses {
    pub(super) fn new(most: Option<u32>) -> Self {
        Self { most, known: Mutex::default() }
    }

    /// Most connections of that address; `None` for any number.
    pub(super) fn most(&self, ip: IpAddr) -> Option<u32> {
        let default = (!ip.to_canonical().is_loopback()).then_some(CONNECTIONS_PER_ADDRESS_DEFAULT);
        self.most.or(default)
    }

    /// A connection begins. The shards' clocks may differ by a little.
    pub(super) fn enter(&self, ip: IpAddr, now: Duration) -> Place {
        let key = neighbourhood(ip);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { counts, arrivals } = &mut *known;
        let count = counts.entry(key).or_default();
        let may_stay = self.most(ip).is_none_or(|most| arrivals.take(key, most, now) && count.held < most);
        if may_stay {
            count.held += 1;
            Place::Held
        } else if count.told < TOLD_PER_ADDRESS_MAX {
            count.told += 1;
            Place::Told
        } else {
            Place::None
        }
    }

    /// It is over.
    pub(super) fn leave(&self, ip: IpAddr, place: Place) {
        let counts = &mut self.known.lock().unwrap_or_else(PoisonError::into_inner).counts;
        let key = neighbourhood(ip);
        let Some(count) = counts.get_mut(&key) else { return };
        match place {
            Place::Held => count.held = count.held.saturating_sub(1),
            Place::Told => count.told = count.told.saturating_sub(1),
            Place::None => {}
        }
        if (count.held, count.told) == (0, 0) {
            counts.remove(&key);
        }
    }
}

/// What counts as one address: of IPv6 a whole `/64`, which is what one customer of a provider is given at least.
fn neighbourhood(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => Ipv6Addr::from(u128::from(ip) >> 64 << 64).into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    proptest! {
        /// H3: whoever sends whatever whenever: never more than the rate and one burst get through.
        #[test]
        fn a_bucket_never_gives_more_than_its_rate_and_a_burst(
            per_s in 1..1_000u32, steps in prop::collection::vec((0..3_000u64, 0..500usize), 1..200),
        ) {
            let mut bucket = TokenBucket::new(per_s, Duration::ZERO);
            let (mut now_ms, mut given) = (0, 0);
            for (pause_ms, amount) in steps {
                now_ms += pause_ms;
                if bucket.take(amount, Duration::from_millis(now_ms)) {
                    given += amount;
                }
                let most = f64::from(per_s) * (now_ms as f64 / 1_000.0 + BURST_S);
                prop_assert!(given as f64 <= most + 1e-6);
            }
        }

        /// Against a naive count: whatever comes and goes, an address holds no more than it may.
        #[test]
        fn an_address_holds_as_many_as_it_may(moves in prop::collection::vec((0..3u8, any::<bool>(), 0..9usize), 1..300)) {
            let addresses = Addresses::new(Some(3));
            let mut open: Vec<(u8, Place)> = Vec::new();
            for (minute, (host, comes, which)) in moves.into_iter().enumerate() {
                // Seldom enough to come in as far as that goes.
                let now = Duration::from_secs(60) * minute as u32;
                let ip = IpAddr::from([192, 0, 2, host]);
                if comes {
                    let held = open.iter().filter(|place| **place == (host, Place::Held)).count();
                    let told = open.iter().filter(|place| **place == (host, Place::Told)).count();
                    let place = addresses.enter(ip, now);
                    let expected = match (held, told) {
                        (0..3, _) => Place::Held,
                        (_, 0..4) => Place::Told,
                        _ => Place::None,
                    };
                    prop_assert_eq!(place, expected);
                    if place != Place::None {
                        open.push((host, place));
                    }
                } else if !open.is_empty() {
                    let (host, place) = open.swap_remove(which % open.len());
                    addresses.leave(IpAddr::from([192, 0, 2, host]), place);
                }
            }
            for (host, place) in open {
                addresses.leave(IpAddr::from([192, 0, 2, host]), place);
            }
            prop_assert!(addresses.known.lock().unwrap().counts.is_empty(), "nothing is kept of who is gone");
        }
    }

    proptest! {
        /// H3: however it is talked to: deaf is who confirms nothing while something waits, from when it began to wait, and
        /// nobody is who confirms now and then.
        #[test]
        fn deaf_is_who_confirms_nothing_of_what_waits(
            steps in prop::collection::vec((1..3_000u64, 0..2_000usize, prop::option::of(0..=100usize)), 1..200),
        ) {
            let mut attention = Attention::new(Duration::ZERO);
            let (mut now_ms, mut waiting, mut waits_since_ms) = (0, 0usize, None);
            for (pause_ms, said, confirms_percent) in steps {
                now_ms += pause_ms;
                let confirmed = waiting * confirms_percent.unwrap_or(0) / 100;
                waiting -= confirmed;
                let deaf_for = attention.deaf_for(waiting, Duration::from_millis(now_ms));
                // The oracle remembers when it began, and forgets it with every confirmation.
                if waiting == 0 {
                    waits_since_ms = None;
                } else if confirmed > 0 || waits_since_ms.is_none() {
                    waits_since_ms = Some(now_ms);
                }
                let expected_ms = waits_since_ms.map_or(0, |since| now_ms - since);
                prop_assert_eq!(deaf_for, Duration::from_millis(expected_ms));
                attention.note_said(said);
                waiting += said;
                if said > 0 && waits_since_ms.is_none() {
                    waits_since_ms = Some(now_ms);
                }
            }
        }
    }

    #[test]
    fn an_honest_client_at_60_hz_never_runs_dry() {
        let limits = NetLimits::default();
        let mut bytes = TokenBucket::new(limits.client_bytes_per_s, Duration::ZERO);
        let mut messages = TokenBucket::new(limits.client_messages_per_s, Duration::ZERO);
        for tick in 0..6_000u64 {
            let now = Duration::from_millis(tick * 1_000 / 60);
            // A state with inputs, and an action in every second tick.
            assert!(bytes.take(300 + 200, now) && messages.take(1 + (tick % 2) as usize, now));
        }
    }

    #[test]
    fn this_machine_is_limited_only_where_that_is_asked_for() {
        let (by_default, explicit) = (Addresses::new(None), Addresses::new(Some(2)));
        for here in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(by_default.most(ip(here)), None, "{here}");
            assert_eq!(explicit.most(ip(here)), Some(2));
        }
        assert_eq!(by_default.most(ip("192.0.2.1")), Some(16));
    }

    #[test]
    fn a_customer_s_whole_network_is_one_address() {
        let addresses = Addresses::new(Some(1));
        let enter = |text| addresses.enter(ip(text), Duration::ZERO);
        assert_eq!(enter("2001:db8::1"), Place::Held);
        assert_eq!(enter("2001:db8::ffff:2"), Place::Told, "of the same /64");
        assert_eq!(enter("2001:db8:0:1::1"), Place::Held, "of another");
        assert_eq!(enter("192.0.2.1"), Place::Held);
        assert_eq!(enter("::ffff:192.0.2.1"), Place::Told, "the same, written otherwise");
    }

    /// H3: who is cut off and comes back at once does so only so often, and another address is none the worse.
    #[test]
    fn an_address_comes_back_only_so_often() {
        let addresses = Addresses::new(None);
        let comes = |host: &str, second: u64| {
            let place = addresses.enter(ip(host), Duration::from_secs(second));
            addresses.leave(ip(host), place);
            place == Place::Held
        };
        assert_eq!((0..1_000).filter(|_| comes("192.0.2.1", 0)).count(), 64, "a minute's worth");
        assert_eq!((1..=600).filter(|second| comes("192.0.2.1", *second)).count(), 600);
        let at_once = (601..=660).flat_map(|second| [second; 50]);
        let more = at_once.filter(|second| comes("192.0.2.1", *second)).count();
        assert!(
            (100..=64 + 40).contains(&more),
            "{more}: what was left of ten minutes, and a minute's worth"
        );
        assert!(comes("192.0.2.2", 660));
        assert_eq!((0..1_000).filter(|_| comes("127.0.0.1", 0)).count(), 1_000, "this machine may");
    }

    /// A10: of any number of addresses so many are remembered, and those first forgotten of whom nothing need be known.
    #[test]
    fn arrivals_are_remembered_of_so_many_addresses() {
        let mut arrivals = Arrivals::default();
        let host = |number: u32| IpAddr::from(number.to_be_bytes());
        let kept = ARRIVALS_KEPT_MAX as u32;
        let now = Duration::from_secs(100);
        for number in 0..kept {
            assert!(arrivals.take(host(number), 1, now));
        }
        // The first one has used everything up.
        while arrivals.take(host(0), 1, now) {}
        for number in kept..kept + 10 {
            assert!((0..99).all(|_| arrivals.take(host(number), 1, now)), "not remembered");
        }
        assert_eq!(arrivals.buckets.len(), ARRIVALS_KEPT_MAX);
        assert!(!arrivals.take(host(0), 1, now), "it still is");
        let later = now + Duration::from_secs(30);
        assert!(arrivals.take(host(kept), 1, later));
        assert_eq!(arrivals.buckets.len(), 2, "but for the first, nobody has come lately");
    }
}
