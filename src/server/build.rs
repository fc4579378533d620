//! From a game's plugins to a server.

use std::any::TypeId;
use std::sync::Arc;

use bevy_app::{App, Plugin, Plugins};
use bevy_ecs::prelude::{Component, IntoScheduleConfigs, Res, ResMut, Resource, Schedule, With, World};
use bevy_ecs::schedule::{LogLevel, ScheduleBuildSettings, ScheduleLabel, SingleThreadedExecutor};
use rustc_hash::FxHashMap;

use crate::action::act::{self, ActCounts};
use crate::cell::context::{Published, TickContext};
use crate::cell::layout::LayoutError;
use crate::cell::markers::Owned;
use crate::cell::partition::{
    Births, LifeEvents, PartitionCounts, despawn_now, partition, spawn_now, take_exports_back,
};
use crate::cell::pool::{self, InterestCells, NodeContext, SimulateCells, with_cells};
use crate::cell::registration::{CellPlugins, GameError};
use crate::cell::requests::SpawnRequest;
use crate::cell::{Cell, Layout, SpaceLimits};
use crate::ghost::import::PublishedExports;
use crate::ids::{CellId, NetId, TickNumber};
use crate::interest::{InterestSettings, Viewers};
use crate::replication::{Rows, stage};
use crate::session::{AvatarRecipe, AvatarRequest, Sessions, admit};
use crate::telemetry::{self, Heartbeat, StageClock};
use crate::tick::{self, Tick, TickSystems};

use super::io::TickInput;
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
    /// A saved image does not fit the game.
    #[error(
        "the saved world cannot be used: {0}; run it with the game that saved it, or choose another world with --name"
    )]
    Image(String),
}

/// Gives every cell a published value.
type Publish = Arc<dyn Fn(&mut World) + Send + Sync>;

/// What an NPC is and how one is made.
struct Npcs {
    names: fn(&mut World) -> Vec<NetId>,
    spawn: Arc<dyn Fn(&mut Population<'_>, u64) + Send + Sync>,
}

impl Npcs {
    /// Spawns what is missing; of what is too many, those with the highest names go.
    fn adjust(&self, world: &mut World, wanted: u64) {
        let mut names = (self.names)(world);
        names.sort_unstable();
        for &surplus in names.iter().skip(wanted as usize) {
            despawn_now(world, surplus);
        }
        for _ in names.len() as u64..wanted {
            let made = world.resource::<Births>().spawned.get(&NetId::WORLD).copied().unwrap_or(0);
            (self.spawn)(&mut Population { world }, made);
        }
    }
}

/// The names of all entities with a component.
fn names_with<C: Component>(world: &mut World) -> Vec<NetId> {
    with_cells(world, |_, cells| {
        let mut names = Vec::new();
        for cell in cells.iter_mut() {
            let mut query = cell.world.query_filtered::<&NetId, (With<Owned>, With<C>)>();
            names.extend(query.iter(&cell.world));
        }
        names
    })
}

/// How the world is filled when it is new.
type Populate = Arc<dyn Fn(&mut Population<'_>) + Send + Sync>;

/// Collects a game, then makes a server of it.
pub struct ServerBuilder {
    cell_plugins: CellPlugins,
    node: App,
    published: FxHashMap<TypeId, Publish>,
    avatars: Option<AvatarRecipe>,
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

    /// Adds plugins to the node: systems belong into a set of [`TickSystems`] in the schedule [`Tick`].
    #[must_use]
    pub fn add_plugins<M>(mut self, plugins: impl Plugins<M>) -> Self {
        self.node.add_plugins(plugins);
        self
    }

    /// Gives every cell a value to read as [`Published<T>`].
    #[must_use]
    pub fn publish<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        let value = Arc::new(value);
        let give: Publish = Arc::new(move |world| {
            world.insert_resource(Published::new(value.clone()));
        });
        self.published.insert(TypeId::of::<Published<T>>(), give);
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
        self.npcs = Some(Npcs { names: names_with::<C>, spawn: Arc::new(spawn) });
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

    /// What the cell plugins register, without building a world.
    ///
    /// # Errors
    /// When the plugins are faulty.
    pub fn learn(&self) -> Result<Arc<crate::cell::registration::Game>, ServerError> {
        Ok(self.cell_plugins.learn()?)
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
        let need = settings.ghost_margin_needed_m();
        if settings.ghost_margin_m < need {
            return Err(ServerError::Margin { have: settings.ghost_margin_m, need });
        }
        let game = self.cell_plugins.learn()?;
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
            cell.checks_ghosts = settings.check_invariants;
            cell.set_neighbours(&layout.neighbours(leaf.slot, settings.ghost_margin_m));
            cells.push(cell);
        }

        let world = self.node.world_mut();
        install_resources(world, &settings, layout, context);
        world.insert_resource(GameOf(game));
        if let Some(avatars) = self.avatars.take() {
            world.insert_resource(avatars);
        }
        pool::install(world, settings.threads);
        pool::fill(world, cells);
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

/// The number the next tick must have.
#[derive(Resource, Clone, Copy, Debug)]
pub(super) struct NextTick(pub(super) TickNumber);

fn install_resources(world: &mut World, settings: &WorldSettings, layout: Layout, context: TickContext) {
    world.insert_resource(NextTick(context.tick));
    world.insert_resource(NodeContext(context));
    world.insert_resource(layout);
    world.insert_resource(Births { secret: settings.secret, ..Births::default() });
    world.insert_resource(InterestSettings { enter_radius_m: settings.enter_radius_m });
    world.insert_resource(settings.clone());
    world.init_resource::<Rows>();
    world.init_resource::<Viewers>();
    world.init_resource::<PublishedExports>();
    world.init_resource::<Sessions>();
    world.init_resource::<LifeEvents>();
    world.init_resource::<PartitionCounts>();
    world.init_resource::<ActCounts>();
    world.init_resource::<act::UnderWay>();
    world.init_resource::<record::CellTotals>();
    world.init_resource::<image::PendingImage>();
    world.init_resource::<record::LastSaved>();
    stage::install(world, settings);
}

fn install_tick(world: &mut World, clock: StageClock, heartbeat: Heartbeat) {
    let mut schedule = world
        .resource_mut::<bevy_ecs::schedule::Schedules>()
        .remove(Tick)
        .unwrap_or_else(|| Schedule::new(Tick));
    schedule.set_executor(SingleThreadedExecutor::new());
    schedule.set_build_settings(ScheduleBuildSettings {
        ambiguity_detection: LogLevel::Error,
        ..ScheduleBuildSettings::default()
    });
    tick::configure(&mut schedule);
    schedule.add_systems((
        (begin_tick, take_exports_back).chain().in_set(TickSystems::Receive),
        admit::admit.in_set(TickSystems::Admit),
        record::note_saved_images.in_set(TickSystems::Settle),
        (partition, admit::follow_avatars, image::make_image).chain().in_set(TickSystems::Partition),
        act::act.in_set(TickSystems::Act),
        (simulate_cells, act::collect_answers).chain().in_set(TickSystems::Simulate),
        stage::mirror.in_set(TickSystems::Mirror),
        interest_cells.in_set(TickSystems::Interest),
        stage::assemble.in_set(TickSystems::Assemble),
        image::hand_over_image.in_set(TickSystems::Commit),
        stage::send.in_set(TickSystems::Send),
        (record::check_invariants, record::record).chain().in_set(TickSystems::Record),
    ));
    telemetry::name_node_systems(&mut schedule, &heartbeat);
    telemetry::instrument(&mut schedule, world, clock, heartbeat);
    world.add_schedule(schedule);
}

/// The beginning of a tick that nobody will see the end of: up to `Partition`, where images are made.
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Close;

fn install_close(world: &mut World) {
    let mut schedule = Schedule::new(Close);
    schedule.set_executor(SingleThreadedExecutor::new());
    schedule.add_systems(
        (
            begin_tick,
            admit::admit,
            partition,
            admit::follow_avatars,
            image::make_image,
            image::hand_over_image,
        )
            .chain(),
    );
    world.add_schedule(schedule);
}

fn begin_tick(
    input: Res<TickInput>,
    mut next: ResMut<NextTick>,
    mut context: ResMut<NodeContext>,
    mut rows: ResMut<Rows>,
    mut events: ResMut<LifeEvents>,
) {
    assert_eq!(input.tick, next.0, "ticks are numbered without a gap");
    next.0 = TickNumber(input.tick.0 + 1);
    context.0.tick = input.tick;
    context.0.now_ms = context.0.now_ms.max(input.now_ms);
    rows.begin_tick();
    events.born.clear();
    events.died.clear();
}

fn simulate_cells(world: &mut World) {
    world.run_schedule(SimulateCells);
}

fn interest_cells(world: &mut World) {
    world.run_schedule(InterestCells);
}

/// Fills a new world.
pub struct Population<'a> {
    world: &'a mut World,
}

impl std::fmt::Debug for Population<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Population")
    }
}

impl Population<'_> {
    /// What the world was made with.
    #[must_use]
    pub fn settings(&self) -> &WorldSettings {
        self.world.resource()
    }

    /// Puts an entity into the world; its name follows from how many were put before it.
    ///
    /// # Panics
    /// When the position is not finite.
    pub fn spawn(&mut self, request: SpawnRequest) -> NetId {
        spawn_now(self.world, SpawnRequest { spawner: NetId::WORLD, ..request })
            .expect("names of one spawner do not collide")
    }
}
