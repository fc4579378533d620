//! A world of wagons in which every level has something to hide.

use std::collections::BTreeMap;

use terrane::cell::pool::with_cells;
use terrane::ids::{FactKey, FieldName};
use terrane::prelude::*;
use terrane::replication::Rows;
use terrane::replication::why::{Why, WhyQuery};
use terrane::session::Sessions;
use terrane::testing::{ClientId, TestWorld};

pub(crate) const SCOUT: FactKey = FactKey(1);

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub(crate) struct Wagon {
    #[sync(broadcast)]
    pub(crate) name: String,
    #[sync(masked = to_tens)]
    pub(crate) purse: u32,
    #[sync(custom = for_its_owner)]
    pub(crate) cargo: u32,
    #[sync(custom = for_scouts)]
    pub(crate) route: Vec<u16>,
    #[sync(per_player = for_whom)]
    pub(crate) offer: String,
    #[sync(per_player_slice)]
    pub(crate) bids: BTreeMap<PlayerId, u32>,
    #[sync(broadcast, nested)]
    pub(crate) crew: Vec<Member>,
    #[sync(broadcast, max_bytes = 20)]
    pub(crate) note: String,
    #[sync(custom = always, max_bytes = 20)]
    pub(crate) diary: String,
    #[sync(broadcast)]
    pub(crate) follows: NetId,
    #[sync(broadcast, nested)]
    pub(crate) box_of_boxes: Boxes,
    #[sync(server_only)]
    pub(crate) seed: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Replicate)]
pub(crate) struct Member {
    #[sync(broadcast)]
    pub(crate) name: String,
    #[sync(custom = for_its_owner)]
    pub(crate) wage: u32,
}

/// Contains itself.
#[derive(Clone, Debug, Default, PartialEq, Replicate)]
pub(crate) struct Boxes {
    #[sync(broadcast, nested)]
    pub(crate) inner: Vec<Boxes>,
    #[sync(custom = for_its_owner)]
    pub(crate) gold: u32,
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(role = Gm)]
pub(crate) struct Orders {
    #[sync(broadcast)]
    pub(crate) text: String,
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
#[sync(server_only)]
pub(crate) struct Plot {
    #[sync(server_only)]
    pub(crate) text: String,
}

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub(crate) struct Flag {
    #[sync(broadcast)]
    pub(crate) colour: u8,
}

#[derive(Component, Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Notebook(pub(crate) Option<u32>);

#[derive(Component, Clone, Debug, Default, PartialEq, Replicate)]
pub(crate) struct Heavy {
    #[sync(broadcast, max_bytes = 3_000)]
    pub(crate) one: Vec<u8>,
    #[sync(broadcast, max_bytes = 3_000)]
    pub(crate) two: Vec<u8>,
}

#[derive(Resource, Clone, Debug, Default, PartialEq, Replicate)]
pub(crate) struct Market {
    #[sync(broadcast)]
    pub(crate) round: u64,
    #[sync(custom = for_scouts)]
    pub(crate) forecast: Vec<u16>,
}

pub(crate) fn to_tens(purse: &u32) -> u32 {
    purse / 10 * 10
}

pub(crate) fn for_its_owner(_: &u32, viewing: &Viewing) -> bool {
    viewing.is_owner()
}

pub(crate) fn for_scouts(viewing: &Viewing) -> bool {
    viewing.viewer.fact(SCOUT).is_some() || viewing.same_party()
}

#[expect(clippy::ptr_arg, reason = "policies are given the field as it is")]
pub(crate) fn for_whom(offer: &String, player: &PlayerId) -> Option<String> {
    offer.starts_with(player.as_str()).then(|| offer.clone())
}

pub(crate) fn always(_: &Viewing) -> bool {
    true
}

pub(crate) struct Wagons;
impl Plugin for Wagons {
    fn build(&self, app: &mut App) {
        app.replicate::<Wagon>()
            .replicate::<Orders>()
            .replicate::<Plot>()
            .replicate::<Flag>()
            .replicate::<Heavy>()
            .server_only::<Notebook>()
            .add_systems(Simulate, jump);
    }
}

/// Takes who has a crowd's number in the notebook to that crowd.
pub(crate) fn jump(mut all: Query<(&NetId, &mut Notebook)>, mut world: WorldRequests) {
    for (&net_id, mut notebook) in &mut all {
        if let Some(crowd) = notebook.0.take() {
            world.teleport(net_id, place_of(crowd));
        }
    }
}

/// Crowds are 200 m apart.
pub(crate) fn place_of(crowd: u32) -> Vec3 {
    Vec3::new(100.0 + 200.0 * (crowd % 5) as f32, 100.0 + 200.0 * (crowd / 5) as f32, 0.0)
}

pub(crate) struct Markets;
impl Plugin for Markets {
    fn build(&self, app: &mut App) {
        app.replicate_global::<Market>();
    }
}

/// Avatars stand at (500, 500); the other wagons in a row to the east, so many metres apart.
pub(crate) fn game(wagons: u64, apart_m: f32) -> ServerBuilder {
    ServerBuilder::default()
        .add_cell_plugins(Wagons)
        .add_plugins(Markets)
        .avatars(|request| {
            let wagon = Wagon { name: request.player.to_string(), ..Wagon::default() };
            let place = Vec3::new(500.0, 500.0, 0.0);
            let subject = Subject::owned_by(request.player.clone());
            SpawnRequest::new(NetId::WORLD, place, (wagon, subject, Notebook(None)))
        })
        .populate(move |world| {
            for number in 1..=wagons {
                let wagon =
                    Wagon { name: format!("wagon {number}"), purse: 123, cargo: 7, ..Wagon::default() };
                let place = Vec3::new(500.0 + apart_m * number as f32, 500.0, 0.0);
                let parts = (wagon, Flag { colour: 1 }, Plot::default(), Orders::default(), Notebook(None));
                world.spawn(SpawnRequest::new(NetId::WORLD, place, (parts, Subject::default())));
            }
        })
}

pub(crate) fn player(name: &str) -> PlayerId {
    PlayerId::new(name).expect("a name")
}

/// Changes a component of an entity, wherever it is.
pub(crate) fn change<C: Component<Mutability = bevy_ecs::component::Mutable>>(
    world: &mut TestWorld,
    net_id: NetId,
    change: impl FnOnce(&mut C),
) {
    with_cells(world.server_mut().node_mut(), |node, cells| {
        let rows = node.resource::<Rows>();
        let row = rows.row(net_id).expect("it lives");
        let cell = cells.at(rows.owner[row.index()]);
        let entity = cell.by_net_id[&net_id];
        change(&mut cell.world.get_mut::<C>(entity).expect("it has one"));
    });
}

pub(crate) fn with_entity(
    world: &mut TestWorld,
    net_id: NetId,
    edit: impl FnOnce(&mut bevy_ecs::world::EntityWorldMut<'_>),
) {
    with_cells(world.server_mut().node_mut(), |node, cells| {
        let rows = node.resource::<Rows>();
        let row = rows.row(net_id).expect("it lives");
        let cell = cells.at(rows.owner[row.index()]);
        let entity = cell.by_net_id[&net_id];
        edit(&mut cell.world.entity_mut(entity));
    });
}

pub(crate) fn context(world: &mut TestWorld, name: &str, change: impl FnOnce(&mut ViewerContext)) {
    let mut sessions = world.server_mut().node_mut().resource_mut::<Sessions>();
    let session = sessions.iter_mut().find(|session| session.player.as_str() == name);
    change(&mut session.expect("the player is in").context);
}

pub(crate) fn names(world: &TestWorld) -> Vec<NetId> {
    let mut all: Vec<NetId> = world.server().node().resource::<Rows>().iter().map(|(name, _)| name).collect();
    all.sort_unstable();
    all
}

pub(crate) fn called(world: &mut TestWorld, wanted: &str) -> NetId {
    let mut found = None;
    with_cells(world.server_mut().node_mut(), |_, cells| {
        for cell in cells.iter_mut() {
            let mut wagons =
                cell.world.query_filtered::<(&NetId, &Wagon), With<terrane::cell::markers::Owned>>();
            found = found
                .or(wagons.iter(&cell.world).find(|(_, wagon)| wagon.name == wanted).map(|(name, _)| *name));
        }
    });
    found.unwrap_or_else(|| panic!("no {wanted}"))
}

pub(crate) fn why(world: &mut TestWorld, name: &str, entity: NetId, field: Option<&str>) -> Why {
    let field = field.map(|field| field.parse::<FieldName>().expect("a field"));
    let answer = world.server_mut().why(&WhyQuery { player: player(name), entity, field });
    answer.unwrap_or_else(|error| panic!("{error}"))
}

/// A world with alice and one wagon ten metres from her.
pub(crate) fn alice_and_a_wagon() -> (TestWorld, ClientId, NetId) {
    let mut world = TestWorld::new(game(1, 10.0), WorldSettings::default());
    let alice = world.connect("alice");
    world.run(8);
    let wagon = called(&mut world, "wagon 1");
    (world, alice, wagon)
}

pub(crate) fn mark(world: &mut TestWorld, wagon: NetId, set: impl FnOnce(&mut Subject)) {
    change::<Subject>(world, wagon, set);
}
