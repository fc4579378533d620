//! What an audit found, by name.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::ids::{NetId, PlayerId, TickNumber};

/// What an audit finds wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditFault {
    /// A client holds something else than it was sent.
    Client,
    /// An entity is missing in a view that must be there, or is there and must not.
    View,
    /// Something has waited longer than it may.
    Late,
    /// A field has changed for a player, who was not told and for whom nothing is pending.
    Untold,
    /// A row is not what the entity's components encode to.
    StaleRow,
    /// A field that everybody sees alike is told otherwise than its policy says.
    PublicField,
    /// A field is told to a player otherwise than its policies say.
    PersonalField,
    /// A component is shown to a player who must not see it, or hidden from one who must.
    Component,
    /// An entity is named to a player who does not see it.
    Name,
}

impl AuditFault {
    /// In words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Client => "a client holds something else than it was sent",
            Self::View => "a view is not what it must be",
            Self::Late => "something has waited too long",
            Self::Untold => "a field has changed for a player who was not told",
            Self::StaleRow => "a row is not what its entity is",
            Self::PublicField => "a field is told to all otherwise than its policy says",
            Self::PersonalField => "a field is told to a player otherwise than its policies say",
            Self::Component => "a component is shown or hidden otherwise than its policy says",
            Self::Name => "an entity is named to a player who does not see it",
        }
    }
}

/// Something that an audit found, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditFinding {
    /// In which tick.
    pub tick: TickNumber,
    /// What is wrong.
    pub fault: AuditFault,
    /// With which entity; `None` where only its player is known.
    #[serde(serialize_with = "as_name")]
    pub entity: Option<NetId>,
    /// With which of its components.
    pub component: Option<&'static str>,
    /// With which field of that; `None` where it is all of it.
    pub field: Option<&'static str>,
    /// For which players, at most [`PLAYERS_NAMED_MAX`]; none when nobody sees the entity.
    pub players: Vec<PlayerId>,
}

/// Most players whom one finding names.
pub const PLAYERS_NAMED_MAX: usize = 8;

fn as_name<S: Serializer>(entity: &Option<NetId>, serializer: S) -> Result<S::Ok, S::Error> {
    entity.map(|net_id| format!("{:016x}", net_id.0)).serialize(serializer)
}

impl AuditFinding {
    /// Something wrong with a player's session.
    #[must_use]
    pub fn of_player(tick: TickNumber, fault: AuditFault, player: &PlayerId) -> Self {
        let players = vec![player.clone()];
        Self { tick, fault, entity: None, component: None, field: None, players }
    }

    /// The same of an entity.
    #[must_use]
    pub fn about(self, entity: NetId) -> Self {
        Self { entity: Some(entity), ..self }
    }

    /// `Caravan.purse`, `Caravan`, or nothing.
    #[must_use]
    pub fn what(&self) -> String {
        let parts: Vec<&str> = self.component.into_iter().chain(self.field).collect();
        parts.join(".")
    }

    /// Whether it says the same, if perhaps of others or later.
    #[must_use]
    pub fn is_as(&self, other: &Self) -> bool {
        let key = |finding: &Self| (finding.fault, finding.entity, finding.component, finding.field);
        key(self) == key(other) && (self.entity.is_some() || self.players == other.players)
    }
}

impl fmt::Display for AuditFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fault.text())?;
        if self.component.is_some() {
            write!(f, ": {}", self.what())?;
        }
        if let Some(entity) = self.entity {
            write!(f, " of {entity}")?;
        }
        for (index, player) in self.players.iter().enumerate() {
            write!(f, "{}{player}", if index == 0 { " for " } else { ", " })?;
        }
        write!(f, " (tick {})", self.tick)
    }
}
