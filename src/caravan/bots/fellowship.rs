//! What bots do with others: they ask each other along, join, talk, and go their own ways again.

use crate::client::Player;
use crate::ids::PlayerId;
use crate::prelude::*;

use super::super::{Accept, Invite, LeaveParty, PartyEvent, PartyNews, TellParty, Walker};
use super::trading::{Deed, Trading};

/// What a bot knows of its party.
#[derive(Clone, Debug, Default)]
pub(super) struct Fellowship {
    /// A party to which it is invited.
    invited: Option<PartyId>,
    /// Whether it thinks that it is in one.
    is_in: bool,
}

impl Fellowship {
    /// Hears what happens to parties.
    pub(super) fn hear(&mut self, news: &PartyNews) {
        match news.what {
            PartyEvent::Invited => self.invited = Some(news.party),
            PartyEvent::Joined => self.is_in = true,
            PartyEvent::Gathers => {}
        }
    }

    /// Its player has left the world: an invitation does not wait for it.
    pub(super) fn forget(&mut self) {
        self.invited = None;
    }

    /// Does something about its party. What is refused, since its party has ended or is full, another turn does not try again.
    pub(super) fn turn(&mut self, player: &mut Player, trading: &mut Trading, chance: &mut Random) {
        if let Some(party) = self.invited.take() {
            self.is_in = true;
            return trading.expect(Deed::Party, player.act(&Accept { party }).ok());
        }
        if !self.is_in {
            if let Some(other) = somebody(player, chance) {
                self.is_in = true;
                trading.expect(Deed::Party, player.act(&Invite { player: other }).ok());
            }
            return;
        }
        if chance.chance(0.2) {
            self.is_in = false;
            return trading.expect(Deed::Party, player.act(&LeaveParty).ok());
        }
        let text = format!("{} things are in view here", player.view().entities().count());
        trading.expect(Deed::Say, player.act(&TellParty { text }).ok());
    }
}

/// Another player in view; none while there is none.
fn somebody(player: &Player, chance: &mut Random) -> Option<PlayerId> {
    let (schema, own) = (player.schema(), player.avatar());
    let others = player.view().entities().filter(|entity| Some(entity.net_id()) != own);
    let names = others.filter_map(|entity| PlayerId::new(&entity.component::<Walker>(schema)?.name).ok());
    let mut names: Vec<PlayerId> = names.collect();
    names.sort_unstable();
    (!names.is_empty()).then(|| names.swap_remove(chance.below(names.len())))
}
