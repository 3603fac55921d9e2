//! Tapwire, stage by stage: the modules stand in the order in which a byte passes them.
//!
//! ```text
//! capture → flow → dissect → record → store → query → mcp, web
//! ```
//!
//! A stage knows the types before it and nothing after it. `kernel` is seen by `capture` alone; `run` wires the stages
//! of the agent together, `shard` runs the byte path of one thread.

pub mod time;
pub mod coverage;

pub mod kernel;
pub mod capture;
pub mod flow;
pub mod dissect;
pub mod record;
pub mod store;
pub mod query;
pub mod shard;
pub mod read;

pub mod status;
pub mod mcp;
pub mod web;

pub mod config;
pub mod run;
pub mod cli;
