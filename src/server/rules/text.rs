//! The rules for people.

use std::fmt::{self, Display, Formatter};

use super::{ActionRules, BlastRadius, ComponentRules, FieldRules, FlagKind, Measured, NodeRules, Rules};

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

/// What no declaration says.
const EVENTS_COME_ON_TOP: &str = "not in these bytes: events that handlers tell, and what comes into views when they change a \
     player's party or context; terrane_actions_total and terrane_events_told_total in /metrics count what was done and told";

fn write_action(f: &mut Formatter<'_>, action: &ActionRules) -> fmt::Result {
    let mut words = vec![format!("scope {}", action.scope), format!("caller {}", action.caller)];
    if action.latest_wins {
        words.push("the newest counts".into());
    }
    words.extend(action.rate_per_s.map(|rate| format!("{rate} a second")));
    words.extend(action.burst.map(|burst| format!("{burst} at once")));
    words.extend(action.coalesce.map(|coalesce| match coalesce {
        "newest" => "of one tick the newest".to_owned(),
        _ => "each is run".to_owned(),
    }));
    words.extend(
        action.durability.filter(|&durability| durability == "immediate").map(|_| "changes value".to_owned()),
    );
    words.extend(action.has_target.then(|| "on an entity that it names".to_owned()));
    words.extend(action.speaks.then(|| "speaks".to_owned()));
    writeln!(f, "action {:<18} {}", action.name, words.join(", "))?;
    writeln!(f, "  takes {}, at most {} bytes", action.shape, action.payload_bytes_max)?;
    writeln!(f, "  reaches {}", action.blast_radius)
}

impl Display for BlastRadius {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(component) = self.component else {
            return f.write_str("anything of everybody; what that sends is not declared");
        };
        match self.who {
            "party" => {
                write!(
                    f,
                    "{component} of the caller and at most {} others",
                    self.entities_max.unwrap_or(1) - 1
                )?;
            }
            _ => write!(f, "{component} of the caller")?,
        }
        let Some(told) = &self.told else { return f.write_str("; nobody is told of it") };
        let whom =
            if told == "everyone" { "each who sees it".into() } else { format!("each who sees it ({told})") };
        let mut parts = Vec::new();
        parts.extend(self.shared_bytes_max.filter(|&bytes| bytes > 0).map(|bytes| format!("{bytes} bytes")));
        let personal = self.personal_bytes_max.filter(|&bytes| bytes > 0);
        parts.extend(personal.map(|bytes| format!("{bytes} bytes that depend on who looks")));
        let each = if self.who == "party" { " of each" } else { "" };
        write!(f, "; a call tells {whom} at most {}{each}", parts.join(" and "))?;
        match self.bytes_per_s_max {
            Some(bytes_per_s) => write!(f, ", calls at most {:.0} bytes a second", bytes_per_s.ceil()),
            None => Ok(()),
        }
    }
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
            write_action(f, action)?;
        }
        if !self.actions.is_empty() {
            writeln!(f, "{EVENTS_COME_ON_TOP}")?;
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
