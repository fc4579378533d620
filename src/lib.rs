//! Terrane: a single-node ECS game server with built-in spatial partitioning.
//!
//! One process runs one seamless world. The world is cut into cells that run in parallel, each with a bevy `World` of
//! its own; cells see each other's borders as ghosts; an entity that crosses one is handed over; and every player is
//! sent what the policies of the fields let that player see.
//!
//! A game is a set of ordinary bevy plugins: start with [`prelude`], register components with
//! [`CellAppExt`](cell::registration::CellAppExt), run it as a program with [`WorldServer`](driver::WorldServer) or in a
//! test with [`TestWorld`](testing::TestWorld). The README holds a whole one; [`caravan`] is a larger one.
//!
//! # The tick
//!
//! Everything happens in [`Server::tick`](server::Server::tick), a function from a sealed
//! [`TickInput`](server::TickInput) to a [`TickOutput`](server::TickOutput). Its schedule is built from
//! [`TickSystems::ORDER`](tick::TickSystems::ORDER):
//!
//! <!-- tick-table -->
//! | # | set | runs | in → out | after it |
//! |---|---|---|---|---|
//! | 1 | `Receive` | node | the tick's sealed input → inboxes | nothing more comes from outside |
//! | 2 | `Admit` | node | joins, leaves → sessions, avatars (capped per tick) | the tick's sessions are fixed |
//! | 3 | `Settle` | node | what the store committed → holdings, components, answers | what the store confirmed is known |
//! | 4 | `Partition` | node | crossings, teleports → handovers | every entity is owned by the cell it stands in |
//! | 5 | `Act` | node | actions, last tick's outboxes → owners' inboxes, replies | every action was taken once or refused |
//! | 6 | `Simulate` | **cells in parallel** | game systems → components; each cell exports its border | no owned component changes any more |
//! | 7 | `Mirror` | node | export buffers → published ones (pointer swap) | every border can be read |
//! | 8 | `Interest` | **cells in parallel** | ghosts, index, changed rows → each viewer's candidates | every cell sees all within the ghost margin |
//! | 9 | `Assemble` | **sessions in parallel** | views, rows → one update per session | an update holds what its player may see, nothing else |
//! | 10 | `Plan` | node | what is asked for → plans of what it changes | whatever was asked for is planned, refused or waits its turn |
//! | 11 | `Commit` | node | plans, what has to last → one batch to the store | all to be saved is on its way |
//! | 12 | `Send` | node | updates, replies → outbox of the shards | the output is complete |
//! | 13 | `Record` | node | everything → metrics, fingerprint, published snapshot | nothing written here is read by a tick |
//! <!-- /tick-table -->
//!
//! # In which order to read
//!
//! 1. [`tick`], [`ids`], [`space`], [`limits`]: the order of the tick, the names of things, places, and the bounds of
//!    everything.
//! 2. [`server`]: from plugins to a world; the input, the output, and the image from which a world goes on. Its
//!    `build` module is the whole pipeline on one page.
//! 3. [`cell`]: a bevy world in a slot of its own, so that the scheduler proves that it has one writer. What a game
//!    registers, births, deaths, jumps, crossings, attachments, messages between entities.
//! 4. [`ghost`]: what a cell shows its neighbours and what it keeps of theirs, changes only.
//! 5. [`interest`]: an R-tree per cell; each viewer's candidates; [`Nearby`](interest::Nearby) for game systems.
//! 6. [`replication`]: one encoded row per entity, one view per session, one update per session and tick; losses,
//!    budgets, the oracle and the audits. `wire` holds the format byte by byte.
//! 7. [`session`]: from a connection that said hello to a player with an avatar, and back.
//! 8. [`action`]: what players ask for: declared, checked, routed to the owner, answered once.
//!    [`reward`]: what is of value, planned purely; [`value`]: asked for, committed, settled.
//! 9. [`protocol`]: the messages and their codec, with a guard against hostile bytes.
//! 10. [`net`]: from packets to messages: shards, envelopes, tokens, and a network in memory for tests.
//! 11. [`client`]: the other end: the mirrored view, interpolation, replies, a console for people and scripts, and
//!     [`client::plugin`], which puts the view into a game's own `App`.
//! 12. [`driver`]: what moves a world: the pacer or lockstep, saving, signals, the report; the only loop.
//! 13. [`testing`]: the same server with a clock moved by hand.
//! 14. [`caravan`]: the shipped world, written on the public API alone.
//!
//! Beside the way of the data: [`reward`] (what players pay and get, planned by a pure function), [`config`] and [`cli`] (a file and flags become checked settings), [`reference`](mod@reference) (a game's numbers, from files), [`store`] (one folder
//! and one SQLite file per world), [`telemetry`] (stage times, metrics, Tracy, who hangs or panics), [`http`] (health,
//! metrics and status for operators).
//!
//! # Layers
//!
//! A module imports from those of its own layer and of earlier ones: first words ([`ids`], [`limits`], [`space`],
//! [`tick`], [`private_file`], [`protocol`], [`reward`], [`players`]), then what stands around a world ([`config`], [`reference`](mod@reference), [`net`], [`telemetry`], [`store`], [`http`],
//! [`cli`]), then its parts ([`interest`], [`replication`], [`cell`] with [`ghost`], [`action`] and [`value`], [`session`]), then
//! [`server`], which puts them together, and last who uses it ([`client`], [`driver`], [`testing`], [`caravan`]). The
//! list itself is in `docs/architecture.md`, and a test holds the code to it.

// The derives name this crate, also from inside it.
extern crate self as terrane;

pub mod action;
pub mod caravan;
pub mod cell;
pub mod cli;
pub mod client;
pub mod config;
pub mod driver;
pub mod ghost;
pub mod http;
pub mod ids;
pub mod interest;
pub mod limits;
pub mod net;
pub mod party;
pub mod players;
pub mod prelude;
pub mod private_file;
pub mod protocol;
pub mod reference;
pub mod replication;
pub mod reward;
pub mod server;
pub mod session;
pub mod space;
pub mod store;
pub mod telemetry;
pub mod testing;
pub mod tick;
pub mod value;

/// Version of this crate, told in hellos and reports.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The blocks of `docs/policies.md`, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/policies.md")]
pub struct PoliciesPage;

/// The blocks of `docs/actions.md`, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/actions.md")]
pub struct ActionsPage;

/// The blocks of `docs/rewards.md`, run as tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/rewards.md")]
pub struct RewardsPage;
