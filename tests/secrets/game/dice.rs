//! Values by open and sealed chance.

use std::collections::BTreeMap;

use terrane::prelude::*;

use super::plan::{POPULATION, SECRET, name_of};
use crate::things::{
    Body, Camp, Chest, Item, Ledger, Load, NAMES, Orders, PRIVATE, PUBLIC, Plot, Seal, Vault, Wagon,
};

pub const CAMP_FIELDS: usize = 13;
pub const BODY_FIELDS: usize = 6;

/// Open and sealed chance.
pub struct Dice {
    pub open: Random,
    pub sealed: Random,
    /// What is private must be hidden from Alice.
    pub foreign: bool,
    pub phantom: bool,
    pub is_twin: bool,
    /// How many changes it has been asked for.
    pub changes: u64,
}

impl Dice {
    pub fn player(chance: &mut Random, foreign: bool) -> PlayerId {
        let first = usize::from(foreign);
        PlayerId::new(NAMES[first + chance.below(NAMES.len() - first)]).expect("a name")
    }

    /// Whether a change is made, by open chance.
    pub fn happens(&mut self, chance: f32) -> bool {
        let happens = self.open.chance(chance);
        self.changes += u64::from(happens);
        happens
    }

    /// Whether a change is made of which Alice is to notice nothing.
    pub fn happens_sealed(&mut self, chance: f32) -> bool {
        let happens = self.sealed.chance(chance);
        self.changes += u64::from(happens);
        happens
    }

    /// Somebody or something, born or not: what is named need not be there.
    pub fn somebody(chance: &mut Random) -> NetId {
        let one = name_of(1 + chance.below(POPULATION as usize) as u64);
        if chance.chance(0.2) { NetId::derive(SECRET, one, 1) } else { one }
    }

    pub fn public(&mut self) -> u128 {
        PUBLIC << 80 | u128::from(self.open.bits()) << 16 | u128::from(self.open.bits() as u16)
    }

    /// No policy that goes by the value shows it to Alice, if it is foreign: it is not for her by name, and none of its
    /// questions is about tags, which are open.
    pub fn private(&mut self) -> u128 {
        let bits = u128::from(self.sealed.bits()) << 16 | u128::from(self.sealed.bits() as u16);
        let mut value = PRIVATE << 80 | bits;
        if self.foreign {
            value &= !(1 << 16);
            value |= u128::from(value % 8 == 6) | u128::from((value >> 8) % 8 == 6) << 8;
        }
        value
    }

    /// For who sees a part of something as a whole: all of it from open chance.
    pub fn opened<R>(&mut self, make: impl FnOnce(&mut Self) -> R) -> R {
        let saved = self.sealed.clone();
        self.sealed = Random::new(self.open.bits(), NetId(1), TickNumber(1), 1);
        let made = make(self);
        self.sealed = saved;
        made
    }

    /// For what nobody but those who may not be Alice sees: all of it from sealed chance.
    pub fn closed<R>(&mut self, make: impl FnOnce(&mut Self) -> R) -> R {
        let saved = self.open.clone();
        self.open = Random::new(self.sealed.bits(), NetId(1), TickNumber(1), 1);
        let made = make(self);
        self.open = saved;
        made
    }

    pub fn by_player<T>(&mut self, make: impl Fn(&mut Self) -> T) -> BTreeMap<PlayerId, T> {
        let mut all = BTreeMap::new();
        for (number, name) in NAMES.iter().enumerate() {
            let of = if number == 0 { &mut self.open } else { &mut self.sealed };
            if of.chance(0.4) {
                let one = if number == 0 { self.opened(&make) } else { self.closed(&make) };
                all.insert(PlayerId::new(name).expect("a name"), one);
            }
        }
        all
    }

    pub fn item(&mut self) -> Item {
        match self.open.below(3) {
            0 => Item::Nothing,
            1 => Item::Coin(self.private(), self.private()),
            _ => Item::Letter {
                to: Self::somebody(&mut self.open),
                text: self.private(),
                seal: self.closed(|dice| Seal(dice.private(), dice.open.bits() as u8, dice.private())),
            },
        }
    }

    pub fn chest(&mut self) -> Chest {
        let items = self.open.below(3);
        Chest {
            lock: self.private(),
            weight: self.open.below(200) as f32,
            items: (0..items).map(|_| self.item()).collect(),
            count: 99,
        }
    }

    pub fn wagon(&mut self) -> Wagon {
        let chests = self.open.chance(0.6);
        Wagon {
            rule: loop {
                let rule = self.sealed.bits() as u8;
                if !self.foreign || rule % 8 != 6 {
                    break rule;
                }
            },
            label: self.open.bits() as u16,
            secret: self.private(),
            chests: if chests {
                self.closed(|dice| (0..=dice.open.below(2)).map(|_| dice.chest()).collect())
            } else {
                Vec::new()
            },
            own: self.by_player(Self::chest),
            mark: if self.open.chance(0.5) { Some(self.item()) } else { None },
        }
    }

    pub fn camp(&mut self) -> Camp {
        let mut camp = Camp {
            name: format!("camp {}", self.open.below(100)),
            bids: self.by_player(Self::chest),
            goal: self.sealed.below(100) as f32 * 0.7,
            ..Camp::default()
        };
        for field in 0..CAMP_FIELDS {
            self.change_camp(&mut camp, field);
        }
        camp
    }

    pub fn change_camp(&mut self, camp: &mut Camp, field: usize) {
        match field {
            0 => camp.purse = self.open.below(50) as u32 * 100 + self.sealed.below(100) as u32,
            1 => camp.omen = self.private(),
            2 => camp.lot = self.private(),
            3 => camp.rumour = self.private(),
            4 => {
                let ids = self.sealed.below(3);
                let ids = (0..ids).map(|_| Self::somebody(&mut self.sealed)).collect();
                camp.password = (self.private(), ids);
            }
            5 => camp.rival = (self.private(), Self::somebody(&mut self.sealed)),
            6 => camp.shares = self.by_player(Self::private),
            7 => camp.seed = self.private(),
            8 => {
                let wagons = self.open.below(3);
                camp.wagons = (0..wagons).map(|_| self.wagon()).collect();
            }
            9 => {
                // A wagon that anybody may see by its rule has nothing to hide from Alice but what it holds.
                camp.reserve = self.closed(|dice| (0..dice.open.below(3)).map(|_| dice.wagon()).collect());
            }
            10 => camp.bids = self.by_player(Self::chest),
            11 => camp.leader = if self.open.chance(0.5) { Some(Box::new(self.wagon())) } else { None },
            _ => {
                let debts = self.open.below(4);
                camp.debts = (0..debts).map(|_| (Self::somebody(&mut self.open), self.item())).collect();
            }
        }
    }

    pub fn vault(&mut self) -> Vault {
        self.closed(|dice| Vault {
            gold: dice.open.bits() as u16,
            deed: dice.private(),
            code: dice.private(),
            key: dice.private(),
            heir: dice.open.chance(0.5).then(|| Self::somebody(&mut dice.open)),
        })
    }

    pub fn orders(&mut self) -> Orders {
        let foreign = self.foreign;
        self.closed(|dice| {
            // For whom a fact is enough may be Alice.
            let level = dice.open.below(16) as u8;
            let level = if foreign && level % 4 == 2 { 3 } else { level };
            Orders { level, text: dice.private(), sealed: dice.open.chance(0.3) }
        })
    }

    pub fn plot(&mut self) -> Plot {
        self.closed(|dice| Plot { goal: dice.private(), shares: dice.by_player(Self::private) })
    }

    pub fn body(&mut self) -> Body {
        let mut body = Body {
            kind: self.open.below(4) as u8,
            label: self.public(),
            friend: Some(Self::somebody(&mut self.open)),
            ..Body::default()
        };
        for field in 0..BODY_FIELDS {
            self.change_body(&mut body, field);
        }
        body
    }

    pub fn change_body(&mut self, body: &mut Body, field: usize) {
        let open = &mut self.open;
        match field {
            0 => body.mood = open.below(1_000) as u16,
            1 => body.heading = open.below(100) as f32 * 0.3,
            2 => body.purse = open.below(30) as u32 * 100 + self.sealed.below(100) as u32,
            3 => body.target = open.chance(0.4).then(|| Self::somebody(open)),
            4 => {
                let count = if open.chance(0.3) { 1 + open.below(3) } else { 0 };
                body.sightings = (0..count).map(|_| (Self::somebody(open), open.below(9) as u8)).collect();
            }
            _ => body.seed = self.private(),
        }
    }

    /// A body, and now and then a camp: by open chance alone, and nothing private for Alice, since it may be more of her
    /// business than its parent is, or less.
    pub fn newborn(&mut self) -> (Body, Option<Camp>) {
        let of_parent = std::mem::replace(&mut self.foreign, self.is_twin);
        let newborn = self.opened(|dice| {
            let body = dice.body();
            (body, if dice.open.chance(0.4) { Some(dice.camp()) } else { None })
        });
        self.foreign = of_parent;
        newborn
    }

    /// With more in it than any record can carry, where Alice sees none of that.
    pub fn ledger(&mut self) -> Ledger {
        let lines = if self.open.chance(0.1) { 50 } else { self.open.below(6) };
        let mut ledger = Ledger { lines: (0..lines).map(|_| self.public()).collect(), ..Ledger::default() };
        self.reseal_ledger(&mut ledger);
        ledger
    }

    pub fn reseal_ledger(&mut self, ledger: &mut Ledger) {
        let most = if self.foreign { 140 } else { 6 };
        for list in [&mut ledger.debts, &mut ledger.credits] {
            let length = self.sealed.below(most);
            *list = (0..length).map(|_| self.private()).collect();
        }
        ledger.seed = self.private();
    }

    pub fn load(&mut self) -> Load {
        Load { weight: self.open.below(900) as u16, stamp: self.public() }
    }
}
