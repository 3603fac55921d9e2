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
    // The kernel side compiles for its own target only, inside the build of the agent.
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
    vec![("format", format), ("lints", lints), ("docs", docs)]
}
