//! `cargo xtask check`: the quick part of the tests, for the time between two edits. Needs no rights.

use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::{host, tools};

pub fn check(args: &[String]) -> Result<ExitCode> {
    host::no_more(args)?;
    tools::bpf_linker()?;
    let mut failed = Vec::new();
    for (name, mut command) in static_steps() {
        eprintln!("xtask: {name}: {}", host::shown(&command));
        if host::run(&mut command).is_err() {
            failed.push(name);
        }
    }
    let mut unit = host::cargo();
    unit.args(["test", "--workspace", "--exclude", "agent-ebpf", "--lib", "--bins", "--no-fail-fast"]);
    if host::run(&mut unit).is_err() {
        failed.push("unit tests");
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    eprintln!("xtask: all good; `cargo xtask test` runs the rest");
    Ok(ExitCode::SUCCESS)
}

/// What is checked without running anything of ours.
pub fn static_steps() -> Vec<(&'static str, Command)> {
    let mut format = host::cargo();
    format.args(["fmt", "--all", "--check"]);
    // The kernel side compiles for its own target only.
    let mut lints = host::cargo();
    lints.args([
        "clippy",
        "--quiet",
        "--workspace",
        "--exclude",
        "agent-ebpf",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]);
    let mut docs = host::cargo();
    docs.args(["doc", "--quiet", "--workspace", "--exclude", "agent-ebpf", "--no-deps", "--document-private-items"]);
    docs.env("RUSTDOCFLAGS", "-D warnings");
    vec![("format", format), ("lints", lints), ("kernel lints", kernel_lints()), ("docs", docs)]
}

/// The kernel side's lints, as agent/build.rs builds it, in the folder where it does: `core`, aya and the macros are
/// there already.
fn kernel_lints() -> Command {
    let mut lints = host::cargo();
    lints.args(["clippy", "--quiet", "--package", "agent-ebpf", "--release", "--target", "bpfel-unknown-none"]);
    lints.args(["-Z", "build-std=core", "--target-dir"]).arg(host::target().join("kernel/agent-ebpf"));
    lints.args(["--", "-D", "warnings"]);
    let flags = format!("--cfg=bpf_target_arch=\"{}\"\x1f-Cdebuginfo=2\x1f-Clink-arg=--btf", std::env::consts::ARCH);
    lints.env("RUSTC_BOOTSTRAP", "1").env("CARGO_ENCODED_RUSTFLAGS", flags);
    lints
}
