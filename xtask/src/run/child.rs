//! The agent as a child process: says what to do next once it answers, passes signals on, and ends as it ends.

use std::{
    io::ErrorKind,
    net::TcpListener,
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, ExitCode, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use anyhow::{Context, Result};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::http;

use super::{Rights, transcript::Transcript};

/// How often the agent is asked whether it is ready.
const POLL: Duration = Duration::from_millis(100);

/// A terminal sends Ctrl-C to the agent as well as to us: only one that did not end of it needs our signal.
const GRACE: Duration = Duration::from_millis(500);

enum Event {
    Signal(i32),
    Ended(std::io::Result<std::process::ExitStatus>),
}

/// Runs the agent to its end, and ends with its exit code.
pub fn supervise(mut command: Command, rights: Rights, transcript: Transcript) -> Result<ExitCode> {
    // Somebody else's agent would answer for ours; ours will say that the port is taken.
    let taken = TcpListener::bind(&transcript.listen).is_err_and(|error| error.kind() == ErrorKind::AddrInUse);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot handle signals")?;
    let mut child = command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let pid = child.id();
    let (events, inbox) = mpsc::channel();
    let from_signals = events.clone();
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let _ = from_signals.send(Event::Signal(signal));
        }
    });
    std::thread::spawn(move || {
        let _ = events.send(Event::Ended(wait(&mut child)));
    });
    let mut ready = taken;
    let status = loop {
        let event =
            if ready { inbox.recv().map_err(|_| RecvTimeoutError::Disconnected) } else { inbox.recv_timeout(POLL) };
        match event {
            Ok(Event::Ended(status)) => break status.context("cannot wait for the agent")?,
            Ok(Event::Signal(signal)) => {
                if let Ok(Event::Ended(status)) = inbox.recv_timeout(GRACE) {
                    break status.context("cannot wait for the agent")?;
                }
                pass_on(signal, pid, rights);
            }
            Err(RecvTimeoutError::Timeout) => {
                ready = http::get(&transcript.listen, "/readyz").is_ok();
                if ready {
                    transcript.print();
                }
            }
            Err(RecvTimeoutError::Disconnected) => anyhow::bail!("lost track of the agent"),
        }
    };
    // As a shell says it: 128 and the signal.
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

fn wait(child: &mut Child) -> std::io::Result<std::process::ExitStatus> {
    child.wait()
}

/// Sends a signal to the agent. Under sudo the child is sudo, which belongs to root: then sudo sends it too, from a
/// process group of its own, because sudo ignores signals that come from its own.
fn pass_on(signal: i32, pid: u32, rights: Rights) {
    let kill = format!("kill -{signal} {pid}");
    let mut command = match rights {
        Rights::Root => Command::new("sh"),
        Rights::Sudo => {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", "sh"]);
            sudo
        }
    };
    command.args(["-c", &kill]).process_group(0).stdin(Stdio::null());
    if !command.status().is_ok_and(|status| status.success()) {
        eprintln!("xtask: the agent runs on; end it by: sudo {kill}");
    }
}
