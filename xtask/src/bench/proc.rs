//! What a process used, from /proc.

use std::fs;

use anyhow::{Context, Result};

/// CPU time of processes in clock ticks, user and system, by all their threads.
pub fn ticks(pids: &[u32]) -> Result<u64> {
    pids.iter().map(|&pid| Ok(stat(pid)?.ticks)).sum()
}

/// A line of /proc/PID/stat (proc_pid_stat(5)).
pub struct Stat {
    pub state: char,
    pub parent: u32,
    /// utime + stime.
    pub ticks: u64,
}

pub fn stat(pid: u32) -> Result<Stat> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid} is gone"))?;
    parse(&line).with_context(|| format!("/proc/{pid}/stat reads {line:?}"))
}

/// The second field, the command in brackets, may hold anything.
fn parse(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(") ")?;
    let field = |number: usize| rest.split(' ').nth(number - 3);
    let utime: u64 = field(14)?.parse().ok()?;
    let stime: u64 = field(15)?.parse().ok()?;
    Some(Stat { state: field(3)?.chars().next()?, parent: field(4)?.parse().ok()?, ticks: utime + stime })
}

/// The children of a process.
pub fn children(pid: u32) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(child) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that ended meanwhile is nobody's child.
        if stat(child).is_ok_and(|stat| stat.parent == pid) {
            found.push(child);
        }
    }
    Ok(found)
}

/// A size of /proc/PID/status in bytes, such as VmRSS.
pub fn memory(pid: u32, name: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("process {pid} is gone"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    Ok(kib.with_context(|| format!("no {name} of process {pid}"))? * 1024)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_a_line_with_a_hostile_command() {
        let stat =
            parse("7 (a) b (c) S 1 7 7 0 -1 4194304 10 0 0 0 12 30 5 6 20 0 1 0 100").unwrap_or_else(|| panic!());
        assert_eq!((stat.state, stat.parent, stat.ticks), ('S', 1, 42));
        assert!(parse("7 (a").is_none());
    }
}
