//! `tapwire stats`: how many calls, how many fail, how long they take, by group.

use std::{
    io::{Write, stdout},
    process::ExitCode,
};

use clap::Args;
use serde_json::Value;

use super::{Failure, Format, Target, calls::coverage_line, client::Client, eprint_line, table};
use crate::{
    config::Span,
    mcp::{question, text},
    query::filter::Expression,
};

/// What people ask first: which endpoint.
const GROUP_BY_DEFAULT: &str = "method,path";
const LIMIT_MAX: u64 = crate::web::api::GROUPS_MAX as u64;

#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Only calls that match this filter, e.g. 'http && dst.port == 8080'
    #[arg(long, value_name = "EXPR", value_parser = super::kfl)]
    kfl: Option<String>,

    /// Fields to group by, with commas between them; empty for the total only
    #[arg(long, value_name = "FIELDS", default_value = GROUP_BY_DEFAULT, value_parser = fields)]
    group_by: String,

    /// Groups to show, the largest first
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u64).range(1..=LIMIT_MAX))]
    limit: u64,

    /// Only calls of this last stretch of time, e.g. 5m
    #[arg(long, value_name = "DURATION")]
    since: Option<Span>,

    /// Output format [default: table on a terminal, else jsonl: a line for each group]
    #[arg(short, long, value_name = "FORMAT", value_enum)]
    output: Option<Format>,

    #[command(flatten)]
    target: Target,
}

/// Fields that can be grouped by, so that a wrong one is wrong usage.
fn fields(text: &str) -> Result<String, String> {
    for field in question::fields(text) {
        Expression::parse(&field).map_err(|error| error.to_string())?;
    }
    Ok(text.to_owned())
}

/// # Errors
/// No agent answers, or it refuses the question.
pub fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let Arguments { kfl, group_by, limit, since, output, target } = arguments;
    let mut query = vec![("group_by", group_by.clone()), ("limit", limit.to_string())];
    query.extend(kfl.clone().map(|kfl| ("kfl", kfl)));
    query.extend(since.map(|since| ("since", since.0.as_millis().to_string())));
    let answer = Client::new(target).get("/api/stats", &query)?;
    let answer: Value =
        serde_json::from_str(&answer).map_err(|error| format!("the agent's answer is not JSON: {error}"))?;
    let groups: &[Value] = answer.get("groups").and_then(Value::as_array).map_or(&[], Vec::as_slice);
    let total = answer.get("total").unwrap_or(&Value::Null);
    let format = Format::or_default(*output);
    let mut out = stdout().lock();
    match format {
        Format::Table => {
            writeln!(
                out,
                "{}",
                row(["COUNT", "PER S", "ERRORS", "", "P50", "P90", "P99", &group_by.to_uppercase().replace(',', "  ")])
            )?;
            for group in groups {
                writeln!(out, "{}", line(group))?;
            }
            writeln!(out, "{}", line(total).trim_end().to_owned() + "  (total)")?;
        }
        Format::Json => writeln!(out, "{answer:#}")?,
        // Without groups the total is the one line.
        Format::Jsonl if group_by.trim().is_empty() => writeln!(out, "{total}")?,
        Format::Jsonl => {
            for group in groups {
                writeln!(out, "{group}")?;
            }
        }
    }
    out.flush()?;
    if let Some(others) = answer.get("other_groups").and_then(Value::as_u64).filter(|&others| others > 0) {
        eprint_line(&format!("note: {others} smaller groups are not shown: --limit N shows more"));
    }
    for note in answer.get("notes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        eprint_line(&format!("note: {}", text::one_line(note)));
    }
    if let Some(coverage) = answer.get("coverage") {
        coverage_line(coverage, format);
    }
    Ok(ExitCode::SUCCESS)
}

fn line(group: &Value) -> String {
    let number = |name: &str| group.get(name).and_then(Value::as_u64);
    let float = |name: &str| group.get(name).and_then(Value::as_f64);
    let micros = |name: &str| number(name).map_or_else(|| "-".to_owned(), table::duration);
    let key = group.get("key").and_then(Value::as_object).into_iter().flatten();
    let key: Vec<_> = key.map(|(_, value)| value.as_str().map_or_else(|| "-".to_owned(), text::one_line)).collect();
    row([
        &number("count").unwrap_or_default().to_string(),
        &format!("{:.2}", float("rate").unwrap_or_default()),
        &number("errors").unwrap_or_default().to_string(),
        &float("error_share").map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", share * 100.0)),
        &micros("p50"),
        &micros("p90"),
        &micros("p99"),
        &key.join("  "),
    ])
}

fn row([count, rate, errors, share, p50, p90, p99, key]: [&str; 8]) -> String {
    format!("{count:>9} {rate:>9} {errors:>7} {share:>6} {p50:>9} {p90:>9} {p99:>9}  {key}")
}
