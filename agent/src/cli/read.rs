//! Placeholder until the command lands.

use std::process::ExitCode;

use super::Failure;
use crate::config::ReadArgs;

pub fn run(arguments: ReadArgs) -> Result<ExitCode, Failure> {
    let _ = arguments;
    Err(Failure::Failed("not built".to_owned()))
}
