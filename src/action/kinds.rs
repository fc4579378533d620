//! Actions whose type only their kind knows.

use std::any::{Any, TypeId};

use bevy_ecs::prelude::{Entity, World};

use crate::cell::context::TickContext;
use crate::cell::pool::Cells;
use crate::ids::{ActionId, NetId, PlayerId, Role, SlotIndex};
use crate::interest::LastIndex;
use crate::limits::{CLIENT_MESSAGE_BYTES_MAX, REFUSAL_BYTES_MAX, REPLY_BYTES_MAX};
use crate::party::Parties;
use crate::protocol::codec::{self, DecodeError};
use crate::protocol::messages::ActionRefusal;
use crate::replication::Rows;
use crate::replication::policy::Subject;
use crate::reward::{Claim, PlanRefusal, PlanRequest};
use crate::store::MutationSummary;

use super::declare::{Action, Caller, Durability, Pace, Scope};
use super::effects::ActionEffects;
use super::memory::ActionResult;

/// A decoded action whose type only its kind knows.
pub type DecodedAction = Box<dyn Any + Send + Sync>;

/// One action on its way to whatever runs it.
#[derive(Debug)]
pub struct RoutedAction {
    /// The caller's avatar.
    pub actor: NetId,
    /// The entity that it is done on: the avatar, or what the action names.
    pub on: NetId,
    /// The client's id for it; `None` for continuous input, which is not answered.
    pub id: Option<ActionId>,
    /// The session's place, to find it again with the answer.
    pub session: u32,
    /// Who calls.
    pub player: PlayerId,
    /// What the caller may do.
    pub role: Role,
    /// Index of the kind.
    pub kind: u16,
    /// The action.
    pub action: DecodedAction,
}

impl RoutedAction {
    /// The action, by the type of its kind.
    pub(crate) fn of<A: Action>(&self) -> &A {
        self.action.downcast_ref::<A>().expect("an action has the type of its kind")
    }

    /// Why it is refused when what it is done on is not there, or not the caller's.
    pub(crate) fn not_there(&self) -> ActionRefusal {
        if self.on == self.actor { ActionRefusal::NotInWorld } else { ActionRefusal::NotYours }
    }

    /// Whether it may be done on what has this subject: the avatar, or something that the caller owns.
    pub(crate) fn may_touch(&self, subject: Option<&Subject>) -> bool {
        self.on == self.actor || subject.and_then(Subject::owner) == Some(&self.player)
    }
}

/// The one answer to an action.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The session's place.
    pub session: u32,
    /// The action; `None` for continuous input, whose outcome is only counted.
    pub id: Option<ActionId>,
    /// Index of the kind.
    pub kind: u16,
    /// The encoded reply or the refusal.
    pub result: Result<Vec<u8>, ActionRefusal>,
}

/// What a handler is given in the cell of what it is done on.
pub struct CellStage<'a> {
    /// The cell's world.
    pub world: &'a mut World,
    /// The entity that the action is done on.
    pub entity: Entity,
    /// What was near whom at the end of the last tick.
    pub nearby: &'a LastIndex,
    /// Where it tells players and asks for changes.
    pub effects: &'a mut ActionEffects,
}

/// Who is in the world.
pub trait PresentPlayers {
    /// The avatar of a player; `None` for who is not in the world.
    fn avatar(&self, player: &PlayerId) -> Option<NetId>;
    /// All of them, by name.
    fn players(&self) -> Vec<&PlayerId>;
}

/// What a handler is given on the node, where all cells are at hand.
pub struct NodeStage<'a> {
    /// The node's world, without the cells and what stands below.
    pub world: &'a mut World,
    /// All cells.
    pub cells: &'a mut Cells,
    /// Who is in the world.
    pub present: &'a dyn PresentPlayers,
    /// All parties.
    pub parties: &'a mut Parties,
    /// Whom cells own.
    pub rows: &'a Rows,
    /// The tick.
    pub tick: &'a TickContext,
}

impl std::fmt::Debug for CellStage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CellStage").field("entity", &self.entity).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for NodeStage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeStage").field("tick", self.tick).finish_non_exhaustive()
    }
}

impl NodeStage<'_> {
    /// The same for a shorter while.
    pub(super) fn reborrow(&mut self) -> NodeStage<'_> {
        NodeStage {
            world: self.world,
            cells: self.cells,
            present: self.present,
            parties: self.parties,
            rows: self.rows,
            tick: self.tick,
        }
    }

    /// Where an entity lives: the slot of its cell, and the entity in that cell's world.
    #[must_use]
    pub fn find(&self, net_id: NetId) -> Option<(SlotIndex, Entity)> {
        find(self.rows, self.cells, net_id)
    }
}

/// Where an entity lives.
pub(super) fn find(rows: &Rows, cells: &Cells, net_id: NetId) -> Option<(SlotIndex, Entity)> {
    let slot = rows.owner[rows.row(net_id)?.index()];
    let &entity = cells.get(slot)?.by_net_id.get(&net_id)?;
    Some((slot, entity))
}

/// What became of an action on the node.
#[derive(Debug)]
pub enum Ran {
    /// It is done, with this reply.
    Done(Vec<u8>),
    /// It asks for a change of value under this claim: answered once that is committed.
    Asks(Box<(Claim, PlanRequest)>),
}

/// What the engine can do with one kind of action.
pub trait ActionKind: Send + Sync {
    /// Name of the action.
    fn name(&self) -> &'static str;
    /// Who may call it.
    fn caller(&self) -> Caller;
    /// Whose data it may reach.
    fn scope(&self) -> Scope;
    /// How often it may be called.
    fn pace(&self) -> Pace;
    /// When what it does is durable.
    fn durability(&self) -> Durability;
    /// Whether who is muted may not call it.
    fn speaks(&self) -> bool;
    /// Whether it is done on an entity that it names.
    fn has_target(&self) -> bool;
    /// The component that it works on; `None` where that is not declared.
    fn data(&self) -> Option<TypeId>;
    /// Reads a payload: the action, and the entity that it names.
    ///
    /// # Errors
    /// When it is not an encoding of this action.
    fn decode(&self, payload: &[u8]) -> Result<(DecodedAction, Option<NetId>), DecodeError>;
    /// The action in words, as JSON, for records that people read; cut at [`DESCRIBED_BYTES_MAX`].
    fn describe(&self, action: &DecodedAction) -> String;
    /// Runs an action of scope `self` in the cell of what it is done on.
    ///
    /// # Errors
    /// When the handler refuses, the entity lacks the data that the action works on, or is not the caller's.
    ///
    /// # Panics
    /// For a kind of another scope.
    fn run_in_cell(
        &self,
        action: &RoutedAction,
        tick: &TickContext,
        stage: &mut CellStage<'_>,
    ) -> Result<Vec<u8>, ActionRefusal> {
        let _ = (action, tick, stage);
        unreachable!("{} runs on the node", self.name())
    }
    /// Runs an action of scope `group` or `global`, or one that changes value, on the node.
    ///
    /// # Errors
    /// When the handler refuses, or the caller lacks the data that the action works on.
    ///
    /// # Panics
    /// For a kind that runs in cells.
    fn run_on_node(&self, action: &RoutedAction, stage: &mut NodeStage<'_>) -> Result<Ran, ActionRefusal> {
        let _ = (action, stage);
        unreachable!("{} runs in a cell", self.name())
    }
    /// The one answer to an action that changes value, when it is known what was committed.
    ///
    /// # Errors
    /// When nothing was, and why.
    ///
    /// # Panics
    /// For a kind that changes none.
    fn answer(
        &self,
        action: &DecodedAction,
        outcome: Result<&MutationSummary, &PlanRefusal>,
    ) -> ActionResult {
        let _ = (action, outcome);
        unreachable!("{} is answered at once", self.name())
    }
    /// The claim of an action that changes value: the same whenever and by whatever program it is asked.
    ///
    /// # Panics
    /// For a kind that changes none.
    fn claim(&self, player: &PlayerId, id: ActionId, action: &DecodedAction) -> Claim {
        let _ = (player, id, action);
        unreachable!("{} makes no claims", self.name())
    }
    /// Whether it runs on the node, in its place in the order of all actions.
    fn runs_on_node(&self) -> bool {
        self.scope() != Scope::Own || self.durability() == Durability::Immediate
    }
}

/// Most bytes of an action in words.
pub const DESCRIBED_BYTES_MAX: usize = 1_000;

/// An action in words.
pub(crate) fn describe<A: Action>(action: &DecodedAction) -> String {
    let action = action.downcast_ref::<A>().expect("an action has the type of its kind");
    let mut text =
        serde_json::to_string(action).unwrap_or_else(|error| format!("not to be put in words: {error}"));
    text.truncate(text.floor_char_boundary(DESCRIBED_BYTES_MAX));
    text
}

/// Reads a payload as an action.
pub(crate) fn decode<A: Action>(payload: &[u8]) -> Result<(DecodedAction, Option<NetId>), DecodeError> {
    let action = codec::decode::<A, CLIENT_MESSAGE_BYTES_MAX>(A::NAME, payload)?;
    let target = action.target();
    Ok((Box::new(action), target))
}

/// What a handler has said, for the wire. What is longer than can be sent is a refusal: nothing is done of which the caller
/// cannot be told.
pub(crate) fn encoded<A: Action>(result: Result<A::Reply, A::Refusal>) -> Result<Vec<u8>, ActionRefusal> {
    let refusal = match result {
        Ok(reply) => {
            let bytes = codec::encode(&reply);
            return if bytes.len() <= REPLY_BYTES_MAX {
                Ok(bytes)
            } else {
                tracing::error!(
                    action = A::NAME,
                    bytes = bytes.len(),
                    "an answer is longer than can be sent: not done"
                );
                Err(ActionRefusal::ReplyTooLong { bytes: bytes.len() as u32 })
            };
        }
        Err(refusal) => refusal,
    };
    let mut text = refusal.to_string();
    text.truncate(text.floor_char_boundary(REFUSAL_BYTES_MAX));
    let mut reason = codec::encode(&refusal);
    // Half of it would be another reason.
    if reason.len() > REFUSAL_BYTES_MAX {
        reason.clear();
    }
    Err(ActionRefusal::Game { text, reason })
}

/// The game's own reason to refuse an action of type `A`; `None` when the engine refused it, or the reason was too long.
#[must_use]
pub fn reason_of<A: Action>(refusal: &ActionRefusal) -> Option<A::Refusal> {
    match refusal {
        ActionRefusal::Game { reason, .. } => {
            codec::decode::<A::Refusal, REFUSAL_BYTES_MAX>("reason to refuse", reason).ok()
        }
        _ => None,
    }
}

/// What the cell and the node have in common about a typed kind: everything that is declared.
macro_rules! declared_by {
    ($action:ident) => {
        fn name(&self) -> &'static str {
            $action::NAME
        }
        fn caller(&self) -> $crate::action::Caller {
            $action::CALLER
        }
        fn scope(&self) -> $crate::action::Scope {
            $action::scope()
        }
        fn pace(&self) -> $crate::action::Pace {
            $action::PACE
        }
        fn durability(&self) -> $crate::action::Durability {
            <$action::Durability as $crate::action::DurabilityType>::DURABILITY
        }
        fn speaks(&self) -> bool {
            $action::SPEAKS
        }
        fn has_target(&self) -> bool {
            $action::HAS_TARGET
        }
        fn decode(
            &self,
            payload: &[u8],
        ) -> Result<
            ($crate::action::kinds::DecodedAction, Option<$crate::ids::NetId>),
            $crate::protocol::codec::DecodeError,
        > {
            $crate::action::kinds::decode::<$action>(payload)
        }
        fn describe(&self, action: &$crate::action::kinds::DecodedAction) -> String {
            $crate::action::kinds::describe::<$action>(action)
        }
    };
}
pub(crate) use declared_by;
