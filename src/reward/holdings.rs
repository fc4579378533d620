//! What one account holds, as of one version.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::asset::{AssetClass, Lot};
use super::name::Name;
use super::pool;

/// What one player holds, as the store last said. It changes by summaries of the executor alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdings {
    /// Grows by one with every use case that changed it; 0: nothing was ever written.
    pub version: u64,
    /// Amounts by asset and lot; none of them is 0.
    pub lots: BTreeMap<(Name, Lot), u64>,
    /// Of pools: up to when, milliseconds since 1970, what has filled up is counted.
    pub clocks: BTreeMap<Name, u64>,
}

impl Holdings {
    /// How much of an asset is held, expired lots included.
    #[must_use]
    pub fn amount(&self, asset: &Name) -> u64 {
        self.lots_of(asset).map(|(_, amount)| amount).sum()
    }

    /// How much of an asset is held and has not expired.
    #[must_use]
    pub fn amount_at(&self, asset: &Name, now_ms: u64) -> u64 {
        self.lots_of(asset).filter(|(lot, _)| !lot.is_expired(now_ms)).map(|(_, amount)| amount).sum()
    }

    /// How much there is in a pool at this time, with what has filled up since it was counted; 0 if the class is no pool.
    #[must_use]
    pub fn pool_at(&self, asset: &Name, class: &AssetClass, now_ms: u64) -> u64 {
        let AssetClass::Pool { cap, regen_ms } = *class else { return 0 };
        let held = self.amount(asset);
        held + pool::filled(cap, regen_ms, held, self.clocks.get(asset).copied(), now_ms).gained
    }

    /// The lots of an asset: what never expires first, then by when it does.
    pub fn lots_of(&self, asset: &Name) -> impl Iterator<Item = (Lot, u64)> + use<'_> {
        let from = (asset.clone(), Lot::default());
        let of_asset = asset.clone();
        self.lots
            .range(from..)
            .take_while(move |((name, _), _)| *name == of_asset)
            .map(|((_, lot), amount)| (*lot, *amount))
    }

    /// Sets what is held of a lot; 0 takes it out.
    pub fn set(&mut self, asset: &Name, lot: Lot, amount: u64) {
        if amount == 0 {
            self.lots.remove(&(asset.clone(), lot));
        } else {
            self.lots.insert((asset.clone(), lot), amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asset_is_all_its_lots_and_nobody_elses() {
        let (wine, wines) = (Name::from("wine"), Name::from("wines"));
        let mut holdings = Holdings::default();
        let lot = |expires_ms| Lot { expires_ms, instance: 0 };
        holdings.set(&wine, Lot::PLAIN, 3);
        holdings.set(&wine, lot(50), 4);
        holdings.set(&wines, Lot::PLAIN, 100);
        holdings.set(&Name::from("win"), Lot::PLAIN, 100);
        assert_eq!(holdings.amount(&wine), 7);
        assert_eq!((holdings.amount_at(&wine, 49), holdings.amount_at(&wine, 50)), (7, 3));
        assert_eq!(holdings.lots_of(&wine).collect::<Vec<_>>(), [(Lot::PLAIN, 3), (lot(50), 4)]);
        holdings.set(&wine, Lot::PLAIN, 0);
        assert_eq!(holdings.amount(&wine), 4);
        assert_eq!(holdings.lots.len(), 3);
    }
}
