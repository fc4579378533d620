//! What is in a store and not in the save yet, by the time at which a trade is carried out.

use crate::ids::ActionId;
use crate::prelude::*;
use crate::store::game::{GameTransaction, KindRefusal, SqlValue};

/// What others than players brought to a store or took, below nothing, and that was not written when a trade was asked for.
///
/// By the time at which the trade is carried out it may be: a trade waits while an earlier plan of its player is under way. So the save
/// looks whether it was, or the same loads would count twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Unwritten {
    pub(super) loads: i32,
    /// When it was not written yet, ms since 1970.
    pub(super) since_ms: u64,
}

/// In whose name it is written, under a key that begins with the moment of it.
pub(super) const NETTING: &str = "netting";

impl Unwritten {
    /// How much of it is not written now: all of it or nothing, since all that a store is owed is written at once.
    pub(super) fn now(
        self,
        tx: &mut GameTransaction<'_>,
        [market, good]: [SqlValue; 2],
    ) -> Result<i64, KindRefusal> {
        if self.loads == 0 {
            return Ok(0);
        }
        let at = |ms: u64| ActionId::new(ActionId::order_at(ms), 0).0.to_be_bytes();
        let (from, to) = (at(self.since_ms), at(tx.now_ms().saturating_add(1)));
        let written = tx.first(
            "SELECT 1 FROM account
             JOIN claim ON claim.key >= ?4 AND claim.key < ?5 AND claim.account = account.id
             JOIN ledger ON ledger.claim = claim.id
             JOIN asset ON asset.id = ledger.asset AND asset.name = ?2
             JOIN account AS house ON house.id IN (ledger.from_account, ledger.to_account)
                 AND house.kind = 'house' AND house.name = ?1
             WHERE account.kind = 'house' AND account.name = ?3 LIMIT 1",
            &[market, good, NETTING.into(), from[..].into(), to[..].into()],
        )?;
        Ok(if written.is_some() { 0 } else { self.loads.into() })
    }
}
