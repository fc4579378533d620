//! Sync policies: what each viewer sees of a value, through every encoder and decoder, held against values that are
//! built without any.

mod depends;
mod hostile;
mod ids;
mod nodes;
mod properties;
mod subjects;
mod support;
mod table;
mod world;
