//! What a policy's answer depends on.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

use crate::ids::FactKey;

/// A set of aspects of a viewer and a subject: those that a policy asked about, or those that changed. An answer has
/// to be asked for again exactly when the two sets have one in common.
///
/// Who the viewer is and which entity the subject is do not change, so they are not in it. The facts about a viewer are
/// told apart by [`fact`](Depends::fact), as far as there are bits for them.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Depends(u32);

/// How many facts can be told apart: those of equal remainder share a bit.
const FACT_BITS: u32 = 8;
/// The first of their bits.
const FACT_FIRST: u32 = 9;

impl Depends {
    /// Nothing: the answer is the same for ever.
    pub const NONE: Depends = Depends(0);
    /// The viewer's role.
    pub const VIEWER_ROLE: Depends = Depends(1);
    /// The viewer's party.
    pub const VIEWER_PARTY: Depends = Depends(1 << 1);
    /// The viewer's team.
    pub const VIEWER_TEAM: Depends = Depends(1 << 2);
    /// The viewer's permissions.
    pub const VIEWER_PERMISSIONS: Depends = Depends(1 << 3);
    /// Whose the subject is.
    pub const SUBJECT_OWNER: Depends = Depends(1 << 4);
    /// The subject's party.
    pub const SUBJECT_PARTY: Depends = Depends(1 << 5);
    /// The subject's team.
    pub const SUBJECT_TEAM: Depends = Depends(1 << 6);
    /// The subject's tags, any of them.
    pub const SUBJECT_TAGS: Depends = Depends(1 << 7);
    /// Which entities the viewer sees: the value names some, and those that are not seen are blanked.
    pub const NAMED_IDS: Depends = Depends(1 << 8);
    /// What the game knows about the viewer, all of it; [`fact`](Self::fact) is a part of it.
    pub const VIEWER_FACTS: Depends = Depends(((1 << FACT_BITS) - 1) << FACT_FIRST);

    /// What the game knows about the viewer under that name. Keys whose numbers are equal modulo eight are not told
    /// apart, so up to eight facts numbered one behind the other never wake each other's policies.
    #[must_use]
    pub const fn fact(key: FactKey) -> Depends {
        Depends(1 << (FACT_FIRST + key.0 as u32 % FACT_BITS))
    }

    /// Every aspect with its name.
    pub const ALL: [(Depends, &'static str); 10] = [
        (Self::VIEWER_ROLE, "viewer's role"),
        (Self::VIEWER_PARTY, "viewer's party"),
        (Self::VIEWER_TEAM, "viewer's team"),
        (Self::VIEWER_PERMISSIONS, "viewer's permissions"),
        (Self::VIEWER_FACTS, "viewer's facts"),
        (Self::SUBJECT_OWNER, "subject's owner"),
        (Self::SUBJECT_PARTY, "subject's party"),
        (Self::SUBJECT_TEAM, "subject's team"),
        (Self::SUBJECT_TAGS, "subject's tags"),
        (Self::NAMED_IDS, "named entities"),
    ];

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Depends) -> Depends {
        Depends(self.0 | other.0)
    }

    /// Whether the sets have an aspect in common.
    #[must_use]
    pub const fn intersects(self, other: Depends) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether all of `other` is in this set.
    #[must_use]
    pub const fn contains(self, other: Depends) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Depends {
    type Output = Depends;
    fn bitor(self, other: Depends) -> Depends {
        self.union(other)
    }
}

impl BitOrAssign for Depends {
    fn bitor_assign(&mut self, other: Depends) {
        *self = self.union(other);
    }
}

impl fmt::Debug for Depends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Self::ALL.iter().filter(|(aspect, _)| self.intersects(*aspect)).map(|(_, name)| name);
        f.debug_set().entries(names).finish()
    }
}

const _: () = {
    let (mut index, mut seen) = (0, Depends::NONE);
    while index < Depends::ALL.len() {
        let aspect = Depends::ALL[index].0;
        assert!(!seen.intersects(aspect) && !aspect.is_empty(), "every aspect has bits of its own");
        seen = seen.union(aspect);
        index += 1;
    }
    assert!(seen.0 == (1 << (FACT_FIRST + FACT_BITS)) - 1, "all aspects are listed");
};
