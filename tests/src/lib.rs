//! The harness that every test shares.

pub mod corpus;
pub mod live;
pub mod made;
pub mod talk;
