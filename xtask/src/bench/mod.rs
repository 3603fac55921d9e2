//! `cargo xtask bench`: what capturing costs, each figure against its goal, as a table for the README. Only ratios: the
//! same work with and without, in alternating pairs, so that other machines can repeat it. Give it a quiet machine.
//!
//! - `cost`: CPU of nginx, and of all that takes part, per request, with capture over without.
//! - `read`: a capture file read by `tapwire read` and by tshark.
//! - `memory`: what the agent needs beyond its store.

mod agent;
mod capture_file;
mod cost;
mod load;
mod memory;
mod proc;
mod read;
mod spoken;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};

use crate::{host, tools};

/// The fewest pairs that have a median.
const ROUNDS: u64 = 3;

/// One load: long enough that the clock's ticks (10 ms of CPU) do not matter.
const SECONDS: u64 = 8;

/// A line of the table.
pub struct Row {
    pub what: String,
    pub measured: String,
    pub goal: String,
    /// None for a reference, which has no goal.
    pub met: Option<bool>,
    pub beside: String,
}

pub fn bench(args: &[String]) -> Result<ExitCode> {
    let mut args = args.to_vec();
    let rounds = host::take_number(&mut args, "--rounds")?.unwrap_or(ROUNDS).max(1);
    let seconds = host::take_number(&mut args, "--seconds")?.unwrap_or(SECONDS).max(1);
    let part = |name: &str| args.is_empty() || args.iter().any(|arg| arg == name);
    if let Some(unknown) = args.iter().find(|arg| !["cost", "read", "memory"].contains(&arg.as_str())) {
        bail!("no part {unknown:?} of the bench; there are: cost, read, memory");
    }
    if (part("cost") || part("memory")) && !host::is_root() {
        bail!("capturing needs root's rights: run `cargo xtask bench` as root (`bench read` alone needs none)");
    }
    tools::programs_for_bench()?;
    tools::bpf_linker()?;
    host::run(host::cargo().args(["build", "--release", "--package", "tapwire", "--bin", "tapwire"]))?;
    let setup =
        Setup { tapwire: host::target().join("release/tapwire"), dir: host::target().join("bench"), rounds, seconds };
    std::fs::create_dir_all(&setup.dir)?;

    let mut rows = Vec::new();
    if part("cost") {
        rows.extend(cost::cost(&setup)?);
    }
    if part("read") {
        rows.extend(read::read(&setup)?);
    }
    if part("memory") {
        rows.extend(memory::memory(&setup)?);
    }
    print!("{}", table(&rows, &args));
    println!("\n{}", machine());
    Ok(ExitCode::SUCCESS)
}

pub struct Setup {
    pub tapwire: PathBuf,
    /// For files: target/bench.
    pub dir: PathBuf,
    pub rounds: u64,
    pub seconds: u64,
}

fn table(rows: &[Row], args: &[String]) -> String {
    let mut text = format!("\n`cargo xtask bench{}{}`\n\n", if args.is_empty() { "" } else { " " }, args.join(" "));
    text.push_str("| what | measured | goal | | beside |\n|---|---|---|---|---|\n");
    for Row { what, measured, goal, met, beside } in rows {
        let met = match met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "reference",
        };
        text.push_str(&format!("| {what} | {measured} | {goal} | {met} | {beside} |\n"));
    }
    text
}

/// What the figures were measured on.
fn machine() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("Linux {}, {cores} cores ({}).", kernel.trim(), model.unwrap_or("unknown processor"))
}

/// The middle one, and the range.
pub struct Median {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

pub fn median(mut values: Vec<f64>) -> Median {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    let half = values.len() / 2;
    let value = if values.len() % 2 == 1 { at(half) } else { (at(half.wrapping_sub(1)) + at(half)) / 2.0 };
    Median { value, low: at(0), high: at(values.len().wrapping_sub(1)) }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_middle_one() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]).value, 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]).value, 2.5);
        assert_eq!(median(vec![3.0, 1.0]).high, 3.0);
        assert!(median(Vec::new()).value.is_nan());
    }
}
