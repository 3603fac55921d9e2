//! The harness that every test shares.
