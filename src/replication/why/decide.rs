//! Asking the levels.

use bevy_ecs::prelude::World;
use glam::Vec3;
use rustc_hash::FxHashSet;

use crate::cell::kinds::Reach;
use crate::cell::layout::Layout;
use crate::cell::pool::{Cells, NodeContext, with_cells};
use crate::ids::{NetId, Row};
use crate::limits::ALIASES_MAX;
use crate::replication::personal::{EntitiesOfRows, OwnersComponents};
use crate::replication::rows::Rows;
use crate::replication::rule::{Standing, rank};
use crate::replication::view::{Inquiry, Leave};
use crate::server::{GameOf, WorldSettings};
use crate::session::relevance::Relevance;
use crate::session::{Session, Sessions};
use crate::space::distance_squared;

use super::fields::{explain_everything, explain_field};
use super::{
    Conclusion, Decision, FieldName, Finding, Level, Marker, Told, Verdict, Whereabouts, Why, WhyError,
    WhyQuery,
};

/// Everything that the levels are asked with.
pub(super) struct Asked<'a> {
    pub(super) rows: &'a Rows,
    pub(super) session: &'a Session,
    pub(super) row: Row,
    pub(super) net_id: NetId,
    /// Who is in the view.
    pub(super) seen: FxHashSet<Row>,
    /// What the view says about the entity; `None` when it is not in it.
    pub(super) held: Option<Inquiry>,
    pub(super) source: OwnersComponents<'a>,
    /// How often it is told at its distance.
    pub(super) every_ticks: u32,
    pub(super) decisions: Vec<Decision>,
}

impl Asked<'_> {
    pub(super) fn note(&mut self, verdict: Verdict, finding: Finding) {
        self.decisions.push(Decision { verdict, finding });
    }

    pub(super) fn decide(&mut self, shows: bool, finding: Finding) {
        self.note(if shows { Verdict::Shows } else { Verdict::Hides }, finding);
    }

    fn names_of(&self, components: u64) -> Vec<&'static str> {
        let all = self.rows.schema().components.iter().enumerate();
        all.filter(|(index, _)| components >> index & 1 == 1).map(|(_, component)| component.name).collect()
    }
}

/// Why a player sees something or not, as of the end of the last tick.
///
/// O(view), and O(entities) when the view is full.
pub(crate) fn why(world: &mut World, query: &WhyQuery) -> Result<Why, WhyError> {
    with_cells(world, |world, cells| ask(world, cells, query))
}

fn ask(world: &World, cells: &Cells, query: &WhyQuery) -> Result<Why, WhyError> {
    let (rows, sessions) = (world.resource::<Rows>(), world.resource::<Sessions>());
    let session = sessions
        .of_player(&query.player)
        .ok_or_else(|| WhyError::UnknownPlayer { player: query.player.clone(), playing: sessions.len() })?;
    let row = rows.row(query.entity).ok_or(WhyError::UnknownEntity(query.entity))?;
    if let Some(field) = &query.field {
        check_field(world, rows, field)?;
    }
    let found = EntitiesOfRows::default();
    let mut asked = Asked {
        rows,
        session,
        row,
        net_id: query.entity,
        seen: session.view.rows().collect(),
        held: session.view.inquire(rows, row),
        source: OwnersComponents::new(world, cells, &session.context, &found),
        every_ticks: 1,
        decisions: Vec::new(),
    };
    explain_who_and_what(&mut asked);
    explain_place(&mut asked, world, sessions);
    explain_markers(&mut asked);
    explain_room(&mut asked, world, sessions);
    let shown = asked.decisions.iter().all(|decision| decision.verdict != Verdict::Hides);
    explain_what_is_left(&mut asked, shown);

    let entity_told = told_of_entity(&asked);
    let (sees, told) = match &query.field {
        None => {
            let hides: Vec<Level> = hiding(&asked.decisions);
            explain_everything(&mut asked);
            let (field, every_ticks, told) = (None, asked.every_ticks, entity_told);
            asked.note(Verdict::Says, Finding::Budget { field, every_ticks, told });
            let result = Conclusion { sees: asked.held.is_some(), told: entity_told, hidden_by: hides };
            return Ok(answer(world, query, asked.decisions, result));
        }
        Some(field) => explain_field(&mut asked, field, entity_told),
    };
    let hidden_by = if sees { Vec::new() } else { hiding(&asked.decisions) };
    Ok(answer(world, query, asked.decisions, Conclusion { sees, told, hidden_by }))
}

fn answer(world: &World, query: &WhyQuery, decisions: Vec<Decision>, mut result: Conclusion) -> Why {
    if result.sees {
        result.hidden_by.clear();
    }
    Why {
        player: query.player.clone(),
        entity: query.entity.to_string(),
        field: query.field.clone(),
        tick: world.resource::<NodeContext>().0.tick,
        decisions,
        result,
    }
}

/// The levels that hide, each once; the next tick, when something has changed since this one.
fn hiding(decisions: &[Decision]) -> Vec<Level> {
    let hides = decisions.iter().filter(|decision| decision.verdict == Verdict::Hides);
    let mut levels: Vec<Level> = hides.map(|decision| decision.finding.level()).collect();
    levels.dedup();
    if levels.is_empty() && decisions.iter().any(|decision| decision.finding == Finding::NextTick) {
        levels.push(Level::NextTick);
    }
    levels
}

fn check_field(world: &World, rows: &Rows, field: &FieldName) -> Result<(), WhyError> {
    let schema = rows.schema();
    if let Some(component) = schema.component(&field.component) {
        let fields = schema.components[component].fields;
        return if fields.iter().any(|spec| spec.name == field.field) {
            Ok(())
        } else {
            Err(WhyError::UnknownField {
                component: field.component.clone(),
                field: field.field.clone(),
                known: fields.iter().map(|spec| spec.name.to_owned()).collect(),
            })
        };
    }
    // What stays on the server has no fields that anybody has heard of.
    let game = &world.resource::<GameOf>().0;
    let stays = |kind: &dyn crate::cell::kinds::ComponentKind| {
        !matches!(kind.reach(), Reach::Replicated(_))
            && kind.name().rsplit("::").next() == Some(&field.component)
    };
    if game.kinds.iter().any(|kind| stays(&**kind)) {
        return Ok(());
    }
    let known = schema.components.iter().map(|component| component.name.to_owned()).collect();
    Err(WhyError::UnknownComponent { name: field.component.clone(), known })
}

fn explain_who_and_what(asked: &mut Asked<'_>) {
    let (session, rows, row) = (asked.session, asked.rows, asked.row);
    let context = &session.context;
    asked.note(
        Verdict::Says,
        Finding::Session {
            role: context.role(),
            party: context.party(),
            team: context.team(),
            permissions: context.permissions().0,
            facts: context.facts().map(|(key, value)| (key.0, value)).collect(),
            avatar: session.avatar.to_string(),
            avatar_lives: session.avatar_row != Row::NONE,
            is_own: session.avatar == asked.net_id,
        },
    );
    let node_wide = rows.placeless[row.index()];
    let died = !node_wide && !rows.position[row.index()].is_finite();
    let in_view = asked.held.is_some();
    let components = asked.names_of(rows.encoded[row.index()].components);
    let finding = Finding::Entity { node_wide, died, in_view, components };
    asked.decide(in_view || !died, finding);
}

fn whereabouts(layout: &Layout, rows: &Rows, row: Row) -> Option<Whereabouts> {
    let position: Vec3 = rows.position[row.index()];
    let leaf = layout.leaf(rows.owner[row.index()]).filter(|_| position.is_finite())?;
    Some(Whereabouts { cell: leaf.id, position: position.to_array() })
}

fn explain_place(asked: &mut Asked<'_>, world: &World, sessions: &Sessions) {
    let (rows, session, row) = (asked.rows, asked.session, asked.row);
    let layout = world.resource::<Layout>();
    let (viewer, entity) = (whereabouts(layout, rows, session.avatar_row), whereabouts(layout, rows, row));
    asked.note(Verdict::Says, Finding::Cell { viewer, entity });

    let settings = world.resource::<WorldSettings>();
    let reasons = Relevance::of(sessions, rows, settings.view_entities_max).reasons(
        sessions,
        session,
        rows,
        asked.net_id,
    );
    // Where it is, also when nobody can be told: that is another level's to say.
    let place = rows.position[row.index()];
    let d2 = distance_squared(place, rows.position[session.avatar_row.index()]);
    asked.every_ticks = if d2.is_finite() { settings.tiers.every(d2) } else { 1 };
    let held = asked.held.is_some();
    let radius = if held { settings.leave_radius_m } else { settings.enter_radius_m };
    let near = d2 < radius * radius;
    let verdict = match (near, reasons.is_empty()) {
        (true, _) => Verdict::Shows,
        (false, true) if place.is_finite() => Verdict::Hides,
        (false, true) => Verdict::Says,
        (false, false) => Verdict::Overruled,
    };
    let metres = d2.is_finite().then(|| d2.sqrt());
    let (enter_radius_m, leave_radius_m) = (settings.enter_radius_m, settings.leave_radius_m);
    asked.note(verdict, Finding::Distance { metres, enter_radius_m, leave_radius_m, held });
    let verdict = if reasons.is_empty() { Verdict::Says } else { Verdict::Shows };
    asked.note(verdict, Finding::Always { reasons });
}

/// Each marker that the entity has, by itself.
fn explain_markers(asked: &mut Asked<'_>) {
    let Some(subject) = asked.rows.subjects[asked.row.index()].as_deref() else { return };
    let viewer = &asked.session.context;
    let mut markers = Vec::new();
    if subject.is_owner_only() {
        let owner = subject.owner().map(ToString::to_string);
        markers.push((subject.owner() == Some(viewer.player()), Marker::OwnerOnly, owner));
    }
    if subject.is_party_only() {
        let shows = viewer.party().is_some() && viewer.party() == subject.party();
        markers.push((shows, Marker::PartyOnly, subject.party().map(|party| party.to_string())));
    }
    if subject.is_team_only() {
        let shows = viewer.team().is_some() && viewer.team() == subject.team();
        markers.push((shows, Marker::TeamOnly, subject.team().map(|team| team.to_string())));
    }
    if !subject.hidden_from().is_empty() {
        let shows = !subject.hidden_from().contains(viewer.player());
        markers.push((shows, Marker::HiddenFrom, None));
    }
    if let Some(role) = subject.visible_to_role() {
        markers.push((viewer.role() >= role, Marker::VisibleToRole, Some(format!("{role:?}"))));
    }
    debug_assert_eq!(
        subject.admits(viewer),
        markers.iter().all(|(shows, ..)| *shows),
        "a marker decides that is not asked here"
    );
    for (shows, marker, asks_for) in markers {
        asked.decide(shows, Finding::Marker { marker, asks_for });
    }
}

/// Whether the view has room for the entity, or keeps it before others.
fn explain_room(asked: &mut Asked<'_>, world: &World, sessions: &Sessions) {
    let (rows, row) = (asked.rows, asked.row);
    let settings = world.resource::<WorldSettings>();
    let (in_view, entities_max) = (asked.seen.len(), settings.view_entities_max);
    let class = rows.class[row.index()];
    let hidden = asked.decisions.iter().any(|decision| decision.verdict == Verdict::Hides);
    let place = (in_view >= entities_max && !hidden).then(|| place_in_view(asked, settings, sessions));
    let finding = Finding::Cap { in_view, entities_max, class, place };
    match place {
        Some((place, _)) => asked.decide(asked.held.is_some() || place <= entities_max, finding),
        None if hidden => asked.note(Verdict::Says, finding),
        None => asked.decide(true, finding),
    }
}

/// The entity's place by rank among all that could be in the view, and how many those are.
fn place_in_view(asked: &Asked<'_>, settings: &WorldSettings, sessions: &Sessions) -> (usize, usize) {
    let (rows, session) = (asked.rows, asked.session);
    let from = rows.position[session.avatar_row.index()];
    let mut always = Vec::new();
    Relevance::of(sessions, rows, settings.view_entities_max).rows_for(session, rows, &mut always);
    let rank_of = |row: Row, net_id: NetId| {
        let standing = match row {
            _ if row == session.avatar_row => Standing::Avatar,
            _ if always.binary_search(&row).is_ok() => Standing::Always,
            _ => Standing::Near,
        };
        let d2 = distance_squared(rows.position[row.index()], from);
        rank(standing, rows.class[row.index()], d2, asked.seen.contains(&row), net_id)
    };
    let eligible = |row: Row| {
        let index = row.index();
        let within = |radius: f32| distance_squared(rows.position[index], from) < radius * radius;
        let near = within(settings.enter_radius_m) && rows.position[index].is_finite();
        let admitted =
            || rows.subjects[index].as_ref().is_none_or(|subject| subject.admits(&session.context));
        asked.seen.contains(&row) || ((near || always.binary_search(&row).is_ok()) && admitted())
    };
    let own = rank_of(asked.row, asked.net_id);
    let (mut before, mut all) = (0, 0);
    for (net_id, row) in rows.iter().filter(|&(_, row)| eligible(row)) {
        all += 1;
        before += usize::from(rank_of(row, net_id) < own);
    }
    (before + 1, all)
}

/// What keeps an entity out of the view, or in it, though all levels say otherwise.
fn explain_what_is_left(asked: &mut Asked<'_>, shown: bool) {
    if shown && asked.held.is_none() && asked.session.view.is_out_of_aliases() {
        asked.decide(false, Finding::Alias { aliases_max: ALIASES_MAX });
    } else if shown != asked.held.is_some() {
        asked.note(Verdict::Says, Finding::NextTick);
    }
}

fn told_of_entity(asked: &Asked<'_>) -> Told {
    match asked.held {
        Some(held) if held.enters || held.pending != 0 => Told::Waits { ticks: held.waited_ticks },
        Some(held) if held.enter_in_flight || held.in_flight != 0 => Told::InFlight,
        Some(_) => Told::Acknowledged,
        None => match asked.session.view.inquire_leave(asked.net_id) {
            Some(Leave::Waits) => Told::LeaveWaits,
            Some(Leave::InFlight) => Told::LeaveInFlight,
            None => Told::Never,
        },
    }
}
