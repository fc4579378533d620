//! What every player must be told, found from scratch and by brute force, over all entities of all cells.
//!
//! With the engine it shares the policy functions, which are the definition, how floats are rounded, the one distance,
//! and the order of who is kept when a view is full.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use bevy_ecs::world::EntityRef;
use terrane::cell::markers::Owned;
use terrane::cell::pool::with_cells;
use terrane::client::mirror::MirrorEntity;
use terrane::prelude::*;
use terrane::replication::mask::FIELD_FIRST;
use terrane::replication::policy::{
    ComponentPolicy, ComponentRule, Depends, Subject, ViewerContext, Viewing,
};
use terrane::replication::rule::{Standing, rank};
use terrane::replication::{Rows, Schema};
use terrane::session::Sessions;
use terrane::space::{LatticePoint, distance_squared};

use crate::game::SECRET;
use crate::game::node::{Almanac, Decree};
use crate::things::{Banner, Body, Camp, Fate, File, Ledger, Load, Orders, Plot, Thing, Tree, Vault};
use crate::twigs::Grove;

/// One component as one player is told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// All of it, what is hidden at its default.
    pub whole: Vec<u8>,
    /// Field by field, as far as they are sent.
    pub parts: Vec<Vec<u8>>,
    /// What is hidden, by path, in order.
    pub hidden: Vec<String>,
    /// The names of the sent fields.
    pub names: Vec<&'static str>,
}

impl Told {
    fn of<C: Thing>(value: &C, hidden: Vec<String>) -> Self {
        let mut whole = Vec::new();
        value.save(&mut whole);
        let names = C::FIELDS.iter().filter(|field| field.is_sent()).map(|field| field.name).collect();
        Self { whole, parts: value.parts(), hidden, names }
    }

    /// Whether all of a field is hidden.
    pub fn hides(&self, field: usize) -> bool {
        self.hidden.iter().any(|path| path == self.names[field])
    }

    /// What is told of a field: its value, and what is hidden in it.
    pub fn field(&self, field: usize) -> (&[u8], Vec<&str>) {
        let name = self.names[field];
        let within = |path: &&String| {
            path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        (&self.parts[field], self.hidden.iter().filter(within).map(String::as_str).collect())
    }
}

/// One component type, for tables.
pub struct Kind {
    pub name: &'static str,
    policy: ComponentPolicy,
    is_on: fn(&EntityRef) -> bool,
    opens: fn(&EntityRef, &Viewing) -> bool,
    truth: fn(&EntityRef, &Viewing, &dyn Fn(NetId) -> bool) -> Told,
    mirrored: fn(&MirrorEntity, &Schema, usize) -> Told,
    /// Where it is, if it belongs to no entity of a cell.
    global: Option<fn(&World) -> Option<Entity>>,
}

/// What belongs to the whole world.
fn global<G: Thing + Resource>() -> Kind {
    Kind { global: Some(|world| world.resource_entity::<G>()), ..kind::<G>() }
}

/// Where nothing of a cell is.
const NODE: usize = usize::MAX;

fn kind<C: Thing>() -> Kind {
    Kind {
        name: C::NAME,
        policy: C::COMPONENT_POLICY,
        is_on: |entity| entity.contains::<C>(),
        opens: |entity, viewing| entity.get::<C>().expect("it is there").is_visible(viewing),
        truth: |entity, viewing, seen| {
            let mut sieved = entity.get::<C>().expect("it is there").naive(&viewing.seeing(seen));
            sieved.value.blank(seen);
            Told::of(&sieved.value, sieved.hidden)
        },
        mirrored: |entity, schema, component| {
            let value = entity.component::<C>(schema).expect("what a client holds can be read");
            let row = entity.encoded();
            let fields = (FIELD_FIRST..).zip(schema.fields_of(row.components));
            let of_this = fields.filter(|(_, (of, ..))| *of == component);
            let hidden = of_this.flat_map(|(bit, (_, number, _))| {
                C::hidden_paths(number, row.field(bit)).expect("what a client holds can be read")
            });
            Told::of(&value, hidden.collect())
        },
        global: None,
    }
}

/// All kinds in the order of registration; the engine's own one is first.
pub fn kinds() -> Vec<Kind> {
    vec![
        kind::<Vault>(),
        kind::<Orders>(),
        kind::<File>(),
        kind::<Body>(),
        kind::<Load>(),
        kind::<Plot>(),
        kind::<Banner>(),
        kind::<Camp>(),
        kind::<Fate>(),
        kind::<Tree>(),
        kind::<Grove>(),
        kind::<Ledger>(),
        global::<Almanac>(),
        global::<Decree>(),
    ]
}

/// One entity as one player is told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub lattice: [i32; 3],
    pub components: BTreeMap<usize, Told>,
    /// Components that were seen and are hidden, one bit each.
    pub withdrawn: u64,
}

pub type Sight = BTreeMap<NetId, Seen>;

/// What a client holds.
pub fn held(mirror: &terrane::client::mirror::Mirror, schema: &Schema, kinds: &[Kind]) -> Sight {
    let one = |entity: &MirrorEntity| {
        let components = kinds.iter().filter_map(|kind| {
            let component = schema.component(kind.name).expect("every kind is registered");
            let has = entity.components() >> component & 1 == 1;
            has.then(|| (component, (kind.mirrored)(entity, schema, component)))
        });
        let seen = Seen {
            lattice: entity.lattice().0,
            components: components.collect(),
            withdrawn: entity.withdrawn_components(),
        };
        assert_eq!(seen.components.len() as u32, entity.components().count_ones(), "every kind is known");
        (entity.net_id(), seen)
    };
    mirror.entities().filter(|entity| entity.is_whole()).map(one).collect()
}

/// What one player is known to have seen.
#[derive(Debug, Default)]
pub struct Memory {
    pub sight: Sight,
    members: BTreeSet<NetId>,
}

struct Entry {
    cell: usize,
    entity: Entity,
    place: Vec3,
    class: u8,
    subject: Subject,
}

/// Whether who an entity is lets a viewer see it.
pub fn is_admitted(subject: &Subject, viewer: &ViewerContext) -> bool {
    let mut admitted = true;
    if subject.is_owner_only() {
        admitted &= subject.owner() == Some(viewer.player());
    }
    if subject.is_party_only() {
        admitted &= subject.party().is_some() && subject.party() == viewer.party();
    }
    if subject.is_team_only() {
        admitted &= subject.team().is_some() && subject.team() == viewer.team();
    }
    if let Some(role) = subject.visible_to_role() {
        admitted &= viewer.role() >= role;
    }
    admitted && !subject.hidden_from().contains(viewer.player())
}

fn rule_admits(rule: ComponentRule, subject: &Subject, viewer: &ViewerContext) -> bool {
    match rule {
        ComponentRule::Everyone => true,
        ComponentRule::Owner => subject.owner() == Some(viewer.player()),
        ComponentRule::Party => subject.party().is_some() && subject.party() == viewer.party(),
        ComponentRule::Team => subject.team().is_some() && subject.team() == viewer.team(),
        ComponentRule::Role(role) => viewer.role() >= role,
        ComponentRule::Nobody => false,
    }
}

/// The rule about a component of an entity; `None` for what a function decides.
fn rule_about(kind: &Kind, entry: &Entry) -> Option<ComponentRule> {
    entry.subject.component_rule(kind.name).or(match kind.policy {
        ComponentPolicy::Everyone => Some(ComponentRule::Everyone),
        ComponentPolicy::Owner => Some(ComponentRule::Owner),
        ComponentPolicy::Party => Some(ComponentRule::Party),
        ComponentPolicy::Team => Some(ComponentRule::Team),
        ComponentPolicy::Role(role) => Some(ComponentRule::Role(role)),
        ComponentPolicy::Custom | ComponentPolicy::ServerOnly => None,
    })
}

fn sees_component(kind: &Kind, entity: &EntityRef, entry: &Entry, viewer: &ViewerContext, me: NetId) -> bool {
    if kind.policy == ComponentPolicy::ServerOnly {
        return false;
    }
    match rule_about(kind, entry) {
        Some(rule) => rule_admits(rule, &entry.subject, viewer),
        None => (kind.opens)(entity, &Viewing::new(viewer, me, &entry.subject, &Cell::new(Depends::NONE))),
    }
}

/// Brings the memory of every player up to the tick that has just run; `pinned` says what is always relevant to whom.
///
/// O(players × entities · log entities).
pub fn follow(
    world: &mut World,
    schema: &Schema,
    kinds: &[Kind],
    memories: &mut BTreeMap<PlayerId, Memory>,
    pinned: impl Fn(&PlayerId) -> BTreeSet<NetId>,
) {
    let settings = world.resource::<WorldSettings>().clone();
    with_cells(world, |world, cells| {
        let mut entries: BTreeMap<NetId, Entry> = BTreeMap::new();
        let mut cells: Vec<_> = cells.iter_mut().collect();
        for (number, cell) in cells.iter_mut().enumerate() {
            let mut owned =
                cell.world.query_filtered::<(Entity, &NetId, &Position, Option<&Subject>), With<Owned>>();
            for (entity, &me, place, subject) in owned.iter(&cell.world) {
                let rows = world.resource::<Rows>();
                let class = rows.class[rows.row(me).expect("everybody has a row").index()];
                let subject = subject.cloned().unwrap_or_default();
                let entry = Entry { cell: number, entity, place: place.0, class, subject };
                assert!(entries.insert(me, entry).is_none(), "one owner");
            }
        }
        for kind in kinds {
            let Some(entity) = kind.global.and_then(|find| find(world)) else { continue };
            let me = NetId::of_global(SECRET, kind.name);
            let rows = world.resource::<Rows>();
            let class = rows.class[rows.row(me).expect("everything of the world has a row").index()];
            entries.insert(
                me,
                Entry { cell: NODE, entity, place: Vec3::NAN, class, subject: Subject::default() },
            );
        }
        let world = &*world;
        let sessions = world.resource::<Sessions>();
        for session in sessions.iter() {
            let viewer = &session.context;
            let memory = memories.entry(session.player.clone()).or_default();
            let mut always = pinned(&session.player);
            always.extend(entries.iter().filter(|(_, entry)| entry.cell == NODE).map(|(&me, _)| me));
            for mate in sessions.iter() {
                if mate.context.party().is_some() && mate.context.party() == viewer.party() {
                    always.insert(mate.avatar);
                }
            }
            // Of what is one's own a share of the view, by class and name.
            let mut own: Vec<(u8, NetId)> = entries
                .iter()
                .filter(|(_, entry)| entry.subject.owner() == Some(viewer.player()))
                .filter(|(_, entry)| is_admitted(&entry.subject, viewer))
                .map(|(&me, entry)| (entry.class, me))
                .collect();
            own.sort_unstable();
            always.extend(own.iter().take(settings.view_entities_max / 4).map(|(_, me)| me));
            let eye = entries.get(&session.avatar).map_or(Vec3::NAN, |avatar| avatar.place);
            let mut eligible = Vec::new();
            for (&me, entry) in &entries {
                let is_always = always.contains(&me);
                let (held, d2) = (memory.members.contains(&me), distance_squared(entry.place, eye));
                let radius_m = if held { settings.leave_radius_m } else { settings.enter_radius_m };
                if (is_always || d2 < radius_m * radius_m) && is_admitted(&entry.subject, viewer) {
                    let standing = match () {
                        () if me == session.avatar => Standing::Avatar,
                        () if is_always => Standing::Always,
                        () => Standing::Near,
                    };
                    eligible.push((rank(standing, entry.class, d2, held, me), me));
                }
            }
            eligible.sort_unstable();
            eligible.truncate(settings.view_entities_max);
            memory.members = eligible.into_iter().map(|(_, me)| me).collect();
            let members = &memory.members;
            let before = std::mem::take(&mut memory.sight);
            for &me in members {
                let entry = &entries[&me];
                let of_cell = cells.get(entry.cell).map(|cell| &cell.world);
                let entity = of_cell.unwrap_or(world).entity(entry.entity);
                // Those that are there, or would be hidden if they were.
                let (mut components, mut all) = (BTreeMap::new(), 0u64);
                for kind in kinds {
                    let would_hide = rule_about(kind, entry)
                        .is_some_and(|rule| !rule_admits(rule, &entry.subject, viewer));
                    if would_hide {
                        all |= 1 << schema.component(kind.name).expect("every kind is registered");
                    }
                }
                for kind in kinds.iter().filter(|kind| (kind.is_on)(&entity)) {
                    let component = schema.component(kind.name).expect("every kind is registered");
                    all |= 1 << component;
                    if sees_component(kind, &entity, entry, viewer, me) {
                        let reads = Cell::new(Depends::NONE);
                        let viewing = Viewing::new(viewer, me, &entry.subject, &reads);
                        let told = (kind.truth)(&entity, &viewing, &|other| members.contains(&other));
                        components.insert(component, told);
                    }
                }
                let now: u64 = components.keys().fold(0, |set, component| set | 1 << component);
                let withdrawn = before.get(&me).map_or(0, |before| {
                    let was: u64 = before.components.keys().fold(0, |set, component| set | 1 << component);
                    (before.withdrawn | (was & !now & all)) & !now
                });
                memory
                    .sight
                    .insert(me, Seen { lattice: LatticePoint::of(entry.place).0, components, withdrawn });
            }
        }
        memories.retain(|player, _| sessions.of_player(player).is_some());
    });
}
