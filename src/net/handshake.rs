//! The first message of a connection: who is let through to the tick.
//!
//! Pure but for the count of connections that the shards share. Time is an argument.
//!
//! *Does not*: refuse players of a full world. Only the tick knows whose session waits or is taken over; here the number
//! of connections is bounded, with a spare for those who come back and those who are to be told that there is no place.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::counters::NetCounters;
use crate::ids::DeviceId;
use crate::protocol::messages::{ClientControl, Refusal};

/// How long a connection may take to say hello.
pub const HELLO_SECONDS_MAX: u32 = 5;
/// Longest version text that is taken from a client.
const VERSION_BYTES_MAX: usize = 64;
/// Least number of connections beyond those of as many players as there may be.
const SPARE_CONNECTIONS_MIN: u32 = 16;

/// Connections for so many players: an eighth more, and 16 at least.
pub(super) fn with_spare(players: u32) -> u32 {
    players.saturating_add((players / 8).max(SPARE_CONNECTIONS_MIN))
}

/// What all shards know about letting players in.
#[derive(Debug)]
pub struct Gate {
    schema_hash: u64,
    version: String,
    players_max: u32,
    connections: AtomicU32,
    hellos: AtomicU64,
    draining: AtomicBool,
}

impl Gate {
    /// A gate of a server with this schema and version, for so many players and a spare.
    #[must_use]
    pub fn new(schema_hash: u64, version: impl Into<String>, players_max: u32) -> Self {
        Self {
            schema_hash,
            version: version.into(),
            players_max,
            connections: AtomicU32::new(0),
            hellos: AtomicU64::new(0),
            draining: AtomicBool::new(false),
        }
    }

    /// From now on nobody is let in.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// How many connections said a valid hello and are not over.
    #[must_use]
    pub fn connections(&self) -> u32 {
        self.connections.load(Ordering::Relaxed)
    }

    fn enter(&self) -> bool {
        let most = with_spare(self.players_max);
        let more = |connections: u32| (connections < most).then_some(connections + 1);
        self.connections.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// The number of a hello that was just heard: grows over all shards.
    fn number_hello(&self) -> u64 {
        self.hellos.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn leave(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It owes its hello.
    Silent { since: Duration },
    /// It said a valid one and holds a place.
    Passed,
    /// It is over, or never passed.
    Over,
}

/// The handshake of one connection.
#[derive(Debug)]
pub struct Handshake {
    stage: Stage,
}

/// What came of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Heard {
    /// It was the hello: the player waits to be admitted.
    Hello {
        /// Which client of its player's it is.
        device: DeviceId,
        /// How many lasting messages of the session to be resumed the client holds.
        heard: Option<u64>,
        /// Its number among all hellos that let somebody through, from 1.
        number: u64,
    },
    /// It is for the tick.
    Message(ClientControl),
}

impl Handshake {
    /// A connection accepted at `now`.
    #[must_use]
    pub fn new(now: Duration) -> Self {
        Self { stage: Stage::Silent { since: now } }
    }

    /// Whether the hello was said.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.stage == Stage::Passed
    }

    /// Takes the next reliable message.
    ///
    /// # Errors
    /// The refusal that ends the connection: the first message is no hello or a later one is, the schemas
    /// differ, the server drains, or the spare is used up too.
    pub fn hear(
        &mut self,
        message: ClientControl,
        gate: &Gate,
        counters: &NetCounters,
    ) -> Result<Heard, Refusal> {
        match (self.stage, message) {
            (Stage::Silent { .. }, ClientControl::Hello { schema_hash, version, device, heard }) => {
                judge(schema_hash, version, gate, counters)?;
                if !gate.enter() {
                    return Err(Refusal::Full { players: gate.players_max });
                }
                self.stage = Stage::Passed;
                counters.hellos.bump();
                Ok(Heard::Hello { device, heard, number: gate.number_hello() })
            }
            (Stage::Silent { .. }, _) => {
                counters.out_of_order.bump();
                Err(Refusal::Protocol("its first message was no hello".into()))
            }
            (_, ClientControl::Hello { .. }) => {
                counters.out_of_order.bump();
                Err(Refusal::Protocol("it said hello twice".into()))
            }
            (_, message) => Ok(Heard::Message(message)),
        }
    }

    /// The refusal for a connection that still owes its hello after too long.
    #[must_use]
    pub fn overdue(&self, now: Duration) -> Option<Refusal> {
        match self.stage {
            Stage::Silent { since }
                if now.saturating_sub(since) > Duration::from_secs(u64::from(HELLO_SECONDS_MAX)) =>
            {
                Some(Refusal::TimedOut { seconds: HELLO_SECONDS_MAX })
            }
            _ => None,
        }
    }

    /// The connection is over: gives its place back, once. Returns whether the tick knew of it.
    pub fn end(&mut self, gate: &Gate) -> bool {
        let passed = self.passed();
        if passed {
            gate.leave();
        }
        self.stage = Stage::Over;
        passed
    }
}

fn judge(schema_hash: u64, version: String, gate: &Gate, counters: &NetCounters) -> Result<(), Refusal> {
    let printable = version.len() <= VERSION_BYTES_MAX && !version.chars().any(char::is_control);
    if !printable {
        counters.malformed.bump();
        return Err(Refusal::Protocol("its version is no short printable text".into()));
    }
    if schema_hash != gate.schema_hash {
        counters.wrong_schema.bump();
        return Err(Refusal::Schema {
            client: schema_hash,
            client_version: version,
            server: gate.schema_hash,
            server_version: gate.version.clone(),
        });
    }
    if gate.draining.load(Ordering::Relaxed) {
        counters.refused_draining.bump();
        return Err(Refusal::Draining);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(schema_hash: u64) -> ClientControl {
        ClientControl::Hello { schema_hash, version: "1.2.3".into(), device: DeviceId(1), heard: None }
    }

    fn hear(handshake: &mut Handshake, message: ClientControl, gate: &Gate) -> Result<Heard, Refusal> {
        handshake.hear(message, gate, &NetCounters::default())
    }

    #[test]
    fn a_valid_hello_passes_and_what_follows_is_for_the_tick() {
        let gate = Gate::new(7, "9", 1);
        let mut handshake = Handshake::new(Duration::ZERO);
        assert_eq!(
            hear(&mut handshake, hello(7), &gate),
            Ok(Heard::Hello { device: DeviceId(1), heard: None, number: 1 })
        );
        assert_eq!(hear(&mut handshake, ClientControl::Bye, &gate), Ok(Heard::Message(ClientControl::Bye)));
        assert_eq!(gate.connections(), 1);
        assert!(matches!(hear(&mut handshake, hello(7), &gate), Err(Refusal::Protocol(_))));
        assert!(handshake.end(&gate));
        assert!(!handshake.end(&gate), "a place is given back once");
        assert_eq!(gate.connections(), 0);
    }

    /// D6: the refusal names both sides.
    #[test]
    fn another_schema_is_refused_with_both_versions_named() {
        let gate = Gate::new(7, "server-2.0", 1);
        let refusal = hear(&mut Handshake::new(Duration::ZERO), hello(8), &gate).unwrap_err();
        let text = refusal.to_string();
        assert!(text.contains("1.2.3") && text.contains("server-2.0"), "{text}");
        assert_eq!(gate.connections(), 0);
    }

    #[test]
    fn anything_before_hello_is_refused() {
        let gate = Gate::new(7, "9", 1);
        let mut handshake = Handshake::new(Duration::ZERO);
        assert!(matches!(hear(&mut handshake, ClientControl::Bye, &gate), Err(Refusal::Protocol(_))));
    }

    /// A10: the tick is not asked about any number of connections.
    #[test]
    fn a_world_whose_spare_is_used_up_too_says_that_it_is_full_and_a_draining_one_that_it_ends() {
        let gate = Gate::new(7, "9", 1);
        let mut first = Handshake::new(Duration::ZERO);
        hear(&mut first, hello(7), &gate).unwrap();
        for number in (2..).take(SPARE_CONNECTIONS_MIN as usize) {
            let heard = hear(&mut Handshake::new(Duration::ZERO), hello(7), &gate);
            assert_eq!(
                heard,
                Ok(Heard::Hello { device: DeviceId(1), heard: None, number }),
                "who that is the tick must judge"
            );
        }
        let mut second = Handshake::new(Duration::ZERO);
        assert_eq!(hear(&mut second, hello(7), &gate), Err(Refusal::Full { players: 1 }));
        assert!(!second.end(&gate), "who never passed holds no place");
        assert!(first.end(&gate));
        assert!(hear(&mut Handshake::new(Duration::ZERO), hello(7), &gate).is_ok(), "its place is free");
        gate.drain();
        assert_eq!(hear(&mut Handshake::new(Duration::ZERO), hello(7), &gate), Err(Refusal::Draining));
    }

    #[test]
    fn a_hello_is_owed_only_for_so_long() {
        let gate = Gate::new(7, "9", 1);
        let mut handshake = Handshake::new(Duration::from_secs(100));
        assert_eq!(handshake.overdue(Duration::from_secs(105)), None);
        assert!(handshake.overdue(Duration::from_secs(106)).is_some());
        hear(&mut handshake, hello(7), &gate).unwrap();
        assert_eq!(handshake.overdue(Duration::from_secs(1_000)), None);
    }
}
