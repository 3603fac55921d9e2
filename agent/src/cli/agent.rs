//! Placeholder until the command lands.

use std::process::ExitCode;

use super::Failure;
use crate::config::AgentArgs;

pub fn run(arguments: AgentArgs) -> Result<ExitCode, Failure> {
    let _ = arguments;
    Err(Failure::Failed("not built".to_owned()))
}
