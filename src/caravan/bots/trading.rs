//! What bots do besides walking: they trade at nodes, hire people, run errands, march, and fight who lies in wait.

use std::collections::BTreeMap;

use crate::action::kinds::reason_of;
use crate::client::{Player, Reply};
use crate::ids::ActionId;
use crate::prelude::*;
use crate::protocol::messages::ActionRefusal;

use super::super::lore::{ItemId, OriginId, SkillId};
use super::super::{
    BOUNTY_LOADS, Board, Buy, Campaign, Character, CreateCharacter, Deliver, Errand, ErrandRefusal, Errands,
    Fight, GiveUpErrand, Good, Hand, HandIn, Hire, LOADS_MAX, Learn, Mend, NodeId, Order, PayOff, Purse,
    Quotes, Retinue, Sell, Study, TRADE_REACH_M, TakeErrand, TradeRefusal, Wear,
};
use super::BotMap;

/// Hands that a bot likes to have with it.
const HANDS_WANTED: u16 = 6;
/// Answers that are waited for; what is asked for beyond is not counted.
const ASKED_MAX: usize = 64;

/// Where bots like to come from: what there is in the files that come with the game.
const ORIGINS: [&str; 5] = ["wanderer", "trader", "drover", "soldier", "runner"];
/// What they like to learn.
const SKILLS: [&str; 4] = ["fighting", "riding", "haggling", "healing"];
/// What they put on, when they think that they may have some of it.
const GEAR: [&str; 7] = ["spear", "leather", "knife", "saddlebags", "helmet", "sabre", "mail"];

/// What came of a bot's trades.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TradedByBot {
    /// They were done: what they moved is kept for good.
    pub done: u64,
    /// The game refused them: a price, an empty store, too little silver.
    pub refused: u64,
    /// The world could not keep anything at that time, and said so.
    pub not_kept: u64,
}

/// What a bot did, so far as it was told that it is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DoneByBot {
    /// Purchases and sales.
    pub deals: u64,
    /// Bounties that it was paid.
    pub bounties: u64,
    /// Times that it hired somebody, let somebody go or had somebody mended.
    pub hires: u64,
    /// Errands.
    pub quests: u64,
    /// Battles that it heard the end of.
    pub battles: u64,
    /// Characters that it became.
    pub characters: u64,
    /// Parties that it founded, joined or left.
    pub parties: u64,
    /// What it said, around and to its party.
    pub said: u64,
}

impl std::ops::AddAssign for DoneByBot {
    fn add_assign(&mut self, other: Self) {
        let Self { deals, bounties, hires, quests, battles, characters, parties, said } = other;
        self.deals += deals;
        self.bounties += bounties;
        self.hires += hires;
        self.quests += quests;
        self.battles += battles;
        self.characters += characters;
        self.parties += parties;
        self.said += said;
    }
}

/// What an answer that is waited for is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Deal,
    Bounty,
    Hire,
    Quest,
    Character,
    Party,
    Say,
}

impl Deed {
    /// Whether what is done is a trade, of which a receipt is kept.
    fn is_trade(self) -> bool {
        matches!(self, Self::Deal | Self::Bounty | Self::Hire | Self::Quest)
    }

    fn of(self, done: &mut DoneByBot) -> &mut u64 {
        match self {
            Self::Deal => &mut done.deals,
            Self::Bounty => &mut done.bounties,
            Self::Hire => &mut done.hires,
            Self::Quest => &mut done.quests,
            Self::Character => &mut done.characters,
            Self::Party => &mut done.parties,
            Self::Say => &mut done.said,
        }
    }
}

/// What one bot knows of its trades.
#[derive(Clone, Debug, Default)]
pub(super) struct Trading {
    /// The bounty that it handed in last: the node, and in which minutes.
    handed_in: Option<(usize, u64)>,
    /// Where it bought of each good last: that node pays neither a bounty nor an errand for it.
    bought: BTreeMap<Good, usize>,
    /// Its errand is wanted where it bought of the good a while ago: there will be others.
    gives_up: bool,
    asked: Vec<(ActionId, Deed)>,
    /// The end of the round in which it gave its last order, ticks.
    fought: u64,
    traded: TradedByBot,
    done: DoneByBot,
    /// The trades that were done, for who asks; none are kept otherwise.
    receipts: Option<Vec<ActionId>>,
}

impl Trading {
    /// Does something at a node, if it is at one. What the connection does not take now, another turn does.
    pub(super) fn trade(&mut self, player: &mut Player, map: &BotMap, place: Vec2, chance: &mut Random) {
        let near = map.places.iter().position(|node| node.distance(place) < TRADE_REACH_M);
        let schema = player.schema().clone();
        let own = player.avatar().and_then(|avatar| player.view().get(avatar));
        let (Some(node), Some(own)) = (near, own) else { return };
        let Some(purse) = own.component::<Purse>(&schema) else { return };
        let (retinue, errands) = (own.component::<Retinue>(&schema), own.component::<Errands>(&schema));
        let errand = errands.as_ref().and_then(Errands::current);
        let board = player.view().entities().find_map(|entity| entity.component::<Board>(&schema));
        let asked = board.as_ref().and_then(|board| Some((board.period, *board.asked.get(node)?)));
        let place_of = |errand: &Errand| usize::from(errand.to.0) % map.places.len();
        // One that is wanted where it bought of the good itself it leaves to others.
        let may_bring = |errand: &Errand| self.bought.get(&errand.good) != Some(&place_of(errand));
        let offered = errands.as_ref().and_then(|errands| errands.offered).filter(may_bring);
        let quotes = own.component::<Quotes>(&schema);
        let price = |good: Good| quotes.as_ref()?.goods.get(&good).map(|quote| quote.silver);
        let held: Vec<(Good, u16)> = purse.goods.iter().collect();
        let hands = retinue.as_ref().map_or(HANDS_WANTED, |retinue| retinue.hands.all());
        let wounded = retinue.as_ref().map_or(0, |retinue| retinue.wounded);
        let is_wanted_here = |errand: &Errand| place_of(errand) == node;
        let (deed, id) = match (errand, asked) {
            (Some(_), _) if std::mem::take(&mut self.gives_up) => {
                let _ = player.act(&GiveUpErrand);
                return;
            }
            (Some(errand), _)
                if is_wanted_here(&errand) && purse.goods.loads(errand.good) >= errand.loads =>
            {
                (Deed::Quest, player.act(&Deliver))
            }
            (None, _) if offered.is_some() && chance.chance(0.8) => {
                // That is no trade: nothing is kept of it but the wish.
                let _ = player.act(&TakeErrand);
                return;
            }
            (Some(errand), _)
                if !is_wanted_here(&errand)
                    && purse.goods.loads(errand.good) < errand.loads
                    && chance.chance(0.9) =>
            {
                self.bought.insert(errand.good, node);
                let at_most = price(errand.good).map_or(u32::MAX, |silver| 2 * silver);
                (Deed::Deal, player.act(&Buy { good: errand.good, loads: errand.loads, at_most }))
            }
            _ if wounded > 0 && chance.chance(0.5) => {
                (Deed::Hire, player.act(&Mend { count: wounded.min(4) as u16 }))
            }
            _ if hands < HANDS_WANTED && *purse.silver > 150 && chance.chance(0.6) => {
                let hand = Hand::ALL[chance.below(Hand::ALL.len())];
                (Deed::Hire, player.act(&Hire { hand, count: 1 + chance.below(2) as u16 }))
            }
            _ if hands > HANDS_WANTED && chance.chance(0.2) => {
                (Deed::Hire, player.act(&PayOff { hand: Hand::Guard, count: 1 }))
            }
            (_, Some((period, good)))
                if purse.goods.loads(good) >= BOUNTY_LOADS
                    && self.handed_in != Some((node, period))
                    && self.bought.get(&good) != Some(&node) =>
            {
                self.handed_in = Some((node, period));
                (Deed::Bounty, player.act(&HandIn))
            }
            _ if !held.is_empty() && chance.chance(0.4) => {
                let (good, loads) = held[chance.below(held.len())];
                let loads = 1 + chance.below(usize::from(loads.min(LOADS_MAX))) as u16;
                let at_least = price(good).map_or(0, |silver| silver / 2);
                (Deed::Deal, player.act(&Sell { good, loads, at_least }))
            }
            _ => {
                // What some node asks for, often: by what a node has to sell no bounty is to be had there.
                let any = Good::ALL[chance.below(Good::ALL.len())];
                let wanted = board.map(|board| board.asked).filter(|asked| !asked.is_empty());
                let wanted = wanted.map(|asked| asked[chance.below(asked.len())]);
                let good = wanted.filter(|_| chance.chance(0.5)).unwrap_or(any);
                // What its errand wants here is to come from elsewhere.
                if errand.is_some_and(|errand| errand.good == good && is_wanted_here(&errand)) {
                    return;
                }
                let loads = 1 + chance.below(2 * usize::from(BOUNTY_LOADS)) as u16;
                self.bought.insert(good, node);
                let at_most = price(good).map_or(u32::MAX, |silver| silver * 3 / 2);
                (Deed::Deal, player.act(&Buy { good, loads, at_most }))
            }
        };
        self.expect(deed, id.ok());
    }

    /// Becomes somebody, and later learns and puts on what it can. What is refused, another turn tries again.
    pub(super) fn grow(&mut self, player: &mut Player, chance: &mut Random) {
        let schema = player.schema().clone();
        let own = player.avatar().and_then(|avatar| player.view().get(avatar));
        let Some(character) = own.and_then(|own| own.component::<Character>(&schema)) else { return };
        // What the connection does not take is left out.
        if character.origin.is_empty() {
            let origin = OriginId::new(ORIGINS[chance.below(ORIGINS.len())]).expect("it is a name");
            let id = player.act(&CreateCharacter { origin, skills: Vec::new() });
            self.expect(Deed::Character, id.ok());
        } else if *character.points > 0 {
            let skill = SkillId::new(SKILLS[chance.below(SKILLS.len())]).expect("it is a name");
            let _ = player.act(&Learn { what: Study::Skill(skill) });
        } else {
            let item = ItemId::new(GEAR[chance.below(GEAR.len())]).expect("it is a name");
            let _ = player.act(&Wear { item });
        }
    }

    /// Where it wants to march: where its errand is wanted, once it has the goods, or anywhere.
    pub(super) fn destination(player: &Player, map: &BotMap, chance: &mut Random) -> NodeId {
        let own = player.avatar().and_then(|avatar| player.view().get(avatar));
        let errands = own.and_then(|own| own.component::<Errands>(player.schema()));
        let purse = own.and_then(|own| own.component::<Purse>(player.schema()));
        let has = |errand: &Errand| {
            purse.as_ref().is_some_and(|purse| purse.goods.loads(errand.good) >= errand.loads)
        };
        let wanted = errands.as_ref().and_then(Errands::current).filter(has).filter(|_| chance.chance(0.9));
        let any = chance.below(map.places.len().max(1));
        NodeId(wanted.map_or(any, |errand| usize::from(errand.to.0) % map.places.len().max(1)) as u16)
    }

    /// Gives an order, if there is a battle whose round has had none.
    pub(super) fn fight(&mut self, player: &mut Player, chance: &mut Random) {
        let schema = player.schema().clone();
        let own = player.avatar().and_then(|avatar| player.view().get(avatar));
        let Some(campaign) = own.and_then(|own| own.component::<Campaign>(&schema)) else { return };
        if !campaign.is_fighting() || self.fought == campaign.round_ends {
            return;
        }
        self.fought = campaign.round_ends;
        let order = match campaign.health {
            0..12 if chance.chance(0.7) => Order::Flee,
            _ if chance.chance(0.7) => Order::Attack,
            _ => Order::Defend,
        };
        let _ = player.act(&Fight { order });
    }

    /// Waits for the answer to something.
    pub(super) fn expect(&mut self, deed: Deed, id: Option<ActionId>) {
        if self.asked.len() < ASKED_MAX {
            self.asked.extend(id.map(|id| (id, deed)));
        }
    }

    /// Its player has left the world: what was not answered never will be.
    pub(super) fn forget_asked(&mut self) {
        self.asked.clear();
        self.fought = 0;
    }

    /// A battle of its own has ended.
    pub(super) fn hear_of_battle(&mut self) {
        self.done.battles += 1;
    }

    /// Counts what came of something, if the answer is to one that is waited for.
    pub(super) fn hear(&mut self, reply: &Reply) {
        let Some(place) = self.asked.iter().position(|(id, _)| *id == reply.id) else { return };
        let (_, deed) = self.asked.swap_remove(place);
        *deed.of(&mut self.done) += u64::from(reply.result.is_ok());
        if deed == Deed::Quest {
            let reason = reply.result.as_ref().err().and_then(reason_of::<Deliver>);
            self.gives_up |= reason == Some(ErrandRefusal::BoughtHere);
        }
        if !deed.is_trade() {
            return;
        }
        if let (Some(receipts), Ok(_)) = (&mut self.receipts, &reply.result) {
            receipts.push(reply.id);
        }
        let traded = &mut self.traded;
        *match &reply.result {
            Ok(_) => &mut traded.done,
            Err(refusal) if is_not_kept(refusal) => &mut traded.not_kept,
            Err(_) => &mut traded.refused,
        } += 1;
    }

    pub(super) fn done(&self) -> DoneByBot {
        self.done
    }

    pub(super) fn traded(&self) -> TradedByBot {
        self.traded
    }

    pub(super) fn keep_receipts(&mut self) {
        self.receipts = Some(Vec::new());
    }

    pub(super) fn receipts(&self) -> &[ActionId] {
        self.receipts.as_deref().unwrap_or_default()
    }
}

/// Whether the world refused it because it could keep nothing. All trades are refused for reasons of the same type.
fn is_not_kept(refusal: &ActionRefusal) -> bool {
    let reason = reason_of::<Buy>(refusal);
    matches!(reason, Some(TradeRefusal::Value(PlanRefusal::Degraded { .. })))
}
