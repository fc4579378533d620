//! What everybody in the world holds.

use std::collections::BTreeMap;

use bevy_ecs::prelude::Resource;

use crate::ids::PlayerId;
use crate::reward::{Account, Holdings};
use crate::store::{MutationSummary, Settling};

/// Holdings of who is in the world, as of what the store last said: memory is the authority for reading, the store for
/// writing.
#[derive(Resource, Debug, Default)]
pub struct Book {
    by_player: BTreeMap<PlayerId, Holdings>,
    /// Of whom something was committed that was not heard of, so that what is known is not all.
    stale: Vec<PlayerId>,
}

impl Book {
    /// What a player holds; `None` of who is not in the world.
    #[must_use]
    pub fn get(&self, player: &PlayerId) -> Option<&Holdings> {
        self.by_player.get(player)
    }

    /// All players in it.
    pub fn players(&self) -> impl Iterator<Item = (&PlayerId, &Holdings)> {
        self.by_player.iter()
    }

    /// A player comes in with this, or is told anew. What is known already of a newer version stays.
    pub(crate) fn open(&mut self, player: &PlayerId, holdings: Holdings) {
        let known = self.by_player.entry(player.clone()).or_default();
        if known.version <= holdings.version {
            *known = holdings;
        }
    }

    /// A player leaves.
    pub(crate) fn close(&mut self, player: &PlayerId) {
        self.by_player.remove(player);
        self.stale.retain(|stale| stale != player);
    }

    /// Lays a summary upon the holdings of all whom it concerns, and gives those that are another way now.
    pub(super) fn settle(&mut self, summary: &MutationSummary) -> Vec<PlayerId> {
        let mut changed = Vec::new();
        for (account, _) in summary.versions() {
            let Account::Player(player) = account else { continue };
            let Some(holdings) = self.by_player.get_mut(player) else { continue };
            match summary.settle(account, holdings) {
                Settling::Settled => changed.push(player.clone()),
                Settling::Known => {}
                Settling::Missed => {
                    if !self.stale.contains(player) {
                        self.stale.push(player.clone());
                    }
                }
            }
        }
        changed
    }

    /// Whose holdings have to be read anew, since something was written that nobody here heard of.
    pub(super) fn take_stale(&mut self) -> Vec<PlayerId> {
        std::mem::take(&mut self.stale)
    }
}
