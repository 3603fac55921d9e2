//! Loads the object with its settings and attaches the hooks. Everything ends with the process: links, maps and
//! programs are held by file descriptors alone, so that even `kill -9` leaves nothing behind.

use std::{
    fs::File,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use agent_common::{ALLOWANCE_WINDOW, names, socket};
use aya::{
    Ebpf, EbpfLoader,
    maps::{MapError, SkStorage},
};

use super::{
    hooks::{self, one_line},
    ring::{Ring, RingError},
};
use crate::status;

/// The kernel side, as `build.rs` left it.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/agent-ebpf"));

/// Beyond `--max-body`, what a turn may have in heads, chunk sizes and further messages.
const TURN_SLACK: u32 = 64 << 10;
/// Waiting bytes from which the reader is woken: an eighth of the ring, far above what comes in between two looks at
/// ordinary load.
const WAKE_AT: u32 = 4 << 20;

const BTF: &str = "/sys/kernel/btf/vmlinux";

#[derive(Clone, Debug)]
pub struct Options {
    pub cgroup: PathBuf,
    pub max_body: u64,
    /// Body bytes copied a second; 0: heads only.
    pub body_rate: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(
        "capturing needs root (or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON): run it with sudo, or as a privileged container"
    )]
    NotPermitted,
    #[error("this kernel has no BTF ({BTF}): capturing needs Linux 5.8 or later built with CONFIG_DEBUG_INFO_BTF")]
    NoBtf,
    #[error("cannot open the cgroup {path}: {error}")]
    Cgroup { path: PathBuf, error: std::io::Error },
    #[error("the kernel refused the programs: {0}")]
    Refused(String),
    #[error("{0}; capturing needs Linux 5.8 or later with cgroup2")]
    Hook(#[from] hooks::RequiredHook),
    #[error(transparent)]
    Ring(#[from] RingError),
}

/// Holds what is loaded; dropping it detaches everything.
pub struct Kernel {
    pub hooks: Vec<status::Hook>,
    log: aya_log::EbpfLogger<&'static dyn log::Log>,
    _ebpf: Ebpf,
}

impl Kernel {
    /// Passes the kernel side's debug lines on to `tracing`.
    pub fn flush_log(&mut self) {
        self.log.flush();
    }
}

/// Loads and attaches. The ring is apart, since another thread reads it. What `own` accepts is the agent's: it is never
/// captured, at neither end.
pub fn load(options: &Options, own: &impl AsRawFd) -> Result<(Kernel, Ring), LoadError> {
    if !may_load_programs() {
        return Err(LoadError::NotPermitted);
    }
    if !Path::new(BTF).exists() {
        return Err(LoadError::NoBtf);
    }
    lift_memlock();
    let max_body = u32::try_from(options.max_body).unwrap_or(u32::MAX);
    let windows = 1_000_000_000 / ALLOWANCE_WINDOW;
    let allowance = u32::try_from(options.body_rate.div_ceil(windows)).unwrap_or(u32::MAX);
    // The fields of `Settings`, in order.
    let settings: [u32; 4] = [max_body.saturating_add(TURN_SLACK), allowance, WAKE_AT, std::process::id()];
    let log_level = log_level();
    let mut ebpf = EbpfLoader::new()
        .override_global(names::SETTINGS, settings.as_slice(), true)
        .override_global(aya_log::LEVEL, &log_level, false)
        .load(OBJECT)
        .map_err(|error| refused(&error))?;
    let log = aya_log::EbpfLogger::init(&mut ebpf).map_err(|error| refused(&error))?;
    let cgroup =
        File::open(&options.cgroup).map_err(|error| LoadError::Cgroup { path: options.cgroup.clone(), error })?;
    mark_own(&mut ebpf, own).map_err(|error| refused(&error))?;
    let ring = Ring::open(&mut ebpf)?;
    let hooks = hooks::attach_all(&mut ebpf, &cgroup)?;
    Ok((Kernel { hooks, log, _ebpf: ebpf }, ring))
}

/// Accepted sockets inherit the listener's mark (`BPF_F_CLONE`).
fn mark_own(ebpf: &mut Ebpf, listener: &impl AsRawFd) -> Result<(), MapError> {
    let map = ebpf.map_mut(names::SOCKETS).ok_or(MapError::ElementNotFound)?;
    let mut sockets: SkStorage<_, [u32; 5]> = SkStorage::try_from(map)?;
    // The fields of `SocketState`: two sequence numbers, bytes of the turn, flags, and what was looked at.
    sockets.insert(listener, &[0, 0, 0, socket::OWN, 0], 0)
}

/// CAP_SYS_ADMIN, or CAP_BPF (Linux 5.8) with CAP_NET_ADMIN, among the effective capabilities (capabilities(7)). Asked
/// first, since the loader's own probes complain at length. Unknown counts as yes: the kernel then has the last word.
fn may_load_programs() -> bool {
    const NET_ADMIN: u64 = 1 << 12;
    const SYS_ADMIN: u64 = 1 << 21;
    const BPF: u64 = 1 << 39;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(effective) = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()) else { return true };
    effective & SYS_ADMIN != 0 || effective & (BPF | NET_ADMIN) == BPF | NET_ADMIN
}

fn refused(error: &(dyn std::error::Error + 'static)) -> LoadError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::PermissionDenied
        {
            return LoadError::NotPermitted;
        }
        source = cause.source();
    }
    LoadError::Refused(one_line(error))
}

/// Kernels before 5.11 charge maps to RLIMIT_MEMLOCK. Where it can't be raised, loading says what is missing.
fn lift_memlock() {
    let unlimited = rustix::process::Rlimit { current: None, maximum: None };
    if let Err(error) = rustix::process::setrlimit(rustix::process::Resource::Memlock, unlimited) {
        tracing::debug!(%error, "RLIMIT_MEMLOCK not raised");
    }
}

/// The kernel side formats its debug lines only when somebody reads them.
fn log_level() -> u8 {
    let level = if tracing::enabled!(tracing::Level::TRACE) {
        aya_log::Level::Trace
    } else if tracing::enabled!(tracing::Level::DEBUG) {
        aya_log::Level::Debug
    } else {
        aya_log::Level::Warn
    };
    level as u8
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        net::{TcpListener, TcpStream},
        time::{Duration, Instant},
    };

    use super::*;
    use crate::kernel::cgroup2_root;

    /// Payloads of events that mention `mark`, until `enough` were seen or five seconds passed.
    fn hear(ring: &mut Ring, mark: &str, enough: usize) -> Vec<usize> {
        let mut lengths = Vec::new();
        let end = Instant::now() + Duration::from_secs(5);
        while lengths.len() < enough && Instant::now() < end {
            ring.drain(usize::MAX, |event| {
                let found = event.windows(mark.len()).filter(|window| *window == mark.as_bytes()).count();
                if found > 0 {
                    lengths.push(agent_common::Event::decode(event).map_or(0, |(event, _)| event.copied as usize));
                }
            });
            ring.wait(Duration::from_millis(10));
        }
        lengths
    }

    #[test]
    fn the_programs_load_here_and_see_a_call_once_and_the_agents_own_never() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: needs root");
            return;
        }
        let cgroup = cgroup2_root(None).unwrap();
        let options = Options { cgroup, max_body: 65_536, body_rate: 100 << 20 };
        // A server that the agent owns and another one; a shell calls both.
        let own = TcpListener::bind("127.0.0.1:0").unwrap();
        let (kernel, mut ring) = load(&options, &own).unwrap();
        assert!(kernel.hooks.iter().all(|hook| hook.attached), "{:?}", kernel.hooks);
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let say = |listener: &TcpListener, mark: &str| {
            let port = listener.local_addr().unwrap().port();
            let script = format!("exec 3<>/dev/tcp/127.0.0.1/{port}; echo {mark} >&3; cat <&3");
            let mut shell = std::process::Command::new("bash").args(["-c", &script]).spawn().unwrap();
            let (mut stream, _) = listener.accept().unwrap();
            stream.write_all(format!("answer-{mark}\n").as_bytes()).unwrap();
            drop(stream);
            shell.wait().unwrap();
        };
        say(&own, "mark-of-own");
        say(&other, "mark-of-other");
        // The question and the answer, each at its sender alone.
        assert_eq!(hear(&mut ring, "mark-of-other", 2).len(), 2);
        assert_eq!(hear(&mut ring, "mark-of-own", 1).len(), 0);

        // What the agent calls is its own, too.
        let client = std::thread::spawn({
            let address = other.local_addr().unwrap();
            move || TcpStream::connect(address).unwrap().write_all(b"mark-of-agent").unwrap()
        });
        drop(other.accept().unwrap());
        client.join().unwrap();
        assert_eq!(hear(&mut ring, "mark-of-agent", 1).len(), 0);
        let counters = ring.counters().unwrap();
        assert!(counters.own > 0 && counters.twins > 0, "{counters:?}");
        assert_eq!(counters.ring_full, 0);
    }
}
