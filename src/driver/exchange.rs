//! Between transports and the tick: one batch each way.

use std::time::Duration;

use rustc_hash::FxHashMap;

use crate::ids::ConnectionId;
use crate::net::{EndReason, FromNet, REFUSAL_GRACE, ToNet, Transport};
use crate::protocol::messages::{ClientControl, Refusal};
use crate::server::io::{ClientAck, ClientAction, ClientAudit, ClientInput, Join, TickInput};

/// How long, at most, those who leave a world that ends are given to hear why: longer than a shard gives each.
pub const SEE_OFF: Duration = Duration::from_millis(2_000);
/// How often what they were told may go out again.
pub const SEE_OFF_ROUND: Duration = Duration::from_millis(25);

const _: () = assert!(SEE_OFF.as_millis() > REFUSAL_GRACE.as_millis());

/// All transports of one server.
#[derive(Default)]
pub struct Exchange {
    transports: Vec<Box<dyn Transport>>,
    /// Which transport holds a connection.
    route: FxHashMap<ConnectionId, usize>,
    received: Vec<FromNet>,
    batches: Vec<Vec<ToNet>>,
    /// Connections that said goodbye: closed after the tick that hears of it.
    leaving: Vec<ConnectionId>,
    /// Those whose actions are in the tick that is gathered; they leave in the next.
    leaves_next: Vec<ConnectionId>,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("connections", &self.route.len()).finish_non_exhaustive()
    }
}

impl Exchange {
    /// Adds a transport.
    pub fn add(&mut self, transport: Box<dyn Transport>) {
        self.transports.push(transport);
        self.batches.push(Vec::new());
    }

    /// The transports.
    pub fn transports(&self) -> impl Iterator<Item = &dyn Transport> {
        self.transports.iter().map(Box::as_ref)
    }

    /// Lets nobody new in.
    pub fn drain(&mut self) {
        for transport in &mut self.transports {
            transport.drain();
        }
    }

    /// How many connections there are, those included that are over for the tick and still being told why.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.transports.iter().map(|transport| transport.connections()).sum()
    }

    /// Lets everybody hear what they were last told, as long as somebody has not confirmed it, but no longer than
    /// [`SEE_OFF`]. `each_round` is called after every [`SEE_OFF_ROUND`].
    pub fn see_off(&mut self, mut each_round: impl FnMut()) {
        for _ in 0..SEE_OFF.as_millis() / SEE_OFF_ROUND.as_millis() {
            if self.connections() == 0 {
                return;
            }
            std::thread::sleep(SEE_OFF_ROUND);
            each_round();
            self.gather(&mut TickInput::default());
            self.dispatch(&mut Vec::new());
        }
        tracing::info!(connections = self.connections(), "not everybody confirmed that the world ends");
    }

    /// A fault that no client caused.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        self.transports.iter().find_map(|transport| transport.fault())
    }

    /// Puts what has come into the input of the next tick.
    pub fn gather(&mut self, input: &mut TickInput) {
        input.leaves.append(&mut self.leaves_next);
        for (index, transport) in self.transports.iter_mut().enumerate() {
            transport.receive(&mut self.received);
            for event in self.received.drain(..) {
                let connection = event.connection();
                match event {
                    FromNet::Connected { player, role, device, resume, hello, .. } => {
                        self.route.insert(connection, index);
                        input.joins.push(Join { connection, player, role, device, resume, hello });
                    }
                    FromNet::Control { epoch, payload, .. } => match payload {
                        ClientControl::Action(call) => {
                            input.actions.push(ClientAction { connection, epoch, call });
                        }
                        ClientControl::AuditReport { audit, outcome } => {
                            input.audits.push(ClientAudit { connection, audit, outcome });
                        }
                        ClientControl::Bye => {
                            input.leaves.push(connection);
                            self.leaving.push(connection);
                        }
                        // The handshake took it, or refused the connection.
                        ClientControl::Hello { .. } => {}
                    },
                    FromNet::State { state, .. } => {
                        let epoch = state.epoch;
                        input.acks.push(ClientAck {
                            connection,
                            epoch,
                            newest: state.ack_newest,
                            bits: state.ack_bits,
                            heard: state.heard,
                        });
                        if !state.inputs.is_empty() {
                            let (seq, inputs) = (state.seq, state.inputs);
                            input.inputs.push(ClientInput { connection, epoch, seq, inputs });
                        }
                    }
                    FromNet::Disconnected { reason, .. } => {
                        self.route.remove(&connection);
                        match reason {
                            // Who closes the link means to leave, also where its goodbye was lost; who breaks the protocol is
                            // not waited for.
                            EndReason::Left | EndReason::Refused(Refusal::Protocol(_)) => {
                                input.leaves.push(connection);
                            }
                            _ => input.losses.push(connection),
                        }
                    }
                }
            }
        }
        // What somebody asked for before it left is done: a session that ends does so before the actions of its tick.
        let asks =
            |connection: &ConnectionId| input.actions.iter().any(|action| action.connection == *connection);
        self.leaves_next = input.leaves.extract_if(.., |connection| asks(connection)).collect();
        input.losses.retain(|connection| !self.leaves_next.contains(connection));
    }

    /// Hands a tick's messages to the transports and lets their packets leave.
    pub fn dispatch(&mut self, messages: &mut Vec<ToNet>) {
        for message in messages.drain(..) {
            if let Some(&index) = self.route.get(&message.connection()) {
                self.batches[index].push(message);
            }
        }
        for connection in self.leaving.drain(..) {
            if let Some(&index) = self.route.get(&connection) {
                self.batches[index].push(ToNet::Close { connection });
            }
        }
        for (transport, batch) in self.transports.iter_mut().zip(&mut self.batches) {
            transport.send(batch);
            batch.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::connection::Connection;
    use crate::ids::{ActionId, DeviceId, PlayerId};
    use crate::net::udp_tests::welcome;
    use crate::net::{Identity, Loopback, LoopbackConditions};
    use crate::protocol::messages::ActionCall;

    const SCHEMA: u64 = 5;

    /// H3, D1: nobody waits for who broke the protocol, as for those whose way to the server is gone.
    #[test]
    fn who_breaks_the_protocol_leaves_and_whose_link_dies_is_lost() {
        let net = Loopback::new(SCHEMA, "server-1", 9, LoopbackConditions::default(), 1);
        let port = net.port();
        let mut exchange = Exchange::default();
        exchange.add(Box::new(net));
        let mut clients = ["liar", "lost"].map(|name| {
            let player = PlayerId::new(name).expect("a name");
            let link = Box::new(port.connect(Identity::player(player)));
            Connection::over(link, SCHEMA, "client-1")
        });
        let mut input = TickInput::default();
        let mut round = |clients: &mut [Connection; 2], input: &mut TickInput| {
            for client in clients {
                client.update(Duration::from_millis(50));
                client.poll();
                client.flush();
            }
            exchange.gather(input);
            exchange.dispatch(&mut Vec::new());
        };
        for _ in 0..4 {
            round(&mut clients, &mut input);
        }
        let of = |name: &str, input: &TickInput| {
            input.joins.iter().find(|join| join.player.as_str() == name).expect("it is in").connection
        };
        let (liar, lost) = (of("liar", &input), of("lost", &input));
        port.set_silence_ticks_max(2);
        let again = ClientControl::Hello {
            schema_hash: SCHEMA,
            version: "client-1".into(),
            device: DeviceId(1),
            heard: None,
        };
        clients[0].send_control(&again).expect("it is sent");
        clients[1].cut();
        for _ in 0..6 {
            round(&mut clients, &mut input);
        }
        assert_eq!((input.leaves, input.losses), (vec![liar], vec![lost]));
    }

    /// C1: what somebody asked for just before it left is in a tick in which it is still there.
    #[test]
    fn who_asks_and_leaves_at_once_leaves_in_the_next_tick() {
        let net = Loopback::new(SCHEMA, "server-1", 9, LoopbackConditions::default(), 1);
        let port = net.port();
        let mut exchange = Exchange::default();
        exchange.add(Box::new(net));
        let name = PlayerId::new("hasty").expect("a name");
        let link = port.connect(Identity::player(name));
        let mut client = Connection::over(Box::new(link), SCHEMA, "client-1");
        let mut round = |client: &mut Connection| {
            client.update(Duration::from_millis(50));
            client.poll();
            client.flush();
            let mut input = TickInput::default();
            exchange.gather(&mut input);
            let mut messages: Vec<ToNet> = Vec::new();
            for join in &input.joins {
                let connection = join.connection;
                messages.push(ToNet::SetEpoch { connection, epoch: 1 });
                messages.push(ToNet::Control { connection, message: welcome(&join.player, 1) });
            }
            exchange.dispatch(&mut messages);
            input
        };
        for _ in 0..4 {
            round(&mut client);
        }
        let call = ActionCall { id: ActionId::new(1, 1), kind: 0, payload: Vec::new() };
        client.send_control(&ClientControl::Action(call)).expect("it is sent");
        client.send_control(&ClientControl::Bye).expect("it is sent");
        let inputs: Vec<TickInput> = (0..4).map(|_| round(&mut client)).collect();
        let asked = inputs.iter().position(|input| !input.actions.is_empty()).expect("it asks");
        let left = inputs.iter().position(|input| !input.leaves.is_empty()).expect("it leaves");
        assert_eq!(left, asked + 1);
    }
}
