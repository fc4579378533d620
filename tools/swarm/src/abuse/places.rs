//! Those who take up room: they do not listen, or are too many.

use std::time::Duration;

use terrane::action::Action;
use terrane::caravan::{Say, TakeCoach};
use terrane::client::{Connection, ServerEvent};
use terrane::ids::ActionId;
use terrane::protocol::codec;
use terrane::protocol::messages::{ActionCall, ClientControl, ClientState};

use super::{AGAIN_AFTER, Abuser, Owed, Totals, name};
use crate::plan::{Plan, unix_time};

/// How often a deaf one asks for something, and says that it is there, per second: fewer than are cut off for it.
const ASKS_PER_S: f64 = 200.0;
const STATES_PER_S: f64 = 20.0;
/// After how long a deaf one begins anew, as it cannot hear that it is over.
const DEAF_FOR: Duration = Duration::from_secs(15);

fn connect(plan: &Plan, what: &str, number: u32, totals: &mut Totals) -> Option<Connection> {
    match plan.link(number, name(plan, what, number)) {
        Ok(link) => {
            totals.opened += 1;
            Some(Connection::over(Box::new(link), plan.schema_hash, terrane::VERSION))
        }
        Err(error) => {
            totals.note_end(error.to_string());
            None
        }
    }
}

/// Takes what has come; whether the connection still is.
fn hear(connection: &mut Connection, elapsed: Duration, totals: &mut Totals) -> bool {
    connection.update(elapsed);
    for event in connection.poll() {
        if let ServerEvent::Disconnected(ended) = event {
            totals.note_end(ended.to_string());
            return false;
        }
    }
    true
}

/// Once it is in, it reads nothing any more: no update is acknowledged, and answers and events pile up. Every other one asks
/// for many answers, and speaks where many hear it, its own kind most of all; the others just stay.
pub(super) struct Deaf {
    number: u32,
    connection: Option<Connection>,
    /// Since when it does not listen.
    deaf_since: Option<Duration>,
    again_at: Duration,
    asks: Owed,
    states: Owed,
    asked: u64,
}

impl Deaf {
    pub(super) fn new(number: u32) -> Self {
        let (asks, states) = (Owed::default(), Owed::default());
        Self { number, connection: None, deaf_since: None, again_at: Duration::ZERO, asks, states, asked: 0 }
    }

    /// The next thing to ask for: the coach to where its kind meets, what it may say, and what is refused at length.
    fn next_call(&mut self, plan: &Plan) -> ActionCall {
        self.asked += 1;
        let unix_ms = unix_time().as_millis() as u64;
        let id = ActionId::new(ActionId::order_at(unix_ms) + self.asked % (1 << 16), u64::from(self.number));
        let (signature, payload) = match self.asked {
            1 => (TakeCoach::signature(), codec::encode(&TakeCoach)),
            asked if asked.is_multiple_of(100) => {
                (Say::signature(), codec::encode(&Say { text: format!("{asked:0>120}") }))
            }
            _ => (Say::signature(), Vec::new()),
        };
        let index = plan.schema.actions.iter().position(|action| *action == signature).unwrap_or_default();
        ActionCall { id, kind: index as u16, payload }
    }
}

impl Abuser for Deaf {
    fn pass(&mut self, plan: &Plan, now: Duration, elapsed: Duration, totals: &mut Totals) {
        if self.connection.is_none() && now >= self.again_at {
            self.connection = connect(plan, "deaf", self.number, totals);
        }
        let Some(connection) = &mut self.connection else { return };
        let Some(since) = self.deaf_since else {
            if !hear(connection, elapsed, totals) {
                (self.connection, self.again_at) = (None, now + AGAIN_AFTER);
                return;
            }
            connection.flush();
            if connection.epoch() != 0 {
                totals.let_in += 1;
                (self.deaf_since, self.asked) = (Some(now), 0);
            }
            return;
        };
        for _ in 0..self.states.take(STATES_PER_S, elapsed) {
            totals.messages += u64::from(connection.send_state(ClientState::default()).is_ok());
        }
        // Who just stays asks for the coach to where its kind is, and for nothing more.
        let is_quiet = !self.number.is_multiple_of(2) && self.asked > 0;
        let asks = if is_quiet { 0 } else { self.asks.take(ASKS_PER_S, elapsed) };
        for _ in 0..asks {
            let call = self.next_call(plan);
            let Some(connection) = &mut self.connection else { break };
            // Whose confirmations are not heard can send so much and no more.
            totals.messages += u64::from(connection.send_control(&ClientControl::Action(call)).is_ok());
        }
        let Some(connection) = &mut self.connection else { return };
        connection.flush();
        if now > since + DEAF_FOR {
            connection.cut();
            (self.connection, self.deaf_since) = (None, None);
        }
    }
}

/// Comes in and stays, and tries again when it is turned away.
pub(super) struct Place {
    number: u32,
    connection: Option<Connection>,
    is_in: bool,
    again_at: Duration,
    states: Owed,
}

impl Place {
    pub(super) fn new(number: u32) -> Self {
        let (again_at, states) = (Duration::ZERO, Owed::default());
        Self { number, connection: None, is_in: false, again_at, states }
    }
}

impl Abuser for Place {
    fn pass(&mut self, plan: &Plan, now: Duration, elapsed: Duration, totals: &mut Totals) {
        if self.connection.is_none() && now >= self.again_at {
            self.connection = connect(plan, "many", self.number, totals);
        }
        let Some(connection) = &mut self.connection else { return };
        if !hear(connection, elapsed, totals) {
            (self.connection, self.is_in, self.again_at) = (None, false, now + AGAIN_AFTER);
            return;
        }
        if connection.epoch() != 0 {
            totals.let_in += u64::from(!std::mem::replace(&mut self.is_in, true));
            for _ in 0..self.states.take(STATES_PER_S, elapsed) {
                totals.messages += u64::from(connection.send_state(ClientState::default()).is_ok());
            }
        }
        connection.flush();
    }
}
