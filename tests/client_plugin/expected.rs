//! What a player's `App` must hold, from the server's own worlds and the oracle.

use std::cell::Cell;
use std::collections::BTreeMap;

use terrane::cell::markers::Owned;
use terrane::cell::pool::with_cells;
use terrane::prelude::*;
use terrane::replication::oracle::{self, Oracle, OracleViewer};
use terrane::replication::policy::{Depends, Sieved, Subject, ViewerContext};
use terrane::replication::{Rows, ViewSettings, Viewing};
use terrane::session::Sessions;
use terrane::session::relevance::Relevance;
use terrane::space::LatticePoint;
use terrane::testing::TestWorld;

use crate::fair::{Ledger, Stall, Wares};

/// One entity as a player must see it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    pub(crate) lattice: LatticePoint,
    pub(crate) stall: Option<Sieved<Stall>>,
    pub(crate) wares: Option<Sieved<Wares>>,
    pub(crate) ledger: Option<Sieved<Ledger>>,
}

/// The oracle's memory of one player.
#[derive(Default)]
pub(crate) struct Memory(Oracle);

impl Memory {
    /// Lets the oracle see the tick that just ran; gives what the player must see once nothing is on its way.
    pub(crate) fn follow(&mut self, world: &mut TestWorld, player: &PlayerId) -> BTreeMap<NetId, Seen> {
        let settings = world.server().settings().clone();
        let rule =
            ViewSettings::new(settings.enter_radius_m, settings.leave_radius_m, settings.view_entities_max);
        let node = world.server_mut().node_mut();
        let (rows, sessions) = (node.resource::<Rows>(), node.resource::<Sessions>());
        let Some(session) = sessions.of_player(player) else { return BTreeMap::new() };
        let mut always = Vec::new();
        Relevance::of(sessions, rows, settings.view_entities_max).rows_for(session, rows, &mut always);
        let viewer = OracleViewer {
            position: rows.position[session.avatar_row.index()],
            own: Some(session.avatar),
            context: Some(&session.context),
            always: always.into_iter().map(|row| rows.net_id[row.index()]).collect(),
        };
        let seen = self.0.membership(oracle::world(rows), &viewer, &rule);
        let context = session.context.clone();
        with_cells(node, |_, cells| {
            let mut expected = BTreeMap::new();
            for cell in cells.iter_mut() {
                let here: Vec<_> =
                    seen.iter().filter_map(|id| Some((*id, *cell.by_net_id.get(id)?))).collect();
                for (net_id, entity) in here {
                    // One that died in this very tick goes at the next.
                    if let Ok(entity) = cell.world.get_entity(entity)
                        && entity.contains::<Owned>()
                    {
                        expected.insert(net_id, see(net_id, entity, &context, &seen));
                    }
                }
            }
            expected
        })
    }
}

fn see(
    net_id: NetId,
    entity: bevy_ecs::world::EntityRef<'_>,
    viewer: &ViewerContext,
    seen: &[NetId],
) -> Seen {
    let (plain, reads) = (Subject::default(), Cell::new(Depends::NONE));
    let subject = entity.get::<Subject>().unwrap_or(&plain);
    let viewing = Viewing::new(viewer, net_id, subject, &reads);
    let mut stall = show::<Stall>(entity, subject, &viewing);
    if let Some(stall) = &mut stall
        && seen.binary_search(&stall.value.friend).is_err()
    {
        stall.value.friend = NetId(0);
    }
    Seen {
        lattice: LatticePoint::of(entity.get::<Position>().expect("everything is somewhere").0),
        stall,
        wares: show::<Wares>(entity, subject, &viewing),
        ledger: show::<Ledger>(entity, subject, &viewing),
    }
}

fn show<C: Replicate>(
    entity: bevy_ecs::world::EntityRef<'_>,
    subject: &Subject,
    viewing: &Viewing<'_>,
) -> Option<Sieved<C>> {
    let value = entity.get::<C>()?;
    let rule = subject.component_rule(C::NAME);
    let shows = rule.map_or_else(|| value.is_visible(viewing), |rule| rule.admits(viewing));
    shows.then(|| value.sieve(viewing))
}
