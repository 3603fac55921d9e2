//! Kafka's own classes, by Maven, and what is made of them: `cargo xtask kafka-schemas` writes the table of all messages
//! that the agent reads by; the tests encode with them, and run a broker and a client. All of it is in `target/kafka`:
//! each release's client jars, and in `peers` what `tests/peers/kafka` needs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};

use crate::{host, peers, tools};

/// Beside the newest release, one that still has the versions that 4.0 dropped; where both have a version, the newer one's
/// counts. `tests/src/kafka.rs` names both again.
const NEWER: &str = "4.1.0";
const OLDER: &str = "3.9.2";

const TABLE: &str = "agent/src/dissect/kafka/schemas.txt";

/// A download that fails is tried so often in all.
const TRIES: u32 = 3;

/// Writes the table anew. Nothing changes with the same releases.
pub fn schemas(args: &[String]) -> Result<ExitCode> {
    host::no_more(args)?;
    tools::programs_for_schemas()?;
    let [newer, older] = [jars(NEWER)?, jars(OLDER)?];
    let of_older = dir().join("older.txt");
    fs::write(&of_older, dump(&older, None)?).with_context(|| format!("cannot write {}", of_older.display()))?;
    let table = dump(&newer, Some(&of_older))?;
    let path = host::root().join(TABLE);
    let same = fs::read_to_string(&path).is_ok_and(|was| was == table);
    fs::write(&path, table).with_context(|| format!("cannot write {TABLE}"))?;
    eprintln!("xtask: {TABLE} {}", if same { "is the same" } else { "has changed" });
    Ok(ExitCode::SUCCESS)
}

/// What the tests need of Kafka; its folder.
pub fn for_tests() -> Result<PathBuf> {
    jars(NEWER)?;
    jars(OLDER)?;
    fetch("tests/peers/kafka/pom.xml", None, &dir().join("peers/libs"))?;
    peers::kafka_peer(&dir().join("peers/kafka-peer"))?;
    Ok(dir())
}

fn dir() -> PathBuf {
    host::target().join("kafka")
}

/// The messages of one release, and those that only the given table has.
fn dump(jars: &Path, more: Option<&Path>) -> Result<String> {
    let mut java = Command::new("java");
    java.arg("-cp").arg(jars.join("*")).arg(host::root().join("xtask/kafka/DumpSchemas.java")).args(more);
    host::output(&mut java)
}

/// The folder of a release's client jars.
fn jars(release: &str) -> Result<PathBuf> {
    let jars = dir().join(release);
    fetch("xtask/kafka/pom.xml", Some(release), &jars)?;
    Ok(jars)
}

/// Has Maven copy what a pom depends on into a folder, unless it is there.
fn fetch(pom: &str, release: Option<&str>, to: &Path) -> Result<()> {
    let path = host::root().join(pom);
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {pom}"))?;
    let content = format!("{} {text}", release.unwrap_or_default());
    // Written last: a folder without it is one that Maven did not finish. Java takes files named .jar only.
    let complete = to.join("complete");
    if fs::read_to_string(&complete).is_ok_and(|was| was == content) {
        return Ok(());
    }
    eprintln!("xtask: fetching the jars of {pom} into {}", to.display());
    // A jar of another version beside them would be on the class path, too.
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("cannot remove {}", to.display()))?;
    }
    fs::create_dir_all(to).with_context(|| format!("cannot make {}", to.display()))?;
    let mut maven = Command::new("mvn");
    // Maven remembers for a day what it could not download, unless told to look again.
    maven.args(["--quiet", "--batch-mode", "--update-snapshots", "--file"]).arg(path);
    maven.arg("dependency:copy-dependencies").arg(format!("-DoutputDirectory={}", to.display()));
    maven.args(release.map(|release| format!("-Dkafka.version={release}")));
    let mut tried = 1;
    while let Err(error) = host::run(&mut maven) {
        if tried == TRIES {
            return Err(error);
        }
        tried += 1;
    }
    fs::write(&complete, content).with_context(|| format!("cannot write {}", complete.display()))
}
