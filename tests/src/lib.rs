//! The harness that every test shares.

pub mod corpus;
pub mod live;
pub mod harness;
pub mod made;
pub mod pipeline;
pub mod talk;
pub mod tshark;
