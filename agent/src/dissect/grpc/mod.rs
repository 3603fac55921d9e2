//! gRPC messages as a passive observer sees them: their frames in the DATA of a stream, what their payloads hold, with a
//! schema or without one, and what the headers and trailers say about the call. Nothing here knows HTTP/2 or HTTP/1:
//! bytes, header names and values come in, trees of JSON come out.
//!
//! The pipeline: `content` (is it gRPC, and of which kind) → `web` (gRPC-Web only: base64 and trailers in the body) →
//! `frames` (messages) → `message` (a payload undone and decoded, by `typed` with a schema, else by `guess`). `schema`
//! holds the operator's descriptors and those that `reflection` finds on the wire.
//!
//! Trees are `serde_json::Value`: what redacts by name and what writes records both walk it, and `guess` and `typed` give
//! the same type, so that nobody behind them asks where a tree came from.

mod budget;
mod call;
pub mod content;
pub mod frames;
pub mod guess;
mod known;
pub mod message;
pub mod metadata;
mod number;
mod packed;
mod reader;
pub mod reflection;
pub mod schema;
mod slim;
pub mod status;
#[cfg(test)]
mod testing;
pub mod typed;
pub mod web;
mod wire;

pub use budget::Budget;
pub use call::{GRPC, binary_text, message_text, reset};
pub use reader::{End, Reader, Types, of_body, types};
