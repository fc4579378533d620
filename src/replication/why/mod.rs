//! Why a player sees an entity, or a field of it, or does not: every level's decision by itself.
//!
//! *Does*: asks each level that decides who sees what, for one player, one entity and, if wanted, one field, and says
//! what it found; all of them, also behind the first that hides. *Does not*: decide anything: it asks the view, the
//! rows, the subject and the policies that decide.
//! *Reads*: sessions, rows, subjects, components, as of the end of a tick. *Writes*: nothing.

mod decide;
mod fields;
mod text;

use serde::Serialize;

use crate::ids::{CellId, FieldName, NetId, PartyId, PlayerId, Role, TeamId, TickNumber};
use crate::session::relevance::AlwaysReason;

pub(crate) use decide::why;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhyQuery {
    /// Who looks.
    pub player: PlayerId,
    /// At what: an entity, or node-wide state.
    pub entity: NetId,
    /// At which of its fields; `None` for the entity and everything about it.
    pub field: Option<FieldName>,
}

/// Why a question has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyError {
    /// Nobody of that name plays.
    #[error("no player `{player}` is in the world: {playing} others are; give the name of one who plays now")]
    UnknownPlayer {
        /// Who was asked for.
        player: PlayerId,
        /// How many do.
        playing: usize,
    },
    /// Nothing alive has that name.
    #[error(
        "nothing in the world is named {0}: it has died, or never was; `show NAME` of a client prints names"
    )]
    UnknownEntity(NetId),
    /// The game has no such component.
    #[error("there is no component `{name}`: this game has {}", known.join(", "))]
    UnknownComponent {
        /// What was asked for.
        name: String,
        /// The components there are.
        known: Vec<String>,
    },
    /// The component has no such field.
    #[error("`{component}` has no field `{field}`: it has {}", known.join(", "))]
    UnknownField {
        /// The component.
        component: String,
        /// What was asked for.
        field: String,
        /// The fields there are.
        known: Vec<String>,
    },
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Why {
    /// Who looks.
    pub player: PlayerId,
    /// At what.
    pub entity: String,
    /// At which field.
    pub field: Option<FieldName>,
    /// After which tick.
    pub tick: TickNumber,
    /// What each level says, from the session down to the budget.
    pub decisions: Vec<Decision>,
    /// What that comes to.
    pub result: Conclusion,
}

/// What one level says.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Whether it lets the player see.
    pub verdict: Verdict,
    /// What it found.
    pub finding: Finding,
}

/// Whether a level lets a player see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It does.
    Shows,
    /// It does not.
    Hides,
    /// It would not, but the entity is relevant wherever it is.
    Overruled,
    /// It decides nothing here.
    Says,
}

/// A level, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Who looks.
    Session,
    /// What is looked at.
    Entity,
    /// Where both are.
    Cell,
    /// How far apart they are.
    Distance,
    /// Whether that matters.
    Always,
    /// The markers of the entity's subject.
    Marker,
    /// The room in the view.
    Cap,
    /// The room for short names.
    Alias,
    /// The component.
    Component,
    /// The field's policy.
    Field,
    /// The policies within the field.
    Nested,
    /// The names of entities in the value.
    Names,
    /// What has been sent.
    Budget,
    /// What changed after the tick.
    NextTick,
}

/// A marker of a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Marker {
    /// Only its owner sees it.
    OwnerOnly,
    /// Only who is in its party.
    PartyOnly,
    /// Only who is in its team.
    TeamOnly,
    /// Some do not.
    HiddenFrom,
    /// Only that role and above.
    VisibleToRole,
}

/// What decides who sees a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "by", rename_all = "snake_case")]
pub enum ComponentDecider {
    /// What the component declares.
    Policy {
        /// As written in `#[sync(...)]`.
        policy: String,
    },
    /// What the entity's subject says in its place.
    Override {
        /// Who sees it.
        rule: String,
    },
    /// The entity does not have it.
    Missing,
}

/// What became of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldFate {
    /// The player is told its value.
    Visible,
    /// The player is told what a function makes of it, as everybody is.
    Masked,
    /// The policy hides it from this player.
    Hidden,
    /// It is never sent to anybody.
    ServerOnly,
    /// Its value is longer than its maximum, so it is told to nobody.
    TooLong,
    /// The player is told its value, but for what is nested too deeply in it.
    CutShort,
    /// The player might see its value, but what the player may see of the entity is more than a record takes, and it is the
    /// part that does not fit.
    LeftOut,
}

/// How far something has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "told", rename_all = "snake_case")]
pub enum Told {
    /// The player is not to hear of it, and holds nothing of it.
    Never,
    /// It waits for room.
    Waits {
        /// For so many ticks.
        ticks: u16,
    },
    /// It is on its way: sent, and not acknowledged.
    InFlight,
    /// The client has it.
    Acknowledged,
    /// That it is gone waits for room: the client holds it still.
    LeaveWaits,
    /// That it is gone is on its way.
    LeaveInFlight,
}

/// Where somebody or something is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Whereabouts {
    /// The cell that owns it.
    pub cell: CellId,
    /// The place, m.
    pub position: [f32; 3],
}

/// What a level found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "level", rename_all = "snake_case")]
pub enum Finding {
    /// Who looks.
    Session {
        /// The role.
        role: Role,
        /// The party.
        party: Option<PartyId>,
        /// The team.
        team: Option<TeamId>,
        /// The permissions, as bits.
        permissions: u64,
        /// What the game says about the player.
        facts: Vec<(u16, i64)>,
        /// The name of the avatar.
        avatar: String,
        /// Whether it lives: who has none sees from nowhere.
        avatar_lives: bool,
        /// Whether the entity asked about is that avatar.
        is_own: bool,
    },
    /// What is looked at.
    Entity {
        /// Whether it is node-wide state.
        node_wide: bool,
        /// It ended in this tick: every view loses it.
        died: bool,
        /// Whether it is in the player's view.
        in_view: bool,
        /// Its components.
        components: Vec<&'static str>,
    },
    /// Where both are. It never decides: who is near is seen over any border.
    Cell {
        /// The viewer; `None` who has no avatar.
        viewer: Option<Whereabouts>,
        /// The entity; `None` for what has no place.
        entity: Option<Whereabouts>,
    },
    /// How far apart they are.
    Distance {
        /// m; `None` where one of them is nowhere.
        metres: Option<f32>,
        /// Nearer comes into view, m.
        enter_radius_m: f32,
        /// Farther goes out of view, m.
        leave_radius_m: f32,
        /// Whether it is in view already, so that the larger radius holds.
        held: bool,
    },
    /// Why it is seen wherever it is.
    Always {
        /// The reasons; none for most entities.
        reasons: Vec<AlwaysReason>,
    },
    /// One marker that the subject has.
    Marker {
        /// Which.
        marker: Marker,
        /// What it asks for: the owner, the party, the team, the role.
        asks_for: Option<String>,
    },
    /// The room in the view.
    Cap {
        /// How many are in the view.
        in_view: usize,
        /// How many may be.
        entities_max: usize,
        /// The priority class, 0 first.
        class: u8,
        /// Where the view is full: the entity's place among those eligible, from 1, and how many there are.
        place: Option<(usize, usize)>,
    },
    /// No short name is left for it.
    Alias {
        /// How many there can be.
        aliases_max: usize,
    },
    /// One component.
    Component {
        /// Its name.
        component: String,
        /// What decides.
        decider: ComponentDecider,
        /// What the policy looked at.
        depends: Vec<&'static str>,
    },
    /// One field.
    Field {
        /// Its component.
        component: String,
        /// Its name.
        field: String,
        /// Its policy, as written in `#[sync(...)]`.
        policy: &'static str,
        /// What became of it.
        fate: FieldFate,
        /// What the policies looked at.
        depends: Vec<&'static str>,
        /// Bytes of the value as the player is told it.
        bytes: Option<usize>,
        /// Most there may be.
        bytes_max: usize,
    },
    /// What is hidden within a field that is seen.
    Nested {
        /// The field.
        field: String,
        /// The paths.
        hidden: Vec<String>,
    },
    /// Entities named by the value.
    Names {
        /// The field.
        field: String,
        /// How many there are.
        named: usize,
        /// How many the player does not see, so that nobody is named in their place.
        blanked: usize,
    },
    /// What has been sent.
    Budget {
        /// The field, or everything about the entity.
        field: Option<String>,
        /// So far away it is told every so many ticks.
        every_ticks: u32,
        /// How far.
        #[serde(flatten)]
        told: Told,
    },
    /// Something has changed since the tick; the next one follows it.
    NextTick,
}

impl Finding {
    /// The level that found it.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Finding::Session { .. } => Level::Session,
            Finding::Entity { .. } => Level::Entity,
            Finding::Cell { .. } => Level::Cell,
            Finding::Distance { .. } => Level::Distance,
            Finding::Always { .. } => Level::Always,
            Finding::Marker { .. } => Level::Marker,
            Finding::Cap { .. } => Level::Cap,
            Finding::Alias { .. } => Level::Alias,
            Finding::Component { .. } => Level::Component,
            Finding::Field { .. } => Level::Field,
            Finding::Nested { .. } => Level::Nested,
            Finding::Names { .. } => Level::Names,
            Finding::Budget { .. } => Level::Budget,
            Finding::NextTick => Level::NextTick,
        }
    }
}

/// What all levels come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conclusion {
    /// Whether the player may see what was asked about: the entity, or the field.
    pub sees: bool,
    /// How far that has been told.
    #[serde(flatten)]
    pub told: Told,
    /// The levels that hide it, each once, from above; empty when it is seen.
    pub hidden_by: Vec<Level>,
}
