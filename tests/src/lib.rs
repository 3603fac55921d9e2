//! The harness that every test shares.

pub mod corpus;
pub mod harness;
pub mod live;
pub mod made;
pub mod pipeline;
pub mod talk;
pub mod tshark;
