//! What systems of the game ask for, and hear of.

use std::sync::Arc;

use bevy_ecs::prelude::{Res, ResMut, Resource};
use bevy_ecs::system::SystemParam;

use crate::ids::NetId;
use crate::reward::{Claim, ClaimKey, Name, PlanRefusal, PlanRequest};
use crate::store::{Delivery, MutationSummary};

/// What was asked for in one world in this tick: on whose behalf, under which claim, what.
#[derive(Resource, Debug, Default)]
pub struct AskedHere(pub(crate) Vec<(NetId, Claim, PlanRequest)>);

/// Asks for rewards from a system of a cell.
#[derive(SystemParam, Debug)]
pub struct Rewards<'w> {
    asked: ResMut<'w, AskedHere>,
}

impl Rewards<'_> {
    /// Asks for something, on behalf of an entity of this cell; it is planned in this tick, in the order (entity, order of
    /// asking), whichever cell that is in. What came of it is told to node systems as a [`RewardOutcome`]. Under one key it
    /// happens once, however often and by whomever it is asked for.
    pub fn ask(&mut self, by: NetId, key: impl Into<ClaimKey>, request: PlanRequest) {
        self.asked.0.push(asked(by, key.into(), request));
    }
}

/// Asks for rewards from a system of the node.
#[derive(SystemParam, Debug)]
pub struct RewardsOfNode<'w> {
    asked: ResMut<'w, AskedHere>,
    outcomes: Res<'w, RewardOutcomes>,
}

impl RewardsOfNode<'_> {
    /// As [`Rewards::ask`], from the node.
    pub fn ask(&mut self, by: NetId, key: impl Into<ClaimKey>, request: PlanRequest) {
        self.asked.0.push(asked(by, key.into(), request));
    }

    /// What has come of what systems had asked for, since the last tick's `Settle`: in that set and after it each is told once, what
    /// was refused before it was planned first, then in the order in which it was planned.
    #[must_use]
    pub fn outcomes(&self) -> &[RewardOutcome] {
        &self.outcomes.0
    }
}

fn asked(by: NetId, key: ClaimKey, request: PlanRequest) -> (NetId, Claim, PlanRequest) {
    let claim = Claim::new(request.claimant.clone(), key, &crate::protocol::codec::encode(&request));
    (by, claim, request)
}

/// What came of something that a system asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct RewardOutcome {
    /// Under which claim.
    pub claim: Claim,
    /// What was changed, durably, or why nothing was.
    pub result: Result<Arc<MutationSummary>, PlanRefusal>,
}

/// What came in this tick of what systems had asked for.
#[derive(Resource, Debug, Default)]
pub struct RewardOutcomes(pub(crate) Vec<RewardOutcome>);

/// What couriers have delivered, as the world hears of it: in `Settle` and after it each is told once, by the numbers of the deliveries.
/// As a courier is given some again after a crash, so are systems told of them again, under the same number. What is delivered while
/// the world ends no tick hears of, and what the newest image does not hold when a process dies is not told again: a game that has
/// to know of everything asks the receiver when it begins.
#[derive(Resource, Debug, Default)]
pub struct Delivered(pub(crate) Vec<Delivery>);

impl Delivered {
    /// Those of one kind.
    pub fn of<'a>(&'a self, kind: &'a Name) -> impl Iterator<Item = &'a Delivery> {
        self.0.iter().filter(move |delivery| delivery.kind == *kind)
    }
}

/// What the store committed since the last tick's `Settle`, whoever asked for it, in the order in which it was committed; what had
/// been committed before, and is only told again, is not among it. For node systems in that set and after it: so a game keeps
/// what it knows of its own tables and houses up to date.
#[derive(Resource, Debug, Default)]
pub struct Committed(pub(crate) Vec<Arc<MutationSummary>>);

impl Committed {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &MutationSummary> {
        self.0.iter().map(Arc::as_ref)
    }
}
