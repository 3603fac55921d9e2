//! Tapwire, stage by stage: the modules stand in the order in which a byte passes them.
//!
//! ```text
//! capture → flow → dissect → record → store → query → mcp, web
//! ```
//!
//! A stage knows the types before it and nothing after it. `kernel` is seen by `capture` alone; `run` wires the stages
//! of the agent together, `shard` runs the byte path of one thread.

pub mod coverage;
pub mod time;

pub mod capture;
pub mod dissect;
pub mod flow;
pub mod kernel;
pub mod query;
pub mod record;
pub mod shard;
pub mod read;
pub mod store;

pub mod mcp;
pub mod status;
pub mod web;

pub mod cli;
pub mod config;
pub mod run;
