//! `tapwire call ID`: one call in full, bodies included.

use std::{
    io::{Write, stdout},
    process::ExitCode,
};

use clap::Args;
use serde_json::Value;

use super::{Failure, Format, Target, client::Client};
use crate::mcp::text;

#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// The call's id, as `tapwire calls` shows it
    #[arg(value_name = "ID", value_parser = id)]
    id: String,

    /// Output format [default: table on a terminal, else jsonl]
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    output: Option<Format>,

    #[command(flatten)]
    target: Target,
}

fn id(text: &str) -> Result<String, String> {
    text.parse::<crate::record::RecordId>().map(|id| id.to_string()).map_err(|error| error.to_string())
}

/// # Errors
/// No agent answers, or it does not hold the call.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let Arguments { id, output, target } = arguments;
    let record = Client::new(target).get(&format!("/api/call/{id}"), &[])?;
    let parsed =
        || serde_json::from_str::<Value>(&record).map_err(|error| format!("the agent's answer is not JSON: {error}"));
    let text = match Format::or_default(*output) {
        Format::Table => text::outline(&parsed()?),
        Format::Json => format!("{:#}\n", parsed()?),
        Format::Jsonl => record,
    };
    stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
