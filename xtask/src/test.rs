//! `cargo xtask test`: everything, from a fresh clone, with what it needs installed; what CI runs. Goes on after a
//! failure, so that one run shows them all. The last line counts the tests as cargo's test runner reports them; another
//! step (format, lints, docs, a fuzz target) that fails counts as one failure more.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, ExitCode, Stdio},
    time::Instant,
};

use anyhow::{Context, Result};

use crate::{check, fuzz, host, kafka, peers, tools};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

pub fn test(args: &[String]) -> Result<ExitCode> {
    host::no_more(args)?;
    tools::programs_for_tests()?;
    tools::bpf_linker()?;
    tools::cargo_fuzz()?;
    let python = tools::python()?;
    let go_peer = peers::go_peer()?;
    let kafka = kafka::for_tests()?;

    let mut report = Report::default();
    for (name, mut command) in check::static_steps() {
        report.step(name, &mut command);
    }
    // Tests with real programs start the binary that users run.
    let mut build = host::cargo();
    build.args(["build", "--release", "--package", "tapwire", "--bin", "tapwire"]);
    if report.step("release build", &mut build) {
        let mut tests = host::cargo();
        tests.args(["test", "--workspace", "--exclude", "agent-ebpf", "--no-fail-fast"]);
        tests.env("TAPWIRE_BIN", host::target().join("release/tapwire")).env("TAPWIRE_TEST_PYTHON", &python);
        tests.env("TAPWIRE_TEST_GO_PEER", &go_peer).env("TAPWIRE_TEST_KAFKA", &kafka);
        report.tests(&mut tests)?;
    }
    if report.step("fuzz build", &mut fuzz::build()) {
        for target in fuzz::targets()? {
            report.step(&format!("fuzz {target}"), &mut fuzz::command(&target, fuzz::CI_SECONDS));
        }
    }
    Ok(report.close())
}

#[derive(Default)]
struct Report {
    lines: Vec<String>,
    skipped: Vec<String>,
    counts: Counts,
}

impl Report {
    /// A step that succeeds or fails as a whole.
    fn step(&mut self, name: &str, command: &mut Command) -> bool {
        println!("\n==> {name}: {}", host::shown(command));
        let start = Instant::now();
        let done = host::run(command);
        if let Err(error) = &done {
            self.counts.failed += 1;
            println!("{error:#}");
        }
        self.line(name, done.is_ok(), start);
        done.is_ok()
    }

    /// Cargo's tests, counted from what the test runner prints, which is passed on.
    fn tests(&mut self, command: &mut Command) -> Result<()> {
        println!("\n==> tests: {}", host::shown(command));
        let start = Instant::now();
        let mut child = command.stdout(Stdio::piped()).spawn().context("cannot start cargo")?;
        let before = self.counts;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).split(b'\n') {
                let line = line.context("cannot read the tests' output")?;
                let line = String::from_utf8_lossy(&line);
                let _ = writeln!(std::io::stdout(), "{line}");
                self.read(&line);
            }
        }
        let passed = child.wait().context("cannot wait for cargo")?.success();
        // A test program that died or did not compile reports no failed test.
        if !passed && self.counts.failed == before.failed {
            self.counts.failed += 1;
        }
        self.line("tests", passed, start);
        Ok(())
    }

    /// One line of the test runner's output.
    fn read(&mut self, line: &str) {
        if let Some(counts) = result_line(line) {
            self.counts.passed += counts.passed;
            self.counts.failed += counts.failed;
            self.counts.skipped += counts.skipped;
        } else if let Some((_, why)) = line.split_once("skipped: ") {
            // A test that cannot run here says so and returns, which the runner takes for passed.
            self.skipped.push(format!("skipped: {why}"));
        }
    }

    fn line(&mut self, name: &str, passed: bool, start: Instant) {
        let word = if passed { "ok" } else { "FAILED" };
        self.lines.push(format!("{name:24} {word:7} {:5.0} s", start.elapsed().as_secs_f64()));
    }

    fn close(mut self) -> ExitCode {
        println!("\nSummary");
        for line in self.lines.iter().chain(&self.skipped) {
            println!("  {line}");
        }
        let said = self.skipped.len() as u64;
        self.counts.passed = self.counts.passed.saturating_sub(said);
        self.counts.skipped += said;
        println!("{}", closing_line(self.counts));
        if self.counts.failed == 0 && self.counts.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn closing_line(counts: Counts) -> String {
    let Counts { passed, failed, skipped } = counts;
    let skipped = if skipped > 0 { format!(", {skipped} skipped") } else { String::new() };
    format!("{passed} passed, {failed} failed{skipped}")
}

/// `test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; …`
fn result_line(line: &str) -> Option<Counts> {
    let (_, rest) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let count =
        |word: &str| -> Option<u64> { rest.split("; ").find_map(|part| part.strip_suffix(word))?.trim().parse().ok() };
    Some(Counts { passed: count("passed")?, failed: count("failed")?, skipped: count("ignored")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_the_runners_lines() {
        let mut report = Report::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.00s",
            "test result: FAILED. 1 passed; 2 failed; 4 ignored; 0 measured; 0 filtered out; finished in 1.00s",
            "skipped: needs root (live)",
        ] {
            report.read(line);
        }
        assert_eq!(report.counts, Counts { passed: 4, failed: 2, skipped: 4 });
        assert_eq!(report.skipped, ["skipped: needs root (live)"]);
        assert_eq!(result_line("test a ... ok"), None);
    }

    #[test]
    fn closes_with_the_plain_line() {
        assert_eq!(closing_line(Counts { passed: 2, failed: 1, skipped: 0 }), "2 passed, 1 failed");
        assert_eq!(closing_line(Counts { passed: 2, failed: 0, skipped: 3 }), "2 passed, 0 failed, 3 skipped");
    }
}
