//! What the agent needs beyond its store: its resident memory once the store is full and evicts.

use anyhow::{Result, bail};

use super::{Row, Setup, agent::Agent, load::Nginx, proc};

const GOAL: u64 = 40_000_000;

/// As `--memory` by default.
const STORE: u64 = 256 << 20;

/// A ring of segments is full a little before its limit.
const FULL: u64 = STORE / 100 * 95;

/// More would mean that the store never fills.
const LOADS: usize = 30;

pub fn memory(setup: &Setup) -> Result<Vec<Row>> {
    let nginx = Nginx::start(&setup.dir)?;
    let agent = Agent::start(setup, &["--memory", "256MiB"])?;
    let mut loads = 0;
    while agent.metric("tapwire_store_bytes")? < FULL {
        loads += 1;
        if loads > LOADS {
            bail!("the store is not full after {LOADS} loads");
        }
        nginx.load(setup.seconds)?;
        eprintln!("xtask: store at {} MB", agent.metric("tapwire_store_bytes")? / 1_000_000);
    }
    nginx.load(setup.seconds)?;
    agent.settled_records()?;
    let resident = proc::memory(agent.pid(), "VmRSS")?;
    let most = proc::memory(agent.pid(), "VmHWM")?;
    let beyond = resident.saturating_sub(STORE);
    let mb = |bytes: u64| bytes as f64 / 1e6;
    Ok(vec![Row {
        what: "agent VmRSS at full store, less `--memory`".to_owned(),
        measured: format!("{:.0} MB", mb(beyond)),
        goal: "≤ 40 MB".to_owned(),
        met: Some(beyond <= GOAL),
        beside: format!(
            "VmRSS {:.0} MB, at most {:.0} MB; store {:.0} MB of {:.0}",
            mb(resident),
            mb(most),
            mb(agent.metric("tapwire_store_bytes")?),
            mb(STORE)
        ),
    }])
}
