//! What `cargo xtask test` installs for the tests with Kafka: a folder of client jars for each release, and in `peers` the
//! broker and the clients.

use std::path::{Path, PathBuf};

/// Releases whose client jars are there, the newest first. The older one has the versions that 4.0 dropped.
pub const RELEASES: [&str; 2] = ["4.1.0", "3.9.2"];

/// The folder of a release's client jars.
pub fn jars(release: &str) -> PathBuf {
    installed(release)
}

/// One of the programs that run with them.
pub fn source(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(""));
    root.join("xtask/kafka").join(name).display().to_string()
}

/// The jars of the broker and the Java client.
pub fn libs() -> PathBuf {
    installed("peers/libs")
}

/// The franz-go client.
pub fn go_peer() -> PathBuf {
    installed("peers/kafka-peer")
}

/// Where the variable says, else in the target folder.
fn installed(place: &str) -> PathBuf {
    let target = || Some(std::env::current_exe().ok()?.ancestors().nth(3)?.join("kafka"));
    std::env::var_os("TAPWIRE_TEST_KAFKA").map(PathBuf::from).or_else(target).unwrap_or_default().join(place)
}
