//! Who may see what of a component: the words for it, and the parts that `derive(Replicate)` writes calls of.
//!
//! *Does*: says who looks ([`ViewerContext`]) at what ([`Subject`]); calls policy functions and notes what they
//! asked; encodes, decodes, projects and saves values whose fields have policies ([`SyncNode`]), to any depth; builds
//! the naive answer to what a viewer sees ([`Sieved`]).
//! *Does not*: know entities, rows, sessions or views, nor keep what a policy said.
//! *Reads*: a component's value, a viewer, a subject. *Writes*: bytes, values, and which aspects were asked about.
//!
//! Four levels decide, each alone, and a viewer sees what all of them let through: the entity ([`Subject::admits`]), the
//! component ([`ComponentPolicy`]), the field ([`Policy`](super::field::Policy)), and the fields of nested values.
//! A policy is a pure function: what it says may depend on its arguments alone.

pub mod compare;
pub mod component;
mod containers;
pub mod depends;
pub mod functions;
pub mod key;
pub mod node;
pub mod payload;
pub mod reader;
pub mod saved;
pub mod sieve;
pub mod subject;
pub mod viewing;
pub mod writer;

pub use component::{ComponentName, ComponentPolicy, ComponentRule};
pub use depends::Depends;
pub use key::MapKey;
pub use node::{NodeSpec, SyncNode, VariantSpec};
pub use payload::Shown;
pub use reader::NodeReader;
pub use saved::SaveReader;
pub use sieve::{Sieve, Sieved};
pub use subject::Subject;
pub use viewing::{Permissions, SubjectLens, ViewerContext, ViewerLens, Viewing};
pub use writer::NodeWriter;
