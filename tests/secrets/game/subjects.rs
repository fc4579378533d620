//! What policies go by changes: subjects and contexts.

use terrane::ids::{PartyId, TeamId};
use terrane::prelude::*;
use terrane::replication::policy::{ComponentRule, Permissions, Subject, ViewerContext};

use super::alice;
use super::dice::Dice;
use super::plan::Plan;
use crate::things::{Body, CLEARANCE, Camp, Fate, File, Load, MARKED, NEED_FACT, Orders, Plot, Vault};

impl Dice {
    /// Changes one thing about who may see an entity. Whether Alice may, and what policies tell her, is open; everything
    /// else is sealed.
    pub fn change_subject(&mut self, subject: &mut Subject) {
        if self.phantom {
            return subject.set_hidden_from(alice(), true);
        }
        self.changes += 1;
        if !self.foreign {
            return self.change_shared_subject(subject);
        }
        match self.open.below(8) {
            0 => subject.set_tag(MARKED, self.open.chance(0.5)),
            1 => self.hide_from_alice(subject),
            2 => {
                // Whether the load is hidden from Alice, by whatever rule.
                let hidden = self.open.chance(0.5);
                let ways = [
                    ComponentRule::Owner,
                    ComponentRule::Party,
                    ComponentRule::Team,
                    ComponentRule::Role(Role::Gm),
                    ComponentRule::Nobody,
                ];
                let rule = if hidden {
                    Some(ways[self.sealed.below(ways.len())])
                } else if self.sealed.chance(0.5) {
                    Some(ComponentRule::Everyone)
                } else {
                    None
                };
                subject.override_component::<Load>(rule);
            }
            _ => self.change_sealed_subject(subject),
        }
    }

    /// Changes one thing about it of which Alice may notice nothing.
    pub fn change_sealed_subject(&mut self, subject: &mut Subject) {
        let parties = [None, Some(PartyId(2)), Some(PartyId(3))];
        let teams = [None, Some(TeamId(2)), Some(TeamId(3))];
        match self.sealed.below(6) {
            0 => {
                let owner = Self::player(&mut self.sealed, true);
                subject.set_owner(self.sealed.chance(0.7).then_some(owner));
            }
            1 => subject.set_party(parties[self.sealed.below(3)]),
            2 => subject.set_team(teams[self.sealed.below(3)]),
            3 => {
                let player = Self::player(&mut self.sealed, true);
                let hidden = self.sealed.chance(0.4);
                subject.set_hidden_from(player, hidden);
            }
            4 => {
                let rules = [None, Some(ComponentRule::Nobody), Some(ComponentRule::Owner)];
                subject.override_component::<Vault>(rules[self.sealed.below(3)]);
            }
            _ => {
                let rules = [None, Some(ComponentRule::Party), Some(ComponentRule::Role(Role::Gm))];
                subject.override_component::<File>(rules[self.sealed.below(3)]);
            }
        }
    }

    /// Hides an entity from Alice, in one of five ways, or shows it.
    fn hide_from_alice(&mut self, subject: &mut Subject) {
        let hidden = self.open.chance(0.35);
        let way = if hidden { 1 + self.sealed.below(5) } else { 0 };
        subject.set_owner_only(way == 1);
        subject.set_party_only(way == 2);
        subject.set_team_only(way == 3);
        subject.set_visible_to_role((way == 4).then_some(Role::Gm));
        subject.set_hidden_from(alice(), way == 5);
    }

    fn change_shared_subject(&mut self, subject: &mut Subject) {
        let open = &mut self.open;
        let parties = [None, Some(PartyId(1)), Some(PartyId(2))];
        let teams = [None, Some(TeamId(1)), Some(TeamId(2))];
        match open.below(12) {
            0 | 1 => {
                let owner = Self::player(open, false);
                subject.set_owner(open.chance(0.7).then_some(owner));
            }
            2 => subject.set_party(parties[open.below(3)]),
            3 => subject.set_team(teams[open.below(3)]),
            4 => subject.set_tag(MARKED, open.chance(0.5)),
            5 => subject.set_owner_only(open.chance(0.2)),
            6 => subject.set_party_only(open.chance(0.25)),
            7 => subject.set_team_only(open.chance(0.25)),
            8 => {
                let player = Self::player(open, false);
                subject.set_hidden_from(player, open.chance(0.4));
            }
            9 => subject.set_visible_to_role(open.chance(0.2).then_some(Role::Gm)),
            _ => {
                let rules = [
                    ComponentRule::Everyone,
                    ComponentRule::Owner,
                    ComponentRule::Party,
                    ComponentRule::Team,
                    ComponentRule::Role(Role::Gm),
                    ComponentRule::Nobody,
                ];
                let rule = rules[open.below(rules.len())];
                let which = open.below(9);
                let rule = open.chance(0.5).then_some(rule);
                match which {
                    0 => subject.override_component::<Vault>(rule),
                    1 => subject.override_component::<Orders>(rule),
                    2 => subject.override_component::<File>(rule),
                    3 => subject.override_component::<Body>(rule),
                    4 | 5 => subject.override_component::<Load>(rule),
                    6 => subject.override_component::<Plot>(rule),
                    7 => subject.override_component::<Camp>(rule),
                    _ => subject.override_component::<Fate>(rule),
                }
            }
        }
    }
}

/// Changes one thing about a player.
pub fn change_context(plan: &Plan, context: &mut ViewerContext, tick: TickNumber) {
    let name = context.player().clone();
    let is_alice = name.as_str() == "alice";
    let seed = if is_alice { plan.seed } else { plan.secret.unwrap_or(plan.seed) };
    let mut chance = Random::named(seed ^ tick.0 << 20, name.as_str());
    if !chance.chance(0.12) {
        return;
    }
    plan.note(1);
    // Of two worlds that differ in secrets Alice is an ordinary player, and in nobody else's party.
    let (first, choices) = match (plan.secret.is_some(), is_alice) {
        (false, _) => (1, 2),
        (true, true) => (1, 1),
        (true, false) => (2, 2),
    };
    let group = chance.chance(0.7).then(|| first + chance.below(choices) as u64);
    let plain = plan.secret.is_some() && is_alice;
    match chance.below(6) {
        0 => context.set_party(group.map(PartyId)),
        1 => context.set_team(group.map(|group| TeamId(group as u32))),
        2 if plain => {}
        2 => context.set_role([Role::Player, Role::Player, Role::Gm, Role::Admin][chance.below(4)]),
        3 => context.set_permissions(Permissions(chance.below(if plain { 2 } else { 4 }) as u64)),
        4 => {
            let facts = [None, Some(0), Some(5)];
            context.set_fact(NEED_FACT, facts[chance.below(if plain { 2 } else { 3 })]);
        }
        _ => context.set_fact(CLEARANCE, [None, Some(1)][chance.below(2)]),
    }
}
