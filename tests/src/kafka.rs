//! Kafka's own classes, for tests: where `cargo xtask test` has put them.

use std::path::{Path, PathBuf};

/// Releases whose jars are there, the newest first. The older one has the versions that 4.0 dropped.
pub const RELEASES: [&str; 2] = ["4.1.0", "3.9.2"];

/// The folder of a release's jars.
pub fn jars(release: &str) -> PathBuf {
    let all = std::env::var_os("TAPWIRE_TEST_KAFKA").map_or_else(|| root().join("target/kafka"), PathBuf::from);
    all.join(release)
}

/// One of the programs that run with them.
pub fn source(name: &str) -> String {
    root().join("xtask/kafka").join(name).display().to_string()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_owned).unwrap_or_default()
}
