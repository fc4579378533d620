//! What the save has against something: in the words of the game, since players read it. What it has against a trade is understood from
//! its words again, since that comes back from it as words.

use std::fmt;

use crate::prelude::*;
use crate::reward::Name;

use super::hands::Hand;
use super::shelf::QUOTA_EVERY_MS;

/// Why goods do not come into a store, or do not leave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Objection {
    /// So many loads are left.
    SoldOut { left: u32 },
    /// There is room for so many.
    Full { room: u32 },
    /// Of the quota so many are left, until it begins anew in so many seconds.
    Quota { left: u32, opens_in_s: u32 },
    /// Others were first, and a load is so much silver now.
    Price { silver: u32 },
}

const SOLD_OUT: [&str; 2] = ["the node has ", " loads left"];
const FULL: [&str; 2] = ["the node has room for ", " loads"];
const PRICE: [&str; 2] = ["a load costs ", " silver now"];
const QUOTA: [&str; 3] =
    ["the node trades ", " more loads with players until its quota begins anew in ", " s"];

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SoldOut { left } => write!(f, "{}{left}{}", SOLD_OUT[0], SOLD_OUT[1]),
            Self::Full { room } => write!(f, "{}{room}{}", FULL[0], FULL[1]),
            Self::Price { silver } => write!(f, "{}{silver}{}", PRICE[0], PRICE[1]),
            Self::Quota { left, opens_in_s } => {
                write!(f, "{}{left}{}{opens_in_s}{}", QUOTA[0], QUOTA[1], QUOTA[2])
            }
        }
    }
}

impl Objection {
    /// The one that these words tell of.
    pub(super) fn told_in(reason: &str) -> Option<Self> {
        let between = |[before, after]: [&str; 2]| reason.strip_prefix(before)?.strip_suffix(after);
        let number = |text: Option<&str>| text?.parse().ok();
        if let Some(left) = number(between(SOLD_OUT)) {
            return Some(Self::SoldOut { left });
        }
        if let Some(room) = number(between(FULL)) {
            return Some(Self::Full { room });
        }
        if let Some(silver) = number(between(PRICE)) {
            return Some(Self::Price { silver });
        }
        let (left, opens_in_s) = between([QUOTA[0], QUOTA[2]])?.split_once(QUOTA[1])?;
        Some(Self::Quota { left: left.parse().ok()?, opens_in_s: opens_in_s.parse().ok()? })
    }
}

/// Why a plan of one player's own is not carried out, as that player is told: every refusal of the game tells it so. The reason itself
/// stays as exact as operators want it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told<'a>(pub(super) &'a PlanRefusal);

/// What people call so much of an asset: the names of what is worn or learned have a place before them that is the save's alone.
fn called(asset: &Name, amount: u64) -> String {
    let name = asset.as_str();
    let name = name.rsplit_once('/').map_or(name, |(_, name)| name).replace('-', " ");
    let are_people = amount != 1 && name.parse::<Hand>().is_ok();
    if are_people { format!("{name}s") } else { name }
}

impl fmt::Display for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            PlanRefusal::TooLittle { account, asset, has, needs } if account.player().is_some() => {
                write!(f, "you have {has} {} and need {needs}", called(asset, *has))
            }
            PlanRefusal::TooLittle { asset, has, needs, .. } => {
                write!(f, "there are {has} {} to be had and not {needs}", called(asset, *has))
            }
            PlanRefusal::OverCap { asset, cap, .. } => {
                write!(f, "nobody has more than {cap} {}", called(asset, *cap))
            }
            PlanRefusal::NoRoom { most, needs, .. } => {
                write!(f, "your pack has no room for it: it has {most} slots, and {needs} would be full")
            }
            PlanRefusal::AlreadyHas { asset, .. } => write!(f, "you have {} already", called(asset, 1)),
            PlanRefusal::NotHeld { asset, .. } => {
                write!(f, "you do not have that {} any more", called(asset, 1))
            }
            PlanRefusal::Game { reason, .. } => f.write_str(reason),
            PlanRefusal::TooLarge { .. } | PlanRefusal::TooManyRolls { .. } => {
                f.write_str("that is too much at once: ask for less")
            }
            PlanRefusal::Overtaken { .. } => f.write_str("something came in between: ask again"),
            PlanRefusal::Busy { most } => {
                write!(f, "{most} things that you asked for wait for their turn: ask again later")
            }
            PlanRefusal::Degraded { .. } => {
                f.write_str("nothing can be written down now, so nothing changes hands: ask again later")
            }
            PlanRefusal::KeyReused | PlanRefusal::TooOld => {
                f.write_str("that was asked too long ago: ask anew")
            }
            PlanRefusal::Compensation { number } => {
                write!(
                    f,
                    "it could not be done, and waits for those who run this world under number {number}"
                )
            }
            PlanRefusal::Unreadable { claim } => {
                write!(
                    f,
                    "it was done before, and what came of it cannot be read: tell those who run this world of claim {claim}"
                )
            }
            // These are the fault of the game or its files: whoever mends them needs the exact words.
            PlanRefusal::Unknown { .. } | PlanRefusal::Senseless { .. } | PlanRefusal::Invalid { .. } => {
                write!(f, "it cannot be done, and those who run this world should know: {}", self.0)
            }
        }
    }
}

/// Seconds until quotas begin anew.
pub(super) fn quotas_begin_in_s(now_ms: u64) -> u32 {
    (QUOTA_EVERY_MS - now_ms % QUOTA_EVERY_MS).div_ceil(1_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Players are told what they lack in the words of the game: nobody is called an account, and no asset by what only the save calls it.
    #[test]
    fn what_the_save_has_against_something_is_told_in_the_words_of_the_game() {
        let account = || Account::from(&PlayerId::new("ann").expect("a name"));
        let asset = |name: &str| Name::new(name).expect("a name");
        let told = |why: PlanRefusal| Told(&why).to_string();
        let silver = |account| PlanRefusal::TooLittle { account, asset: asset("silver"), has: 3, needs: 16 };
        assert_eq!(told(silver(account())), "you have 3 silver and need 16");
        assert_eq!(told(silver(Account::house("treasury"))), "there are 3 silver to be had and not 16");
        let archers = PlanRefusal::TooLittle { account: account(), asset: asset("archer"), has: 2, needs: 3 };
        assert_eq!(told(archers), "you have 2 archers and need 3");
        let room = PlanRefusal::NoRoom { account: account(), most: 24, needs: 25 };
        assert_eq!(told(room), "your pack has no room for it: it has 24 slots, and 25 would be full");
        let worn = PlanRefusal::AlreadyHas { account: account(), asset: asset("worn/leather") };
        assert_eq!(told(worn), "you have leather already");
        let cap = PlanRefusal::OverCap { account: account(), asset: asset("fresh-starts"), cap: 3 };
        assert_eq!(told(cap), "nobody has more than 3 fresh starts");
        let game = PlanRefusal::Game { kind: asset("take_bounty"), reason: "sold out".into() };
        assert_eq!(told(game), "sold out");
        for why in [
            PlanRefusal::NotHeld { account: account(), asset: asset("relic") },
            PlanRefusal::TooLarge { changes: 300, most: 256 },
            PlanRefusal::TooManyRolls { steps: 9, most: 8 },
            PlanRefusal::Overtaken { account: account(), asset: asset("vigour") },
            PlanRefusal::Busy { most: 64 },
            PlanRefusal::Degraded { why: "disk I/O error".into() },
            PlanRefusal::KeyReused,
            PlanRefusal::TooOld,
            PlanRefusal::Compensation { number: 7 },
            PlanRefusal::Unreadable { claim: 7 },
        ] {
            let told = told(why);
            for word in ["player ann", "account", "plan", "id ", "store", "disk", "compensation"] {
                assert!(!told.contains(word), "{told}: nobody who plays knows what {word:?} is");
            }
        }
        let unknown = PlanRefusal::Unknown { what: "asset".into(), name: "sand".into() };
        assert!(told(unknown).ends_with("there is no asset `sand`"));
    }

    #[test]
    fn what_is_short_is_understood_from_its_words() {
        for objection in [
            Objection::SoldOut { left: 3 },
            Objection::Full { room: 0 },
            Objection::Quota { left: 7, opens_in_s: 599 },
            Objection::Price { silver: 12 },
        ] {
            assert_eq!(Objection::told_in(&objection.to_string()), Some(objection));
        }
        for other in ["", "the node has many loads left", "the node trades 1 more loads"] {
            assert_eq!(Objection::told_in(other), None);
        }
    }
}
