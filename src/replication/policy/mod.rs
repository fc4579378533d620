//! Temporary.
pub mod component;
pub mod depends;
pub mod subject;
pub mod viewing;

pub use component::{ComponentName, ComponentPolicy, ComponentRule};
pub use depends::Depends;
pub use subject::Subject;
pub use viewing::{Permissions, SubjectLens, ViewerContext, ViewerLens, Viewing};
