//! `cargo xtask run [-- AGENT FLAGS]`: from a fresh clone to a capturing agent. Builds and makes the token as the
//! calling user; only the agent itself gets root's rights, which loading programs into the kernel needs. What to type
//! next is printed once the agent answers.

mod child;
mod token;
mod transcript;

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::Result;

use crate::{host, tools};

const DEFAULT_LISTEN: &str = "127.0.0.1:7330";

pub fn run(args: &[String]) -> Result<ExitCode> {
    let flags = match args.split_first() {
        Some((first, rest)) if first == "--" => rest,
        _ => args,
    };
    // Asked first: nobody should wait for a build that cannot be used.
    let Some(rights) = rights() else {
        eprintln!(
            "error: capturing needs root's rights (the agent loads eBPF programs into the kernel), and this user has \
             neither them nor a sudo that grants them: run `cargo xtask run` as root, or as a user who may use sudo"
        );
        return Ok(ExitCode::FAILURE);
    };
    let binary = build()?;
    let mut agent = match rights {
        Rights::Root => Command::new(&binary),
        Rights::Sudo => by_sudo(&binary),
    };
    agent.arg("agent").args(flags);
    let given_file = given(flags, "--token-file", "TAPWIRE_TOKEN_FILE");
    let usual_token_file = given_file.is_none();
    let token_file = match given_file {
        Some(file) => std::path::absolute(file)?,
        None => {
            let file = token::make()?;
            agent.arg("--token-file").arg(&file);
            file
        }
    };
    let listen = given(flags, "--listen", "TAPWIRE_LISTEN").unwrap_or_else(|| DEFAULT_LISTEN.to_owned());
    let transcript = transcript::Transcript { binary, listen, token_file, usual_token_file };
    child::supervise(agent, rights, transcript)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rights {
    Root,
    Sudo,
}

/// How the agent gets its rights, if it can. Asks for sudo's password now, while the person is still looking.
fn rights() -> Option<Rights> {
    if host::is_root() {
        return Some(Rights::Root);
    }
    host::which("sudo")?;
    let asked = || std::io::stdin().is_terminal() && host::run(Command::new("sudo").arg("-v")).is_ok();
    (host::succeeds(Command::new("sudo").args(["-n", "true"])) || asked()).then_some(Rights::Sudo)
}

/// sudo clears the environment; the agent's variables are kept by name, so that no value stands in a command line.
fn by_sudo(binary: &Path) -> Command {
    let mut command = Command::new("sudo");
    let names: Vec<String> = std::env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with("TAPWIRE_") || name == "RUST_LOG")
        .collect();
    if !names.is_empty() {
        command.arg(format!("--preserve-env={}", names.join(",")));
    }
    command.arg("--").arg(binary);
    command
}

/// Builds what users run, so with optimisations.
fn build() -> Result<PathBuf> {
    tools::bpf_linker()?;
    let binary = host::target().join("release/tapwire");
    if !binary.exists() {
        eprintln!("xtask: building tapwire (the first build takes some minutes)");
    }
    host::run(host::cargo().args(["build", "--release", "--package", "tapwire", "--bin", "tapwire"]))?;
    Ok(binary)
}

/// The value of a flag: the last one given, else the variable's.
fn given(flags: &[String], name: &str, variable: &str) -> Option<String> {
    let mut value = std::env::var(variable).ok();
    for (at, flag) in flags.iter().enumerate() {
        match flag.strip_prefix(name) {
            Some("") => value = flags.get(at + 1).cloned(),
            Some(rest) => value = rest.strip_prefix('=').map(str::to_owned).or(value),
            None => {}
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::given;

    #[test]
    fn the_last_flag_counts() {
        let flags = ["--listen", "127.0.0.1:1", "--listener=no", "--listen=127.0.0.1:2"].map(str::to_owned);
        assert_eq!(given(&flags, "--listen", "").as_deref(), Some("127.0.0.1:2"));
        assert_eq!(given(&flags[..2], "--listen", "").as_deref(), Some("127.0.0.1:1"));
        assert_eq!(given(&flags[..1], "--listen", ""), None);
        assert_eq!(given(&flags, "--memory", ""), None);
    }
}
