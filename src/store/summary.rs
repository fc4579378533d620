//! What came of a plan: told from the rows that were really changed, and by nobody but the executor.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::game::{TOLD_BY_PLAN_BYTES_MAX, TOLD_BYTES_MAX};
use crate::ids::TickNumber;
use crate::protocol::codec::{self, DecodeError};
use crate::reward::{Account, AffectedDomains, Claim, Holdings, Lot, Name, PlannedLine};

/// The form of a stored summary, its first byte: raised when the bytes behind it mean something else. A sum of them stands behind it,
/// so that what was changed there is never told as what came of a plan.
const FORM: u8 = 2;
/// The form without a sum.
const FORM_WITHOUT_SUM: u8 = 1;
/// Most bytes of a stored summary that are read.
const BYTES_MAX: usize = 1 << 20;
/// Bytes of the sum.
const SUM_BYTES: usize = 8;
const _: () =
    assert!(2 * TOLD_BY_PLAN_BYTES_MAX < BYTES_MAX, "what is written can be read, with names and lengths");

/// A holding that was changed, as it stood afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedHolding {
    /// Whose.
    pub account: Account,
    /// Of what.
    pub asset: Name,
    /// Which lot; of a house always [`Lot::PLAIN`], since houses do not tell lots apart.
    pub lot: Lot,
    /// By how much it changed.
    pub delta: i64,
    /// What it is now; only a house's is ever below nothing.
    pub amount: i64,
}

/// A pool whose filling was counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedClock {
    /// Whose.
    pub account: Account,
    /// Which pool.
    pub asset: Name,
    /// Up to when, milliseconds since 1970.
    pub as_of_ms: u64,
}

/// What is in a summary; only the store can read or write it as bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) claim: Claim,
    pub(super) plan_hash: u64,
    pub(super) use_case: Name,
    pub(super) tick: TickNumber,
    pub(super) now_ms: u64,
    pub(super) versions: Vec<(Account, u64)>,
    pub(super) holdings: Vec<ChangedHolding>,
    pub(super) clocks: Vec<ChangedClock>,
    pub(super) domains: AffectedDomains,
    pub(super) outbox: u32,
    pub(super) lines: Vec<PlannedLine>,
}

/// What a committed plan changed. It is made by the store's executor from the rows that changed, and by nothing else: who holds
/// one knows that it is durable.
///
/// ```compile_fail
/// let summary = terrane::store::MutationSummary { content: todo!() };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MutationSummary {
    content: Content,
    /// What the game's own kinds of change told of it, in their order.
    told: Vec<Told>,
}

/// What a kind of change told: its name, and what it encoded.
pub(super) type Told = (Name, Vec<u8>);

/// What became of holdings in memory when a summary was laid upon them.
#[must_use = "holdings that missed something must be loaded again"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settling {
    /// They are of the summary's version now.
    Settled,
    /// They knew it already, or it does not concern them; they are as they were.
    Known,
    /// Something else was written before it that they do not know; they are as they were, and must be loaded again.
    Missed,
}

impl MutationSummary {
    pub(super) fn new(content: Content, told: Vec<Told>) -> Self {
        Self { content, told }
    }

    /// As it stands in the row of its claim.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![FORM];
        bytes.extend_from_slice(&[0; SUM_BYTES]);
        codec::encode_into(&self.content, &mut bytes);
        // It stands behind the rest, and only where there is some: what was written before there could be any is read as ever.
        if !self.told.is_empty() {
            codec::encode_into(&self.told, &mut bytes);
        }
        let (front, rest) = bytes.split_at_mut(1 + SUM_BYTES);
        front[1..].copy_from_slice(&xxh3_64(rest).to_le_bytes());
        bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let malformed = |why: String| DecodeError::malformed("a summary", why);
        let rest = match bytes {
            [FORM, rest @ ..] => {
                let (sum, rest) =
                    rest.split_first_chunk::<SUM_BYTES>().ok_or_else(|| malformed("it ends early".into()))?;
                if u64::from_le_bytes(*sum) != xxh3_64(rest) {
                    return Err(malformed("it was changed: its sum is another one".into()));
                }
                rest
            }
            [FORM_WITHOUT_SUM, rest @ ..] => rest,
            [form, ..] => return Err(malformed(format!("it is of form {form}"))),
            [] => return Err(malformed("it is empty".into())),
        };
        let (content, used) = codec::decode_prefix::<Content, BYTES_MAX>("a summary", rest)?;
        let told = match &rest[used..] {
            [] => Vec::new(),
            rest => codec::decode_prefix::<Vec<Told>, BYTES_MAX>("what a kind of change told", rest)?.0,
        };
        Ok(Self { content, told })
    }

    /// The claim that was fulfilled.
    #[must_use]
    pub fn claim(&self) -> &Claim {
        &self.content.claim
    }

    /// The hash of the plan that was carried out.
    #[must_use]
    pub fn plan_hash(&self) -> u64 {
        self.content.plan_hash
    }

    /// The use case.
    #[must_use]
    pub fn use_case(&self) -> &Name {
        &self.content.use_case
    }

    /// The tick that committed it.
    #[must_use]
    pub fn tick(&self) -> TickNumber {
        self.content.tick
    }

    /// The calendar time of that tick, milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.content.now_ms
    }

    /// The new version of each player who took part.
    #[must_use]
    pub fn versions(&self) -> &[(Account, u64)] {
        &self.content.versions
    }

    /// The holdings that changed, houses' among them.
    #[must_use]
    pub fn holdings(&self) -> &[ChangedHolding] {
        &self.content.holdings
    }

    /// The pools whose filling was counted.
    #[must_use]
    pub fn clocks(&self) -> &[ChangedClock] {
        &self.content.clocks
    }

    /// What kinds of things were changed.
    #[must_use]
    pub fn domains(&self) -> AffectedDomains {
        self.content.domains
    }

    /// What changes of this kind told with [`GameTransaction::tell`](super::game::GameTransaction::tell), in their order. A kind
    /// tells of one type: what cannot be a `T`, to the last byte, is left out.
    #[must_use]
    pub fn told<T: DeserializeOwned>(&self, kind: &str) -> Vec<T> {
        let of_kind = self.told.iter().filter(|(of, _)| of.as_str() == kind);
        of_kind
            .filter_map(|(_, bytes)| {
                let read = codec::decode_prefix::<T, TOLD_BYTES_MAX>("what a kind of change told", bytes);
                read.ok().filter(|(_, used)| *used == bytes.len()).map(|(told, _)| told)
            })
            .collect()
    }

    /// How many deliveries wait in the outbox because of it.
    #[must_use]
    pub fn outbox(&self) -> u32 {
        self.content.outbox
    }

    /// Lays it upon what an account holds in memory, which must have been of the version before.
    pub fn settle(&self, account: &Account, holdings: &mut Holdings) -> Settling {
        let Some((_, version)) = self.content.versions.iter().find(|(changed, _)| changed == account) else {
            return Settling::Known;
        };
        if holdings.version >= *version {
            return Settling::Known;
        }
        if holdings.version + 1 != *version {
            return Settling::Missed;
        }
        holdings.version = *version;
        for changed in self.content.holdings.iter().filter(|changed| changed.account == *account) {
            holdings.set(&changed.asset, changed.lot, u64::try_from(changed.amount).unwrap_or(0));
        }
        for clock in self.content.clocks.iter().filter(|clock| clock.account == *account) {
            holdings.clocks.insert(clock.asset.clone(), clock.as_of_ms);
        }
        Settling::Settled
    }

    /// What an account may be shown of it: the plan's own lines, as they were committed with it. A repeat shows the same.
    #[must_use]
    pub fn release(&self, account: &Account) -> ShownReward {
        let lines = self.content.lines.iter().filter(|line| line.account == *account);
        ShownReward {
            use_case: self.content.use_case.clone(),
            lines: lines.map(|line| ShownLine::from(line.clone())).collect(),
        }
    }
}

/// One thing that was received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownLine {
    /// What.
    pub asset: Name,
    /// Which lot.
    pub lot: Lot,
    /// How much.
    pub amount: u64,
    /// The boxes it came out of, the outermost first.
    pub out_of: Vec<Name>,
}

impl From<PlannedLine> for ShownLine {
    fn from(line: PlannedLine) -> Self {
        Self { asset: line.asset, lot: line.lot, amount: line.amount, out_of: line.out_of }
    }
}

/// What a player is shown of a reward. It is made by [`MutationSummary::release`] alone, so that nothing is shown that is not
/// committed; a client reads it from the bytes that it is sent.
///
/// ```compile_fail
/// let shown = terrane::store::ShownReward { use_case: "gift".into(), lines: Vec::new() };
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownReward {
    use_case: Name,
    lines: Vec<ShownLine>,
}

impl ShownReward {
    /// The use case.
    #[must_use]
    pub fn use_case(&self) -> &Name {
        &self.use_case
    }

    /// What was received, in order.
    #[must_use]
    pub fn lines(&self) -> &[ShownLine] {
        &self.lines
    }
}
