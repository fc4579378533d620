//! The answer for people.

use std::fmt::{self, Display, Formatter};

use serde::ser::{Serialize, Serializer};

use super::{ComponentDecider, Conclusion, Decision, FieldFate, Finding, Level, Marker, Told, Verdict, Why};
use crate::session::relevance::AlwaysReason;

/// Nothing, or what is there.
fn or_none<T: Display>(value: Option<T>, none: &str) -> String {
    value.map_or_else(|| none.to_owned(), |value| value.to_string())
}

fn list<T: Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What a policy went by, in brackets; nothing when it asked nothing.
fn went_by(depends: &[&'static str]) -> String {
    if depends.is_empty() { String::new() } else { format!(" (went by: {})", list(depends)) }
}

impl Level {
    /// Its name, as it is serialised.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Level::Session => "session",
            Level::Entity => "entity",
            Level::Cell => "cell",
            Level::Distance => "distance",
            Level::Always => "always",
            Level::Marker => "marker",
            Level::Cap => "cap",
            Level::Alias => "alias",
            Level::Component => "component",
            Level::Field => "field",
            Level::Nested => "nested",
            Level::Names => "names",
            Level::Budget => "budget",
            Level::NextTick => "next_tick",
        }
    }
}

impl Display for Level {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Shows => "shows",
            Verdict::Hides => "HIDES",
            Verdict::Overruled => "(hides)",
            Verdict::Says => "-",
        })
    }
}

impl Display for AlwaysReason {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let times =
            |reasons: &u32| if *reasons == 1 { String::new() } else { format!(" for {reasons} reasons") };
        match self {
            AlwaysReason::NodeWide => f.write_str("it is node-wide state"),
            AlwaysReason::PinnedForAll { reasons } => write!(f, "kept in everybody's view{}", times(reasons)),
            AlwaysReason::Pinned { reasons } => write!(f, "kept in this player's view{}", times(reasons)),
            AlwaysReason::Party { party } => write!(f, "the avatar of somebody in the player's {party}"),
            AlwaysReason::Owned => f.write_str("the player's own"),
        }
    }
}

impl Display for Told {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Told::Never => f.write_str("the player holds nothing of it"),
            Told::Waits { ticks } => write!(f, "to be sent, waiting for {ticks} ticks"),
            Told::InFlight => f.write_str("sent, not acknowledged yet"),
            Told::Acknowledged => f.write_str("acknowledged: the client has it as it is now"),
            Told::LeaveWaits => f.write_str("the client is still to be told that it is gone"),
            Told::LeaveInFlight => f.write_str("that it is gone is on its way to the client"),
        }
    }
}

fn marker(marker: Marker, asks_for: Option<&String>, shows: bool) -> String {
    let not = if shows { "" } else { "not " };
    match marker {
        Marker::OwnerOnly => {
            format!("owner_only: the player is {not}its owner, {}", or_none(asks_for, "nobody"))
        }
        Marker::PartyOnly => {
            format!("party_only: the player is {not}in its party, {}", or_none(asks_for, "none"))
        }
        Marker::TeamOnly => {
            format!("team_only: the player is {not}in its team, {}", or_none(asks_for, "none"))
        }
        Marker::HiddenFrom if shows => "hidden_from: others, not the player".to_owned(),
        Marker::HiddenFrom => "hidden_from: the player".to_owned(),
        Marker::VisibleToRole => {
            let asked = or_none(asks_for, "a role");
            format!(
                "visible_to_role: {asked} is needed, and the player has {}",
                if shows { "it" } else { "less" }
            )
        }
    }
}

fn field(
    (component, field): (&str, &str),
    policy: &str,
    fate: FieldFate,
    (bytes, bytes_max): (Option<usize>, usize),
) -> String {
    let bytes = bytes.map_or_else(String::new, |bytes| format!(", {bytes} of at most {bytes_max} bytes"));
    let fate = match fate {
        FieldFate::Visible => format!("visible{bytes}"),
        FieldFate::Masked => format!("what a function makes of it, as everybody is told{bytes}"),
        FieldFate::Hidden => "hidden from this player".into(),
        FieldFate::ServerOnly => "never sent to anybody".into(),
        FieldFate::TooLong => format!("longer than its {bytes_max} bytes, so not sent"),
        FieldFate::CutShort => format!("visible, but for what is nested too deeply{bytes}"),
        FieldFate::LeftOut => {
            format!("left out{bytes}: what this player may see of the entity is more than a record takes")
        }
    };
    format!("{component}.{field} ({policy}): {fate}")
}

impl Decision {
    /// What the level found, in words.
    #[must_use]
    pub fn text(&self) -> String {
        let shows = self.verdict == Verdict::Shows;
        match &self.finding {
            Finding::Session { role, party, team, permissions, facts, avatar, avatar_lives, is_own } => {
                let facts: Vec<_> =
                    facts.iter().map(|(key, value)| format!("fact {key} = {value}")).collect();
                let facts = if facts.is_empty() { String::new() } else { format!(", {}", facts.join(", ")) };
                let permissions =
                    if *permissions == 0 { String::new() } else { format!(", permissions {permissions:#x}") };
                let lives = match (avatar_lives, is_own) {
                    (true, true) => ", which is what is looked at",
                    (true, false) => "",
                    (false, _) => ", which is dead: the player sees from nowhere",
                };
                format!(
                    "{role:?}, {}, {}{permissions}{facts}; avatar {avatar}{lives}",
                    or_none(*party, "no party"),
                    or_none(*team, "no team")
                )
            }
            Finding::Entity { node_wide, died, in_view, components } => {
                let what = if *node_wide { "node-wide state" } else { "an entity" };
                let state = match (died, in_view) {
                    (true, _) => "; it ended in this tick",
                    (false, true) => "; it is in the player's view",
                    (false, false) => "; it is not in the player's view",
                };
                format!("{what} with {}{state}", list(components))
            }
            Finding::Cell { viewer, entity } => {
                let place = |whereabouts: &Option<super::Whereabouts>, none: &str| match whereabouts {
                    Some(at) => {
                        let [x, y, z] = at.position;
                        format!("{} ({x:.1}, {y:.1}, {z:.1})", at.cell)
                    }
                    None => none.to_owned(),
                };
                format!("viewer in {}, entity in {}", place(viewer, "no cell"), place(entity, "no cell"))
            }
            Finding::Distance { metres, enter_radius_m, leave_radius_m, held } => {
                let radii = format!("in view below {enter_radius_m} m, out of it from {leave_radius_m} m");
                match metres {
                    None => format!("no distance: one of them is nowhere; {radii}"),
                    Some(metres) => {
                        let held = if *held { "it is held" } else { "it is not held" };
                        format!("{metres:.2} m apart; {radii}; {held}")
                    }
                }
            }
            Finding::Always { reasons } if reasons.is_empty() => "relevant only when it is near".into(),
            Finding::Always { reasons } => format!("relevant wherever it is: {}", list(reasons)),
            Finding::Marker { marker: which, asks_for } => marker(*which, asks_for.as_ref(), shows),
            Finding::Cap { in_view, entities_max, class, place } => match place {
                Some((place, eligible)) => format!(
                    "number {place} of {eligible} that could be seen, by class ({class}) and distance; there is room \
                     for {entities_max}"
                ),
                None => format!("{in_view} in view, room for {entities_max}"),
            },
            Finding::Alias { aliases_max } => {
                format!(
                    "all {aliases_max} short names are in use or wait for the ack of a leave; tried again each tick"
                )
            }
            Finding::Component { component, decider, depends } => {
                let by = match decider {
                    ComponentDecider::Policy { policy } => format!("its policy, {policy}"),
                    ComponentDecider::Override { rule } => format!("this entity's override, {rule}"),
                    ComponentDecider::Missing => return format!("{component}: the entity does not have it"),
                };
                format!("{component}: {} by {by}{}", if shows { "shown" } else { "hidden" }, went_by(depends))
            }
            Finding::Field { component, field: name, policy, fate, depends, bytes, bytes_max } => {
                let text = field((component, name), policy, *fate, (*bytes, *bytes_max));
                format!("{text}{}", went_by(depends))
            }
            Finding::Nested { field, hidden } => format!("{field}: hidden within it: {}", list(hidden)),
            Finding::Names { field, named, blanked } => {
                format!(
                    "{field}: names {named} entities, {blanked} of which the player does not see and is not told"
                )
            }
            Finding::Budget { field, every_ticks, told } => {
                let far = match every_ticks {
                    0 | 1 => String::new(),
                    ticks => format!("; so far away it is told every {ticks} ticks"),
                };
                format!("{}: {told}{far}", or_none(field.as_ref(), "the entity"))
            }
            Finding::NextTick => {
                "something of this has changed since the tick: the next one follows it".into()
            }
        }
    }
}

impl Serialize for Decision {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Told<'a> {
            verdict: Verdict,
            text: String,
            #[serde(flatten)]
            finding: &'a Finding,
        }
        Told { verdict: self.verdict, text: self.text(), finding: &self.finding }.serialize(serializer)
    }
}

impl Display for Conclusion {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.sees {
            write!(f, "seen; {}", self.told)
        } else {
            write!(f, "not seen: hidden by {}; {}", list(&self.hidden_by), self.told)
        }
    }
}

/// A line for each level, and one for the result.
impl Display for Why {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {}", self.player, self.entity)?;
        if let Some(field) = &self.field {
            write!(f, ", {}.{}", field.component, field.field)?;
        }
        writeln!(f, ", after tick {}:", self.tick)?;
        for decision in &self.decisions {
            let level = decision.finding.level();
            writeln!(f, "  {level:<10} {:<8} {}", decision.verdict, decision.text())?;
        }
        write!(f, "{}", self.result)
    }
}
