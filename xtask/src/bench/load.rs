//! The load: nginx that serves one 10 KB file from memory, and wrk that asks for it, both on loopback.

use std::{
    fs,
    io::Read,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use super::proc;
use crate::{host, http};

pub const BODY: usize = 10 * 1024;

/// Few enough that one worker serves them in turn, enough that it always has work.
const CONNECTIONS: u32 = 32;

pub struct Nginx {
    master: Child,
    /// Master and workers.
    pub pids: Vec<u32>,
    pub url: String,
}

/// What one load took.
pub struct Load {
    pub requests: u64,
    pub nginx_ticks: u64,
    pub wrk_ticks: u64,
}

impl Nginx {
    pub fn start(dir: &Path) -> Result<Self> {
        let address = http::free_address()?;
        let www = dir.join("www");
        fs::create_dir_all(&www)?;
        fs::write(www.join("10k"), "tapwire\n".repeat(BODY / 8))?;
        let (www, dir) = (www.display(), dir.display());
        let config = format!(
            "daemon off; pid {dir}/nginx.pid; error_log {dir}/nginx.log; worker_processes 1; user root;
             events {{ worker_connections 1024; }}
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
               client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
               uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5; open_file_cache max=10;
               server {{ listen {address}; root {www}; }} }}"
        );
        let file = Path::new(&dir.to_string()).join("nginx.conf");
        fs::write(&file, config)?;
        let nginx = host::which("nginx").context("nginx is not installed")?;
        let mut command = Command::new(nginx);
        let master = command.arg("-c").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut nginx = Self { master, pids: Vec::new(), url: format!("http://{address}/10k") };
        for _ in 0..50 {
            thread::sleep(Duration::from_millis(100));
            if http::get(&address.to_string(), "/10k").is_ok() {
                nginx.pids = proc::children(nginx.master.id())?;
                nginx.pids.push(nginx.master.id());
                return Ok(nginx);
            }
        }
        bail!("nginx does not start: see {dir}/nginx.log");
    }

    /// wrk at full speed for so long.
    pub fn load(&self, seconds: u64) -> Result<Load> {
        let before = proc::ticks(&self.pids)?;
        let mut wrk = Command::new("wrk")
            .args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s"), &self.url])
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start wrk")?;
        let mut report = String::new();
        wrk.stdout.take().context("no output of wrk")?.read_to_string(&mut report)?;
        // Ended, but not yet waited for: its figures are still there.
        while proc::stat(wrk.id())?.state != 'Z' {
            thread::sleep(Duration::from_millis(1));
        }
        let wrk_ticks = proc::ticks(&[wrk.id()])?;
        let nginx_ticks = proc::ticks(&self.pids)? - before;
        if !wrk.wait()?.success() || report.contains("Socket errors") || report.contains("Non-2xx") {
            bail!("wrk: {report}");
        }
        let requests = requests(&report).with_context(|| format!("wrk: {report}"))?;
        Ok(Load { requests, nginx_ticks, wrk_ticks })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM to the master ends the workers too.
        let _ = Command::new("sh").args(["-c", &format!("kill {}", self.master.id())]).status();
        let _ = self.master.wait();
    }
}

/// `  123 requests in 8.00s, 1.21GB read`
fn requests(report: &str) -> Option<u64> {
    report.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok())
}

#[cfg(test)]
mod tests {
    #[test]
    fn reads_the_generators_count() {
        let report = "  Latency 1ms\n  421934 requests in 8.10s, 4.13GB read\nRequests/sec:  52090.8\n";
        assert_eq!(super::requests(report), Some(421_934));
    }
}
