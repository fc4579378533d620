//! Players and caravans that meet: bids, offers, charters.
//!
//! Walkers bid by themselves for a caravan near them, now and then. The driver asks the best bidder for a little more; who
//! bids that much has the caravan for a while, and sees it wherever it goes. Nobody has asked the player, so a bid is a word and no
//! payment: no silver leaves a purse for it, and none comes into the caravan's.

use crate::prelude::*;
use crate::replication::policy::ComponentRule;

use crate::ids::{PartyId, TeamId};

use super::allegiance::SUSPECT;
use super::travel::Caravan;
use super::walk::Walker;

/// What a player bids to have a caravan for a while. Only the bidder is told.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
pub struct Bid {
    /// Silver.
    #[sync(broadcast)]
    pub silver: u32,
    /// How well the driver likes the bidder, which decides between equal bids. Nobody is told.
    #[sync(server_only)]
    pub liking: u32,
}

/// What a driver asks of a player.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Whom.
    pub to: PlayerId,
    /// Silver.
    pub silver: u32,
}

/// A caravan in a player's service. The player's party knows; of a suspect caravan everybody does.
#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(party)]
pub struct Charter {
    /// Who has it. Who does not see that player is not told.
    #[sync(broadcast)]
    pub holder: NetId,
    /// What was bidden for it, silver. It changes no hands.
    #[sync(broadcast)]
    pub silver: u32,
    /// Until which tick.
    #[sync(server_only)]
    pub until: u64,
}

/// A walker speaks to a caravan's driver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Haggle {
    /// Who bids.
    pub player: PlayerId,
    /// Whom the bidder travels with.
    pub party: Option<PartyId>,
    /// Whose side it is on.
    pub team: Option<TeamId>,
    /// How much, silver.
    pub silver: u32,
}

/// A walker bids every so many ticks.
const BID_EVERY: u64 = 80;
/// For a caravan that is so near, m.
const EARSHOT_M: f32 = 20.0;
const SILVER: std::ops::Range<f32> = 10.0..60.0;
/// Most bids that a driver remembers.
const BIDS_MAX: usize = 6;
/// How long a charter lasts, s.
const CHARTER_S: f32 = 40.0;

/// Purposes of chance.
const BID: u32 = 2;

/// Lets walkers bid for what stands near them.
pub(super) fn bid(
    context: Res<TickContext>,
    walkers: Query<(&NetId, &Position, &Walker, &Subject)>,
    nearby: Nearby,
    mut outbox: EntityOutbox<Haggle>,
) {
    for (&net_id, position, walker, subject) in &walkers {
        // Each at its own time.
        if !context.tick.0.wrapping_add(net_id.0).is_multiple_of(BID_EVERY) {
            continue;
        }
        let (Ok(player), Ok(near)) = (PlayerId::new(&walker.name), nearby.nearest(position.0, 4, EARSHOT_M))
        else {
            continue;
        };
        let others: Vec<NetId> =
            near.iter().map(|found| found.net_id).filter(|&found| found != net_id).collect();
        let mut chance = context.random(net_id, BID);
        // Whoever is no caravan does not listen.
        if let Some(&to) = others.get(chance.below(others.len())) {
            let (party, team) = (subject.party(), subject.team());
            outbox.send(net_id, to, Haggle { player, party, team, silver: chance.between(SILVER) as u32 });
        }
    }
}

/// Lets drivers hear what is bidden.
pub(super) fn hear(
    context: Res<TickContext>,
    inbox: EntityInbox<Haggle>,
    mut caravans: Query<(Entity, &NetId, &mut Caravan, &mut Subject)>,
    mut commands: Commands,
) {
    let mut heard: Vec<_> = inbox.iter().collect();
    if heard.is_empty() {
        return;
    }
    // By caravan; of one caravan in the order in which they came.
    heard.sort_by_key(|addressed| addressed.to);
    for (entity, &net_id, mut caravan, mut subject) in &mut caravans {
        let first = heard.partition_point(|addressed| addressed.to < net_id);
        for addressed in heard[first..].iter().take_while(|addressed| addressed.to == net_id) {
            let Haggle { player, party, team, silver } = &addressed.message;
            // Who has it needs no other bidders.
            if subject.owner().is_some() {
                break;
            }
            if caravan.take_bid(player, *silver, context.random(net_id, BID).below(100) as u32) {
                subject.set_owner(Some(player.clone()));
                subject.set_party(*party);
                subject.set_team(*team);
                let open = subject.has_tag(SUSPECT).then_some(ComponentRule::Everyone);
                subject.override_component::<Charter>(open);
                let until = context.tick.0 + context.ticks(CHARTER_S);
                commands.entity(entity).insert(Charter { holder: addressed.from, silver: *silver, until });
            }
        }
    }
}

impl Caravan {
    /// Whether the bid is taken; otherwise it is remembered, and the best bidder asked for more.
    fn take_bid(&mut self, player: &PlayerId, silver: u32, liking: u32) -> bool {
        if self.offer.as_ref().is_some_and(|offer| offer.to == *player && silver >= offer.silver) {
            self.bids.clear();
            self.offer = None;
            return true;
        }
        self.bids.insert(player.clone(), Bid { silver, liking });
        if self.bids.len() > BIDS_MAX {
            let worst = self.bids.iter().min_by_key(|(_, bid)| (bid.silver, bid.liking));
            if let Some(worst) = worst.map(|(player, _)| player.clone()) {
                self.bids.remove(&worst);
            }
        }
        let best = self.bids.iter().max_by_key(|(_, bid)| (bid.silver, bid.liking));
        self.offer = best.map(|(to, bid)| Offer { to: to.clone(), silver: bid.silver + bid.silver / 10 });
        false
    }
}

/// Gives caravans back whose time is over.
pub(super) fn end_charters(
    context: Res<TickContext>,
    mut chartered: Query<(Entity, &Charter, &mut Subject)>,
    mut commands: Commands,
) {
    for (entity, charter, mut subject) in &mut chartered {
        if context.tick.0 < charter.until {
            continue;
        }
        subject.set_owner(None);
        subject.set_party(None);
        subject.set_team(None);
        subject.override_component::<Charter>(None);
        commands.entity(entity).remove::<Charter>();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn player(name: &str) -> PlayerId {
        PlayerId::new(name).expect("a name")
    }

    #[test]
    fn the_best_bidder_is_asked_for_more_and_has_it_for_that() {
        let mut caravan = Caravan::default();
        assert!(!caravan.take_bid(&player("ann"), 40, 0));
        assert!(!caravan.take_bid(&player("bob"), 30, 0));
        assert_eq!(caravan.offer, Some(Offer { to: player("ann"), silver: 44 }));
        assert!(!caravan.take_bid(&player("bob"), 60, 0), "bob was not asked");
        assert_eq!(caravan.offer, Some(Offer { to: player("bob"), silver: 66 }));
        assert!(!caravan.take_bid(&player("bob"), 20, 0), "too little");
        assert!(
            caravan.take_bid(&player("ann"), 44, 0),
            "ann is the best bidder again, and was asked for 44"
        );
        assert_eq!((caravan.bids.len(), &caravan.offer), (0, &None));
        assert_eq!(caravan.purse, 0, "nobody has paid, so nobody is paid");
    }

    #[test]
    fn a_driver_remembers_the_best_bids_only() {
        let mut caravan = Caravan::default();
        for number in 1..=20u32 {
            caravan.take_bid(&player(&format!("p{number}")), number, 0);
        }
        assert_eq!(caravan.bids.len(), BIDS_MAX);
        assert!(caravan.bids.values().all(|bid| bid.silver > 14));
    }
}
