//! One cell: a bevy `World` of its own, and what the engine keeps beside it.

use std::collections::HashMap;
use std::sync::Arc;

use bevy_app::App;
use bevy_ecs::archetype::{ArchetypeGeneration, ArchetypeId};
use bevy_ecs::change_detection::Tick;
use bevy_ecs::component::ComponentId;
use bevy_ecs::message::MessageRegistry;
use bevy_ecs::prelude::{Entity, Mut, QueryState, With, World};
use bevy_ecs::resource::IsResource;
use bevy_ecs::schedule::{LogLevel, ScheduleBuildSettings, SingleThreadedExecutor};
use glam::Vec3;
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::action::kinds::{Answer, RoutedAction};
use crate::ghost::column::Column;
use crate::ghost::export::{Export, Member};
use crate::ghost::import::{ImportCounts, ImportTarget, Links, PublishedExports};
use crate::ids::{NetId, Row};
use crate::interest::LastIndex;
use crate::interest::stage::CellInterest;
use crate::protocol::messages::ActionRefusal;
use crate::replication::RowDelta;
use crate::replication::field::FieldWriter;
use crate::space::{Area, Position};
use crate::telemetry::breadcrumb::CellGuard;
use crate::telemetry::{CellCrumb, name_cell_systems};

use super::attached::{AttachFindings, AttachPass};
use super::context::TickContext;
use super::kinds::{Changed, Reach};
use super::layout::Leaf;
use super::markers::{Ghost, NO_EXPORT, Owned, OwnedData};
use super::registration::{CellPlugins, Game, GameError, Simulate};
use super::requests::{BuildEntity, Requests};

/// The distances that cells must respect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SpaceLimits {
    /// The whole world.
    pub world: Area,
    /// How far beyond a cell's box its ghosts reach, m.
    pub ghost_margin_m: f32,
    /// How far anything may move in one tick, m.
    pub step_m_max: f32,
    /// How far from its leader something attached may be, m.
    pub attach_reach_m: f32,
    /// Radius beyond which nothing is seen or found nearby, m.
    pub leave_radius_m: f32,
    /// Edge of the buckets that a cell's entities are indexed by, m.
    pub bucket_m: f32,
}

/// What went wrong or is worth counting in one cell and tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CellCounts {
    /// Steps longer than the limit, undone and done as teleports.
    pub long_steps: u64,
    /// Positions clamped to the world's edge.
    pub clamped: u64,
    /// Fields that were too long to be sent.
    pub oversized_fields: u64,
}

/// One cell.
pub struct Cell {
    /// Name, box, slot and epoch.
    pub leaf: Leaf,
    /// The entities it owns, its ghosts, and the game's systems.
    pub world: World,
    /// What it exports; out while it is published.
    pub export: Option<Export>,
    /// Its neighbours, and its ghosts of them.
    pub links: Links,
    /// Actions to run at the beginning of the next `Simulate`, by (actor, order).
    pub actions: Vec<RoutedAction>,
    /// Their answers.
    pub answers: Vec<Answer>,
    /// What changed about its entities in this tick, to be published to the row table.
    pub deltas: Vec<RowDelta>,
    /// Its entities that stand in another cell's box.
    pub crossings: Vec<NetId>,
    /// What the tick found about attached entities.
    pub attachments: AttachFindings,
    /// Fingerprint of what it owns, one wrapping sum per kind; the last is the positions'.
    pub sums: Vec<u64>,
    /// What this tick's work counted.
    pub counts: CellCounts,
    /// Look after every `Simulate` whether a game system wrote a ghost. O(ghosts × kinds).
    pub checks_ghosts: bool,
    /// The ghost that one wrote, and the component.
    pub written_ghost: Option<(NetId, &'static str)>,
    /// What the last import did.
    pub imported: ImportCounts,
    /// All entities by name, owned and ghosts.
    pub by_net_id: HashMap<NetId, Entity, FxBuildHasher>,
    /// Tells a panic or a hang by this cell's name.
    pub crumb: CellCrumb,
    /// What its viewers might see.
    pub interest: CellInterest,
    pub(super) game: Arc<Game>,
    pub(super) limits: SpaceLimits,
    pub(super) columns: Vec<Option<Box<dyn Column>>>,
    pub(super) changed: Vec<Changed>,
    pub(crate) queries: Queries,
    pub(super) components_of: FxHashMap<ArchetypeId, u64>,
    pub(super) writer: FieldWriter,
    pub(super) saved: Vec<u8>,
    kind_ids: Vec<ComponentId>,
    engine_ids: Vec<ComponentId>,
    archetypes_seen: ArchetypeGeneration,
    ghosts_frozen_at: Tick,
}

/// The engine's own queries, prepared once per world.
pub(crate) struct Queries {
    pub(super) positions: QueryState<(
        Entity,
        &'static NetId,
        &'static mut Owned,
        &'static mut Position,
        &'static mut OwnedData,
    )>,
    pub(super) ghost_positions: QueryState<&'static mut Position, With<Ghost>>,
    pub(crate) ghosts: QueryState<(&'static NetId, &'static Ghost, &'static Position)>,
    pub(crate) owned: QueryState<(Entity, &'static NetId, &'static Owned, &'static Position)>,
    pub(super) attach: AttachPass,
}

impl std::fmt::Debug for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cell").field("leaf", &self.leaf).finish_non_exhaustive()
    }
}

impl Cell {
    /// Builds an empty cell: components are registered in the game's order before the plugins run, so that
    /// every cell knows each under the same `ComponentId`.
    ///
    /// # Errors
    /// When the game's systems contradict each other.
    pub fn new(
        leaf: Leaf,
        limits: SpaceLimits,
        game: &Arc<Game>,
        plugins: &CellPlugins,
        context: TickContext,
        crumb: CellCrumb,
    ) -> Result<Box<Self>, GameError> {
        let mut app = App::empty();
        let world = app.world_mut();
        world.register_disabling_component::<Ghost>();
        let engine_ids = vec![
            world.register_component::<NetId>(),
            world.register_component::<Position>(),
            world.register_component::<Owned>(),
            world.register_component::<OwnedData>(),
            world.register_component::<Ghost>(),
        ];
        let kind_ids: Vec<ComponentId> = game.kinds.iter().map(|kind| kind.register(world)).collect();
        world.init_resource::<Requests>();
        world.insert_resource(context);
        world.insert_resource(LastIndex::new(
            leaf.area,
            limits.ghost_margin_m,
            limits.leave_radius_m,
            limits.bucket_m,
        ));
        for kind in &game.messages {
            kind.install(world);
        }
        app.init_schedule(Simulate);
        app.edit_schedule(Simulate, |schedule| {
            schedule.set_executor(SingleThreadedExecutor::new());
            schedule.set_build_settings(ScheduleBuildSettings {
                ambiguity_detection: LogLevel::Error,
                ..ScheduleBuildSettings::default()
            });
        });
        plugins.build_cell(&mut app, game);
        app.edit_schedule(Simulate, |schedule| {
            name_cell_systems(schedule);
        });
        let mut world = std::mem::take(app.world_mut());
        world.schedule_scope(Simulate, |world, schedule| {
            schedule
                .initialize(world)
                .map(|_| ())
                .map_err(|error| GameError::Systems(error.to_string(schedule.graph(), world)))
        })?;

        let columns: Vec<_> = game.kinds.iter().map(|kind| kind.column(&mut world)).collect();
        let exports = columns.iter().map(|column| column.as_ref().and_then(|column| column.new_export()));
        let export = Export::new(leaf.id, leaf.epoch, exports.collect());
        let queries = Queries {
            positions: world.query(),
            ghost_positions: world.query_filtered(),
            ghosts: world.query(),
            owned: world.query(),
            attach: AttachPass::new(&mut world),
        };
        world.clear_trackers();
        let ghosts_frozen_at = world.increment_change_tick();
        Ok(Box::new(Self {
            leaf,
            export: Some(export),
            links: Links::default(),
            actions: Vec::new(),
            answers: Vec::new(),
            deltas: Vec::new(),
            crossings: Vec::new(),
            attachments: AttachFindings::default(),
            sums: vec![0; game.kinds.len() + 1],
            counts: CellCounts::default(),
            checks_ghosts: false,
            written_ghost: None,
            imported: ImportCounts::default(),
            by_net_id: HashMap::default(),
            crumb,
            interest: CellInterest::default(),
            game: game.clone(),
            limits,
            columns,
            changed: Vec::new(),
            queries,
            components_of: FxHashMap::default(),
            writer: FieldWriter::default(),
            saved: Vec::new(),
            kind_ids,
            engine_ids,
            archetypes_seen: ArchetypeGeneration::initial(),
            ghosts_frozen_at,
            world,
        }))
    }

    /// Notes that this thread runs the cell, until the guard is dropped.
    pub fn enter(&self) -> CellGuard {
        self.crumb.enter(self.leaf.id)
    }

    /// Puts a new entity into this cell.
    pub fn insert(&mut self, net_id: NetId, row: Row, position: Vec3, build: BuildEntity) -> Entity {
        let mut entity = self.world.spawn((
            net_id,
            Position(position),
            Owned { row, export: NO_EXPORT, anchor: position, lattice: Default::default(), published: false },
            OwnedData { prints: vec![0; self.game.kinds.len() + 1], ..OwnedData::default() },
        ));
        build(&mut entity);
        let entity = entity.id();
        self.by_net_id.insert(net_id, entity);
        entity
    }

    /// Forgets an entity that died here: its place in the export, its part of the fingerprint, and whatever
    /// is left of it in the world.
    pub fn bury(&mut self, net_id: NetId) {
        let Some(entity) = self.by_net_id.remove(&net_id) else { return };
        self.detach(entity);
        self.world.resource_mut::<Requests>().engine_moves = true;
        if self.world.get_entity(entity).is_ok() {
            self.world.despawn(entity);
        }
        self.world.resource_mut::<Requests>().engine_moves = false;
    }

    /// Takes an entity's part out of the export and the fingerprint, because it dies or moves.
    pub(super) fn detach(&mut self, entity: Entity) {
        let Ok(mut entity) = self.world.get_entity_mut(entity) else { return };
        if let Some(data) = entity.get::<OwnedData>() {
            for (sum, print) in self.sums.iter_mut().zip(&data.prints) {
                *sum = sum.wrapping_sub(*print);
            }
        }
        if let Some(mut owned) = entity.get_mut::<Owned>()
            && owned.export != NO_EXPORT
        {
            if let Some(export) = &mut self.export {
                export.give_up(owned.export);
            }
            owned.export = NO_EXPORT;
        }
    }

    /// Runs the tick's actions and the game's systems, then looks at what they did: positions are checked,
    /// the border is exported, deaths and crossings are noted.
    pub fn simulate(&mut self, context: &TickContext) {
        *self.world.resource_mut::<TickContext>() =
            TickContext { cell: self.leaf.id, area: self.leaf.area, ..context.clone() };
        self.game.clone().reset_scratch(&mut self.world);
        self.ghosts_frozen_at = self.world.increment_change_tick();
        self.run_actions();
        self.world.run_schedule(Simulate);
        self.world.flush();
        self.world.try_resource_scope(|world, mut messages: Mut<MessageRegistry>| {
            let last = world.last_change_tick();
            messages.run_updates(world, last);
        });
        self.check_archetypes();
        let by_net_id = &self.by_net_id;
        self.attachments = self.queries.attach.run(
            &mut self.world,
            |net_id| by_net_id.get(&net_id).copied(),
            self.limits.attach_reach_m,
        );
        if self.checks_ghosts {
            self.written_ghost = self.find_written_ghost();
        }
        self.survey();
        self.world.clear_trackers();
    }

    fn run_actions(&mut self) {
        for action in std::mem::take(&mut self.actions) {
            let kind = &self.game.actions[usize::from(action.kind)];
            let entity = self.by_net_id.get(&action.actor).copied();
            let result = match entity {
                Some(entity) => kind.run(&mut self.world, entity, &action),
                None => Err(ActionRefusal::NotInWorld),
            };
            if let Some(id) = action.id {
                self.answers.push(Answer { session: action.session, id, result });
            }
        }
    }

    /// Looks at archetypes made since the last tick: a component that nobody registered would vanish at the
    /// next border.
    ///
    /// # Panics
    /// When an entity of the game has an unregistered component or no name. Names both.
    fn check_archetypes(&mut self) {
        let archetypes = self.world.archetypes();
        let new = &archetypes[self.archetypes_seen..];
        let is_resource = self.world.component_id::<IsResource>();
        for archetype in new {
            if archetype.is_empty() || is_resource.is_some_and(|id| archetype.contains(id)) {
                continue;
            }
            let name_of = |id: ComponentId| self.world.components().get_name(id).map(|name| name.to_string());
            let is_entity = archetype.contains(self.engine_ids[0]);
            for &id in archetype.components() {
                let known = self.engine_ids.contains(&id) || self.kind_ids.contains(&id);
                // Observers and one-shot systems are entities of bevy's own.
                if !is_entity && name_of(id).is_some_and(|name| name.starts_with("bevy_ecs::")) {
                    break;
                }
                assert!(
                    is_entity,
                    "cell {}: an entity with {} was spawned without a name: spawn through `WorldRequests`",
                    self.leaf.id,
                    name_of(id).unwrap_or_default()
                );
                assert!(
                    known,
                    "cell {}: the component {} is on an entity but not registered: it would vanish at the next \
                     border; register it with `replicate`, `server_only` or `cell_local`",
                    self.leaf.id,
                    name_of(id).unwrap_or_default()
                );
            }
        }
        // An archetype that is empty now may be filled later, so only full looks move the mark on.
        if new.iter().all(|archetype| !archetype.is_empty()) {
            self.archetypes_seen = archetypes.generation();
        }
    }

    /// Brings the ghosts up to date with what the neighbours published.
    pub fn import_ghosts(&mut self, published: &PublishedExports) {
        self.imported = self.links.import(
            &mut ImportTarget {
                area: self.leaf.area,
                margin: self.limits.ghost_margin_m,
                world: &mut self.world,
                by_net_id: &mut self.by_net_id,
                columns: &mut self.columns,
                positions: &mut self.queries.ghost_positions,
            },
            published,
        );
    }

    /// Follows these neighbours from now on.
    pub fn set_neighbours(&mut self, neighbours: &[Leaf]) {
        self.links.reset(neighbours, &mut self.world);
    }

    /// Calls `visit` for every entity the cell knows: (row, name, position, whether it owns it).
    pub fn for_each_entity(&mut self, mut visit: impl FnMut(Row, NetId, Vec3, bool)) {
        for (_, &net_id, owned, position) in self.queries.owned.iter(&self.world) {
            visit(owned.row, net_id, position.0, true);
        }
        for (&net_id, ghost, position) in self.queries.ghosts.iter(&self.world) {
            visit(ghost.row, net_id, position.0, false);
        }
    }

    /// A ghost that somebody other than the engine wrote since the tick began, with the component's name.
    fn find_written_ghost(&mut self) -> Option<(NetId, &'static str)> {
        for (kind, column) in self.game.kinds.iter().zip(&mut self.columns) {
            let written = column
                .as_mut()
                .and_then(|column| column.find_written_ghost(&mut self.world, self.ghosts_frozen_at));
            if let Some(ghost) = written {
                let net_id = self.world.get::<NetId>(ghost).copied().unwrap_or_default();
                return Some((net_id, kind.name()));
            }
        }
        None
    }

    /// Which replicated components an entity has, as a set over the schema.
    pub(super) fn components_of(&mut self, entity: Entity) -> u64 {
        let entity = self.world.entity(entity);
        let archetype = entity.archetype();
        if let Some(&components) = self.components_of.get(&archetype.id()) {
            return components;
        }
        let mut components = 0;
        for (kind, &id) in self.game.kinds.iter().zip(&self.kind_ids) {
            if let Reach::Replicated(index) = kind.reach()
                && archetype.contains(id)
            {
                components |= 1 << index;
            }
        }
        self.components_of.insert(archetype.id(), components);
        components
    }

    /// Gives an entity that came near a border its place in the export, with all its values.
    pub(super) fn export_whole(&mut self, entity: Entity, member: Member) -> u32 {
        let export = self.export.as_mut().expect("the export is at home in Simulate");
        let place = export.take_place(member);
        for (column, exported) in self.columns.iter_mut().zip(&mut export.columns) {
            if let (Some(column), Some(exported)) = (column, exported) {
                column.export_one(&self.world, entity, place, exported);
            }
        }
        place
    }
}
