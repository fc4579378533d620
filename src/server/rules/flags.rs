//! What of the rules is wrong, unwise or worth knowing.

use std::collections::BTreeSet;

use crate::limits::{FIELD_BYTES_MAX_DEFAULT, REPLIES_REMEMBERED_MAX, UPDATE_BYTES_MAX};
use crate::replication::wire::{ENTER_INLINE_BYTES_MAX, ROW_BYTES_MAX};

use super::{ActionRules, ComponentRules, FieldRules, Flag, FlagKind, NodeRules, Rules};

/// Bytes of a list or map from which on the work for each viewer, who is shown parts of it, is worth a warning.
const LARGE_LIST_BYTES: usize = FIELD_BYTES_MAX_DEFAULT / 2;
/// Of the measured bytes, the share of the maximum from which on a field is nearly full.
const NEARLY_FULL: f64 = 0.8;
/// The share of actions, in percent, that should reach no further than a group.
const LOCAL_ACTIONS_PERCENT_MIN: usize = 80;

/// The rate, a second, above which an action of scope `global` is too much: each waits for all that is before it, and reaches
/// everybody.
const GLOBAL_RATE_PER_S_MAX: f64 = 5.0;
/// Bytes a second that one player's calls of one kind may have every viewer sent: about a fifth of what a viewer gets at 20
/// updates a second.
const CALLER_BYTES_PER_S_MAX: f64 = 4_096.0;
/// For how long answers should be remembered at the rate that is declared, s: a client that was cut off asks again within it.
const REPLIES_REMEMBERED_S_MIN: f64 = 30.0;

/// The policies of fields, as written in `#[sync(...)]`.
const POLICIES: [&str; 7] =
    ["broadcast", "server_only", "masked", "per_player", "per_player_slice", "custom", "computed"];

/// The flags of a game, the most serious first.
pub(super) fn flags_of(rules: &Rules) -> Vec<Flag> {
    let mut flags = Flags(Vec::new());
    for component in &rules.components {
        flags.component(component);
    }
    for event in &rules.events {
        event.fields.iter().for_each(|field| flags.names(&format!("{}.{}", event.name, field.name), field));
    }
    flags.actions(rules);
    flags.unused(rules);
    flags.0.sort_by_key(|flag| flag.kind);
    flags.0
}

struct Flags(Vec<Flag>);

impl Flags {
    fn add(&mut self, kind: FlagKind, rule: &'static str, place: impl Into<String>, text: String) {
        self.0.push(Flag { kind, rule, place: place.into(), text });
    }

    fn component(&mut self, component: &ComponentRules) {
        let (name, bytes_max) = (component.name, component.bytes_max);
        if bytes_max > ROW_BYTES_MAX {
            self.add(
                FlagKind::Error,
                "row_too_long",
                name,
                format!(
                    "its fields may take {bytes_max} bytes together, and of an entity of which a player may see more than \
                     {ROW_BYTES_MAX} the last fields are left out: lower max_bytes of some, or split the component over \
                     entities"
                ),
            );
        } else if bytes_max > UPDATE_BYTES_MAX {
            self.add(
                FlagKind::Warning,
                "beyond_an_update",
                name,
                format!(
                    "its fields may take {bytes_max} bytes together: an entity with more than {ENTER_INLINE_BYTES_MAX} \
                     comes into view by a record of its own, one a tick; set max_bytes to what they need"
                ),
            );
        }
        let is_sent = |field: &FieldRules| field.bytes_max.is_some();
        if component.policy != "server_only" && !component.fields.iter().any(is_sent) {
            self.add(
                FlagKind::Warning,
                "nothing_sent",
                name,
                "nothing of it is ever sent, yet players are told that it is there: register it with server_only, or \
                 write #[sync(server_only)] on the type"
                    .into(),
            );
        }
        for field in &component.fields {
            self.field(&format!("{name}.{}", field.name), field);
        }
    }

    fn field(&mut self, place: &str, field: &FieldRules) {
        let Some(bytes_max) = field.bytes_max else { return };
        if !field.personal && bytes_max > FIELD_BYTES_MAX_DEFAULT {
            self.add(
                FlagKind::Warning,
                "wide_broadcast",
                place,
                format!(
                    "{bytes_max} bytes may go to everybody in range with every change, where {FIELD_BYTES_MAX_DEFAULT} \
                     is what a field should need: split it, or tell less of it"
                ),
            );
        }
        if let Some(node) = &field.nested {
            let in_list = node.form.contains(['[', '{']);
            let own_is_public = !["per_player", "per_player_slice", "custom"].contains(&field.policy);
            if own_is_public && field.personal && in_list && bytes_max > LARGE_LIST_BYTES {
                self.add(
                    FlagKind::Warning,
                    "personal_in_large_list",
                    place,
                    format!(
                        "everybody sees the list ({}, up to {bytes_max} bytes), and parts of its elements depend on who \
                         looks: with each change all of it is made anew for each viewer; lower max_bytes, or keep the \
                         personal parts in a field of their own",
                        node.form
                    ),
                );
            }
            self.inside(place, node);
        }
        if field.reveals_ids {
            self.add(
                FlagKind::Note,
                "reveals_ids",
                place,
                "names entities to viewers who do not see them, as it declares".into(),
            );
        }
        if let Some(measured) = field.measured {
            if measured.too_long > 0 {
                self.add(
                    FlagKind::Error,
                    "too_long_in_save",
                    place,
                    format!(
                        "{} of {} values in the save are longer than {bytes_max} bytes, so nobody is told them: raise \
                         max_bytes, or keep them shorter",
                        measured.too_long,
                        measured.count + measured.too_long
                    ),
                );
            } else if bytes_max > 16 && measured.max as f64 > NEARLY_FULL * bytes_max as f64 {
                self.add(
                    FlagKind::Warning,
                    "nearly_full",
                    place,
                    format!(
                        "the longest value in the save takes {} of {bytes_max} bytes, and a longer one than that is not \
                         sent: raise max_bytes, or bound the value",
                        measured.max
                    ),
                );
            }
        }
    }

    /// Of a field of an event: what it says of entities that its reader does not see.
    fn names(&mut self, place: &str, field: &FieldRules) {
        if field.reveals_ids {
            let text = "names entities to viewers who do not see them, as it declares".into();
            self.add(FlagKind::Note, "reveals_ids", place, text);
        }
        if let Some(node) = &field.nested {
            self.inside(place, node);
        }
    }

    fn inside(&mut self, place: &str, node: &NodeRules) {
        if node.recursive {
            self.add(
                FlagKind::Note,
                "contains_itself",
                place,
                format!("`{}` contains itself: 16 levels of it are told, what lies deeper is not", node.name),
            );
        }
        for field in node.variants.iter().flat_map(|variant| &variant.fields) {
            let place = format!("{place}.{}", field.name);
            if field.reveals_ids {
                let text = "names entities to viewers who do not see them, as it declares".into();
                self.add(FlagKind::Note, "reveals_ids", &*place, text);
            }
            if let Some(node) = &field.nested {
                self.inside(&place, node);
            }
        }
    }

    /// Of one action. The derive lets none pass that breaks a rule; an implementation by hand may.
    fn action(&mut self, action: &ActionRules) {
        let name = action.name;
        if action.scope == "global" && action.caller == "player" {
            self.add(
                FlagKind::Error,
                "global_without_role",
                name,
                "everybody may call it, and it reaches everybody's data: let it need a role, or narrow its scope".into(),
            );
        }
        if action.latest_wins && action.scope != "self" {
            self.add(
                FlagKind::Error,
                "continuous_beyond_own",
                name,
                "continuous input is not limited but by the ticks, so it must reach no further than the caller's own \
                 data: give it scope self, or a limit"
                    .into(),
            );
        }
        let is_never = action.rate_per_s.is_some_and(|rate| !rate.is_finite() || rate <= 0.0);
        if is_never || action.burst == Some(0) {
            let text = "its limit lets it pass never, or always: the rate must be a number above 0 and the burst 1 or more";
            self.add(FlagKind::Error, "no_limit", name, text.into());
        }
        if action.scope != "global" && action.blast_radius.component.is_none() {
            self.add(
                FlagKind::Error,
                "unknown_component",
                name,
                "it works on a component that is not registered, which is lost when its entity crosses a border: \
                 register it with replicate or server_only"
                    .into(),
            );
        }
        let rate = action.rate_per_s.unwrap_or(0.0);
        if action.scope == "global" && rate > GLOBAL_RATE_PER_S_MAX {
            self.add(
                FlagKind::Warning,
                "fast_global",
                name,
                format!(
                    "{rate} a second by each caller, each of which waits for all that is before it and may reach \
                     everybody: lower the rate to {GLOBAL_RATE_PER_S_MAX} or less"
                ),
            );
        }
        if let Some(bytes_per_s) = action.blast_radius.bytes_per_s_max
            && action.caller == "player"
            && bytes_per_s > CALLER_BYTES_PER_S_MAX
        {
            self.add(
                FlagKind::Warning,
                "wide_action",
                name,
                format!(
                    "one player can have every viewer sent {:.0} bytes a second by it, where {CALLER_BYTES_PER_S_MAX} should \
                     do: lower the rate, let it work on a smaller component, or set max_bytes of its fields to what they need",
                    bytes_per_s.ceil()
                ),
            );
        }
        if rate * REPLIES_REMEMBERED_S_MIN > REPLIES_REMEMBERED_MAX as f64 {
            self.add(
                FlagKind::Warning,
                "soon_forgotten",
                name,
                format!(
                    "at {rate} a second the {REPLIES_REMEMBERED_MAX} answers that are remembered of a player are those of the \
                     last {:.0} s: a client that asks again after a cut is told that its actions are too old; lower the rate",
                    REPLIES_REMEMBERED_MAX as f64 / rate
                ),
            );
        }
        let payload = action.shape.split_once("->").map_or(action.shape.as_str(), |(payload, _)| payload);
        let mut words = payload.split(|c: char| !c.is_alphanumeric() && c != '_');
        if !action.speaks && words.any(|word| word == "String") {
            self.add(
                FlagKind::Note,
                "unmuted_text",
                name,
                "it holds text and does not speak, so who is muted may call it: declare `speaks` if others read it".into(),
            );
        }
    }

    fn actions(&mut self, rules: &Rules) {
        rules.actions.iter().for_each(|action| self.action(action));
        let local = rules.actions.iter().filter(|action| action.scope != "global").count();
        if local * 100 < rules.actions.len() * LOCAL_ACTIONS_PERCENT_MIN {
            self.add(
                FlagKind::Warning,
                "few_local_actions",
                "actions",
                format!(
                    "{local} of {} reach no further than a group, where {LOCAL_ACTIONS_PERCENT_MIN} % should: narrow \
                     the scope of some",
                    rules.actions.len()
                ),
            );
        }
    }

    fn unused(&mut self, rules: &Rules) {
        let mut used = BTreeSet::new();
        for component in &rules.components {
            component.fields.iter().for_each(|field| note_policies(field, &mut used));
        }
        for event in &rules.events {
            event.fields.iter().for_each(|field| note_policies(field, &mut used));
        }
        let unused: Vec<&str> = POLICIES.into_iter().filter(|policy| !used.contains(policy)).collect();
        if !unused.is_empty() {
            let text = format!("no field is {}", unused.join(", "));
            self.add(FlagKind::Note, "unused_policies", "fields", text);
        }
    }
}

fn note_policies(field: &FieldRules, used: &mut BTreeSet<&'static str>) {
    used.insert(field.policy);
    for variant in field.nested.iter().flat_map(|node| &node.variants) {
        variant.fields.iter().for_each(|field| note_policies(field, used));
    }
}
