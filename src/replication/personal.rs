//! Where personal fields are evaluated: on the owner's component, in the cell that owns it, read only.

use std::cell::Cell as Shared;
use std::sync::atomic::{AtomicU64, Ordering};

use bevy_ecs::prelude::{Entity, World};
use bevy_ecs::world::EntityRef;

use crate::cell::kinds::ComponentKind;
use crate::cell::pool::Cells;
use crate::cell::registration::Game;
use crate::ids::Row;
use crate::server::GameOf;

use super::globals::Globals;
use super::policy::{ComponentPolicy, ComponentRule, Depends, Shown, Subject, ViewerContext, Viewing};
use super::rows::Rows;
use super::view::{FieldKey, PersonalSource, PersonalValue};

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
    /// Evaluates one personal field into `value`, which is empty before, and says what became of it.
    pub(super) fn evaluate(&self, row: Row, field: FieldKey, value: &mut PersonalValue) -> Shown {
        let reads = Shared::new(Depends::NONE);
        let shown = match (self.entity(row), self.kind(usize::from(field.component))) {
            (Some(entity), Some(kind)) => {
                kind.encode_personal(&entity, usize::from(field.field), &self.viewing(row, &reads), value)
            }
            _ => Shown::Hidden,
        };
        value.reads |= reads.get();
        shown
    }

    /// The paths of what is hidden in the wire bytes of a sent field.
    pub(super) fn hidden_paths(&self, field: FieldKey, bytes: &[u8]) -> Vec<String> {
        let kind = self.kind(usize::from(field.component));
        kind.map_or_else(Vec::new, |kind| kind.hidden_paths(usize::from(field.field), bytes))
    }
}

impl PersonalSource for OwnersComponents<'_> {
    fn show(&self, row: Row, field: FieldKey, value: &mut PersonalValue) -> bool {
        let shown = self.evaluate(row, field, value);
        value.oversized = shown.is_oversized();
        shown.is_visible()
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
