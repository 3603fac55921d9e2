//! Tapwire, stage by stage: the modules stand in the order in which a byte passes them.
//!
//! ```text
//! capture → flow → dissect → record → store → query → mcp, web
//! ```
//!
//! A stage knows the types before it and nothing after it. `kernel` is seen by `capture` alone; `run` wires the stages
//! of the agent together, `shard` is the byte path of one thread, `read` runs several of them over files.

// Bytes from outside decide nothing by a panic; tests may.
#![warn(clippy::unwrap_used)]

// rustfmt sorts modules that stand together: blank lines keep the stages in order.

pub mod coverage;
pub mod time;

pub mod kernel;

pub mod capture;

pub mod flow;

pub mod dissect;

pub mod record;

pub mod store;

pub mod query;

pub mod read;
pub mod shard;

pub mod status;

pub mod mcp;
pub mod web;

pub mod config;
pub mod run;

pub mod cli;
