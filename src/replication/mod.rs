//! What each player is sent.
//!
//! *Does*: encodes each changed entity once into its [`row`](Rows), keeps each session's view (who is seen,
//! what is pending, what is in flight), and assembles one update per session and tick.
//! *Does not*: decide who is near (that is `interest`) nor touch sockets (that is `net`).
//! *Reads*: rows, candidates, acks. *Writes*: views, update bytes.

pub mod audit;
mod auditing;
pub mod encoded;
pub mod events;
pub mod field;
mod field_wire;
pub mod globals;
pub mod layouts;
pub mod mask;
pub mod oracle;
pub mod personal;
#[cfg(any(test, feature = "planted-faults"))]
pub mod planted;
pub mod policy;
pub mod quantised;
pub mod rows;
pub mod rule;
pub mod schema;
pub mod stage;
pub mod tell;
mod urgency;
pub mod view;
pub mod why;
pub mod wire;

#[cfg(test)]
mod tests;

pub use events::{Audience, Delivery, PlayerEvent, PlayerEvents, ReceivedEvent};
pub use field::{FieldSpec, FieldWire, FieldWriter, Policy, Replicate, SyncFields};
pub use globals::{Globals, NodeAppExt};
pub use policy::{Subject, SyncNode, ViewerContext, Viewing};
pub use rows::{EncodedRow, RowDelta, RowMove, RowSubject, Rows};
pub use rule::{ViewSettings, Viewer};
pub use schema::Schema;
pub use terrane_macros::Replicate;
pub use urgency::Urgency;
pub use view::{Assembled, UpdateHeader, View, ViewScratch};
