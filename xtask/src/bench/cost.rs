//! What capturing costs the application: CPU per request of nginx, and of nginx, load generator and agent together,
//! with capture over without. The total matters because an agent that fills a core makes the others batch, which
//! flatters nginx's figure; the share of requests that were recorded because dropping is cheap.

use std::{
    io::Read,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};

use super::{Median, Row, Setup, agent::Agent, load::Load, load::Nginx, median, proc};

/// What watches the load.
#[derive(Clone, Copy)]
enum Watcher {
    Heads,
    Whole,
    Tcpdump,
}

struct Pair {
    nginx: f64,
    total: f64,
    /// Of the requests (agent) or packets (tcpdump) that passed.
    recorded: f64,
    nginx_ticks_per_request: f64,
}

pub fn cost(setup: &Setup) -> Result<Vec<Row>> {
    let nginx = Nginx::start(&setup.dir)?;
    // The first load warms caches and clocks.
    nginx.load(2)?;
    let watchers = [Watcher::Heads, Watcher::Whole, Watcher::Tcpdump];
    let mut pairs: [Vec<Pair>; 3] = Default::default();
    for round in 1..=setup.rounds {
        for (watcher, pairs) in watchers.into_iter().zip(&mut pairs) {
            let without = nginx.load(setup.seconds)?;
            let (with, watcher_ticks, recorded) = watched(setup, &nginx, watcher)?;
            let pair = Pair::new(&without, &with, watcher_ticks, recorded);
            eprintln!(
                "xtask: round {round}, {}: nginx {:.2}, total {:.2}, recorded {:.1} %, {} and {} requests",
                watcher.name(),
                pair.nginx,
                pair.total,
                pair.recorded * 100.0,
                without.requests,
                with.requests
            );
            pairs.push(pair);
        }
    }
    Ok(watchers.into_iter().zip(&pairs).flat_map(|(watcher, pairs)| rows(watcher, pairs)).collect())
}

impl Watcher {
    fn name(self) -> &'static str {
        match self {
            Self::Heads => "heads only (`--body-rate 0`)",
            Self::Whole => "whole",
            Self::Tcpdump => "`tcpdump -i lo -w /dev/null`",
        }
    }

    /// The most that nginx, and that all together, may take.
    fn goals(self) -> (Option<f64>, Option<f64>) {
        match self {
            Self::Heads => (Some(1.10), Some(1.25)),
            Self::Whole => (Some(1.25), None),
            Self::Tcpdump => (None, None),
        }
    }
}

impl Pair {
    fn new(without: &Load, with: &Load, watcher_ticks: u64, recorded: f64) -> Self {
        let per_request = |ticks: u64, load: &Load| ticks as f64 / load.requests as f64;
        let all = |load: &Load, more: u64| per_request(load.nginx_ticks + load.wrk_ticks + more, load);
        let nginx_ticks_per_request = per_request(without.nginx_ticks, without);
        Self {
            nginx: per_request(with.nginx_ticks, with) / nginx_ticks_per_request,
            total: all(with, watcher_ticks) / all(without, 0),
            recorded,
            nginx_ticks_per_request,
        }
    }
}

/// A load while somebody watches: what it took, what the watcher took, and the share that it recorded.
fn watched(setup: &Setup, nginx: &Nginx, watcher: Watcher) -> Result<(Load, u64, f64)> {
    match watcher {
        Watcher::Heads => by_agent(setup, nginx, &["--body-rate", "0"]),
        Watcher::Whole => by_agent(setup, nginx, &[]),
        Watcher::Tcpdump => by_tcpdump(setup, nginx),
    }
}

fn by_agent(setup: &Setup, nginx: &Nginx, flags: &[&str]) -> Result<(Load, u64, f64)> {
    let agent = Agent::start(setup, flags)?;
    let records = agent.settled_records()?;
    let before = agent.ticks()?;
    let load = nginx.load(setup.seconds)?;
    // The work that is left over counts too.
    let records = agent.settled_records()? - records;
    let ticks = agent.ticks()? - before;
    let recorded = records as f64 / load.requests as f64;
    Ok((load, ticks, recorded))
}

fn by_tcpdump(setup: &Setup, nginx: &Nginx) -> Result<(Load, u64, f64)> {
    // -Z root: it need not write to files of its own user here, and changing users takes time.
    let mut command = Command::new("tcpdump");
    let mut tcpdump: Child = command
        .args(["-i", "lo", "-Z", "root", "-w", "/dev/null"])
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start tcpdump")?;
    thread::sleep(Duration::from_secs(1));
    let before = proc::ticks(&[tcpdump.id()])?;
    let load = nginx.load(setup.seconds)?;
    thread::sleep(Duration::from_secs(1));
    let ticks = proc::ticks(&[tcpdump.id()])? - before;
    let _ = Command::new("sh").args(["-c", &format!("kill -INT {}", tcpdump.id())]).status();
    let mut report = String::new();
    if let Some(mut stderr) = tcpdump.stderr.take() {
        stderr.read_to_string(&mut report)?;
    }
    tcpdump.wait()?;
    let packets = |what: &str| -> Option<f64> {
        report.lines().find_map(|line| line.trim().strip_suffix(what)?.trim().parse().ok())
    };
    let captured = packets("packets captured").with_context(|| format!("tcpdump: {report}"))?;
    let dropped = packets("packets dropped by kernel").unwrap_or(0.0);
    Ok((load, ticks, captured / (captured + dropped)))
}

fn rows(watcher: Watcher, pairs: &[Pair]) -> [Row; 2] {
    let recorded = median(pairs.iter().map(|pair| pair.recorded).collect());
    let nginx = median(pairs.iter().map(|pair| pair.nginx).collect());
    let total = median(pairs.iter().map(|pair| pair.total).collect());
    let own = median(pairs.iter().map(|pair| pair.nginx_ticks_per_request).collect()).value;
    let unit = match watcher {
        Watcher::Heads | Watcher::Whole => "requests",
        Watcher::Tcpdump => "packets",
    };
    let beside = format!("{:.1} % of the {unit} recorded", recorded.value * 100.0);
    let (nginx_goal, total_goal) = watcher.goals();
    let row = |what: &str, measured: &Median, goal: Option<f64>, beside: String| Row {
        what: format!("{what}, {}", watcher.name()),
        measured: format!("{:.2} ({:.2}–{:.2})", measured.value, measured.low, measured.high),
        goal: goal.map_or_else(String::new, |goal| format!("≤ {goal:.2}")),
        met: goal.map(|goal| measured.value <= goal),
        beside,
    };
    let micros = own * 1e6 / ticks_per_second();
    [
        row("nginx CPU a request, 10 KB", &nginx, nginx_goal, format!("{beside}; {micros:.1} µs without")),
        row("CPU of nginx, wrk and watcher", &total, total_goal, beside),
    ]
}

fn ticks_per_second() -> f64 {
    let printed = crate::host::output(Command::new("getconf").arg("CLK_TCK")).ok();
    printed.and_then(|text| text.trim().parse().ok()).unwrap_or(100.0)
}
