//! What a battle comes to, in one plan: who was lost, loot and fame, and the row that tells of it.

use crate::ids::PlayerId;
use crate::prelude::*;
use crate::protocol::codec;
use crate::reward::{Overflow, Part};

use super::super::hands::{HANDS, Hand, Hands, RENOWN, WOUNDED};
use super::super::lore::{ItemId, Slot};
use super::super::people::{CHARACTER, VIGOUR, leave_all, put_away, with_experience, worn_asset};
use super::super::post::{LETTER, Letter, News};
use super::super::purse::SILVER;
use super::band::Band;
use super::battle::End;
use super::chronicle::KeepBattle;

/// The house that fame comes from.
const FAME: &str = "fame";
/// Of the silver of who is beaten, a band takes one part in so many.
const ROBBED_PART: u64 = 10;
/// Fame for each fellow who is near, percent.
const FELLOW_PERCENT: u64 = 10;

/// A battle that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spoils {
    pub(super) by: NetId,
    pub(super) player: PlayerId,
    pub(super) band: Band,
    pub(super) end: End,
    pub(super) begun: u64,
    pub(super) begun_ms: u64,
    pub(super) ended: u64,
    pub(super) rounds: u16,
    pub(super) lost: Hands,
    pub(super) hurt: u16,
    /// What was worn and is lost.
    pub(super) broken: Vec<(Slot, ItemId)>,
    /// The player's character did not live through it.
    pub(super) died: bool,
    /// Members of the player's party who were near.
    pub(super) fellows: u16,
}

/// Whom a settlement takes from a player.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Toll {
    /// How many.
    pub(super) fallen: u16,
    /// How many of them come back as wounded.
    pub(super) hurt: u16,
    /// The player's character goes, with all it has.
    pub(super) died: bool,
}

impl Spoils {
    /// The key of its settlement, asked for at this moment. A battle is asked for again only when it is known that it was refused, so each
    /// time may have a key of its own, which is not too old; and after a crash the same tick may bring another battle.
    pub(super) fn key(&self, now_ms: u64) -> ClaimKey {
        ClaimKey::dated(now_ms, "battle", &codec::encode(&(self.player.as_str(), self.begun_ms, self.ended)))
    }

    /// What it comes to, for somebody who holds this now: nobody loses more than there is.
    pub(super) fn request(
        &self,
        tables: &RewardTables,
        holdings: &Holdings,
        now_ms: u64,
    ) -> (PlanRequest, Toll) {
        let lost = Hands::held(holdings);
        let mut request = PlanRequest::new("battle", &self.player);
        if self.died && holdings.amount(&CHARACTER.into()) > 0 {
            let request = leave_all(request, tables, holdings, &self.player, now_ms);
            let toll = Toll { fallen: lost.all(), hurt: 0, died: true };
            return (request.game(KeepBattle::KIND, &KeepBattle(self.clone())), toll);
        }
        let mut toll = Toll::default();
        for hand in Hand::ALL {
            let count = self.lost.of(hand).min(lost.of(hand));
            if count > 0 {
                request = request.pay(hand.asset(), count.into(), HANDS);
                toll.fallen = toll.fallen.saturating_add(count);
            }
        }
        toll.hurt = self.hurt.min(toll.fallen);
        if toll.hurt > 0 {
            // For whom there is no room among all that is carried is left behind: nobody is spared a defeat by a full pack.
            request = request.part(Part::Grant {
                asset: WOUNDED.into(),
                amount: toll.hurt.into(),
                from: Account::house(HANDS),
                to: Account::from(&self.player),
                overflow: Overflow::Clip,
            });
        }
        for (slot, item) in &self.broken {
            if holdings.amount(&worn_asset(item)) > 0 {
                request = put_away(request, holdings, *slot, item);
            }
        }
        let counts = self.band.counts_without_loss() || toll.fallen > 0;
        if counts {
            let lived = self.band.experience() / if self.end == End::Won { 1 } else { 2 };
            request = with_experience(request, holdings, lived);
        }
        match self.end {
            End::Won if !counts => {}
            End::Won => {
                let fame = self.band.fame() * (100 + FELLOW_PERCENT * u64::from(self.fellows)) / 100;
                request = request.grant(RENOWN, fame, FAME);
                if self.band.faction().is_some() {
                    request = request.loot(self.band.name(), 1);
                }
                let about = News::Victory { band: self.band, renown: fame, lost: toll.fallen };
                request = request.deliver(LETTER, &Letter { to: self.player.clone(), at_ms: now_ms, about });
            }
            End::Lost => {
                let robbed = holdings.amount(&SILVER.into()) / ROBBED_PART;
                if let Some(faction) = self.band.faction().filter(|_| robbed > 0) {
                    request = request.pay(SILVER, robbed, faction);
                }
                let class = tables.asset(&VIGOUR.into());
                if class.is_some_and(|class| holdings.pool_at(&VIGOUR.into(), class, now_ms) > 0) {
                    request = request.pay(VIGOUR, 1, HANDS);
                }
            }
            End::Parted => {}
        }
        (request.game(KeepBattle::KIND, &KeepBattle(self.clone())), toll)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::super::carrier::Carrier;
    use super::*;
    use crate::reward::Name;
    use crate::store::Bank;

    /// Three guards fell, two of them are only hurt, and a spear broke.
    fn spoils(band: Band, end: End) -> Spoils {
        Spoils {
            by: NetId(7),
            player: PlayerId::new("anna").unwrap(),
            band,
            end,
            begun: 1,
            begun_ms: 50,
            ended: 9,
            rounds: 4,
            lost: Hands { guards: 3, ..Hands::default() },
            hurt: 2,
            broken: vec![(Slot::Hand, ItemId::new("spear").unwrap())],
            died: false,
            fellows: 2,
        }
    }

    /// What somebody who had that has when it is settled, whom it took, and the bank.
    fn settled(spoils: &Spoils, had: &[(&str, u64)]) -> (BTreeMap<String, u64>, Toll, Bank) {
        let mut carrier = Carrier::new();
        let given = PlanRequest::new("given", &spoils.player);
        let given = had.iter().fold(given, |given, (asset, amount)| {
            given.grant(Name::new(asset).unwrap(), *amount, "treasury")
        });
        assert!(carrier.carry(given).is_ok());
        let account = Account::from(&spoils.player);
        let holdings = carrier.bank.holdings(&account);
        let lore = crate::caravan::Lore::shipped();
        let (request, toll) = spoils.request(lore.reward_tables(), &holdings, carrier.now_ms);
        let done = carrier.carry(request);
        assert!(done.is_ok(), "{done:?}");
        assert_eq!(carrier.bank.conservation(), Vec::<String>::new());
        let mut has = BTreeMap::new();
        for ((asset, _), amount) in carrier.bank.holdings(&account).lots {
            *has.entry(asset.to_string()).or_default() += amount;
        }
        (has, toll, carrier.bank)
    }

    fn exactly(what: &[(&str, u64)]) -> BTreeMap<String, u64> {
        what.iter().map(|(asset, amount)| ((*asset).to_owned(), *amount)).collect()
    }

    const SOLDIER: [(&str, u64); 5] =
        [("silver", 95), ("guard", 4), ("character", 1), ("worn/spear", 1), ("slot/hand", 1)];

    /// E2, E10: a defeat takes who fell, a tenth of the silver for those who won, what broke and some strength; it leaves the hurt and half
    /// of what a victory teaches. Between players nothing changes hands.
    #[test]
    fn a_defeat_takes_what_it_says_and_no_more() {
        for (band, silver, experience) in
            [(Band::Bandits, 86, 10), (Band::Patrol, 86, 15), (Band::Rivals, 95, 3)]
        {
            let (has, toll, bank) = settled(&spoils(band, End::Lost), &SOLDIER);
            let rest = [("guard", 1), ("wounded", 2), ("character", 1), ("vigour", 2)];
            let left = [&rest[..], &[("silver", silver), ("experience", experience)]].concat();
            assert_eq!((has, toll), (exactly(&left), Toll { fallen: 3, hurt: 2, died: false }), "{band}");
            let theirs = band.faction().map(|house| bank.holdings(&Account::house(house)));
            let theirs = theirs.map_or(0, |holdings| holdings.amount(&SILVER.into()));
            assert_eq!(theirs, 95 - silver, "{band}");
        }
    }

    /// E10: nobody loses more than there is, and nobody is spared a defeat by a full pack: the hurt for whom there is no room stay behind.
    #[test]
    fn a_defeat_finds_less_or_no_room_and_is_settled_all_the_same() {
        let lost = spoils(Band::Bandits, End::Lost);
        let (has, toll, _) = settled(&lost, &[("guard", 1)]);
        assert_eq!((has, toll.fallen, toll.hurt), (exactly(&[("wounded", 1), ("vigour", 2)]), 1, 1));
        let (has, toll, _) = settled(&lost, &[("guard", 4), ("spear", 23)]);
        assert_eq!((has, toll.fallen), (exactly(&[("guard", 1), ("spear", 23), ("vigour", 2)]), 3));
    }

    /// E10: a victory brings fame, a tenth more for each fellow, what it teaches, and what the band had; over players, who had to lose
    /// somebody for it, there is no loot.
    #[test]
    fn a_victory_brings_fame_and_what_the_band_had() {
        let won = |band: Band| Spoils { hurt: 0, broken: Vec::new(), ..spoils(band, End::Won) };
        let had = [("character", 1), ("guard", 4)];
        let (has, ..) = settled(&won(Band::Bandits), &had);
        assert_eq!((has["renown"], has["experience"], has["guard"]), (12, 20, 1));
        let silver = has.get("silver").copied().unwrap_or(0);
        assert!(silver >= 10, "two bandits have some on them: {has:?}");
        let (has, ..) = settled(&won(Band::Rivals), &had);
        assert_eq!(has, exactly(&[("character", 1), ("guard", 1), ("renown", 3), ("experience", 6)]));
    }
}
