//! Views against the oracle, through real bytes and a bad network.

mod aliases;
mod audits;
mod budgets;
mod convergence;
mod hostile;
mod limits;
mod simulation;
mod structure;
mod world;
