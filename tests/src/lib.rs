//! The harness that every test shares.

pub mod corpus;
pub mod harness;
pub mod kafka;
pub mod live;
pub mod made;
mod made_http2;
pub mod pipeline;
pub mod talk;
pub mod tshark;
pub mod tshark_http2;
pub mod tshark_kafka;
