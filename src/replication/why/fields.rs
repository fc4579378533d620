//! The levels below the entity: its components, their fields, and what lies within them.

use crate::ids::NetId;
use crate::replication::field::{FieldSpec, FieldWire, Policy, prefixed_payload};
use crate::replication::mask::FIELD_FIRST;
use crate::replication::policy::{ComponentRule, Depends, Shown};
use crate::replication::rows::EncodedRow;
use crate::replication::view::{FieldKey, PersonalSource};

use super::decide::Asked;
use super::{ComponentDecider, FieldFate, FieldName, Finding, Told, Verdict};

/// The names of what a policy went by.
fn aspects(depends: Depends) -> Vec<&'static str> {
    let all = Depends::ALL.iter().filter(|(aspect, _)| depends.intersects(*aspect));
    all.map(|(_, name)| *name).collect()
}

fn rule_name(rule: ComponentRule) -> String {
    match rule {
        ComponentRule::Everyone => "everyone".into(),
        ComponentRule::Owner => "owner".into(),
        ComponentRule::Party => "party".into(),
        ComponentRule::Team => "team".into(),
        ComponentRule::Role(role) => format!("role = {role:?}"),
        ComponentRule::Nobody => "nobody".into(),
    }
}

/// Every component that the entity has, and every field of it.
pub(super) fn explain_everything(asked: &mut Asked<'_>) {
    let schema = asked.rows.schema();
    let components = asked.rows.encoded[asked.row.index()].components;
    for (index, component) in schema.components.iter().enumerate() {
        if components >> index & 1 == 1 {
            explain_component(asked, index);
            for spec in component.fields {
                explain_spec(asked, index, spec);
            }
        }
    }
}

/// One field. Says whether the player sees it, and how far that has been told.
pub(super) fn explain_field(asked: &mut Asked<'_>, name: &FieldName, entity: Told) -> (bool, Told) {
    let rows = asked.rows;
    let Some(component) = rows.schema().component(&name.component) else {
        let decider = ComponentDecider::Policy { policy: "server_only".into() };
        let finding = Finding::Component { component: name.component.clone(), decider, depends: Vec::new() };
        asked.decide(false, finding);
        return (false, Told::Never);
    };
    let schema = &rows.schema().components[component];
    let spec = schema.fields.iter().find(|spec| spec.name == name.field).expect("the question was checked");
    let component_shown = explain_component(asked, component);
    let field_shown = component_shown.is_some() && explain_spec(asked, component, spec);
    let sees = asked.held.is_some() && component_shown == Some(true) && field_shown;
    let told = match asked.held {
        None => entity,
        Some(_) => told_of_field(asked, component, spec, sees),
    };
    let field = Some(format!("{}.{}", name.component, name.field));
    let every_ticks = asked.every_ticks;
    asked.note(Verdict::Says, Finding::Budget { field, every_ticks, told });
    (sees, told)
}

/// Whether the player sees the component; `None` when the entity does not have it.
fn explain_component(asked: &mut Asked<'_>, component: usize) -> Option<bool> {
    let (rows, row) = (asked.rows, asked.row);
    let schema = &rows.schema().components[component];
    let name = schema.name.to_owned();
    if rows.encoded[row.index()].components >> component & 1 == 0 {
        let decider = ComponentDecider::Missing;
        asked.decide(false, Finding::Component { component: name, decider, depends: Vec::new() });
        return None;
    }
    let mut reads = Depends::NONE;
    let is_gated = rows.gated(row) >> component & 1 == 1;
    let shows = !is_gated || asked.source.shows_component(row, component, &mut reads);
    let overrides =
        rows.subjects[row.index()].as_ref().and_then(|subject| subject.component_rule(schema.name));
    let decider = match overrides {
        Some(rule) => ComponentDecider::Override { rule: rule_name(rule) },
        None => ComponentDecider::Policy { policy: schema.policy.to_string() },
    };
    asked.decide(shows, Finding::Component { component: name, decider, depends: aspects(reads) });
    Some(shows)
}

/// The place of a field in the row's mask, and its number among the component's sent fields.
fn bit_of(asked: &Asked<'_>, component: usize, spec: &FieldSpec) -> Option<(u32, FieldKey)> {
    let components = asked.rows.encoded[asked.row.index()].components;
    let fields = asked.rows.schema().fields_of(components);
    (FIELD_FIRST..)
        .zip(fields)
        .find(|(_, (of, _, known))| *of == component && known.name == spec.name)
        .map(|(bit, (of, field, _))| (bit, FieldKey { component: of as u8, field: field as u8 }))
}

/// Whether the field's own policies show anything of it.
fn explain_spec(asked: &mut Asked<'_>, component: usize, spec: &FieldSpec) -> bool {
    let name = asked.rows.schema().components[component].name;
    let finding = |fate, depends: Depends, bytes| Finding::Field {
        component: name.to_owned(),
        field: spec.name.to_owned(),
        policy: spec.policy.name(),
        fate,
        depends: aspects(depends),
        bytes,
        bytes_max: spec.bytes_max,
    };
    let Some((bit, key)) = bit_of(asked, component, spec) else {
        asked.decide(false, finding(FieldFate::ServerOnly, Depends::NONE, None));
        return false;
    };
    let is_left_out = asked.held.is_some_and(|held| held.left_out >> bit & 1 == 1);
    let mut wire = Vec::new();
    let mut names = Vec::new();
    if spec.personal {
        let (rows, seen) = (asked.rows, &asked.seen);
        let sees = |net_id: NetId| rows.row(net_id).is_some_and(|row| seen.contains(&row));
        let (value, values) = asked.source.evaluate(asked.row, key, &sees);
        let (shown, payload) = (value.shown, values.payload_of(&value));
        let fate = match shown {
            Shown::Visible | Shown::CutShort if is_left_out => FieldFate::LeftOut,
            Shown::Visible => FieldFate::Visible,
            Shown::Hidden => FieldFate::Hidden,
            Shown::CutShort => FieldFate::CutShort,
            Shown::TooLong => FieldFate::TooLong,
        };
        let bytes = shown.is_visible().then_some(payload.len());
        let sees = shown.is_visible() && !is_left_out;
        asked.decide(sees, finding(fate, value.reads, bytes));
        if !sees {
            return false;
        }
        names.extend(values.names_in(&value).map(|at| name_at(&values.bytes, at)));
        wire = values.bytes;
    } else {
        let encoded = &asked.rows.encoded[asked.row.index()];
        wire.extend_from_slice(encoded.field(bit));
        let payload = match spec.wire {
            FieldWire::Prefixed => prefixed_payload(&wire).ok().flatten().map(<[u8]>::len),
            FieldWire::Fixed(_) | FieldWire::Varint => Some(wire.len()),
        };
        let is_absent = payload.is_none();
        let fate = match spec.policy {
            _ if is_absent => FieldFate::TooLong,
            _ if is_left_out => FieldFate::LeftOut,
            Policy::Masked | Policy::Computed => FieldFate::Masked,
            _ => FieldFate::Visible,
        };
        names.extend(names_in(encoded, bit));
        asked.decide(!is_absent && !is_left_out, finding(fate, Depends::NONE, payload));
        if is_absent || is_left_out {
            return false;
        }
    }
    explain_inside(asked, format!("{name}.{}", spec.name), spec, key, &wire, &names);
    true
}

fn explain_inside(
    asked: &mut Asked<'_>,
    field: String,
    spec: &FieldSpec,
    key: FieldKey,
    wire: &[u8],
    names: &[NetId],
) {
    if spec.nested.is_some() {
        let hidden = asked.source.hidden_paths(key, wire);
        if !hidden.is_empty() {
            asked.note(Verdict::Says, Finding::Nested { field: field.clone(), hidden });
        }
    }
    let is_seen = |name: &NetId| asked.rows.row(*name).is_some_and(|row| asked.seen.contains(&row));
    let named: Vec<&NetId> = names.iter().filter(|name| **name != NetId::WORLD).collect();
    if !named.is_empty() {
        let blanked = named.iter().filter(|name| !is_seen(name)).count();
        asked.note(Verdict::Says, Finding::Names { field, named: named.len(), blanked });
    }
}

fn name_at(bytes: &[u8], at: usize) -> NetId {
    let name = bytes[at..].first_chunk::<8>().expect("a name is eight bytes");
    NetId(u64::from_le_bytes(*name))
}

/// The entities that a public field names, where those whom the player does not see are not told.
fn names_in(encoded: &EncodedRow, bit: u32) -> impl Iterator<Item = NetId> + '_ {
    let end = usize::from(encoded.ends[(bit - FIELD_FIRST) as usize]);
    let begin = end - encoded.field(bit).len();
    let ids = encoded.ids.iter().map(|&at| usize::from(at)).filter(move |at| (begin..end).contains(at));
    ids.map(|at| name_at(&encoded.bytes, at))
}

/// How far a field has been told to a player whose view has the entity. Of one that is hidden: that it is.
fn told_of_field(asked: &Asked<'_>, component: usize, spec: &FieldSpec, sees: bool) -> Told {
    let held = asked.held.expect("asked of entities in view");
    let Some((bit, _)) = bit_of(asked, component, spec) else { return Told::Never };
    let is_in = held.personal.is_none_or(|(components, _)| components >> component & 1 == 1);
    let was_in = held.personal.is_some_and(|(_, withdrawn)| withdrawn >> component & 1 == 1);
    let waits = held.enters || (is_in && held.pending >> bit & 1 == 1);
    let in_flight = held.enter_in_flight || (is_in && held.in_flight >> bit & 1 == 1);
    match (sees, waits, in_flight) {
        (true, true, _) => Told::Waits { ticks: held.waited_ticks },
        (true, false, true) => Told::InFlight,
        (true, false, false) => Told::Acknowledged,
        (false, ..) if !is_in && !was_in => Told::Never,
        (false, true, _) => Told::LeaveWaits,
        (false, false, true) => Told::LeaveInFlight,
        (false, false, false) => Told::Never,
    }
}
