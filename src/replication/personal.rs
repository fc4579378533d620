//! Where personal fields are evaluated: on the owner's component, in the cell that owns it, read only.

use std::borrow::Cow;
use std::cell::Cell as Shared;
use std::sync::atomic::{AtomicU64, Ordering};

use bevy_ecs::prelude::{Entity, World};
use bevy_ecs::world::EntityRef;

use crate::cell::kinds::ComponentKind;
use crate::cell::pool::Cells;
use crate::cell::registration::Game;
use crate::ids::{NetId, Row};
use crate::server::GameOf;

use super::audit::AuditFault;
use super::field::{ABSENT, FieldSpec, FieldWire};
use super::globals::Globals;
use super::mask::FIELD_FIRST;
use super::policy::compare::{names_in, same_but_for_names};
use super::policy::{ComponentPolicy, ComponentRule, Depends, Shown, Subject, ViewerContext, Viewing};
use super::rows::Rows;
use super::view::{FieldKey, PersonalSource, PersonalValue, PersonalValues, ToldEntity, ToldField};

/// What a cell without a subject on an entity says about it.
static PLAIN: std::sync::LazyLock<Subject> = std::sync::LazyLock::new(Subject::default);

/// Which entity each row is, in its cell's world: found out once a tick, for all viewers.
#[derive(Debug, Default)]
pub struct EntitiesOfRows(Vec<AtomicU64>);

impl EntitiesOfRows {
    /// Forgets all, and makes room for so many rows.
    pub fn clear(&mut self, rows: usize) {
        self.0.iter_mut().for_each(|entity| *entity.get_mut() = 0);
        self.0.resize_with(rows, AtomicU64::default);
    }

    fn get(&self, row: Row) -> Option<Entity> {
        Entity::try_from_bits(self.0.get(row.index())?.load(Ordering::Relaxed))
    }

    /// Whoever else notes it at the same time notes the same.
    fn note(&self, row: Row, entity: Entity) {
        if let Some(place) = self.0.get(row.index()) {
            place.store(entity.to_bits(), Ordering::Relaxed);
        }
    }
}

/// One viewer's look at components, wherever they are.
pub struct OwnersComponents<'a> {
    node: &'a World,
    rows: &'a Rows,
    cells: &'a Cells,
    game: &'a Game,
    globals: &'a Globals,
    viewer: &'a ViewerContext,
    found: &'a EntitiesOfRows,
    /// The last entity looked up: fields are asked for one behind the other.
    last: Shared<Option<(Row, EntityRef<'a>)>>,
}

impl std::fmt::Debug for OwnersComponents<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnersComponents").field("viewer", self.viewer).finish_non_exhaustive()
    }
}

impl<'a> OwnersComponents<'a> {
    /// For one viewer. `node` is the node's world, whose cells are out; `found` is of this tick.
    ///
    /// # Panics
    /// When the node has no rows, game or node-wide state: those of a server.
    #[must_use]
    pub fn new(
        node: &'a World,
        cells: &'a Cells,
        viewer: &'a ViewerContext,
        found: &'a EntitiesOfRows,
    ) -> Self {
        let (rows, game) = (node.resource::<Rows>(), &node.resource::<GameOf>().0);
        let globals = node.resource::<Globals>();
        Self { node, rows, cells, game, globals, viewer, found, last: Shared::new(None) }
    }

    fn kind(&self, component: usize) -> Option<&'a dyn ComponentKind> {
        self.game.replicated(component).or_else(|| self.globals.kind(component))
    }

    fn entity(&self, row: Row) -> Option<EntityRef<'a>> {
        if let Some((last, entity)) = self.last.get()
            && last == row
        {
            return Some(entity);
        }
        if self.rows.placeless[row.index()] {
            return self.globals.entity(self.node, row);
        }
        let cell = self.cells.get(self.rows.owner[row.index()])?;
        let entity = match self.found.get(row) {
            Some(entity) => entity,
            None => {
                let entity = *cell.by_net_id.get(&self.rows.net_id[row.index()])?;
                self.found.note(row, entity);
                entity
            }
        };
        let entity = cell.world.get_entity(entity).ok()?;
        self.last.set(Some((row, entity)));
        Some(entity)
    }

    fn viewing<'v>(&self, row: Row, reads: &'v Shared<Depends>) -> Viewing<'v>
    where
        'a: 'v,
    {
        let (rows, viewer): (&'a Rows, &'a ViewerContext) = (self.rows, self.viewer);
        let subject = rows.subjects[row.index()].as_deref().unwrap_or(&PLAIN);
        Viewing::new(viewer, rows.net_id[row.index()], subject, reads)
    }
}

impl OwnersComponents<'_> {
    /// Evaluates one personal field by itself. The viewer `sees` those entities.
    pub(super) fn evaluate(
        &self,
        row: Row,
        field: FieldKey,
        sees: &dyn Fn(NetId) -> bool,
    ) -> (PersonalValue, PersonalValues) {
        let mut values = PersonalValues::default();
        self.show(row, usize::from(field.component), 1 << field.field, &mut values, sees);
        (values.fields[0], values)
    }

    /// The paths of what is hidden in the wire bytes of a sent field.
    pub(super) fn hidden_paths(&self, field: FieldKey, bytes: &[u8]) -> Vec<String> {
        let kind = self.kind(usize::from(field.component));
        kind.map_or_else(Vec::new, |kind| kind.hidden_paths(usize::from(field.field), bytes))
    }
}

/// What is told of one entity otherwise than its policies say: the component, and the number of its sent field; none when the
/// component itself is shown or hidden wrongly.
pub(super) type ToldWrong = (usize, Option<usize>, AuditFault);

impl OwnersComponents<'_> {
    /// What of an entity the viewer is told otherwise than the naive sieve says, found by decoding what it is told.
    /// `is_hidden` are the entities that it does not see. O(bytes of the components).
    pub(super) fn told_wrong(
        &self,
        told: &ToldEntity<'_>,
        is_hidden: &dyn Fn(NetId) -> bool,
    ) -> Vec<ToldWrong> {
        let (row, schema) = (told.row, self.rows.schema());
        let on_entity = self.rows.encoded[row.index()].components;
        let mut wrong = Vec::new();
        for component in (0..schema.components.len()).filter(|component| on_entity >> component & 1 == 1) {
            let is_told = told.components >> component & 1 == 1;
            if is_told != self.shows_component(row, component, &mut Depends::default()) {
                wrong.push((component, None, AuditFault::Component));
            }
        }
        let sees = |name: NetId| !is_hidden(name);
        let lives_hidden = |name: NetId| is_hidden(name) && self.rows.row(name).is_some();
        for fields in told.fields.chunk_by(|a, b| a.key.component == b.key.component) {
            let component = usize::from(fields[0].key.component);
            let (Some(entity), Some(kind)) = (self.entity(row), self.kind(component)) else { continue };
            let specs = &schema.components[component].sent;
            let fault_of = |number: usize| match specs[number].personal {
                true => AuditFault::PersonalField,
                false => AuditFault::PublicField,
            };
            let mut judged: Vec<(usize, Cow<'_, [u8]>)> = Vec::with_capacity(fields.len());
            // Of what is left out the sieve knows nothing.
            for field in fields.iter().filter(|field| !field.left_out) {
                let number = usize::from(field.key.field);
                let reveals = || specs[number].reveals_any_ids();
                if names_in(field.bytes, &lives_hidden).next().is_some() && !reveals() {
                    wrong.push((component, Some(number), AuditFault::Name));
                }
                let bytes = match self.before_blanking(row, field, &sees) {
                    None => Cow::Borrowed(field.bytes),
                    Some((source, names)) if same_but_for_names(field.bytes, &source, &names, is_hidden) => {
                        Cow::Owned(source)
                    }
                    Some(_) => {
                        wrong.push((component, Some(number), fault_of(number)));
                        continue;
                    }
                };
                if !self.is_too_long(row, field.key, &specs[number], &bytes, &sees) {
                    judged.push((number, bytes));
                }
            }
            let judged: Vec<(usize, &[u8])> =
                judged.iter().map(|(number, bytes)| (*number, &**bytes)).collect();
            let reads = Shared::new(Depends::NONE);
            let told_wrong = kind.told_wrong(&entity, &self.viewing(row, &reads).seeing(&sees), &judged);
            wrong.extend(told_wrong.into_iter().map(|number| (component, Some(number), fault_of(number))));
        }
        wrong
    }

    /// The wire bytes of a field in which names of entities are, with all of them, and where those stand. To be compared as values they have to
    /// be whole: two hidden names are two keys of a map, but blank they are one.
    fn before_blanking(
        &self,
        row: Row,
        field: &ToldField<'_>,
        sees: &dyn Fn(NetId) -> bool,
    ) -> Option<(Vec<u8>, Vec<usize>)> {
        let layout = self.rows.layout(row);
        let bit = layout.bit_of(field.key).filter(|_| field.has_names)?;
        if !layout.fields()[(bit - FIELD_FIRST) as usize].personal {
            let encoded = &self.rows.encoded[row.index()];
            return Some((encoded.field(bit).to_vec(), encoded.ids_in(bit).collect()));
        }
        let (value, values) = self.evaluate(row, field.key, sees);
        let names = values.names_in(&value).collect();
        Some((values.bytes, names))
    }

    /// Whether nothing is told of a field because its value is too long, of which the sieve knows nothing.
    fn is_too_long(
        &self,
        row: Row,
        key: FieldKey,
        spec: &FieldSpec,
        bytes: &[u8],
        sees: &dyn Fn(NetId) -> bool,
    ) -> bool {
        spec.wire == FieldWire::Prefixed
            && bytes == [ABSENT]
            && (!spec.personal || self.evaluate(row, key, sees).0.shown == Shown::TooLong)
    }
}

impl PersonalSource for OwnersComponents<'_> {
    fn show(
        &self,
        row: Row,
        component: usize,
        wanted: u64,
        values: &mut PersonalValues,
        sees: &dyn Fn(NetId) -> bool,
    ) {
        let (Some(entity), Some(kind)) = (self.entity(row), self.kind(component)) else {
            return values.hide(wanted);
        };
        let reads = Shared::new(Depends::NONE);
        kind.encode_personal(&entity, wanted, &self.viewing(row, &reads).seeing(sees), values);
    }

    fn shows_component(&self, row: Row, component: usize, reads: &mut Depends) -> bool {
        let (Some(entity), Some(kind)) = (self.entity(row), self.kind(component)) else {
            return false;
        };
        if self.rows.schema().components[component].policy == ComponentPolicy::ServerOnly {
            // Whatever the subject says.
            return false;
        }
        let noted = Shared::new(Depends::NONE);
        let viewing = self.viewing(row, &noted);
        let rule =
            self.rows.subjects[row.index()].as_ref().and_then(|subject| subject.component_rule(kind.name()));
        let rule = rule.or_else(|| {
            let is_on = self.rows.encoded[row.index()].components >> component & 1 == 1;
            // Of what has gone nobody can be asked but the rule, and a policy of one's own would need the value.
            (!is_on).then(|| {
                self.rows.schema().components[component].policy.rule().unwrap_or(ComponentRule::Everyone)
            })
        });
        let shows =
            rule.map_or_else(|| kind.shows(&entity, &viewing), |rule: ComponentRule| rule.admits(&viewing));
        *reads |= noted.get();
        shows
    }
}
