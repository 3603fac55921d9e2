//! The hooks as data: one loop attaches them, or notes why one was skipped.

use std::fs::File;

use aya::{
    Ebpf,
    programs::{CgroupAttachMode, CgroupSkb, CgroupSkbAttachType, CgroupSockAddr, Program, ProgramError},
};

use crate::status;

/// How a program is attached.
#[derive(Clone, Copy)]
enum Point {
    Packets(CgroupSkbAttachType),
    Connect,
}

struct Hook {
    /// The program's name in the object.
    name: &'static str,
    point: Point,
    /// Without it nothing is captured.
    required: bool,
}

static HOOKS: &[Hook] = &[
    // The marks come first: a connection that the agent makes is its own from the first packet on.
    Hook { name: "connect_ipv4", point: Point::Connect, required: false },
    Hook { name: "connect_ipv6", point: Point::Connect, required: false },
    Hook { name: "packet_ingress", point: Point::Packets(CgroupSkbAttachType::Ingress), required: true },
    Hook { name: "packet_egress", point: Point::Packets(CgroupSkbAttachType::Egress), required: true },
];

/// A required hook that could not be attached.
#[derive(Debug, thiserror::Error)]
#[error("hook {name}: {reason}")]
pub struct RequiredHook {
    pub name: &'static str,
    pub reason: String,
}

/// Loads and attaches each hook at the cgroup. They are detached when the `Ebpf` is dropped, or its process ends.
pub fn attach_all(ebpf: &mut Ebpf, cgroup: &File) -> Result<Vec<status::Hook>, RequiredHook> {
    let mut report = Vec::with_capacity(HOOKS.len());
    for hook in HOOKS {
        let outcome = attach(ebpf, hook, cgroup).map_err(|error| one_line(&error));
        match &outcome {
            Ok(()) => tracing::debug!(hook = hook.name, "hook attached"),
            Err(reason) if hook.required => return Err(RequiredHook { name: hook.name, reason: reason.clone() }),
            Err(reason) => tracing::warn!(hook = hook.name, %reason, "hook skipped"),
        }
        report.push(status::Hook { name: hook.name, attached: outcome.is_ok(), reason: outcome.err() });
    }
    Ok(report)
}

fn attach(ebpf: &mut Ebpf, hook: &Hook, cgroup: &File) -> Result<(), ProgramError> {
    let program: &mut Program = ebpf.program_mut(hook.name).ok_or(ProgramError::UnexpectedProgramType)?;
    // `Single` is what a cgroup link takes: it is a multi attachment all the same.
    match hook.point {
        Point::Packets(kind) => {
            let program: &mut CgroupSkb = program.try_into()?;
            program.load()?;
            program.attach(cgroup, kind, CgroupAttachMode::Single)?;
        }
        Point::Connect => {
            let program: &mut CgroupSockAddr = program.try_into()?;
            program.load()?;
            program.attach(cgroup, CgroupAttachMode::Single)?;
        }
    }
    Ok(())
}

/// An error with its causes in one line. A verifier log's last lines say what is wrong; the rest goes to debug.
pub fn one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    tracing::debug!(error = %text, "kernel refused");
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    match lines.as_slice() {
        [] | [_] => text.trim().to_owned(),
        [first, .., last] => format!("{} … {}", first.trim(), last.trim()),
    }
}
