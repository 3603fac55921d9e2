//! Capture files through the agent's byte path: the packets of all files as one capture, dealt to a fixed number of
//! lanes, each of them a `Shard` with its own flows and limits.
//!
//! What comes out is the same at any number of threads, because nothing depends on them: a flow's lane follows from its
//! addresses, its name is the number of its first packet, and time is that of the packets, which every lane is told
//! alike. Threads only carry lanes on:
//!
//! ```text
//! reader ──blocks by reference──▶ lanes (any thread, one at a time) ──lines──▶ order ──▶ standard output
//! ```
//!
//! Memory is bounded: blocks come from a pool (the reader waits for them), lanes hold what their flows' limits allow, and
//! lines that wait for an older call to end go to a temporary file beyond `order::HELD_MAX`.

mod board;
mod lane;
pub mod order;
mod reader;
mod spill;

pub use lane::Turn;
pub use reader::{Fault, FileState, Totals, open, run};

/// Lanes that flows are dealt to. Fixed, because each has its own limits and the result must not depend on the machine;
/// 8 keep as many cores busy as one reader can feed.
pub const LANES: usize = 8;
