//! Where personal fields are evaluated: on the owner's component, in the cell that owns it, read only.

use std::cell::Cell as Shared;

use bevy_ecs::prelude::World;
use bevy_ecs::world::EntityRef;

use crate::cell::kinds::ComponentKind;
use crate::cell::pool::Cells;
use crate::cell::registration::Game;
use crate::ids::{NetId, Row};
use crate::server::GameOf;

use super::globals::Globals;
use super::policy::{ComponentPolicy, ComponentRule, Depends, Shown, Subject, ViewerContext, Viewing};
use super::rows::Rows;
use super::view::{FieldKey, PersonalSource, PersonalValue};

/// What a cell without a subject on an entity says about it.
static PLAIN: std::sync::LazyLock<Subject> = std::sync::LazyLock::new(Subject::default);

/// One viewer's look at components, wherever they are.
pub struct OwnersComponents<'a> {
    node: &'a World,
    rows: &'a Rows,
    cells: &'a Cells,
    game: &'a Game,
    globals: &'a Globals,
    viewer: &'a ViewerContext,
    /// The last entity looked up: fields are asked for one behind the other.
    last: Shared<Option<(Row, EntityRef<'a>)>>,
}

impl std::fmt::Debug for OwnersComponents<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnersComponents").field("viewer", self.viewer).finish_non_exhaustive()
    }
}

impl<'a> OwnersComponents<'a> {
    /// For one viewer. `node` is the node's world, whose cells are out.
    ///
    /// # Panics
    /// When the node has no rows, game or node-wide state: those of a server.
    #[must_use]
    pub fn new(node: &'a World, cells: &'a Cells, viewer: &'a ViewerContext) -> Self {
        let (rows, game) = (node.resource::<Rows>(), &node.resource::<GameOf>().0);
        Self { node, rows, cells, game, globals: node.resource::<Globals>(), viewer, last: Shared::new(None) }
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
        let net_id = self.rows.net_id[row.index()];
        let cell = self.cells.get(self.rows.owner[row.index()])?;
        let entity = cell.world.get_entity(*cell.by_net_id.get(&net_id)?).ok()?;
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
    /// Evaluates one personal field into `value`, which is empty before, and says what became of it. The viewer `sees`
    /// those entities.
    pub(super) fn evaluate(
        &self,
        row: Row,
        field: FieldKey,
        value: &mut PersonalValue,
        sees: &dyn Fn(NetId) -> bool,
    ) -> Shown {
        let reads = Shared::new(Depends::NONE);
        let shown = match (self.entity(row), self.kind(usize::from(field.component))) {
            (Some(entity), Some(kind)) => {
                let viewing = self.viewing(row, &reads).seeing(sees);
                kind.encode_personal(&entity, usize::from(field.field), &viewing, value)
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
    fn show(
        &self,
        row: Row,
        field: FieldKey,
        value: &mut PersonalValue,
        sees: &dyn Fn(NetId) -> bool,
    ) -> bool {
        self.evaluate(row, field, value, sees).is_visible()
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
        let shows =
            rule.map_or_else(|| kind.shows(&entity, &viewing), |rule: ComponentRule| rule.admits(&viewing));
        *reads |= noted.get();
        shows
    }
}
