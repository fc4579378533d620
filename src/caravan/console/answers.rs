//! What the world answers, in words.

use crate::client::player::Reply;
use crate::prelude::*;

use super::super::{
    Aboard, Accept, Bounty, Buy, CreateCharacter, Created, Deliver, Errand, GiveUpErrand, HandIn, Hire,
    Hired, Learn, Learned, Mend, PayOff, PeopleCommand, Said, Sell, TakeErrand, TakeOff, Thanks, Traded,
    Treat, Wear, Wore,
};
use super::{CaravanCommand, CaravanConsole};

/// An answer that people can read.
pub trait InWords {
    /// What it says; `None` where that it was done says all.
    fn in_words(&self) -> Option<String>;
}

impl InWords for () {
    fn in_words(&self) -> Option<String> {
        None
    }
}

impl InWords for Traded {
    fn in_words(&self) -> Option<String> {
        let Self { silver, loads, price, stock, quota_left } = self;
        Some(format!(
            "{price} silver a load; you have {silver} silver and {loads} loads of it, the node has {stock} and trades {quota_left} more"
        ))
    }
}

/// What was given, one after the other.
fn given(found: &[(String, u64)]) -> Option<String> {
    let each = found.iter().map(|(what, amount)| format!("{amount} {what}"));
    let each = each.collect::<Vec<_>>().join(", ");
    (!each.is_empty()).then(|| format!("you are given {each}"))
}

impl InWords for Bounty {
    fn in_words(&self) -> Option<String> {
        given(&self.found)
    }
}

impl InWords for Thanks {
    fn in_words(&self) -> Option<String> {
        given(&self.found)
    }
}

impl InWords for Hired {
    fn in_words(&self) -> Option<String> {
        Some(format!("{} of them travel with you", self.hands))
    }
}

impl InWords for Created {
    fn in_words(&self) -> Option<String> {
        Some(format!("you have {} silver, and {} points to learn with", self.silver, self.points))
    }
}

impl InWords for Learned {
    fn in_words(&self) -> Option<String> {
        Some(format!("level {}; {} points are left", self.level, self.points))
    }
}

impl InWords for Wore {
    fn in_words(&self) -> Option<String> {
        Some(format!("{} of these are in your pack", self.left))
    }
}

impl InWords for Said {
    fn in_words(&self) -> Option<String> {
        None
    }
}

impl InWords for Aboard {
    fn in_words(&self) -> Option<String> {
        None
    }
}

impl InWords for PartyId {
    fn in_words(&self) -> Option<String> {
        Some(format!("you are in party {}", self.0))
    }
}

/// Numbers that say something only beside the action: of a node, of members, of a round, of seconds.
macro_rules! bare_numbers {
    ($($number:ty),*) => {
        $(impl InWords for $number {
            fn in_words(&self) -> Option<String> {
                None
            }
        })*
    };
}

bare_numbers!(u16, u32);

impl InWords for Errand {
    fn in_words(&self) -> Option<String> {
        Some(format!("{} {} are wanted", self.loads, self.good))
    }
}

fn words<A: Action>(reply: &Reply) -> Option<String>
where
    A::Reply: InWords,
{
    reply.read::<A>().ok()?.in_words()
}

impl CaravanConsole {
    /// What the world answered to a command, if that is more than that it was done.
    pub(super) fn answer_line(&self, command: &CaravanCommand, reply: &Reply) -> Option<String> {
        match command {
            CaravanCommand::Buy(..) => words::<Buy>(reply),
            CaravanCommand::Sell(..) => words::<Sell>(reply),
            CaravanCommand::HandIn => words::<HandIn>(reply),
            CaravanCommand::Deliver => words::<Deliver>(reply),
            CaravanCommand::Hire(..) => words::<Hire>(reply),
            CaravanCommand::PayOff(..) => words::<PayOff>(reply),
            CaravanCommand::Mend(_) => words::<Mend>(reply),
            CaravanCommand::Accept(_) => words::<Accept>(reply),
            CaravanCommand::People(PeopleCommand::Create(_)) => words::<CreateCharacter>(reply),
            CaravanCommand::People(PeopleCommand::Learn(_)) => words::<Learn>(reply),
            CaravanCommand::People(PeopleCommand::Wear(_)) => words::<Wear>(reply),
            CaravanCommand::People(PeopleCommand::TakeOff(_)) => words::<TakeOff>(reply),
            CaravanCommand::People(PeopleCommand::Treat(..)) => words::<Treat>(reply),
            CaravanCommand::TakeErrand => Some(self.errand_line(&reply.read::<TakeErrand>().ok()?)),
            CaravanCommand::GiveUp => {
                let waits_s = reply.read::<GiveUpErrand>().ok()?;
                Some(format!("another is offered in {waits_s} s"))
            }
            _ => None,
        }
    }
}
