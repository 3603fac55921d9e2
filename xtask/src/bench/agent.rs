//! An agent under measurement.

use std::{
    fs::File,
    process::{Child, Command},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::{Setup, proc};
use crate::http;

/// The counters have settled when they stand still for so long: several publishing intervals of 100 ms.
const SETTLED: Duration = Duration::from_millis(500);

pub struct Agent {
    child: Child,
    address: String,
}

impl Agent {
    pub fn start(setup: &Setup, flags: &[&str]) -> Result<Self> {
        let address = http::free_address()?.to_string();
        let log = setup.dir.join("agent.log");
        let out = File::create(&log)?;
        let mut command = Command::new(&setup.tapwire);
        command.args(["agent", "--listen", &address, "--token-file"]).arg(setup.dir.join("token")).args(flags);
        let child = command.stdout(out.try_clone()?).stderr(out).spawn()?;
        let mut agent = Self { child, address };
        for _ in 0..100 {
            thread::sleep(Duration::from_millis(100));
            if http::get(&agent.address, "/readyz").is_ok() {
                return Ok(agent);
            }
            if agent.child.try_wait()?.is_some() {
                break;
            }
        }
        bail!("the agent does not start: see {}", log.display());
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn ticks(&self) -> Result<u64> {
        proc::ticks(&[self.pid()])
    }

    /// A value of /metrics, summed over its labels.
    pub fn metric(&self, name: &str) -> Result<u64> {
        let text = http::get(&self.address, "/metrics")?;
        let mut values = text.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            (rest.starts_with(['{', ' '])).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        });
        let first = values.next().with_context(|| format!("/metrics has no {name}"))?;
        Ok((first + values.sum::<f64>()) as u64)
    }

    /// Records so far, once everything on its way has arrived.
    pub fn settled_records(&self) -> Result<u64> {
        let mut last = self.metric(RECORDS)?;
        for _ in 0..60 {
            thread::sleep(SETTLED);
            let now = self.metric(RECORDS)?;
            if now == last {
                return Ok(now);
            }
            last = now;
        }
        bail!("the agent's counters do not settle");
    }
}

const RECORDS: &str = "tapwire_records_total";

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = Command::new("sh").args(["-c", &format!("kill {}", self.child.id())]).status();
        let _ = self.child.wait();
    }
}
