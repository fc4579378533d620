//! What was found, and what of it can be mended.

use std::fmt;

use serde::Serialize;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// Pages or rows that cannot be read.
    Integrity,
    /// A table, index or trigger that is missing, unknown or another one.
    Schema,
    /// An index that does not hold what its table does.
    Index,
    /// A row that the table's own rules forbid.
    Constraint,
    /// A row that refers to nothing, or that nothing accounts for.
    Orphan,
    /// Less than nothing in a player's hands.
    Negative,
    /// A lot that cannot be: empty, of a house, or more than one of what is one of its kind.
    Lot,
    /// One of its kind, and held twice.
    DuplicateItem,
    /// An amount that is not what the ledger says.
    Balance,
    /// Amounts that do not add up to nothing over all accounts.
    Conservation,
    /// One key, and two claims of it.
    DuplicateClaim,
    /// A claim that is not what its summary says.
    Claim,
    /// Rows of the ledger that are missing, or not what the summary of their claim says.
    Ledger,
    /// A changelog that does not lead to its account's version.
    Changelog,
    /// An image that is not whole.
    Image,
    /// A counter that ran backwards.
    Counter,
    /// What is kept of a player cannot be read.
    Profile,
    /// A delivery that nobody will make, or a compensation about nothing.
    Delivery,
    /// What the game's own checks say.
    Game,
}

impl ProblemKind {
    /// As in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Integrity => "integrity",
            Self::Schema => "schema",
            Self::Index => "index",
            Self::Constraint => "constraint",
            Self::Orphan => "orphan",
            Self::Negative => "negative",
            Self::Lot => "lot",
            Self::DuplicateItem => "duplicate_item",
            Self::Balance => "balance",
            Self::Conservation => "conservation",
            Self::DuplicateClaim => "duplicate_claim",
            Self::Claim => "claim",
            Self::Ledger => "ledger",
            Self::Changelog => "changelog",
            Self::Image => "image",
            Self::Counter => "counter",
            Self::Profile => "profile",
            Self::Delivery => "delivery",
            Self::Game => "game",
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What sort of thing it is.
    pub kind: ProblemKind,
    /// In which table; empty where it is none's.
    pub table: String,
    /// Which row: columns and values; empty where it is none's.
    pub key: String,
    /// What is wrong with it, in words.
    pub detail: String,
    /// How it is mended, if it can be for certain.
    #[serde(skip)]
    pub(in crate::store::operator) mend: Option<Mend>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        for part in [&self.table, &self.key] {
            if !part.is_empty() {
                write!(f, " {part}")?;
            }
        }
        write!(f, ": {}", self.detail)
    }
}

/// A place where an amount is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store::operator) struct At {
    pub(in crate::store::operator) account: i64,
    pub(in crate::store::operator) asset: i64,
    pub(in crate::store::operator) expires_ms: i64,
    pub(in crate::store::operator) instance: i64,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, asset, expires_ms, instance } = self;
        write!(f, "account={account} asset={asset} expires_ms={expires_ms} instance={instance}")
    }
}

/// How something is mended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store::operator) enum Mend {
    /// The holding says this from now on, as the ledger does; nothing plain that is 0 is kept.
    Amount { at: At, amount: i64 },
    /// The index is made anew from its table.
    Reindex { index: String },
    /// An index or trigger of the schema is made anew, in the place of what has its name.
    Make { sort: String, name: String, sql: String },
    /// The image goes: there is another one that is whole.
    RemoveImage { id: i64 },
    /// The counter goes on from here.
    Raise { counter: String, value: u64 },
}

/// What was found so far.
#[derive(Debug)]
pub(in crate::store::operator) struct Findings {
    pub(in crate::store::operator) problems: Vec<Problem>,
    count: u64,
    listed: usize,
}

impl Findings {
    /// None, and at most so many will be listed.
    pub(in crate::store::operator) fn new(listed: usize) -> Self {
        Self { problems: Vec::new(), count: 0, listed }
    }

    /// How many there are, listed or not.
    pub(in crate::store::operator) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn add(&mut self, kind: ProblemKind, table: &str, key: &str, detail: String) {
        self.add_with(kind, table, key, detail, None);
    }

    pub(super) fn add_with(
        &mut self,
        kind: ProblemKind,
        table: &str,
        key: &str,
        detail: String,
        mend: Option<Mend>,
    ) {
        self.count += 1;
        if self.problems.len() < self.listed {
            let (table, key) = (table.to_owned(), key.to_owned());
            self.problems.push(Problem { kind, table, key, detail, mend });
        }
    }
}
