//! A schema whose messages have fields of every kind.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

use tapwire::dissect::Schemas;

pub static SCHEMAS: LazyLock<Arc<Schemas>> = LazyLock::new(|| {
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../agent/src/dissect/grpc/fixtures/shop.pb"));
    Arc::new(Schemas::open(path).unwrap_or_else(|error| panic!("{error}")))
});

/// Its methods.
pub const ORDER: &str = "/shop.v1.Shop/Order";
pub const WATCH: &str = "/shop.v1.Shop/Watch";
