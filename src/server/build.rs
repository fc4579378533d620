//! From a game's plugins to a server.

use std::any::TypeId;
use std::sync::Arc;

use bevy_app::{App, Plugin, Plugins};
use bevy_ecs::prelude::{Component, World};
use rustc_hash::FxHashMap;

use crate::action::act::{self, ActCounts};
use crate::action::tally::ActionTallies;
use crate::cell::context::TickContext;
use crate::cell::layout::LayoutError;
use crate::cell::partition::{Births, LifeEvents, PartitionCounts};
use crate::cell::pool::{self, NodeContext};
use crate::cell::published::{NewlyPublished, Publish, Published};
use crate::cell::registration::{CellPlugins, GameError};
use crate::cell::requests::SpawnRequest;
use crate::cell::{Cell, Layout, SpaceLimits};
use crate::ghost::import::PublishedExports;
use crate::ids::{CellId, TickNumber};
use crate::interest::{InterestSettings, Viewers};
use crate::party::Parties;
use crate::reference::{LoadedReference, Problem, Reference, ReferenceKind};
use crate::replication::events::EventOutbox;
use crate::replication::globals::RegisteredGlobals;
use crate::replication::{Rows, stage};
use crate::reward::RewardTables;
use crate::session::avatar::Absent;
use crate::session::moderate::Sanctions;
use crate::session::persist::DirtyScan;
use crate::session::{AvatarRecipe, AvatarRequest, Sessions};
use crate::telemetry::{Heartbeat, StageClock};

use super::counters::GameCounters;
use crate::store::game::GameStore;
use crate::value::asked::AskedHere;
use crate::value::register::{GameTables, RegisteredCouriers};
use crate::value::{Book, Committed, Delivered, Desk, HouseNet, RewardOutcomes, Tables};

use super::population::{Npcs, Population};
use super::reference::DeclaredReference;
use super::rules::Rules;
use super::schedule::{NextTick, install_close, install_tick};
use super::{GameOf, Server, WorldImage, WorldSettings, image, record};

/// Why a server cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The game's plugins are faulty.
    #[error(transparent)]
    Game(#[from] GameError),
    /// The layout is none.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The ghost margin is too small for the radii.
    #[error(
        "the ghost margin is {have} m, but {need} m are needed (leave radius + longest step + reach of \
         attachments): raise `ghost_margin_m` or lower one of them"
    )]
    Margin {
        /// Configured, m.
        have: f32,
        /// Needed, m.
        need: f32,
    },
    /// A setting of the world is out of its range.
    #[error("the world's setting `{setting}` is {found}: expected {expected}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What it is.
        found: String,
        /// What it must be.
        expected: String,
    },
    /// The reference data that come with the game are wrong.
    #[error("{}", lines(_0))]
    Reference(Vec<Problem>),
    /// A saved image does not fit the game.
    #[error(
        "the saved world cannot be used: {0}; run it with the game that saved it, or choose another world with --name"
    )]
    Image(String),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// How the world is filled when it is new.
type Populate = Arc<dyn Fn(&mut Population<'_>) + Send + Sync>;

/// Collects a game, then makes a server of it.
pub struct ServerBuilder {
    cell_plugins: CellPlugins,
    node: App,
    published: FxHashMap<TypeId, Publish>,
    avatars: Option<AvatarRecipe>,
    reference: Option<DeclaredReference>,
    populate: Vec<Populate>,
    npcs: Option<Npcs>,
    clock: StageClock,
    heartbeat: Heartbeat,
}

impl Default for ServerBuilder {
    fn default() -> Self {
        Self {
            cell_plugins: CellPlugins::default(),
            node: App::empty(),
            published: FxHashMap::default(),
            avatars: None,
            reference: None,
            populate: Vec::new(),
            npcs: None,
            clock: StageClock::frozen(),
            heartbeat: Heartbeat::new(),
        }
    }
}

impl std::fmt::Debug for ServerBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerBuilder").field("cell_plugins", &self.cell_plugins).finish_non_exhaustive()
    }
}

impl ServerBuilder {
    /// Adds a plugin of the game, built once in every cell.
    #[must_use]
    pub fn add_cell_plugins(mut self, plugin: impl Plugin) -> Self {
        self.cell_plugins.add(plugin);
        self
    }

    /// Adds plugins to the node: systems belong into a set of [`TickSystems`](crate::tick::TickSystems) in the schedule [`Tick`](crate::tick::Tick).
    #[must_use]
    pub fn add_plugins<M>(mut self, plugins: impl Plugins<M>) -> Self {
        self.node.add_plugins(plugins);
        self
    }

    /// Gives every cell a value to read as [`Published<T>`]; node systems replace it with a
    /// [`Publisher`](crate::cell::published::Publisher).
    #[must_use]
    pub fn publish<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        let value = Arc::new(value);
        let give: Publish = Arc::new(move |world| {
            world.insert_resource(Published::new(value.clone()));
        });
        self.published.insert(TypeId::of::<Published<T>>(), give);
        self
    }

    /// Gives the tables that rewards are planned with.
    #[must_use]
    pub fn rewards(mut self, tables: RewardTables) -> Self {
        self.node.insert_resource(Tables(Arc::new(tables)));
        self
    }

    /// Declares the game's reference data: node systems, cells that [read](crate::cell::registration::CellAppExt::read_published) it
    /// and what actions ask for have it as [`Published<R>`]. Tables of rewards that follow from it take the place of those that were
    /// given with [`rewards`](Self::rewards). A world begins with what comes with the game, unless
    /// [files](Self::with_reference) were read.
    ///
    /// # Panics
    /// When another type is declared already.
    #[must_use]
    pub fn reference<R: Reference>(mut self) -> Self {
        assert!(
            self.reference.is_none(),
            "a game has one type of reference data: put what belongs to it into that"
        );
        self.reference = Some(DeclaredReference::of::<R>());
        self
    }

    /// How the game's reference data are read, if it has some.
    #[must_use]
    pub fn reference_kind(&self) -> Option<ReferenceKind> {
        self.reference.as_ref().map(|declared| declared.kind)
    }

    /// Lets the world begin with this version of the game's reference data.
    ///
    /// # Panics
    /// When the game has not declared any.
    #[must_use]
    pub fn with_reference(mut self, loaded: LoadedReference) -> Self {
        let declared = self.reference.as_mut().expect("reference data are declared before they are given");
        declared.begins_with = Some(loaded);
        self
    }

    /// Says how players' avatars are made. The recipe must depend on the request alone.
    #[must_use]
    pub fn avatars(
        mut self,
        recipe: impl Fn(&AvatarRequest) -> SpawnRequest + Send + Sync + 'static,
    ) -> Self {
        self.avatars = Some(AvatarRecipe(Arc::new(recipe)));
        self
    }

    /// Says how a new world is filled; runs once per save, in the order of the calls.
    #[must_use]
    pub fn populate(mut self, populate: impl Fn(&mut Population<'_>) + Send + Sync + 'static) -> Self {
        self.populate.push(Arc::new(populate));
        self
    }

    /// Says what an NPC is, and how the next one is made: then a world has as many as its settings ask for,
    /// new or resumed. `spawn` is told how many the world has made before.
    #[must_use]
    pub fn npcs<C: Component>(
        mut self,
        spawn: impl Fn(&mut Population<'_>, u64) + Send + Sync + 'static,
    ) -> Self {
        self.npcs = Some(Npcs::new::<C>(spawn));
        self
    }

    /// Whether the game says what an NPC is.
    #[must_use]
    pub fn has_npcs(&self) -> bool {
        self.npcs.is_some()
    }

    /// Times the stages with a clock, and keeps a pulse that a watchdog can watch.
    #[must_use]
    pub fn observe(mut self, clock: StageClock, heartbeat: Heartbeat) -> Self {
        self.clock = clock;
        self.heartbeat = heartbeat;
        self
    }

    /// What the plugins register, without building a world.
    ///
    /// # Errors
    /// When the plugins are faulty.
    pub fn learn(&self) -> Result<Arc<crate::cell::registration::Game>, ServerError> {
        let mut game = self.cell_plugins.learn()?;
        if let Some(globals) = self.node.world().get_resource::<RegisteredGlobals>() {
            globals.extend(Arc::get_mut(&mut game).expect("nobody else has it yet"))?;
        }
        Ok(game)
    }

    /// The game's own tables in its save, and its kinds of change: what plugins of the node have registered so far.
    #[must_use]
    pub fn game_store(&self) -> GameStore {
        self.node
            .world()
            .get_resource::<GameTables>()
            .map_or_else(GameStore::default, |tables| tables.0.clone())
    }

    /// What the game has laid down: who is told what, and who may do what; with an image of a world, its bytes too.
    ///
    /// # Errors
    /// When the plugins are faulty, or the image is not of this game.
    pub fn rules(&self, image: Option<&WorldImage>) -> Result<Rules, ServerError> {
        let game = self.learn()?;
        let globals = self.node.world().get_resource::<RegisteredGlobals>();
        let globals = globals.map_or_else(Vec::new, |globals| globals.kinds(&game.schema));
        Rules::of(&game, &globals, image).map_err(ServerError::Image)
    }

    /// Makes the world: a new one, or the one in `image`.
    ///
    /// # Errors
    /// When the game, the settings or the image are faulty.
    pub fn build(
        mut self,
        settings: WorldSettings,
        image: Option<&WorldImage>,
    ) -> Result<Server, ServerError> {
        settings.check()?;
        let game = self.learn()?;
        let reference = match self.reference.take() {
            Some(declared) => {
                let comes_with_game = || declared.kind.load(None).map_err(ServerError::Reference);
                let loaded = declared.begins_with.clone().map_or_else(comes_with_game, Ok)?;
                self.published.extend([declared.publish(&loaded)]);
                Some((declared, loaded))
            }
            None => None,
        };
        for &(id, name) in game.published() {
            if !self.published.contains_key(&id) {
                return Err(GameError::NotPublished(name).into());
            }
        }
        if settings.threads > 1 {
            // The executor's own thread only hands out systems: it runs none that may run elsewhere.
            bevy_tasks::ComputeTaskPool::get_or_init(|| {
                bevy_tasks::TaskPoolBuilder::new()
                    .num_threads(settings.threads)
                    .thread_name("cells".into())
                    .build()
            });
        }
        let layout = match &settings.cells {
            Some(cells) => Layout::from_cells(settings.area, settings.grid, cells.iter().copied())?,
            None => Layout::grid(settings.area, settings.grid[0], settings.grid[1]),
        };
        let context = first_context(&settings, image);
        let limits = SpaceLimits {
            world: settings.area,
            ghost_margin_m: settings.ghost_margin_m,
            step_m_max: settings.step_m_max,
            attach_reach_m: settings.attach_reach_m,
            leave_radius_m: settings.leave_radius_m,
            bucket_m: settings.bucket_m,
        };
        let mut cells = Vec::new();
        for leaf in layout.leaves() {
            let crumb = self.heartbeat.cell(leaf.slot);
            let mut cell = Cell::new(*leaf, limits, &game, &self.cell_plugins, context.clone(), crumb)?;
            for (id, _) in game.published() {
                self.published[id](&mut cell.world);
            }
            cell.checks_invariants = settings.check_invariants;
            cell.set_neighbours(&layout.neighbours(leaf.slot, limits.neighbour_margin_m()));
            cells.push(cell);
        }

        let world = self.node.world_mut();
        install_resources(world, &settings, layout, context);
        if let Some((declared, loaded)) = reference {
            declared.install(loaded, world);
        }
        let globals = world.remove_resource::<RegisteredGlobals>().unwrap_or_default();
        let rows = Rows::of(Arc::new(game.schema.clone()));
        #[cfg(feature = "planted-faults")]
        let rows = crate::replication::planted::rows_of_world(rows);
        world.insert_resource(rows);
        world.insert_resource(EventOutbox::of(game.events.clone()));
        world.insert_resource(GameOf(game));
        if let Some(avatars) = self.avatars.take() {
            world.insert_resource(avatars);
        }
        pool::install(world, settings.threads);
        pool::fill(world, cells);
        globals.bring_to_life(world, settings.secret);
        install_tick(world, self.clock, self.heartbeat);
        install_close(world);
        match image {
            Some(image) => image::restore(world, image).map_err(ServerError::Image)?,
            None => {
                for populate in &self.populate {
                    populate(&mut Population { world });
                }
            }
        }
        if let (Some(npcs), Some(wanted)) = (&self.npcs, settings.npcs) {
            npcs.adjust(world, wanted);
        }
        Ok(Server { app: self.node })
    }
}

fn first_context(settings: &WorldSettings, image: Option<&WorldImage>) -> TickContext {
    TickContext {
        // The image was made between Partition and Act: its own tick is run again, from there on.
        tick: image.map_or(TickNumber(1), |image| image.tick),
        dt: 1.0 / f32::from(settings.hz),
        now_ms: image.map_or(0, |image| image.now_ms),
        hz: settings.hz,
        seed: settings.seed,
        world_area: settings.area,
        cell: CellId { world: 0, depth: 0, cx: 0, cy: 0 },
        area: settings.area,
    }
}

fn install_resources(world: &mut World, settings: &WorldSettings, layout: Layout, context: TickContext) {
    world.insert_resource(NextTick(context.tick));
    world.insert_resource(NodeContext(context));
    world.insert_resource(layout);
    world.insert_resource(Births { secret: settings.secret, ..Births::default() });
    world.insert_resource(InterestSettings { enter_radius_m: settings.enter_radius_m });
    world.insert_resource(settings.clone());
    world.init_resource::<Viewers>();
    world.init_resource::<PublishedExports>();
    world.init_resource::<Sessions>();
    world.init_resource::<Sanctions>();
    world.init_resource::<Absent>();
    world.init_resource::<DirtyScan>();
    world.init_resource::<LifeEvents>();
    world.init_resource::<NewlyPublished>();
    world.init_resource::<PartitionCounts>();
    world.init_resource::<ActCounts>();
    world.init_resource::<act::UnderWay>();
    world.init_resource::<ActionTallies>();
    world.init_resource::<Parties>();
    world.init_resource::<Book>();
    world.init_resource::<Desk>();
    world.init_resource::<AskedHere>();
    world.init_resource::<RewardOutcomes>();
    world.init_resource::<Delivered>();
    world.init_resource::<Committed>();
    world.init_resource::<Tables>();
    world.init_resource::<GameTables>();
    world.init_resource::<HouseNet>();
    world.init_resource::<GameCounters>();
    world.init_resource::<RegisteredCouriers>();
    world.init_resource::<record::CellTotals>();
    world.init_resource::<image::PendingImage>();
    world.init_resource::<record::LastSaved>();
    stage::install(world, settings);
}
