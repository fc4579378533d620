//! What is wrong with a game, as its author is told at start.

use crate::limits::{COMPONENT_KINDS_MAX, FIELDS_PER_ENTITY_MAX};

/// Why a game's cell plugins cannot be used. All are faults of the game's source, told at start.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GameError {
    /// A plugin added systems to a schedule that never runs.
    #[error(
        "a cell plugin adds systems to the schedule {0}, which never runs in a cell: add them to `Simulate`"
    )]
    Schedule(String),
    /// A plugin inserted a resource that would differ between cells.
    #[error(
        "a cell plugin inserts the resource {0}, which would be another in every cell: give shared data as \
         `publish`, reset per-tick data with `scratch`, and keep everything else in components"
    )]
    Resource(String),
    /// Two plugins register the same component differently, or a name is used twice.
    #[error("the component {0} is registered twice: register each component once, with one reach")]
    Duplicate(&'static str),
    /// Two actions have one name.
    #[error("the action {0} is registered twice: register each action once, under a name of its own")]
    DuplicateAction(&'static str),
    /// More components than a set has bits.
    #[error("{0} replicated components: at most {max} are possible", max = COMPONENT_KINDS_MAX)]
    TooManyComponents(usize),
    /// A component has more sent fields than a mask has bits.
    #[error(
        "the component {0} has {1} sent fields: at most {max} fit one entity, position included; group some in \
         a struct", max = FIELDS_PER_ENTITY_MAX
    )]
    TooManyFields(&'static str, usize),
    /// Two types of events share a name.
    #[error("two types of player events are called `{0}`: both ends know them by their names, so rename one")]
    DuplicateEvent(&'static str),
    /// A type of event that nobody may be told.
    #[error(
        "the player event `{0}` is server_only, so nobody would ever be told: take #[sync(server_only)] off the type, or \
         do not send it"
    )]
    ServerOnlyEvent(&'static str),
    /// A component and another type of event share a name.
    #[error(
        "a component and another type of player event are called `{0}`: overrides name them by their names, so rename one"
    )]
    EventNamedLikeComponent(&'static str),
    /// Node-wide state has the name of something else.
    #[error(
        "node-wide state and another type are both called `{0}`: both ends and saves know them by their names, so rename \
         one"
    )]
    DuplicateGlobal(&'static str),
    /// Systems of a cell contradict each other.
    #[error("the cells' systems cannot be scheduled: {0}")]
    Systems(String),
    /// A cell reads data that nobody publishes.
    #[error("a cell plugin reads Published<{0}>, which nobody publishes: call `publish` on the server")]
    NotPublished(&'static str),
    /// A component was given two classes of durability.
    #[error("the component {0} is given a class of durability twice: call `persist` once for each component")]
    DuplicatePersist(&'static str),
    /// A component that is to be durable is not known otherwise.
    #[error(
        "`persist::<{0}>()`, but the component is not registered, so that neither images nor handovers would know it: call \
         `replicate` or `server_only` for it as well"
    )]
    PersistUnregistered(&'static str),
    /// A component that is to be durable is dropped at borders.
    #[error(
        "`persist::<{0}>()`, but the component is `cell_local`, which is never saved: register it with `replicate` or \
         `server_only` instead"
    )]
    PersistCellLocal(&'static str),
}
