//! The rules for people.

use std::fmt::{self, Display, Formatter};

use super::{ComponentRules, FieldRules, FlagKind, Measured, NodeRules, Rules};

impl Display for FlagKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            FlagKind::Error => "error",
            FlagKind::Warning => "warning",
            FlagKind::Note => "note",
        })
    }
}

fn measured(measured: Option<Measured>) -> String {
    match measured {
        Some(Measured { count: 0, too_long: 0, .. }) => "  measured: none".into(),
        Some(Measured { mean, max, too_long: 0, .. }) => format!("  measured: mean {mean:.1}, max {max}"),
        Some(Measured { mean, max, too_long, .. }) => {
            format!("  measured: mean {mean:.1}, max {max}, {too_long} too long")
        }
        None => String::new(),
    }
}

fn write_field(f: &mut Formatter<'_>, field: &FieldRules, depth: usize) -> fmt::Result {
    let indent = "  ".repeat(depth);
    let mut words = vec![field.policy.to_owned()];
    words.extend(field.nested.as_ref().map(|node| format!("nested {}", node.form)));
    words.extend(field.precision.map(|precision| format!("precision {precision}")));
    if field.personal && !["per_player", "per_player_slice", "custom"].contains(&field.policy) {
        words.push("personal within".into());
    }
    if field.reveals_ids {
        words.push("reveal_ids".into());
    }
    let type_name = if field.nested.is_some() { "" } else { field.type_name };
    let name = format!("{indent}{}", field.name);
    let bytes = field.bytes_max.map_or_else(String::new, |bytes| format!("  at most {bytes} bytes"));
    let line =
        format!("{name:<28} {:<44} {type_name:<24}{bytes}{}", words.join(", "), measured(field.measured));
    writeln!(f, "{}", line.trim_end())?;
    match &field.nested {
        Some(node) => write_node(f, node, depth + 1),
        None => Ok(()),
    }
}

fn write_node(f: &mut Formatter<'_>, node: &NodeRules, depth: usize) -> fmt::Result {
    let indent = "  ".repeat(depth);
    if node.recursive {
        return writeln!(f, "{indent}… {} again", node.name);
    }
    for variant in &node.variants {
        let mut depth = depth;
        if !variant.name.is_empty() {
            writeln!(f, "{indent}{}::{}", node.name, variant.name)?;
            depth += 1;
        }
        for field in &variant.fields {
            write_field(f, field, depth)?;
        }
    }
    Ok(())
}

/// What a component says about its urgency, nothing if nothing.
fn urgency(component: &ComponentRules) -> String {
    let mut text = String::new();
    if component.priority != 1 {
        text.push_str(&format!(", priority {}", component.priority));
    }
    if let Some(ticks) = component.staleness_ticks_max {
        text.push_str(&format!(", told within {ticks} ticks"));
    }
    text
}

impl Display for Rules {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for component in &self.components {
            let wide = if component.node_wide { ", node-wide" } else { "" };
            writeln!(
                f,
                "{} ({}{wide}{}): at most {} bytes{}",
                component.name,
                component.policy,
                urgency(component),
                component.bytes_max,
                measured(component.measured)
            )?;
            for field in &component.fields {
                write_field(f, field, 1)?;
            }
            writeln!(f)?;
        }
        if !self.server_only.is_empty() {
            writeln!(f, "kept on the server: {}\n", self.server_only.join(", "))?;
        }
        for event in &self.events {
            let (name, policy, delivery) = (event.name, &event.policy, event.delivery);
            writeln!(f, "event {name} ({policy}, {delivery}): at most {} bytes", event.bytes_max)?;
            for field in &event.fields {
                write_field(f, field, 1)?;
            }
            writeln!(f)?;
        }
        for action in &self.actions {
            let newest = if action.latest_wins { ", the newest counts" } else { "" };
            writeln!(
                f,
                "action {:<18} scope {}, caller {}{newest}",
                action.name, action.scope, action.caller
            )?;
        }
        let local = self.actions.iter().filter(|action| action.scope != "global").count();
        writeln!(f, "{local} of {} actions reach no further than a group", self.actions.len())?;
        if let Some(world) = self.measured {
            writeln!(f, "measured: the image of tick {}, {} entities", world.tick, world.entities)?;
        }
        if !self.flags.is_empty() {
            writeln!(f)?;
        }
        for flag in &self.flags {
            writeln!(f, "{:<8} {} {}: {}", flag.kind, flag.rule, flag.place, flag.text)?;
        }
        Ok(())
    }
}
