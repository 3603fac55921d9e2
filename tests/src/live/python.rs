//! The scripts in `tests/live`, by the system's Python; those that speak MCP by one that has the official client.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;

/// The system's, which every user can run.
pub const PYTHON: &str = "/usr/bin/python3";

/// `client.py`: what it did, by its own log.
pub fn client(args: &[&str]) -> Vec<Value> {
    json_lines(&run_script(Command::new(PYTHON), "client.py", args))
}

/// JSON, one value a line.
pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// The path of a script.
pub fn script(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/live")).join(name)
}

/// Runs a script to its end, which must be a good one; what it prints.
pub fn run_script(mut command: Command, name: &str, args: &[&str]) -> String {
    let output = command.arg(script(name)).args(args).output().unwrap_or_else(|error| panic!("{name}: {error}"));
    text(name, &output)
}

fn text(name: &str, output: &Output) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}: {stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The Python that has the official MCP client; None when `cargo xtask test` has not installed it.
pub fn mcp() -> Option<PathBuf> {
    installed("TAPWIRE_TEST_PYTHON", "venv/bin/python")
}

/// What `cargo xtask test` installs: where the variable says, else at this place in the target folder.
pub(super) fn installed(variable: &str, place: &str) -> Option<PathBuf> {
    let given = std::env::var_os(variable).map(PathBuf::from);
    let installed = || {
        let test = std::env::current_exe().ok()?;
        Some(test.ancestors().nth(3)?.join(place))
    };
    given.or_else(installed).filter(|program| program.exists())
}
