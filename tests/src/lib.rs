//! The harness that every test shares.

pub mod live;
