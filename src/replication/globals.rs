//! Node-wide state without a place (a round, a market, a boss's progress), replicated like everything else.
//!
//! *Does*: gives each registered resource of the node a row that is in every view, and follows its changes; its
//! fields have the same policies as those of components. *Does not*: decide who changes it (node systems do).
//! *Reads*: resources of the node. *Writes*: rows, a part of the fingerprint.

use std::any::TypeId;

use bevy_app::App;
use bevy_ecs::prelude::{EntityRef, FromWorld, Mut, Resource, World};

use crate::cell::audit::{RowFault, public_fault};
use crate::cell::kinds::{ComponentKind, ReplicatedKind};
use crate::cell::registration::{Game, GameError};
use crate::cell::survey::print_of;
use crate::ids::{NetId, Row};
use crate::limits::{COMPONENT_KINDS_MAX, FIELDS_PER_ENTITY_MAX};

use super::field::FieldWriter;
use super::mask::{FIELD_FIRST, SUBJECT};
use super::policy::ComponentPolicy;
use super::rows::{EncodedRow, RowDelta, Rows};
use super::schema::Schema;
use super::{Replicate, SyncFields};

/// How a resource is found in the node's world; bevy keeps each on an entity of its own.
type Find = fn(&World) -> Option<EntityRef<'_>>;

/// One registered resource.
struct Global {
    name: &'static str,
    type_id: TypeId,
    init: fn(&mut World),
    push: fn(&mut Schema) -> usize,
    kind: fn(usize) -> Box<dyn ComponentKind>,
    find: Find,
    is_changed: fn(&World) -> bool,
}

/// One resource in a running world.
struct Living {
    kind: Box<dyn ComponentKind>,
    component: usize,
    find: Find,
    is_changed: fn(&World) -> bool,
    net_id: NetId,
    row: Row,
    encoded: EncodedRow,
    print: u64,
    /// It has been told once.
    published: bool,
}

/// What node plugins have registered, until the server is built.
#[derive(Resource, Default)]
pub(crate) struct RegisteredGlobals(Vec<Global>);

/// The node-wide state of a running world.
#[derive(Resource, Default)]
pub struct Globals {
    living: Vec<Living>,
    writer: FieldWriter,
    saved: Vec<u8>,
    oversized_fields: u64,
}

impl std::fmt::Debug for Globals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.living.iter().map(|global| global.kind.name())).finish()
    }
}

/// What node plugins may register.
pub trait NodeAppExt {
    /// Sends a resource of the node to every player, by the policies of its fields, and saves it. It is made with its
    /// [`FromWorld`] when no plugin has inserted it. The second registration of a type changes nothing; two types of one
    /// name are refused when the server is built.
    ///
    /// In policies the subject is the plain one: nobody's, in no party and no team.
    fn replicate_global<G: Replicate + Resource + FromWorld>(&mut self) -> &mut Self;
}

impl NodeAppExt for App {
    fn replicate_global<G: Replicate + Resource + FromWorld>(&mut self) -> &mut Self {
        let mut registered = self.world_mut().get_resource_or_init::<RegisteredGlobals>();
        if registered.0.iter().all(|global| global.type_id != TypeId::of::<G>()) {
            registered.0.push(Global {
                name: <G as SyncFields>::NAME,
                type_id: TypeId::of::<G>(),
                init: |world| {
                    world.init_resource::<G>();
                },
                push: Schema::push::<G>,
                kind: |component| Box::new(ReplicatedKind::<G>::new(component)),
                find: |world| Some(world.entity(world.resource_entity::<G>()?)),
                is_changed: |world| world.is_resource_changed::<G>(),
            });
        }
        self
    }
}

impl RegisteredGlobals {
    /// Adds them to what the cells have registered: to its schema, behind the components.
    ///
    /// # Errors
    /// When one has the name of another, of a component or of another type of event, or there are too many.
    pub(crate) fn extend(&self, game: &mut Game) -> Result<(), GameError> {
        for (index, global) in self.0.iter().enumerate() {
            let name = global.name;
            let is_taken = self.0[..index].iter().any(|other| other.name == name)
                || game.kinds.iter().any(|kind| kind.name() == name)
                || game.events.is_another(name, global.type_id);
            if is_taken {
                return Err(GameError::DuplicateGlobal(name));
            }
            let schema = &mut game.schema;
            let component = (global.push)(schema);
            let sent = schema.components[component].sent.len();
            if sent + FIELD_FIRST as usize > FIELDS_PER_ENTITY_MAX {
                return Err(GameError::TooManyFields(name, sent));
            }
            if component >= COMPONENT_KINDS_MAX {
                return Err(GameError::TooManyComponents(schema.components.len()));
            }
            schema.globals |= 1 << component;
        }
        Ok(())
    }

    /// Their kinds, in order of registration: the last ones of the schema that they extended.
    pub(crate) fn kinds(&self, schema: &Schema) -> Vec<Box<dyn ComponentKind>> {
        let index = |global: &Global| schema.component(global.name).expect("the schema was extended with it");
        self.0.iter().map(|global| (global.kind)(index(global))).collect()
    }

    /// Makes the resources that are missing, and gives each its row.
    pub(crate) fn bring_to_life(self, world: &mut World, secret: u64) {
        let mut globals = Globals::default();
        for global in self.0 {
            (global.init)(world);
            let mut rows = world.resource_mut::<Rows>();
            let component = rows.schema().component(global.name).expect("the schema was extended with it");
            let net_id = NetId::of_global(secret, global.name);
            let row = rows.insert_placeless(net_id);
            globals.living.push(Living {
                kind: (global.kind)(component),
                component,
                find: global.find,
                is_changed: global.is_changed,
                net_id,
                row,
                encoded: EncodedRow::default(),
                print: 0,
                published: false,
            });
        }
        world.insert_resource(globals);
    }
}

impl Globals {
    /// The kind of a component of the schema, if it is node-wide state.
    pub(crate) fn kind(&self, component: usize) -> Option<&dyn ComponentKind> {
        self.living.iter().find(|global| global.component == component).map(|global| &*global.kind)
    }

    /// The resource behind a row, on the entity that bevy keeps it on.
    pub(crate) fn entity<'w>(&self, world: &'w World, row: Row) -> Option<EntityRef<'w>> {
        let global = self.living.iter().find(|global| global.row == row)?;
        (global.find)(world)
    }

    /// Compares the row of each with the resource, as [`Cell::audit_rows`](crate::cell::Cell::audit_rows) does.
    pub(crate) fn audit_rows(&self, world: &World, rows: &Rows) -> Vec<RowFault> {
        let audit = |global: &Living| {
            let entity = (global.find)(world)?;
            public_fault(rows, global.row, &entity, |component| self.kind(component))
        };
        self.living.iter().filter_map(audit).collect()
    }

    /// Field values that were longer than declared and not sent, since the start.
    #[must_use]
    pub fn oversized_fields(&self) -> u64 {
        self.oversized_fields
    }

    /// Their part of the fingerprint.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.living.iter().fold(0, |sum, global| sum.wrapping_add(global.print))
    }

    /// Their part of the fingerprint as they are now, whatever change detection has noticed.
    #[must_use]
    pub fn sum_from_scratch(&self, world: &World) -> u64 {
        let mut saved = Vec::new();
        self.living.iter().fold(0, |sum, global| {
            saved.clear();
            let entity = (global.find)(world).expect("node-wide state is not taken away");
            global.kind.save(&entity, &mut saved);
            sum.wrapping_add(print_of(global.net_id, global.component, &saved))
        })
    }

    /// All of them in saved form, by name.
    pub(crate) fn save(&self, world: &World) -> Vec<(String, Vec<u8>)> {
        let save = |global: &Living| {
            let mut bytes = Vec::new();
            let entity = (global.find)(world)?;
            global.kind.save(&entity, &mut bytes).then(|| (global.kind.name().to_owned(), bytes))
        };
        self.living.iter().filter_map(save).collect()
    }

    /// Puts back what [`save`](Self::save) gave.
    ///
    /// # Errors
    /// When the bytes are damaged, or name state that the game no longer registers.
    pub(crate) fn load(world: &mut World, saved: &[(String, Vec<u8>)]) -> Result<(), String> {
        world.resource_scope(|world, globals: Mut<Globals>| {
            for (name, bytes) in saved {
                let global = globals.living.iter().find(|global| global.kind.name() == name).ok_or_else(|| {
                    format!("it holds node-wide state `{name}`, which this game does not register: register it or migrate the save")
                })?;
                let entity = (global.find)(world).map(|entity| entity.id()).expect("it was made at start");
                let mut entity = world.entity_mut(entity);
                let used = global.kind.load(&mut entity, bytes).map_err(|error| error.to_string())?;
                if used != bytes.len() {
                    return Err(format!("`{name}` has {} bytes too many", bytes.len() - used));
                }
            }
            Ok(())
        })
    }
}

/// Publishes what has changed since the last tick: with the rows of cells, at the beginning of `Assemble`.
pub(crate) fn publish(world: &mut World) {
    world.resource_scope(|world, mut globals: Mut<Globals>| {
        let Globals { living, writer, saved, oversized_fields } = &mut *globals;
        let mut deltas = Vec::new();
        for global in living {
            if global.published && !(global.is_changed)(world) {
                continue;
            }
            let entity = (global.find)(world).expect("node-wide state is not taken away");
            writer.clear();
            global.kind.encode_sent(&entity, writer);
            *oversized_fields += u64::from(writer.oversized);
            saved.clear();
            global.kind.save(&entity, saved);
            global.print = print_of(global.net_id, global.component, saved);
            let mask = global.encoded.update(1 << global.component, writer);
            // Who sees it may depend on what of it is never sent.
            let policy = world.resource::<Rows>().schema().components[global.component].policy;
            let mask = mask | if policy == ComponentPolicy::Custom { SUBJECT } else { 0 };
            if mask != 0 || !global.published {
                let (row, encoded) = (global.row, global.encoded.clone());
                deltas.push(RowDelta { row, position: glam::Vec3::NAN, mask, encoded });
            }
            global.published = true;
        }
        world.resource_mut::<Rows>().publish(&mut deltas);
    });
}
