//! One cell: a bevy `World` of its own, and what the engine keeps beside it.

use std::sync::Arc;

use bevy_app::App;
use bevy_ecs::archetype::ArchetypeId;
use bevy_ecs::change_detection::Tick;
use bevy_ecs::component::ComponentId;
use bevy_ecs::message::MessageRegistry;
use bevy_ecs::prelude::{Entity, Mut, QueryState, Ref, With, World};
use bevy_ecs::schedule::SingleThreadedExecutor;
use glam::Vec3;
use rustc_hash::FxHashMap;

use crate::action::ActionEffects;
use crate::action::kinds::{Answer, CellStage, RoutedAction};
use crate::ghost::column::Column;
use crate::ghost::export::{Export, Member};
use crate::ghost::import::{GhostPlaces, ImportCounts, ImportTarget, Links, PublishedExports};
use crate::ids::{NetId, Row};
use crate::interest::LastIndex;
use crate::interest::stage::CellInterest;
use crate::protocol::messages::ActionRefusal;
use crate::replication::events::EventOutbox;
use crate::replication::field::FieldWriter;
use crate::replication::{RowDelta, RowMove, RowSubject};
use crate::space::Position;
use crate::telemetry::breadcrumb::CellGuard;
use crate::telemetry::{CellCrumb, name_cell_systems};
use crate::tick::strict_build_settings;
use crate::value::asked::AskedHere;

use super::archetypes::ArchetypeWatch;
use super::attached::{AttachFindings, AttachPass, Attached};
use super::context::TickContext;
use super::kinds::{Changed, Reach};
use super::layout::Leaf;
use super::markers::{Ghost, NO_EXPORT, Owned, OwnedData};
use super::registration::{CellPlugins, Game, GameError, Simulate};
use super::requests::{BuildEntity, Requests};
use super::step::SpaceLimits;

/// What went wrong or is worth counting in one cell and tick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CellCounts {
    /// Steps longer than the limit, undone and done as teleports.
    pub long_steps: u64,
    /// Positions clamped to the world's edge.
    pub clamped: u64,
    /// Fields that were too long to be sent.
    pub oversized_fields: u64,
    /// Spawns, teleports and messages asked for in the name of an entity that is not the cell's.
    pub foreign_requests: u64,
    /// Subjects that changed and override the policy of what the game does not register.
    pub unknown_overrides: u64,
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
    /// Its entities that moved in this tick, to be published to the row table.
    pub moves: Vec<RowMove>,
    /// What else changed about its entities in this tick, to be published likewise.
    pub deltas: Vec<RowDelta>,
    /// Whose subject changed in this tick, to be published likewise.
    pub subjects: Vec<RowSubject>,
    /// Its entities that stand in another cell's box.
    pub crossings: Vec<NetId>,
    /// Its entities that died and that the registry still knows, by order of death.
    pub dead: Vec<NetId>,
    /// What the tick found about attached entities.
    pub attachments: AttachFindings,
    /// Fingerprint of what it owns, one wrapping sum per kind; the last is the positions'.
    pub sums: Vec<u64>,
    /// What this tick's work counted.
    pub counts: CellCounts,
    /// Look after every `Simulate` whether a game system wrote a ghost, O(ghosts × kinds), and panic where a game system
    /// asks for something in another cell's name.
    pub checks_invariants: bool,
    /// The ghost that one wrote, and the component.
    pub written_ghost: Option<(NetId, &'static str)>,
    /// What the last import did.
    pub imported: ImportCounts,
    /// All entities by name, owned and ghosts.
    pub by_net_id: FxHashMap<NetId, Entity>,
    /// Tells a panic or a hang by this cell's name.
    pub crumb: CellCrumb,
    /// What its viewers might see.
    pub interest: CellInterest,
    pub(super) game: Arc<Game>,
    pub(super) limits: SpaceLimits,
    pub(super) columns: Vec<Option<Box<dyn Column>>>,
    pub(super) changed: Vec<Changed>,
    /// Components that newcomers lost between the last survey of their old cell and the handover.
    pub(super) lost_on_the_way: Vec<Changed>,
    pub(crate) queries: Queries,
    pub(super) components_of: FxHashMap<ArchetypeId, u64>,
    pub(super) writer: FieldWriter,
    pub(super) saved: Vec<u8>,
    pub(super) prints: Vec<(usize, u64)>,
    #[cfg(any(test, feature = "planted-faults"))]
    pub(crate) planted: Option<Arc<crate::replication::planted::LeftOutMask>>,
    pub(super) kind_ids: Vec<ComponentId>,
    archetypes: ArchetypeWatch,
    pub(super) ghosts_frozen_at: Tick,
}

/// The engine's own queries, prepared once per world.
pub(crate) struct Queries {
    pub(super) positions: QueryState<(Entity, &'static NetId, &'static mut Owned, &'static mut Position)>,
    pub(super) ghost_places: GhostPlaces,
    pub(super) written_places: QueryState<(&'static NetId, Ref<'static, Position>), With<Ghost>>,
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
        let archetypes = ArchetypeWatch::new(world);
        let kind_ids: Vec<ComponentId> = game.kinds.iter().map(|kind| kind.register(world)).collect();
        world.init_resource::<Requests>();
        world.init_resource::<AskedHere>();
        world.insert_resource(EventOutbox::of(game.events.clone()));
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
            schedule.set_build_settings(strict_build_settings());
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
            ghost_places: world.query(),
            written_places: world.query_filtered(),
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
            moves: Vec::new(),
            deltas: Vec::new(),
            subjects: Vec::new(),
            crossings: Vec::new(),
            dead: Vec::new(),
            attachments: AttachFindings::default(),
            sums: vec![0; game.kinds.len() + 1],
            counts: CellCounts::default(),
            checks_invariants: false,
            written_ghost: None,
            imported: ImportCounts::default(),
            by_net_id: FxHashMap::default(),
            crumb,
            interest: CellInterest::default(),
            game: game.clone(),
            limits,
            columns,
            changed: Vec::new(),
            lost_on_the_way: Vec::new(),
            queries,
            components_of: FxHashMap::default(),
            writer: FieldWriter::default(),
            saved: Vec::new(),
            prints: Vec::new(),
            #[cfg(any(test, feature = "planted-faults"))]
            planted: None,
            kind_ids,
            archetypes,
            ghosts_frozen_at,
            world,
        }))
    }

    /// Notes that this thread runs the cell, until the guard is dropped.
    pub fn enter(&self) -> CellGuard {
        self.crumb.enter(self.leaf.id)
    }

    /// Puts a new entity into this cell.
    ///
    /// # Panics
    /// When `build` gives it another name: names are given by the engine alone.
    pub fn insert(&mut self, net_id: NetId, row: Row, position: Vec3, build: BuildEntity) -> Entity {
        let mut entity = self.world.spawn((
            net_id,
            Position(position),
            Owned {
                row,
                export: NO_EXPORT,
                anchor: position,
                lattice: Default::default(),
                published: false,
                print: 0,
                leader: NetId::WORLD,
            },
            OwnedData { prints: vec![0; self.game.kinds.len()], ..OwnedData::default() },
        ));
        build(&mut entity);
        assert_eq!(
            entity.get::<NetId>(),
            Some(&net_id),
            "cell {}: a newborn's components include a name: names are given by the engine alone",
            self.leaf.id
        );
        // The request says where, because the cell was chosen by it.
        entity.insert(Position(position));
        if entity.contains::<Attached>() {
            self.attachments.to_join.push(net_id);
        }
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
        let Some(mut owned) = entity.get_mut::<Owned>() else { return };
        let positions = self.sums.last_mut().expect("the positions' sum is always there");
        *positions = positions.wrapping_sub(owned.print);
        if owned.export != NO_EXPORT {
            if let Some(export) = &mut self.export {
                export.give_up(owned.export);
            }
            owned.export = NO_EXPORT;
        }
    }

    /// Takes an entity's part out of the export and the fingerprint, and what the engine keeps of it out of the
    /// entity, because it moves.
    ///
    /// # Panics
    /// When the cell does not own it.
    pub(super) fn give_away(&mut self, entity: Entity) -> (Owned, OwnedData) {
        self.detach(entity);
        let mut entity = self.world.entity_mut(entity);
        let owned = *entity.get::<Owned>().expect("the registry names the owner");
        let data = std::mem::take(&mut *entity.get_mut::<OwnedData>().expect("owned entities have it"));
        (owned, data)
    }

    /// Takes note of what game systems despawned: it leaves the fingerprint and the export at once and is
    /// nowhere from now on, so that nobody sees it in this tick, from whichever cell; its name and its row
    /// follow at the next `Partition`.
    pub(super) fn note_deaths(&mut self) {
        for death in std::mem::take(&mut self.world.resource_mut::<Requests>().deaths) {
            for (sum, print) in self.sums.iter_mut().zip(&death.prints) {
                *sum = sum.wrapping_sub(*print);
            }
            if death.export != NO_EXPORT
                && let Some(export) = &mut self.export
            {
                export.give_up(death.export);
            }
            self.moves.push(RowMove { row: death.row, position: Vec3::NAN, mask: 0 });
            // Who was hidden in its last tick did not die before anybody's eyes.
            self.subjects.push(RowSubject { row: death.row, subject: death.subject });
            self.dead.push(death.net_id);
        }
    }

    /// Runs the tick's actions and the game's systems, then looks at what they did: positions are checked,
    /// the border is exported, deaths and crossings are noted.
    ///
    /// # Panics
    /// When a handler or a game system does, or breaks a rule of the engine: that is named with cell and entity.
    pub fn simulate(&mut self, context: &TickContext) {
        *self.world.resource_mut::<TickContext>() =
            TickContext { cell: self.leaf.id, area: self.leaf.area, ..context.clone() };
        self.game.clone().reset_scratch(&mut self.world);
        self.ghosts_frozen_at = self.world.increment_change_tick();
        let cell = self.leaf.id;
        self.archetypes.begin(&self.world);
        self.run_actions(context);
        self.world.run_schedule(Simulate);
        self.world.flush();
        self.moves.clear();
        self.deltas.clear();
        self.subjects.clear();
        self.world.try_resource_scope(|world, mut messages: Mut<MessageRegistry>| {
            let last = world.last_change_tick();
            messages.run_updates(world, last);
        });
        self.archetypes.check(&self.world, &self.game, &self.kind_ids, cell);
        if let Some(net_id) = self.world.resource_mut::<Requests>().lost_ghost.take() {
            panic!("cell {cell}: a game system despawned the ghost {net_id}: ghosts are read only");
        }
        self.note_deaths();
        let by_net_id = &self.by_net_id;
        self.attachments = self.queries.attach.run(
            &mut self.world,
            |net_id| by_net_id.get(&net_id).copied(),
            cell,
            &self.limits,
        );
        if self.checks_invariants {
            self.written_ghost = self.find_written_ghost();
        }
        self.survey();
        self.drop_foreign_requests();
        self.world.clear_trackers();
    }

    /// Runs the actions that wait, before `Simulate`: something on the node comes after them.
    ///
    /// # Panics
    /// When a handler does.
    pub fn act(&mut self, context: &TickContext) {
        let crumb = self.enter();
        crumb.system("actions");
        self.run_actions(context);
    }

    fn run_actions(&mut self, context: &TickContext) {
        if self.actions.is_empty() {
            return;
        }
        let context = TickContext { cell: self.leaf.id, area: self.leaf.area, ..context.clone() };
        let mut effects = ActionEffects::take(&mut self.world);
        let (actions, game) = (std::mem::take(&mut self.actions), &self.game);
        let (by_net_id, answers) = (&self.by_net_id, &mut self.answers);
        self.world.resource_scope(|world, nearby: Mut<LastIndex>| {
            for action in actions {
                let kind = &game.actions[usize::from(action.kind)];
                let result = match by_net_id.get(&action.on).copied() {
                    Some(entity) => {
                        let stage = &mut CellStage { world, entity, nearby: &nearby, effects: &mut effects };
                        kind.run_in_cell(&action, &context, stage)
                    }
                    None if action.on == action.actor => Err(ActionRefusal::NotInWorld),
                    None => Err(ActionRefusal::NotYours),
                };
                answers.push(Answer { session: action.session, id: action.id, kind: action.kind, result });
            }
        });
        effects.put_back(&mut self.world);
    }

    /// Brings the ghosts up to date with what the neighbours published.
    pub fn import_ghosts(&mut self, published: &PublishedExports) {
        self.world.resource_mut::<Requests>().engine_moves = true;
        self.imported = self.links.import(
            &mut ImportTarget {
                area: self.leaf.area,
                margin: self.limits.ghost_margin_m,
                world: &mut self.world,
                by_net_id: &mut self.by_net_id,
                columns: &mut self.columns,
                places: &mut self.queries.ghost_places,
            },
            published,
        );
        self.world.resource_mut::<Requests>().engine_moves = false;
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
