//! `tapwire calls`: the newest calls that match, the oldest of them first, and with `--follow` those that come.

use std::{
    io::{BufWriter, Stdout, Write},
    process::ExitCode,
};

use clap::Args;
use serde_json::Value;

use super::{Failure, Format, Target, client::Client, eprint_line, table};
use crate::{config::Span, mcp::text};

const LIMIT_DEFAULT: u64 = 100;
/// Of `web::api`.
const LIMIT_MAX: u64 = crate::web::api::LIMIT_MAX as u64;

#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Only calls that match this filter, e.g. 'http && status_code >= 400'
    #[arg(long, value_name = "EXPR", value_parser = super::kfl)]
    kfl: Option<String>,

    /// The newest N calls [default: 100; with --follow none of the past]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=LIMIT_MAX))]
    limit: Option<u64>,

    /// Only calls of this last stretch of time, e.g. 5m
    #[arg(long, value_name = "DURATION")]
    since: Option<Span>,

    /// Go on with calls as they happen, until interrupted
    #[arg(long)]
    follow: bool,

    /// Output format [default: table on a terminal, else jsonl]
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    output: Option<Format>,

    #[command(flatten)]
    target: Target,
}

/// # Errors
/// No agent answers, or it refuses the question.
pub fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let Arguments { kfl, limit, since, follow, output, target } = arguments;
    let format = Format::or_default(output);
    // Those who follow a stretch of time want all of it.
    let limit = limit.or(if !follow { Some(LIMIT_DEFAULT) } else { since.map(|_| LIMIT_MAX) });
    let mut query = vec![("follow", follow.to_string())];
    query.extend(limit.map(|limit| ("limit", limit.to_string())));
    query.extend(kfl.map(|kfl| ("kfl", kfl)));
    query.extend(since.map(|since| ("since", since.0.as_millis().to_string())));
    let mut lines = Client::new(&target).stream("/api/calls", &query)?;
    if follow {
        end_on_signals();
    }
    let mut printer = Printer { out: BufWriter::new(std::io::stdout()), format, printed: 0 };
    printer.begin()?;
    let mut line = Vec::new();
    while lines.next(&mut line)? {
        if line.is_empty() {
            continue;
        }
        match Line::of(&line) {
            Line::Record => {
                printer.record(&line)?;
                if follow {
                    printer.out.flush()?;
                }
            }
            Line::Alive => printer.out.flush()?,
            Line::Missed(missed) => {
                eprint_line(&format!(
                    "tapwire: {missed} calls were evicted before they could be shown: the store is too small for this rate"
                ));
            }
            Line::End(end) => {
                printer.finish()?;
                return Ok(close(&end, format));
            }
        }
    }
    printer.finish()?;
    // A follower's stream has no end of its own.
    Err(Failure::Failed(format!("the agent at {} closed the connection", target.agent)))
}

/// What a line of the stream is.
enum Line {
    Record,
    Alive,
    Missed(u64),
    End(Value),
}

impl Line {
    /// Records begin with their id; the others have one key, told from the front, so that records need no parsing.
    fn of(line: &[u8]) -> Self {
        let other = [&b"{\"end\""[..], b"{\"missed\"", b"{\"alive\""].iter().any(|front| line.starts_with(front));
        if !other {
            return Self::Record;
        }
        let mut value: Value = serde_json::from_slice(line).unwrap_or_default();
        if let Some(missed) = value.get("missed") {
            return Self::Missed(missed.as_u64().unwrap_or_default());
        }
        match value.get_mut("end") {
            Some(end) => Self::End(end.take()),
            None => Self::Alive,
        }
    }
}

struct Printer {
    out: BufWriter<Stdout>,
    format: Format,
    printed: u64,
}

impl Printer {
    fn begin(&mut self) -> std::io::Result<()> {
        match self.format {
            Format::Table => writeln!(self.out, "{}", table::header()),
            Format::Json => write!(self.out, "["),
            Format::Jsonl => Ok(()),
        }
    }

    fn record(&mut self, line: &[u8]) -> std::io::Result<()> {
        self.printed += 1;
        match self.format {
            Format::Table => {
                let record: Value = serde_json::from_slice(line).unwrap_or_default();
                writeln!(self.out, "{}", table::call(&record))
            }
            Format::Json => {
                self.out.write_all(if self.printed > 1 { b",\n" } else { b"\n" })?;
                self.out.write_all(line)
            }
            Format::Jsonl => {
                self.out.write_all(line)?;
                self.out.write_all(b"\n")
            }
        }
    }

    fn finish(&mut self) -> std::io::Result<()> {
        if self.format == Format::Json {
            self.out.write_all(b"\n]\n")?;
        }
        self.out.flush()
    }
}

/// What the answer covers, on standard error.
fn close(end: &Value, format: Format) -> ExitCode {
    for note in end.get("notes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        eprint_line(&format!("note: {}", text::one_line(note)));
    }
    if end.get("more").and_then(Value::as_bool) == Some(true) {
        eprint_line("note: older calls match too: --limit N shows more");
    }
    if let Some(coverage) = end.get("coverage") {
        coverage_line(coverage, format);
    }
    ExitCode::SUCCESS
}

/// For people in words, for programs as JSON.
pub(super) fn coverage_line(coverage: &Value, format: Format) {
    match format {
        Format::Table => eprint_line(&text::coverage(coverage)),
        Format::Json | Format::Jsonl => eprint_line(&format!("coverage {coverage}")),
    }
}

/// An interrupted follower is done, not failed; the lock makes it end between two lines.
fn end_on_signals() {
    std::thread::spawn(|| {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
        runtime.block_on(async {
            let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
                return;
            };
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        });
        let _out = std::io::stdout().lock();
        std::process::exit(0);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_told_apart_by_their_front() {
        assert!(matches!(Line::of(br#"{"id":"1-2","end":1}"#), Line::Record));
        assert!(matches!(Line::of(br#"{"alive":"x"}"#), Line::Alive));
        assert!(matches!(Line::of(br#"{"missed":7}"#), Line::Missed(7)));
        assert!(matches!(Line::of(br#"{"end":{"more":true}}"#), Line::End(end) if end["more"] == true));
    }
}
