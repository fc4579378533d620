//! Actions of scope `group`: they reach the data of the caller's party, and their handlers are given nothing else.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt;

use bevy_ecs::component::Mutable;
use bevy_ecs::prelude::{Component, Entity};
use glam::Vec3;

use crate::cell::context::TickContext;
use crate::cell::pool::Cells;
use crate::ids::{NetId, PartyId, PlayerId, Role, SlotIndex};
use crate::interest::LastIndex;
use crate::party::{Parties, PartyRefusal};
use crate::protocol::messages::ActionRefusal;
use crate::replication::Rows;
use crate::replication::events::{Audience, PlayerEvent};
use crate::space::Position;

use super::declare::{Action, GroupScope, InMemory};
use super::effects::ActionEffects;
use super::kinds::{ActionKind, NodeStage, PresentPlayers, Ran, RoutedAction, declared_by, encoded, find};

/// The data of those of the caller's party who are in the world, the caller included: wherever they are. Without a party it is
/// the caller's alone.
pub struct Group<'a, D> {
    cells: &'a mut Cells,
    caller: usize,
    /// By player.
    members: Vec<(PlayerId, SlotIndex, Entity)>,
    /// What was there before, by place in `members`.
    before: BTreeMap<usize, D>,
}

impl<D> fmt::Debug for Group<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.members.iter().map(|(player, ..)| player)).finish()
    }
}

impl<D: Component<Mutability = Mutable> + Clone> Group<'_, D> {
    /// Who is in it and in the world, by name.
    pub fn players(&self) -> impl Iterator<Item = &PlayerId> {
        self.members.iter().map(|(player, ..)| player)
    }

    /// The caller's data.
    #[must_use]
    pub fn caller(&self) -> &D {
        self.at(self.caller)
    }

    /// The caller's data, to change.
    pub fn caller_mut(&mut self) -> &mut D {
        self.at_mut(self.caller)
    }

    /// The data of a member; `None` for who is not in the party, or not in the world.
    #[must_use]
    pub fn get(&self, player: &PlayerId) -> Option<&D> {
        Some(self.at(self.place(player)?))
    }

    /// The data of a member, to change.
    pub fn get_mut(&mut self, player: &PlayerId) -> Option<&mut D> {
        let place = self.place(player)?;
        Some(self.at_mut(place))
    }

    /// Where a member is.
    #[must_use]
    pub fn position(&self, player: &PlayerId) -> Option<Vec3> {
        let (_, slot, entity) = self.members[self.place(player)?];
        let world = &self.cells.get(slot)?.world;
        world.get::<Position>(entity).map(|position| position.0)
    }

    /// What is near the caller, as of the end of the last tick: names and places.
    ///
    /// # Panics
    /// Never: the caller is in a cell.
    #[must_use]
    pub fn nearby(&self) -> &LastIndex {
        let (_, slot, _) = self.members[self.caller];
        self.cells.get(slot).expect("the caller is in a cell").world.resource::<LastIndex>()
    }

    fn place(&self, player: &PlayerId) -> Option<usize> {
        self.members.binary_search_by(|(member, ..)| member.cmp(player)).ok()
    }

    fn at(&self, place: usize) -> &D {
        let (_, slot, entity) = self.members[place];
        let cell = self.cells.get(slot).expect("members are in cells");
        cell.world.get::<D>(entity).expect("only who has the data is listed")
    }

    fn at_mut(&mut self, place: usize) -> &mut D {
        let (_, slot, entity) = self.members[place];
        let world = &mut self.cells.at(slot).world;
        let data = world.get_mut::<D>(entity).expect("only who has the data is listed").into_inner();
        self.before.entry(place).or_insert_with(|| data.clone());
        data
    }

    /// Makes everybody's data what it was.
    fn undo(&mut self) {
        for (place, before) in std::mem::take(&mut self.before) {
            *self.at_mut(place) = before;
        }
    }
}

/// What the handler of an action of scope `group` may know and do besides the group's data and the action: who is in the
/// party, and telling them something. What it changed and told is undone when it refuses.
pub struct GroupContext<'a> {
    /// The caller's avatar.
    pub actor: NetId,
    /// Where it is.
    pub position: Vec3,
    /// Who calls.
    pub player: &'a PlayerId,
    /// What the caller may do.
    pub role: Role,
    /// The tick, its time and its chance.
    pub tick: &'a TickContext,
    parties: &'a mut Parties,
    present: &'a dyn PresentPlayers,
    effects: ActionEffects,
}

impl fmt::Debug for GroupContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GroupContext")
            .field("actor", &self.actor)
            .field("player", self.player)
            .finish_non_exhaustive()
    }
}

impl GroupContext<'_> {
    /// The caller's party.
    #[must_use]
    pub fn party(&self) -> Option<PartyId> {
        self.parties.of(self.player)
    }

    /// Who is in the caller's party, in the world or not, in the order of joining; nobody without a party.
    pub fn members(&self) -> impl Iterator<Item = &PlayerId> {
        self.party().and_then(|party| self.parties.get(party)).into_iter().flat_map(|party| &party.members)
    }

    /// Who leads the caller's party.
    #[must_use]
    pub fn leader(&self) -> Option<&PlayerId> {
        self.party().and_then(|party| self.parties.get(party)).map(|party| &party.leader)
    }

    /// Invites somebody who is in the world. Who has no party founds one by it.
    ///
    /// # Errors
    /// When that player is not there, is the caller, or has as many invitations as can be; when the party is full.
    pub fn invite(&mut self, player: &PlayerId) -> Result<PartyId, PartyRefusal> {
        if self.present.avatar(player).is_none() {
            return Err(PartyRefusal::NotHere(player.clone()));
        }
        self.parties.invite(self.player, player, self.tick)
    }

    /// Joins a party to which the caller is invited, and leaves its own for that.
    ///
    /// # Errors
    /// When there is no invitation (any more), or the party is full.
    pub fn accept(&mut self, party: PartyId) -> Result<(), PartyRefusal> {
        self.parties.accept(self.player, party, self.tick.tick)
    }

    /// Joins a party that the game lets everybody into, and founds it where there is none of that number.
    ///
    /// # Errors
    /// When the party is full, or the number is one that invitations use.
    pub fn enter(&mut self, party: PartyId) -> Result<(), PartyRefusal> {
        self.parties.enter(self.player, party)
    }

    /// Leaves the party. When the leader does, the member who has been in it longest leads; a founded party of one ends.
    ///
    /// # Errors
    /// When the caller is in none.
    pub fn leave(&mut self) -> Result<(), PartyRefusal> {
        self.parties.leave(self.player)
    }

    /// Sends a member away.
    ///
    /// # Errors
    /// When the caller does not lead the party, or that player is not in it.
    pub fn dismiss(&mut self, player: &PlayerId) -> Result<(), PartyRefusal> {
        self.parties.dismiss(self.player, player)
    }

    /// Lets another member lead.
    ///
    /// # Errors
    /// When the caller does not lead the party, or that player is not in it.
    pub fn let_lead(&mut self, player: &PlayerId) -> Result<(), PartyRefusal> {
        self.parties.let_lead(self.player, player)
    }

    /// Ends the party.
    ///
    /// # Errors
    /// When the caller does not lead it.
    pub fn disband(&mut self) -> Result<(), PartyRefusal> {
        self.parties.disband(self.player)
    }

    /// Tells the party of an event about the caller's avatar; the caller alone, without a party.
    ///
    /// # Panics
    /// When the type was not registered with `add_player_event`.
    pub fn tell_group<E: PlayerEvent>(&mut self, event: E) {
        match self.party() {
            // As it is after this action: contexts follow before anything is told.
            Some(party) => self.effects.tell(self.actor, Audience::Party(party), event),
            None => self.tell_caller(event),
        }
    }

    /// Tells the caller alone.
    ///
    /// # Panics
    /// When the type was not registered with `add_player_event`.
    pub fn tell_caller<E: PlayerEvent>(&mut self, event: E) {
        self.effects.tell(self.actor, Audience::Player(self.player.clone()), event);
    }

    /// Tells one who is in the caller's party, or invited to it.
    ///
    /// # Errors
    /// When that player is neither.
    ///
    /// # Panics
    /// When the type was not registered with `add_player_event`.
    pub fn tell_member<E: PlayerEvent>(&mut self, player: &PlayerId, event: E) -> Result<(), PartyRefusal> {
        let party = self.party().ok_or(PartyRefusal::NoParty)?;
        if !self.parties.has(party, player) && !self.parties.is_invited(party, player, self.tick.tick) {
            return Err(PartyRefusal::NoMember(player.clone()));
        }
        self.effects.tell(self.actor, Audience::Player(player.clone()), event);
        Ok(())
    }
}

/// Does an action to the data of the caller's party. Whatever a handler did before it refuses is undone.
pub type GroupHandler<A, D> =
    fn(&A, &mut Group<'_, D>, &mut GroupContext<'_>) -> Result<<A as Action>::Reply, <A as Action>::Refusal>;

pub(crate) struct GroupKind<A: Action, D> {
    handler: GroupHandler<A, D>,
}

impl<A: Action, D> GroupKind<A, D> {
    pub(crate) fn new(handler: GroupHandler<A, D>) -> Self {
        Self { handler }
    }
}

/// The members of the caller's party who are in the world and have the data, by name.
fn members_with<D: Component>(
    routed: &RoutedAction,
    cells: &Cells,
    rows: &Rows,
    present: &dyn PresentPlayers,
    parties: &Parties,
) -> Vec<(PlayerId, SlotIndex, Entity)> {
    let party = parties.of(&routed.player).and_then(|party| parties.get(party));
    let others = party.map(|party| party.members.as_slice()).unwrap_or_default();
    let mut names: Vec<&PlayerId> = others.iter().chain([&routed.player]).collect();
    names.sort_unstable();
    names.dedup();
    let one = |player: &PlayerId| {
        let (slot, entity) = find(rows, cells, present.avatar(player)?)?;
        cells.get(slot)?.world.get::<D>(entity)?;
        Some((player.clone(), slot, entity))
    };
    names.into_iter().filter_map(one).collect()
}

impl<A, D> ActionKind for GroupKind<A, D>
where
    A: Action<Scope = GroupScope, Durability = InMemory>,
    D: Component<Mutability = Mutable> + Clone,
{
    declared_by!(A);
    fn data(&self) -> Option<TypeId> {
        Some(TypeId::of::<D>())
    }
    fn run_on_node(&self, routed: &RoutedAction, stage: &mut NodeStage<'_>) -> Result<Ran, ActionRefusal> {
        let action = routed.of::<A>();
        let members = members_with::<D>(routed, stage.cells, stage.rows, stage.present, stage.parties);
        let caller = members.binary_search_by(|(player, ..)| player.cmp(&routed.player));
        let Ok(caller) = caller else { return Err(ActionRefusal::NotInWorld) };
        let (_, slot, entity) = members[caller];
        let world = &mut stage.cells.at(slot).world;
        let position = world.get::<Position>(entity).map_or(Vec3::ZERO, |position| position.0);
        let effects = ActionEffects::take(world);
        let mark = effects.mark();
        let mut group = Group { cells: stage.cells, caller, members, before: BTreeMap::new() };
        let mut context = GroupContext {
            actor: routed.actor,
            position,
            player: &routed.player,
            role: routed.role,
            tick: stage.tick,
            parties: stage.parties,
            present: stage.present,
            effects,
        };
        context.parties.begin();
        let result = encoded::<A>((self.handler)(action, &mut group, &mut context));
        if result.is_err() {
            group.undo();
            context.parties.undo();
            context.effects.undo(mark);
        }
        context.effects.put_back(&mut group.cells.at(slot).world);
        result.map(Ran::Done)
    }
}
