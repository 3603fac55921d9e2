//! The Go peers of the live tests, `tests/peers/go` and `tests/peers/kafka/go`, built with a Go that is new enough.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::host;

/// What each `go.mod` asks for at least, and what is fetched where the distribution's Go is older.
const GO_LEAST: (u32, u32) = (1, 26);
const GO: &str = "1.26.8";

/// The one that speaks HTTP/2 and gRPC; the program's path.
pub fn go_peer() -> Result<PathBuf> {
    let program = host::target().join("peers/go-peer");
    build("tests/peers/go", &program)?;
    Ok(program)
}

/// The one that speaks Kafka, into this file.
pub fn kafka_peer(program: &Path) -> Result<()> {
    build("tests/peers/kafka/go", program)
}

/// Builds a peer when its source has changed, which Go knows itself.
fn build(source: &str, program: &Path) -> Result<()> {
    let go = go()?;
    if !program.exists() {
        eprintln!("xtask: building {} (one to two minutes, once)", program.display());
    }
    let mut build = with(&go);
    build.args(["build", "-trimpath", "-mod=readonly", "-ldflags=-s -w", "-o"]).arg(program).arg(".");
    // Without cgo it needs no C compiler; its resolver would bring the only C.
    host::run(build.current_dir(host::root().join(source)).env("CGO_ENABLED", "0"))
}

/// A `go` of the version that it is, whatever the environment or a `go.mod` asks for.
fn with(go: &Path) -> Command {
    let mut command = Command::new(go);
    command.env("GOTOOLCHAIN", "local").env_remove("GOROOT");
    command
}

/// The machine's Go, or one that it fetches as Go does itself from 1.21 on: the toolchain is a module, whose sum is
/// checked like that of any other.
fn go() -> Result<PathBuf> {
    let go = host::which("go").context("go is missing")?;
    let target = host::target();
    fs::create_dir_all(&target).with_context(|| format!("cannot make {}", target.display()))?;
    // Not in the folder of a go.mod: an old Go cannot read ours.
    let ask = |what: &str| host::output(with(&go).args(["env", what]).current_dir(&target));
    if version(&ask("GOVERSION")?).is_some_and(|version| version >= GO_LEAST) {
        return Ok(go);
    }
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => bail!("install Go {GO} or newer by hand: none is known for {other}"),
    };
    let module = format!("golang.org/toolchain@v0.0.1-go{GO}.linux-{arch}");
    let dir = Path::new(ask("GOMODCACHE")?.trim()).join(&module);
    let newer = dir.join("bin/go");
    if !host::succeeds(with(&newer).arg("version")) {
        eprintln!("xtask: fetching Go {GO} into {} (once)", dir.display());
        host::run(with(&go).args(["mod", "download", &module]).current_dir(&target))?;
        make_usable(&dir).with_context(|| format!("cannot use {}", dir.display()))?;
    }
    Ok(newer)
}

/// What the go command does with a toolchain that it has fetched (cmd/go/internal/toolchain, `Exec`): a module's files
/// are never executable, and none of its folders may hold a go.mod.
fn make_usable(dir: &Path) -> Result<()> {
    fs::set_permissions(dir.join("src"), fs::Permissions::from_mode(0o755))?;
    let module = dir.join("src/go.mod");
    if !module.exists() {
        fs::copy(dir.join("src/_go.mod"), module)?;
    }
    let tools = fs::read_dir(dir.join("pkg/tool"))?.flatten().map(|entry| entry.path());
    for folder in tools.chain([dir.join("bin")]) {
        for program in fs::read_dir(folder)?.flatten() {
            fs::set_permissions(program.path(), fs::Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

/// `go1.26.8`
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim().strip_prefix("go")?.split(['.', 'r', 'b', '-', ' ']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions() {
        for (text, expected) in [
            ("go1.26.8\n", Some((1, 26))),
            ("go1.27rc1", Some((1, 27))),
            ("go1.19", Some((1, 19))),
            ("go1.24.4 X:nodwarf5", Some((1, 24))),
            ("devel", None),
        ] {
            assert_eq!(version(text), expected, "{text}");
        }
    }
}
