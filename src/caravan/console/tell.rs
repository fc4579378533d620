//! What a console tells a player of itself: where it is, what it has, and how it stands.

use std::fmt::Write as _;

use crate::client::Player;
use crate::prelude::*;

use super::super::roads::TradeNode;
use super::super::{
    BattleNews, Board, Campaign, Encounter, End, Errand, Errands, Letters, Pack, PartyEvent, PartyNews,
    Purse, Quotes, Retinue, place_of,
};
use super::CaravanConsole;

/// What happens to a party, as the one says who did it.
#[must_use]
pub fn party_line(news: &PartyNews) -> String {
    match news.what {
        PartyEvent::Invited => format!("come with us: accept {}", news.party.0),
        PartyEvent::Joined => "I am with you".to_owned(),
        PartyEvent::Gathers => "gather here".to_owned(),
    }
}

/// How a battle ended, and whose it was.
#[must_use]
pub fn battle_line(news: &BattleNews) -> String {
    let who = if news.is_own { "you" } else { &news.player };
    let how = match news.end {
        End::Won => "won against",
        End::Lost => "lost against",
        End::Parted => "got away from",
    };
    let mut text = format!("{who} {how} {} after {} rounds", news.band, news.rounds);
    if news.lost > 0 {
        let _ = write!(text, "; you lost {} of your people, {} of them are only hurt", news.lost, news.hurt);
    }
    text += match (news.is_void, news.died) {
        (true, _) => "; it could not be saved, so nothing is lost and nothing is won",
        (false, true) => "; you died of it: `create` begins another character",
        (false, false) => "",
    };
    text
}

/// Whom a player has met.
#[must_use]
pub fn encounter_line(encounter: &Encounter) -> String {
    let Encounter { with, is_hostile } = encounter;
    if *is_hostile { format!("{with} and its people attack you") } else { format!("you meet {with}") }
}

/// A component of the player's own avatar; its default while it is not known.
fn own<C: Component + Replicate>(player: &Player) -> C {
    let own = player.avatar().and_then(|avatar| player.view().get(avatar));
    own.and_then(|own| own.component::<C>(player.schema())).unwrap_or_default()
}

impl CaravanConsole {
    /// What a player has been written, a line each, the newest first.
    #[must_use]
    pub fn letters(&self, player: &Player) -> String {
        let schema = player.schema();
        let all = player.view().entities().find_map(|entity| entity.component::<Letters>(schema));
        let own = all.into_iter().flat_map(|letters| letters.boxes.into_values()).flatten();
        let lines: Vec<String> = own.map(|letter| letter.about.to_string()).collect();
        if lines.is_empty() { "nobody has written to you".to_owned() } else { lines.join("\n") }
    }

    /// What goods cost at the node where a player is.
    #[must_use]
    pub fn quotes(&self, player: &Player) -> String {
        let quotes: Quotes = own(player);
        match self.node_of(&quotes) {
            Some(node) => format!("{}: {quotes}", node.name),
            None => "you are at no node".to_owned(),
        }
    }

    fn node_of(&self, quotes: &Quotes) -> Option<&TradeNode> {
        self.roads.nodes.get(usize::from(quotes.node?.0))
    }

    pub(super) fn errand_line(&self, errand: &Errand) -> String {
        let to = &self.roads.node(place_of(errand, &self.roads)).name;
        format!("{} {} are wanted in {to}", errand.loads, errand.good)
    }

    /// All that there is at the node where a player is: prices, what its bounty asks for, and the errand that is offered.
    #[must_use]
    pub fn market(&self, player: &Player) -> String {
        let quotes: Quotes = own(player);
        let (Some(node), Some(id)) = (self.node_of(&quotes), quotes.node) else {
            let nearest = crate::client::console::whereabouts(player).and_then(|place| {
                let far = |node: &&TradeNode| node.place.distance(place);
                self.roads.nodes.iter().min_by(|a, b| far(a).total_cmp(&far(b)))
            });
            return match nearest {
                Some(node) => format!("you are at no node; the nearest is {}: march {0}", node.name),
                None => "you are at no node".to_owned(),
            };
        };
        let mut text = format!("{}: {quotes}", node.name);
        let board = player.view().entities().find_map(|entity| entity.component::<Board>(player.schema()));
        if let Some(good) = board.as_ref().and_then(|board| board.asked.get(usize::from(id.0))) {
            let _ = write!(text, "; its bounty asks for {good} from elsewhere");
        }
        let errands: Errands = own(player);
        if let Some(errand) = &errands.offered {
            let _ = write!(text, "; an errand is offered: {}", self.errand_line(errand));
        }
        text
    }

    /// What a player owns: what is in its purse, and what is in its pack.
    #[must_use]
    pub fn belongings(&self, player: &Player) -> String {
        if player.avatar().and_then(|avatar| player.view().get(avatar)).is_none() {
            return "you see no purse yet".to_owned();
        }
        format!("{}; {}", own::<Purse>(player), own::<Pack>(player))
    }

    /// How a player's battle stands; `None` in peace.
    #[must_use]
    pub fn battle(&self, player: &Player) -> Option<String> {
        let Campaign { band, foes, round, health, .. } = own(player);
        band.map(|band| {
            format!("{foes} {band} fight you, round {round}, your health {health}: attack, defend or flee")
        })
    }

    /// Who travels with a player, what it has been asked to bring, and how its battle or march stands.
    #[must_use]
    pub fn retinue(&self, player: &Player) -> String {
        if player.avatar().and_then(|avatar| player.view().get(avatar)).is_none() {
            return "you see nobody yet".to_owned();
        }
        let mut text = own::<Retinue>(player).to_string();
        if let Some(errand) = own::<Errands>(player).current() {
            let _ = write!(text, "; {}", self.errand_line(&errand));
        }
        let campaign: Campaign = own(player);
        if let Some(band) = campaign.band {
            let Campaign { foes, round, health, .. } = campaign;
            let _ = write!(text, "; fighting {foes} {band} in round {round}, health {health}");
        } else if let Some(to) = campaign.to.and_then(|to| self.roads.nodes.get(usize::from(to.0))) {
            let _ = write!(text, "; marching to {}", to.name);
        }
        text
    }
}
