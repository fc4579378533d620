//! A world in a test: the same server, a clock moved by hand, and clients that are real but for the sockets.
//!
//! *Does*: ticks a server in lockstep with clients over a network in memory that can lose, delay, duplicate and
//! reorder, through full encode and decode.
//! *Does not*: take anything away from server or clients: both are what the driver and players run.
//! *Reads*: outputs of the tick, views of clients. *Writes*: inputs of the tick.
//!
//! ```
//! use terrane::prelude::*;
//! use terrane::testing::TestWorld;
//!
//! #[derive(Component, Clone, Default, Replicate)]
//! struct Lamp { #[sync(broadcast)] lit: bool }
//!
//! struct Lamps;
//! impl Plugin for Lamps {
//!     fn build(&self, app: &mut App) { app.replicate::<Lamp>(); }
//! }
//!
//! let game = ServerBuilder::default()
//!     .add_cell_plugins(Lamps)
//!     .avatars(|_| SpawnRequest::new(NetId::WORLD, Vec3::new(10.0, 10.0, 0.0), Lamp { lit: true }));
//! let mut world = TestWorld::new(game, WorldSettings::default());
//! let alice = world.connect("alice");
//! world.run(5);
//! let avatar = world[alice].avatar().expect("alice is in");
//! let lamp: Lamp = world.component(alice, avatar).expect("alice sees herself");
//! assert!(lamp.lit);
//! ```

mod players;

pub use players::TestPlayers;

use std::ops::{Index, IndexMut};
use std::sync::Arc;
use std::time::Duration;

use crate::client::reconnect::{Again, Dial};
use crate::client::{Connection, Player, new_device};
use crate::driver::{Exchange, LOCKSTEP_EPOCH_MS};
use crate::ids::{NetId, PlayerId, Role, TickNumber};
use crate::net::{Identity, Loopback, LoopbackConditions, loopback::LoopbackPort};
use crate::reference::{LoadedReference, Problem, ReferenceFiles, ReferenceVersion};
use crate::replication::{Replicate, Schema};
use crate::server::{Server, ServerBuilder, TickInput, TickOutput, WorldImage, WorldSettings};
use crate::store::Couriers;

/// A client of a [`TestWorld`]; the default is the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(usize);

/// A server in lockstep with clients over an in-memory network.
pub struct TestWorld {
    server: Server,
    exchange: Exchange,
    port: LoopbackPort,
    schema: Arc<Schema>,
    clients: Vec<Player>,
    /// Seeds the names of each player's actions.
    players_made: u64,
    tick_ms: u64,
    /// What is kept of players.
    players: TestPlayers,
    couriers: Couriers,
    /// What the next tick is to go by.
    reference: Option<LoadedReference>,
}

impl std::fmt::Debug for TestWorld {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestWorld").field("server", &self.server).finish_non_exhaustive()
    }
}

impl TestWorld {
    /// A new world with a perfect network.
    ///
    /// # Panics
    /// When the game or the settings are faulty: a test wants to know at once.
    #[must_use]
    pub fn new(game: ServerBuilder, settings: WorldSettings) -> Self {
        Self::start(game, settings, None)
    }

    /// A world put together from an image.
    ///
    /// # Panics
    /// When the game, the settings or the image are faulty.
    #[must_use]
    pub fn restore(game: ServerBuilder, settings: WorldSettings, image: &WorldImage) -> Self {
        Self::start(game, settings, Some(image))
    }

    /// As [`restore`](Self::restore), with what is kept of its players: a world that was killed and is started again.
    ///
    /// # Panics
    /// As [`restore`](Self::restore).
    #[must_use]
    pub fn restart(
        game: ServerBuilder,
        settings: WorldSettings,
        image: Option<&WorldImage>,
        players: TestPlayers,
    ) -> Self {
        let mut world = Self::start(game, settings, image);
        world.server.set_sanctions(players.sanctions());
        world.players = players;
        world.server.remember_nothing();
        world.open_bank();
        world
    }

    fn start(game: ServerBuilder, settings: WorldSettings, image: Option<&WorldImage>) -> Self {
        let settings = WorldSettings { keeps_players: true, ..settings };
        let (players, seed, hz) = (settings.players_max, settings.seed, u64::from(settings.hz));
        let mut server = game.build(settings, image).unwrap_or_else(|error| panic!("{error}"));
        let couriers = server.take_couriers();
        let schema = Arc::new(server.game().schema.clone());
        let network =
            Loopback::new(schema.hash(), crate::VERSION, players, LoopbackConditions::default(), seed);
        let port = network.port();
        let mut exchange = Exchange::default();
        exchange.add(Box::new(network));
        let mut world = Self {
            server,
            exchange,
            port,
            schema,
            clients: Vec::new(),
            players_made: 0,
            tick_ms: 1_000 / hz,
            players: TestPlayers::default(),
            couriers,
            reference: None,
        };
        world.open_bank();
        world
    }

    fn open_bank(&mut self) {
        self.players.open_bank(self.server.reward_tables(), self.server.game_store());
        if let Some(reference) = self.server.reference() {
            self.players.adopt_reference(reference, self.server.next_tick());
        }
    }

    /// Lets the world go by other reference data from the next tick on, as a running world does whose files were changed: they are
    /// read, written down, and exchanged at the tick's edge.
    ///
    /// # Errors
    /// All that is wrong with them, or why they cannot take the place of what there is; that stays, then.
    ///
    /// # Panics
    /// When the game has none.
    pub fn reload(&mut self, files: ReferenceFiles) -> Result<ReferenceVersion, String> {
        let current = self.server.reference().expect("the game has reference data");
        let told =
            |problems: Vec<Problem>| problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n");
        let loaded = current.kind().read(files).map_err(told)?;
        loaded.follows(current)?;
        self.players.adopt_reference(&loaded, self.server.next_tick());
        let version = loaded.version();
        self.reference = Some(loaded);
        Ok(version)
    }

    /// Changes the network for clients that connect from now on.
    pub fn set_conditions(&mut self, conditions: LoopbackConditions) {
        self.port.set_conditions(conditions);
    }

    /// Connects a player. It is in after a few ticks.
    ///
    /// # Panics
    /// When the name is none.
    pub fn connect(&mut self, name: &str) -> ClientId {
        self.connect_as(name, Role::Player)
    }

    /// Connects somebody with a role.
    ///
    /// # Panics
    /// When the name is none.
    pub fn connect_as(&mut self, name: &str, role: Role) -> ClientId {
        let player = self.player(name, role);
        self.clients.push(player);
        ClientId(self.clients.len() - 1)
    }

    /// Connects a player whom the test moves itself, as a game's `App` with a
    /// [`ClientPlugin`](crate::client::ClientPlugin) does: it is to receive after each tick, and to send before the next.
    ///
    /// # Panics
    /// When the name is none.
    pub fn connect_apart(&mut self, name: &str) -> Player {
        self.player(name, Role::Player)
    }

    fn player(&mut self, name: &str, role: Role) -> Player {
        let player = PlayerId::new(name).unwrap_or_else(|error| panic!("{error}"));
        let connection = self.connection(Identity { role, ..Identity::player(player) }, None);
        self.players_made += 1;
        let unix_time = Duration::from_millis(LOCKSTEP_EPOCH_MS + self.server.next_tick().0 * self.tick_ms);
        Player::new(connection, self.schema.clone(), self.players_made).begun_at(unix_time)
    }

    fn connection(&self, identity: Identity, heard: Option<u64>) -> Connection {
        let link = self.port.connect(identity);
        Connection::resuming(Box::new(link), self.schema.hash(), crate::VERSION, new_device(), heard)
    }

    /// What a player comes back with by itself: for [`Reconnect::new`](crate::client::Reconnect::new).
    ///
    /// # Panics
    /// When the name is none.
    #[must_use]
    pub fn dial(&self, name: &str, role: Role) -> impl Dial + use<> {
        let player = PlayerId::new(name).unwrap_or_else(|error| panic!("{error}"));
        let (port, schema_hash, device) = (self.port.clone(), self.schema.hash(), new_device());
        move |again: &Again<'_>| {
            let resume = again.resume.map(|resume| resume.epoch);
            let link = port.connect(Identity { player: player.clone(), role, resume, since_s: 0 });
            let heard = again.resume.map(|resume| resume.heard);
            Ok(Connection::resuming(Box::new(link), schema_hash, crate::VERSION, device, heard))
        }
    }

    /// Cuts a client's connection: nobody says goodbye, and the server finds out after so many ticks.
    pub fn cut(&mut self, client: ClientId, noticed_after_ticks: u64) {
        self.port.set_silence_ticks_max(noticed_after_ticks);
        self.clients[client.0].cut(Duration::ZERO);
    }

    /// Lets a client come back over a new connection, with an ordinary player's role. It asks for its session to go
    /// on.
    ///
    /// # Panics
    /// When it was never in.
    pub fn reconnect(&mut self, client: ClientId) {
        self.reconnect_as(client, Role::Player);
    }

    /// The same, with a role.
    ///
    /// # Panics
    /// When it was never in.
    pub fn reconnect_as(&mut self, client: ClientId, role: Role) {
        let player = &self.clients[client.0];
        let welcome = player.welcome().expect("who comes back was in");
        let resume = player.resume().expect("who was in has a session");
        let identity =
            Identity { player: welcome.player.clone(), role, resume: Some(resume.epoch), since_s: 0 };
        let connection = self.connection(identity, Some(resume.heard));
        self.clients[client.0].come_back(connection);
    }

    /// Runs one tick: clients send, the server ticks, clients receive.
    pub fn tick(&mut self) -> TickOutput {
        self.tick_with(|_| {})
    }

    /// Runs one tick with an input that `edit` may change before it is sealed.
    pub fn tick_with(&mut self, edit: impl FnOnce(&mut TickInput)) -> TickOutput {
        for client in &mut self.clients {
            client.send();
        }
        let tick = self.server.next_tick();
        let now_ms = LOCKSTEP_EPOCH_MS + tick.0 * self.tick_ms;
        let mut input = TickInput { tick, now_ms, ..TickInput::default() };
        self.players.answer(&mut input);
        self.exchange.gather(&mut input);
        input.reference = self.reference.take();
        edit(&mut input);
        let mut output = self.server.tick(input);
        self.players.take(&mut output, tick);
        self.players.deliver(&mut self.couriers, now_ms);
        self.exchange.dispatch(&mut output.messages);
        for client in &mut self.clients {
            client.receive(Duration::from_millis(self.tick_ms));
        }
        output
    }

    /// Runs ticks and gives the last one's output.
    ///
    /// # Panics
    /// When asked for none.
    pub fn run(&mut self, ticks: u64) -> TickOutput {
        (0..ticks).map(|_| self.tick()).last().expect("at least one tick")
    }

    /// Makes an image of the world in the next tick.
    ///
    /// # Panics
    /// Never: an image that is asked for is made.
    pub fn image(&mut self) -> WorldImage {
        self.tick_with(|input| input.save = true).image.expect("an image was asked for")
    }

    /// A component of an entity as a client sees it, decoded.
    #[must_use]
    pub fn component<C: Replicate>(&self, client: ClientId, entity: NetId) -> Option<C> {
        self[client].view().get(entity)?.component::<C>(&self.schema)
    }

    /// The server.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The server, to look into its worlds.
    pub fn server_mut(&mut self) -> &mut Server {
        &mut self.server
    }

    /// What is kept of players.
    #[must_use]
    pub fn players(&self) -> &TestPlayers {
        &self.players
    }

    /// What is kept of players, to plant faults.
    pub fn players_mut(&mut self) -> &mut TestPlayers {
        &mut self.players
    }

    /// All clients.
    #[must_use]
    pub fn clients(&self) -> &[Player] {
        &self.clients
    }

    /// The last tick that ran.
    #[must_use]
    pub fn last_tick(&self) -> TickNumber {
        TickNumber(self.server.next_tick().0 - 1)
    }
}

impl Index<ClientId> for TestWorld {
    type Output = Player;
    fn index(&self, client: ClientId) -> &Player {
        &self.clients[client.0]
    }
}

impl IndexMut<ClientId> for TestWorld {
    fn index_mut(&mut self, client: ClientId) -> &mut Player {
        &mut self.clients[client.0]
    }
}
