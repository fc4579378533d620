//! What actions may reach, and what that may send.

use serde::Serialize;

use crate::action::declare::Durability;
use crate::action::kinds::ActionKind;
use crate::action::{Pace, Scope};
use crate::cell::kinds::Reach;
use crate::cell::registration::Game;
use crate::limits::{CLIENT_MESSAGE_BYTES_MAX, PARTY_MEMBERS_MAX};
use crate::replication::field::FieldSpec;
use crate::replication::policy::ComponentPolicy;

/// Continuous input counts once a tick: of as many ticks a second as worlds should have at least.
const CONTINUOUS_PER_S: f64 = 20.0;

/// An action.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ActionRules {
    /// Its name.
    pub name: &'static str,
    /// Whose data it may reach: `self`, `group` or `global`.
    pub scope: &'static str,
    /// Who may call it: `player`, `gm` or `admin`, and every role above.
    pub caller: &'static str,
    /// Whether it is continuous input, of which the newest counts, once a tick.
    pub latest_wins: bool,
    /// How many a second one caller may call in the long run; none of continuous input.
    pub rate_per_s: Option<f64>,
    /// How many at once, after a while without.
    pub burst: Option<u16>,
    /// What becomes of several in one tick: `none` (each is run) or `newest`.
    pub coalesce: Option<&'static str>,
    /// When what it does is durable: `memory` or `immediate`; none of continuous input.
    pub durability: Option<&'static str>,
    /// Whether who is muted may not call it.
    pub speaks: bool,
    /// Whether it is done on an entity of the caller's that it names, and not on the avatar.
    pub has_target: bool,
    /// What it is made of and answered with, as written in the source: `{text:String}->Said`.
    pub shape: String,
    /// Most bytes of it that are read; a longer one is malformed.
    pub payload_bytes_max: usize,
    /// Whom it can affect.
    pub blast_radius: BlastRadius,
}

/// Whom a call can affect, and what that can send, as far as it is declared. What is not known before it happens: the events
/// that a handler tells, and what comes into views and goes out of them when it changes a player's party or context.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BlastRadius {
    /// Whose data may change: `caller`, `party` or `everybody`.
    pub who: &'static str,
    /// Of how many entities at most; none where it may be any.
    pub entities_max: Option<usize>,
    /// In which component; none where it may be any.
    pub component: Option<&'static str>,
    /// Who is told of that component, of those who see the entity: its policy, as written in `#[sync(...)]`; none where it
    /// is never sent.
    pub told: Option<String>,
    /// Most bytes of fields that are the same for all, to each of those, after one call.
    pub shared_bytes_max: Option<usize>,
    /// Most bytes of fields that depend on who looks, to each of those whose policies let it see them, after one call.
    pub personal_bytes_max: Option<usize>,
    /// Most bytes a second, of both, that one caller can have one viewer of all those entities sent in the long run.
    pub bytes_per_s_max: Option<f64>,
}

impl ActionRules {
    /// Of one kind of action of a game.
    pub(super) fn of(game: &Game, index: usize) -> Self {
        let kind = &*game.actions[index];
        let limit = match kind.pace() {
            Pace::Continuous => None,
            Pace::Single(limit) => Some(limit),
        };
        let mut rules = Self {
            name: kind.name(),
            scope: kind.scope().name(),
            caller: kind.caller().name(),
            latest_wins: limit.is_none(),
            rate_per_s: limit.map(|limit| limit.rate_per_s),
            burst: limit.map(|limit| limit.burst),
            coalesce: limit.map(|limit| limit.coalesce.name()),
            durability: limit.map(|_| kind.durability().name()),
            speaks: kind.speaks(),
            has_target: kind.has_target(),
            shape: shape_of(kind, &game.schema.actions[index]),
            payload_bytes_max: CLIENT_MESSAGE_BYTES_MAX,
            blast_radius: BlastRadius::of(game, kind),
        };
        let blast = &mut rules.blast_radius;
        if let (Some(entities), Some(shared), Some(personal)) =
            (blast.entities_max, blast.shared_bytes_max, blast.personal_bytes_max)
        {
            let calls_per_s = rules.rate_per_s.unwrap_or(CONTINUOUS_PER_S);
            blast.bytes_per_s_max = Some((entities * (shared + personal)) as f64 * calls_per_s);
        }
        rules
    }
}

impl BlastRadius {
    fn of(game: &Game, kind: &dyn ActionKind) -> Self {
        let (who, entities_max) = match kind.scope() {
            Scope::Own => ("caller", Some(1)),
            Scope::Group => ("party", Some(PARTY_MEMBERS_MAX)),
            Scope::Global => ("everybody", None),
        };
        let anything = Self {
            who,
            entities_max,
            component: None,
            told: None,
            shared_bytes_max: None,
            personal_bytes_max: None,
            bytes_per_s_max: None,
        };
        let Some(data) = kind.data() else { return anything };
        let Some(component) = game.kinds.iter().find(|component| component.type_id() == data) else {
            return anything;
        };
        // What changes value changes what its accounts show, and not the data that it is asked with.
        if kind.durability() == Durability::Immediate {
            return Self { component: Some(component.name()), ..anything };
        }
        let (mut told, mut shared, mut personal) = (None, 0, 0);
        if let Reach::Replicated(index) = component.reach() {
            let schema = &game.schema.components[index];
            let is_told = !schema.sent.is_empty() && schema.policy != ComponentPolicy::ServerOnly;
            told = is_told.then(|| schema.policy.to_string());
            let bytes = |is_personal: bool| {
                let fields = schema.sent.iter().filter(|field| field.personal == is_personal);
                fields.map(FieldSpec::wire_bytes_max).sum::<usize>()
            };
            if is_told {
                (shared, personal) = (bytes(false), bytes(true));
            }
        }
        Self {
            component: Some(component.name()),
            told,
            shared_bytes_max: Some(shared),
            personal_bytes_max: Some(personal),
            ..anything
        }
    }
}

/// What stands in a signature behind name, scope and caller.
fn shape_of(kind: &dyn ActionKind, signature: &str) -> String {
    let declared = format!("{} {} {} ", kind.name(), kind.scope(), kind.caller());
    let shape = signature.strip_prefix(&declared).unwrap_or(signature);
    shape.strip_prefix("latest_wins ").unwrap_or(shape).to_owned()
}
