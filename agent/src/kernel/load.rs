//! Loads the object with its settings and attaches the hooks. Everything ends with the process: links, maps and
//! programs are held by file descriptors alone, so that even `kill -9` leaves nothing behind.

use std::{
    fs::File,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use agent_common::{Cut, names, socket};
use aya::{
    Ebpf, EbpfLoader,
    maps::{MapData, SkStorage},
};

use super::{
    hooks::{self, one_line},
    ring::{Ring, RingError},
};
use crate::status;

/// The kernel side, as `build.rs` left it.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/agent-ebpf"));

/// The front of a turn that is always copied: the heads of nearly all requests and answers.
const TURN_HEAD: u32 = 4096;
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
    /// False: heads only.
    pub bodies: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("capturing needs root (or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON): run it with sudo, or as a privileged container")]
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
#[derive(Debug)]
pub struct Kernel {
    pub ebpf: Ebpf,
    pub hooks: Vec<status::Hook>,
    sockets: SkStorage<MapData, [u32; 4]>,
}

impl Kernel {
    /// Marks a listening socket as the agent's: what it accepts is never captured, at neither end.
    pub fn mark_own(&mut self, listener: &impl AsRawFd) -> Result<(), LoadError> {
        // `SocketState`: two sequence numbers, bytes of the turn, flags.
        let state = [0, 0, 0, socket::OWN];
        self.sockets.insert(listener, &state, 0).map_err(|error| LoadError::Refused(one_line(&error)))
    }
}

/// Loads and attaches. The ring is apart, since another thread reads it.
pub fn load(options: &Options) -> Result<(Kernel, Ring), LoadError> {
    if !Path::new(BTF).exists() {
        return Err(LoadError::NoBtf);
    }
    lift_memlock();
    let max_body = u32::try_from(options.max_body).unwrap_or(u32::MAX);
    let (turn_budget, cut) = if options.bodies {
        (max_body.saturating_add(TURN_SLACK), Cut::Budget)
    } else {
        (TURN_HEAD, Cut::BodyRate)
    };
    let settings: [u32; 4] = [turn_budget, cut as u32, WAKE_AT, std::process::id()];
    let log_level = log_level();
    let mut ebpf = EbpfLoader::new()
        .override_global(names::SETTINGS, settings.as_slice(), true)
        .override_global(aya_log::LEVEL, &log_level, false)
        .load(OBJECT)
        .map_err(|error| refused(&error))?;
    let cgroup = File::open(&options.cgroup).map_err(|error| LoadError::Cgroup { path: options.cgroup.clone(), error })?;
    let sockets = ebpf
        .take_map(names::SOCKETS)
        .and_then(|map| SkStorage::try_from(map).ok())
        .ok_or_else(|| LoadError::Refused("the object has no socket storage".to_owned()))?;
    let ring = Ring::open(&mut ebpf)?;
    let hooks = hooks::attach_all(&mut ebpf, &cgroup)?;
    Ok((Kernel { ebpf, hooks, sockets }, ring))
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
