//! One line in the log for each question: who asked what, and what it cost. Arguments are shortened, and printed
//! escaped, so that a caller cannot write lines of its own into the log.

use std::{net::SocketAddr, time::Instant};

use serde_json::Value;

/// Of the arguments; a filter may be 8 KiB long.
const ARGUMENTS_MAX: usize = 512;

/// Who asks, as the token's guard found out.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The token's fingerprint.
    pub token: String,
    pub peer: SocketAddr,
}

/// A question that is being answered.
#[derive(Debug)]
pub struct Question {
    caller: Option<Caller>,
    tool: String,
    arguments: String,
    started: Instant,
}

impl Question {
    /// `caller` is absent where no connection stands behind the call.
    pub fn new(caller: Option<Caller>, tool: &str, arguments: &Value) -> Self {
        let mut arguments = arguments.to_string();
        if arguments.len() > ARGUMENTS_MAX {
            arguments.truncate(arguments.floor_char_boundary(ARGUMENTS_MAX));
            arguments.push('…');
        }
        let tool = tool.chars().take(64).collect();
        Self { caller, tool, arguments, started: Instant::now() }
    }

    /// Writes the line. `outcome` is `ok`, or what went wrong.
    pub fn answered(&self, bytes: usize, outcome: &str) {
        let who = self.caller.as_ref().map_or("-", |caller| caller.token.as_str());
        let peer = self.caller.as_ref().map_or_else(|| "-".to_owned(), |caller| caller.peer.to_string());
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        let outcome: String = outcome.chars().take(200).collect();
        tracing::info!(
            target: "audit", who, peer, tool = ?self.tool, arguments = ?self.arguments, bytes, micros, outcome = ?outcome,
            "answered"
        );
    }
}
