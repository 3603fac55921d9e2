//! `tapwire agent`: captures this node and serves it until it is told to end.

use std::process::ExitCode;

use super::Failure;
use crate::{config::AgentArgs, run};

pub fn run(arguments: AgentArgs) -> Result<ExitCode, Failure> {
    run::agent(&arguments).map_err(|error| Failure::Failed(error.to_string()))?;
    Ok(ExitCode::SUCCESS)
}
