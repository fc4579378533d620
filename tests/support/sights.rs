//! What a player must see of the shipped game, from its components by the naive sieve, and what the player's client holds.

use std::collections::BTreeSet;
use std::fmt::Debug;

use bevy_ecs::world::EntityRef;
use terrane::caravan::{
    Board, Cache, Campaign, Caravan, Character, Charter, Errands, Handbook, Letters, Market, Outfit, Pack,
    Purse, Quotes, Ranks, Retinue, Walker,
};
use terrane::cell::pool::Cells;
use terrane::client::mirror::MirrorEntity;
use terrane::prelude::*;
use terrane::replication::mask::FIELD_FIRST;
use terrane::replication::oracle::{ExpectedEntity, OracleEntity};
use terrane::replication::policy::{ComponentPolicy, Depends, Viewing};
use terrane::replication::{Rows, Schema, SyncFields};
use terrane::session::{Session, Sessions};

/// What a player sees wherever it is, looked for in everything there is.
pub fn always(node: &World, session: &Session) -> BTreeSet<NetId> {
    let (rows, sessions) = (node.resource::<Rows>(), node.resource::<Sessions>());
    let of_party = |avatar: NetId| {
        let others = sessions.iter().filter(|other| other.avatar == avatar);
        others
            .into_iter()
            .any(|other| other.context.party().is_some() && other.context.party() == session.context.party())
    };
    let all = rows.iter().filter(|(net_id, row)| {
        let subject = rows.subjects[row.index()].as_ref();
        rows.placeless[row.index()]
            || subject.is_some_and(|subject| subject.owner() == Some(&session.player))
            || of_party(*net_id)
    });
    all.map(|(net_id, _)| net_id).collect()
}

/// A component as a player sees it: its value, and what of it is hidden.
type Sight = (u64, String);

/// What is seen of one component: its value, and the paths of what is hidden.
fn told<C: Replicate + Debug>(value: &C, hidden: &[String]) -> String {
    format!("{value:?} without {hidden:?}")
}

struct Looking<'a> {
    schema: &'a Schema,
    session: &'a Session,
    subject: &'a Subject,
    net_id: NetId,
    seen: &'a [NetId],
}

impl Looking<'_> {
    fn at<C: Replicate + Debug>(&self, entity: &EntityRef<'_>, blank: impl FnOnce(&mut C)) -> Option<Sight> {
        let component = entity.get::<C>()?;
        let reads = std::cell::Cell::new(Depends::NONE);
        let viewing = Viewing::new(&self.session.context, self.net_id, self.subject, &reads);
        let shows = match (C::COMPONENT_POLICY, self.subject.component_rule(C::NAME)) {
            (ComponentPolicy::ServerOnly, _) => false,
            (_, Some(rule)) => rule.admits(&viewing),
            _ => component.is_visible(&viewing),
        };
        let index = self.schema.component(C::NAME)?;
        let mut sieved = component.sieve(&viewing);
        blank(&mut sieved.value);
        shows.then(|| (1 << index, told(&sieved.value, &sieved.hidden)))
    }
}

/// What a player must hold of something of which not everybody sees the same; `None` for all else.
pub fn expected_of(
    node: &World,
    cells: &Cells,
    session: &Session,
    entity: &OracleEntity<'_>,
    seen: &[NetId],
) -> Option<ExpectedEntity> {
    let rows = node.resource::<Rows>();
    let row = rows.row(entity.net_id).expect("it lives");
    let plain = Subject::default();
    let subject = entity.subject.unwrap_or(&plain);
    let looking = Looking { schema: rows.schema(), session, subject, net_id: entity.net_id, seen };
    let sights: Vec<Sight> = if rows.placeless[row.index()] {
        let of = |resource: Option<Entity>| node.entity(resource.expect("the game has it"));
        let market = looking.at::<Market>(&of(node.resource_entity::<Market>()), |_| {});
        let board = looking.at::<Board>(&of(node.resource_entity::<Board>()), |_| {});
        let ranks = looking.at::<Ranks>(&of(node.resource_entity::<Ranks>()), |_| {});
        let letters = looking.at::<Letters>(&of(node.resource_entity::<Letters>()), |_| {});
        let handbook = looking.at::<Handbook>(&of(node.resource_entity::<Handbook>()), |_| {});
        let secret = node.resource::<WorldSettings>().secret;
        let is = |name: &str| NetId::of_global(secret, name) == entity.net_id;
        let shown = match () {
            () if is(Market::NAME) => market,
            () if is(Ranks::NAME) => ranks,
            () if is(Letters::NAME) => letters,
            () if is(Handbook::NAME) => handbook,
            () => board,
        };
        shown.into_iter().collect()
    } else {
        let cell = cells.get(rows.owner[row.index()]).expect("it is owned");
        let found = cell.world.entity(*cell.by_net_id.get(&entity.net_id)?);
        let caravan = looking.at::<Caravan>(&found, |_| {});
        let charter = looking.at::<Charter>(&found, |charter| {
            if looking.seen.binary_search(&charter.holder).is_err() {
                charter.holder = NetId::WORLD;
            }
        });
        let cache = looking.at::<Cache>(&found, |_| {});
        let walker = looking.at::<Walker>(&found, |_| {});
        let purse = looking.at::<Purse>(&found, |_| {});
        let quotes = looking.at::<Quotes>(&found, |_| {});
        let retinue = looking.at::<Retinue>(&found, |_| {});
        let campaign = looking.at::<Campaign>(&found, |_| {});
        let errands = looking.at::<Errands>(&found, |_| {});
        let character = looking.at::<Character>(&found, |_| {});
        let outfit = looking.at::<Outfit>(&found, |_| {});
        let pack = looking.at::<Pack>(&found, |_| {});
        let all = [
            caravan, walker, charter, cache, purse, quotes, retinue, campaign, errands, character, outfit,
            pack,
        ];
        all.into_iter().flatten().collect()
    };
    let [x, y, z] = terrane::space::LatticePoint::of(entity.position).0;
    let lattice = if entity.position.is_finite() { [x, y, z] } else { [0; 3] };
    (!sights.is_empty()).then(|| ExpectedEntity {
        net_id: entity.net_id,
        lattice,
        components: sights.iter().fold(0, |all, (component, _)| all | component),
        fields: sights.into_iter().map(|(_, told)| told.into_bytes()).collect(),
    })
}

fn held_of<C: Replicate + Debug>(schema: &Schema, entity: &MirrorEntity) -> Option<Sight> {
    let value = entity.component::<C>(schema)?;
    let index = schema.component(C::NAME)?;
    let row = entity.encoded();
    let own = (FIELD_FIRST..).zip(schema.fields_of(entity.components())).filter(|(_, (of, ..))| *of == index);
    let hidden: Vec<String> = own
        .flat_map(|(bit, (_, field, _))| {
            C::hidden_paths(field, row.field(bit)).expect("the bytes of that field")
        })
        .collect();
    Some((1 << index, told(&value, &hidden)))
}

/// What a client holds of something of which not everybody sees the same; `None` for all else.
pub fn held(schema: &Schema, entity: &MirrorEntity) -> Option<ExpectedEntity> {
    let sights: Vec<Sight> = [
        held_of::<Market>(schema, entity),
        held_of::<Board>(schema, entity),
        held_of::<Caravan>(schema, entity),
        held_of::<Walker>(schema, entity),
        held_of::<Charter>(schema, entity),
        held_of::<Cache>(schema, entity),
        held_of::<Purse>(schema, entity),
        held_of::<Quotes>(schema, entity),
        held_of::<Retinue>(schema, entity),
        held_of::<Campaign>(schema, entity),
        held_of::<Errands>(schema, entity),
        held_of::<Character>(schema, entity),
        held_of::<Outfit>(schema, entity),
        held_of::<Pack>(schema, entity),
        held_of::<Ranks>(schema, entity),
        held_of::<Letters>(schema, entity),
        held_of::<Handbook>(schema, entity),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!sights.is_empty()).then(|| ExpectedEntity {
        net_id: entity.net_id(),
        lattice: entity.lattice().0,
        // All that the client has, also what is not looked into here.
        components: entity.components(),
        fields: sights.into_iter().map(|(_, told)| told.into_bytes()).collect(),
    })
}
