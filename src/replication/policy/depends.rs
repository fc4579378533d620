//! What a policy's answer depends on.

use std::fmt;
use std::ops::{BitOr, BitOrAssign};

/// A set of aspects of a viewer and a subject: those that a policy asked about, or those that changed. An answer has
/// to be asked for again exactly when the two sets have one in common.
///
/// Who the viewer is and which entity the subject is do not change, so they are not in it.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Depends(u16);

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
    /// What the game knows about the viewer, any of it.
    pub const VIEWER_FACTS: Depends = Depends(1 << 4);
    /// Whose the subject is.
    pub const SUBJECT_OWNER: Depends = Depends(1 << 5);
    /// The subject's party.
    pub const SUBJECT_PARTY: Depends = Depends(1 << 6);
    /// The subject's team.
    pub const SUBJECT_TEAM: Depends = Depends(1 << 7);
    /// The subject's tags.
    pub const SUBJECT_TAGS: Depends = Depends(1 << 8);
    /// Which entities the viewer sees: the value names some, and those that are not seen are blanked.
    pub const NAMED_IDS: Depends = Depends(1 << 9);

    /// Every aspect with its name, in the order of the bits.
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

    /// Whether all aspects of `other` are in this set.
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
        let names = Self::ALL.iter().filter(|(aspect, _)| self.contains(*aspect)).map(|(_, name)| name);
        f.debug_set().entries(names).finish()
    }
}

const _: () = {
    let mut bit = 0;
    while bit < Depends::ALL.len() {
        assert!(Depends::ALL[bit].0.0 == 1 << bit, "every aspect has a bit of its own, and all are listed");
        bit += 1;
    }
};
