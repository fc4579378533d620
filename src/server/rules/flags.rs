//! What of the rules is wrong, unwise or worth knowing.

use std::collections::BTreeSet;

use crate::limits::{FIELD_BYTES_MAX_DEFAULT, UPDATE_BYTES_MAX};
use crate::replication::wire::{ENTER_INLINE_BYTES_MAX, ROW_BYTES_MAX};

use super::{ComponentRules, FieldRules, Flag, FlagKind, NodeRules, Rules};

/// Bytes of a list or map from which on the work for each viewer, who is shown parts of it, is worth a warning.
const LARGE_LIST_BYTES: usize = FIELD_BYTES_MAX_DEFAULT / 2;
/// Of the measured bytes, the share of the maximum from which on a field is nearly full.
const NEARLY_FULL: f64 = 0.8;
/// The share of actions, in percent, that should reach no further than a group.
const LOCAL_ACTIONS_PERCENT_MIN: usize = 80;

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

    fn actions(&mut self, rules: &Rules) {
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
