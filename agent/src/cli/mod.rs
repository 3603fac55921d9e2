//! The command line: one file a command. The commands that ask a running agent know its HTTP interface and no stage of
//! the pipeline. Records go to standard output, all else to standard error. Exit codes: 0 done, 1 failed, 2 wrong
//! usage, 3 partly.

mod agent;
mod call;
mod calls;
pub mod client;
mod mcp;
mod read;
mod stats;
mod status;
pub mod table;

use std::{io::IsTerminal, process::ExitCode};

use clap::{Args, Parser, Subcommand, ValueEnum, error::ErrorKind};

pub use client::DEFAULT_AGENT;

use crate::config::{AgentArgs, ReadArgs};

/// Captures this host's API traffic with eBPF and answers questions about it, also over MCP.
#[derive(Debug, Parser)]
#[command(name = "tapwire", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Capture this host and serve what was captured, until SIGTERM or SIGINT
    Agent(Box<AgentArgs>),
    /// Read capture files and print their calls
    Read(Box<ReadArgs>),
    /// Print captured calls, the newest last
    Calls(calls::Arguments),
    /// Print one call in full
    Call(call::Arguments),
    /// Count calls, errors and latencies
    Stats(stats::Arguments),
    /// Show what is captured, what is not and why
    Status(status::Arguments),
    /// Speak MCP over stdio, for an assistant
    Mcp(mcp::Arguments),
}

/// Which agent to ask, and how to be let in.
#[derive(Args, Clone, Debug)]
pub struct Target {
    /// Address of the agent
    #[arg(long, env = "TAPWIRE_AGENT", value_name = "URL", default_value = DEFAULT_AGENT, value_parser = client::url)]
    pub agent: String,

    /// File of the agent's token [default: the first that fits of $XDG_RUNTIME_DIR/tapwire/token,
    /// ~/.local/state/tapwire/token, /run/tapwire/token]
    #[arg(long, env = "TAPWIRE_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<std::path::PathBuf>,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Table,
    /// One JSON document
    Json,
    /// One JSON object a line
    Jsonl,
}

impl Format {
    /// What was asked for, else a table on a terminal and lines of JSON for a program.
    pub fn or_default(asked: Option<Self>) -> Self {
        asked.unwrap_or(if std::io::stdout().is_terminal() { Self::Table } else { Self::Jsonl })
    }
}

/// Why a command ended early.
#[derive(Debug)]
pub enum Failure {
    /// One line for standard error, exit code 1.
    Failed(String),
    /// Nobody reads standard output any more: no failure.
    Closed,
}

impl From<String> for Failure {
    fn from(line: String) -> Self {
        Self::Failed(line)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::Failed(error.to_string()),
        }
    }
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    log();
    let done = match cli.command {
        Command::Agent(arguments) => agent::run(*arguments),
        Command::Read(arguments) => read::run(*arguments),
        Command::Calls(arguments) => calls::run(arguments),
        Command::Call(arguments) => call::run(&arguments),
        Command::Stats(arguments) => stats::run(&arguments),
        Command::Status(arguments) => status::run(&arguments),
        Command::Mcp(arguments) => mcp::run(arguments),
    };
    match done {
        Ok(code) => code,
        Err(Failure::Closed) => ExitCode::SUCCESS,
        Err(Failure::Failed(line)) => {
            eprint_line(&format!("tapwire: {line}"));
            ExitCode::FAILURE
        }
    }
}

/// What is logged unless `RUST_LOG` says otherwise. rmcp tells of each request, which the audit does as well.
const LOG_DEFAULT: &str = "info,rmcp=warn";

/// The log goes to standard error; `RUST_LOG` chooses what.
fn log() {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| LOG_DEFAULT.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}

/// Wrong usage is one line; help and version are what was asked for.
fn usage(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let _ = error.print();
            ExitCode::SUCCESS
        }
        // Without a command the help says more than a line could.
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            ExitCode::from(2)
        }
        _ => {
            eprint_line(&usage_line(&error.to_string()));
            ExitCode::from(2)
        }
    }
}

/// The message of clap's several paragraphs, and its tip.
fn usage_line(text: &str) -> String {
    let paragraphs: Vec<_> = text
        .split("\n\n")
        .map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|paragraph| !paragraph.starts_with("Usage:") && !paragraph.starts_with("For more information"))
        .collect();
    format!("tapwire: {} (see tapwire --help)", paragraphs.join("; ").trim_start_matches("error: "))
}

/// Prints a line on standard error; nobody to read it is no reason to fail.
pub(crate) fn eprint_line(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// A filter is checked before anybody is asked: a wrong one is wrong usage.
fn kfl(text: &str) -> Result<String, String> {
    crate::query::filter::Filter::parse(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(arguments: &[&str]) -> String {
        let error = Cli::try_parse_from([&["tapwire"], arguments].concat()).map(|_| ()).unwrap_err();
        usage_line(&error.to_string())
    }

    #[test]
    fn wrong_usage_is_one_line_that_names_it() {
        for (arguments, named) in [
            (&["agent", "--memory", "9PiB"][..], "--memory"),
            (&["agent", "--memry", "1MiB"], "--memory"),
            (&["agent", "--kubernetes", "auto"], "--kubernetes"),
            (&["flows"], "flows"),
            (&["call"], "<ID>"),
            (&["calls", "--limit", "0"], "--limit"),
            (&["calls", "--limit", "99999999999"], "--limit"),
            (&["calls", "--since", "never"], "--since"),
            (&["calls", "-o", "yaml"], "table"),
            (&["calls", "--agent", "ftp://x"], "http://"),
            (&["read"], "<FILE>"),
        ] {
            let line = line(arguments);
            assert!(line.contains(named) && !line.contains('\n') && line.len() < 300, "{line}");
        }
    }
}
