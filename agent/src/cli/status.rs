//! `tapwire status`: what is captured, what is not, and why.

use std::{
    fmt::Write as _,
    io::{Write, stdout},
    process::ExitCode,
};

use clap::Args;
use serde_json::Value;

use super::{Failure, Format, Target, client::Client};
use crate::{config::ByteSize, mcp::text};

#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Output format [default: table on a terminal, else jsonl]
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    output: Option<Format>,

    #[command(flatten)]
    target: Target,
}

/// # Errors
/// No agent answers.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let Arguments { output, target } = arguments;
    let answer = Client::new(target).get("/api/status", &[])?;
    let parsed =
        || serde_json::from_str::<Value>(&answer).map_err(|error| format!("the agent's answer is not JSON: {error}"));
    let text = match Format::or_default(*output) {
        Format::Table => view(&parsed()?),
        Format::Json => format!("{:#}\n", parsed()?),
        Format::Jsonl => answer,
    };
    stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// A page for people; what they rarely need stays in the JSON.
fn view(status: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| "-".to_owned(), text::one_line);
    let number = |value: &Value| value.as_u64().unwrap_or_default();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut out = String::new();
    // Writing to a string cannot fail.
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "{name:<12} {value}");
    };
    line(
        "node",
        &format!("{}, tapwire {}, since {}", text(&status["node"]), text(&status["version"]), text(&status["started"])),
    );
    line("serves", &text(&status["listen"]));
    for (index, hook) in list(&status["capture"]).iter().enumerate() {
        let state = if hook["attached"] == true {
            "attached".to_owned()
        } else {
            format!("NOT ATTACHED: {}", text(&hook["reason"]))
        };
        line(if index == 0 { "hooks" } else { "" }, &format!("{}: {state}", text(&hook["name"])));
    }
    let store = &status["store"];
    let share = (number(&store["bytes"]) * 100).checked_div(number(&store["limit"])).unwrap_or_default();
    line(
        "memory",
        &format!(
            "{share} % of {} used; calls from {} to {}",
            ByteSize(number(&store["limit"])),
            text(&store["oldest"]),
            text(&store["newest"])
        ),
    );
    let kernel = &status["kernel"];
    line(
        "kernel",
        &format!(
            "{} events, {} dropped (ring full), {} own packets left out",
            number(&kernel["events"]),
            number(&kernel["ring_full"]),
            number(&kernel["own"])
        ),
    );
    let flows = &status["flows"];
    let protocols: Vec<_> =
        flows["by_protocol"].as_object().into_iter().flatten().map(|(name, count)| format!("{name} {count}")).collect();
    line(
        "flows",
        &format!(
            "{} of {} open, {} evicted ({})",
            number(&flows["open"]),
            number(&flows["limit"]),
            number(&flows["evicted"]),
            protocols.join(", ")
        ),
    );
    line(
        "bodies",
        &format!(
            "{} kept a message, {} copied a second",
            ByteSize(number(&status["max_body"])),
            ByteSize(number(&status["body_rate"]))
        ),
    );
    line("secrets", if status["redaction"] == true { "redacted" } else { "STORED AS THEY ARE (--no-redact)" });
    for (index, flow) in list(&status["undecoded_flows"]).iter().enumerate() {
        let name = flow["server_name"].as_str().map(|name| format!(" ({})", text::one_line(name))).unwrap_or_default();
        line(
            if index == 0 { "not decoded" } else { "" },
            &format!(
                "{} > {}{name}: {} B, {}",
                text(&flow["client"]),
                text(&flow["server"]),
                number(&flow["bytes"]),
                text(&flow["reason"])
            ),
        );
    }
    out.push_str(&text::coverage(&status["coverage"]));
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_view_says_what_is_wrong() {
        let view = view(&json!({"node": "n", "capture": [{"name": "egress", "attached": false, "reason": "no BTF"}],
            "store": {"bytes": 50, "limit": 200}, "redaction": false,
            "undecoded_flows": [{"client": "a", "server": "b", "reason": "encrypted", "bytes": 7, "server_name": "x\u{7}"}],
            "coverage": {"complete": false, "lost": {"ring_full": 3}}}));
        for part in [
            "NOT ATTACHED: no BTF",
            "25 % of 200",
            "AS THEY ARE",
            "a > b (x\\u{7}): 7 B, encrypted",
            "INCOMPLETE; lost: ring_full 3 B",
        ] {
            assert!(view.contains(part), "{part} in {view}");
        }
    }
}
