//! What a game needs, in one `use`.

pub use bevy_app::{App, AppExit, Plugin};
pub use bevy_ecs::prelude::{
    Added, Changed, Commands, Component, Entity, IntoScheduleConfigs, Local, Query, Res, ResMut, Resource,
    With, Without, World,
};
pub use glam::{Vec2, Vec3};
pub use serde::{Deserialize, Serialize};

pub use crate::action::{Action, Caller, GlobalContext, Group, GroupContext, OwnContext, Scope};
pub use crate::cell::attached::Attached;
pub use crate::cell::context::{Random, TickContext};
pub use crate::cell::markers::Ghosts;
pub use crate::cell::message::{EntityInbox, EntityOutbox};
pub use crate::cell::partition::LifeEvents;
pub use crate::cell::persist::Persist;
pub use crate::cell::published::{Published, Publisher};
pub use crate::cell::registration::{CellAppExt, Simulate};
pub use crate::cell::requests::{PinnedFor, SpawnRequest, WorldRequests};
pub use crate::driver::WorldServer;
pub use crate::ids::{FactKey, NetId, PartyId, PlayerId, Role, Tag, TeamId, TickNumber};
pub use crate::interest::Nearby;
pub use crate::party::{Parties, PartyRefusal};
pub use crate::replication::policy::MapKey;
pub use crate::replication::{
    Audience, Delivery, NodeAppExt, PlayerEvents, Replicate, Subject, ViewerContext, Viewing,
};
pub use crate::reward::{Account, ClaimKey, Holdings, PlanRefusal, PlanRequest, RewardTables};
pub use crate::server::counters::{CountAppExt, actions_done, reference_reloads};
pub use crate::server::{Population, ServerBuilder, WorldSettings};
pub use crate::session::AvatarRequest;
pub use crate::space::{Area, Position};
pub use crate::tick::{Tick, TickSystems};
pub use crate::value::{
    AskContext, Committed, HouseNet, Pen, Rewards, RewardsOfNode, Settled, Settles, ValueAppExt,
};
