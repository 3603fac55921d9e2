//! What our own command line asks: the same questions as the MCP tools, without a limit on the answer's size. Calls
//! come as lines of JSON, each a whole record; lines that are not records say so by their only key: `end` (the last
//! one: coverage and notes), `missed` (rows evicted before a follower could read them), `alive` (nothing new).

use std::time::Duration;

use axum::{
    Extension, Router,
    body::Body,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio_util::io::ReaderStream;

use super::{
    Shared,
    audit::{self, Caller},
};
use crate::{
    mcp::{self, question},
    query::{self, Found},
    record::json::{Detail, write},
};

/// More than any store holds.
pub const LIMIT_MAX: usize = 1_000_000;
/// Groups of one summary: what fits on no screen but in a file.
pub const GROUPS_MAX: usize = 10_000;
/// Bytes on their way to one client.
const BUFFER: usize = 64 << 10;
/// A client that takes nothing for this long is gone; what it held of the store is freed.
const STALL: Duration = Duration::from_secs(30);
/// Calls of the past must be taken within this: meanwhile they are held in memory, though the store evicts them.
const PAST_MAX: Duration = Duration::from_secs(120);
/// A follower hears this often from a quiet agent, so that both ends notice when the other is gone.
const ALIVE: Duration = Duration::from_secs(10);
/// Rows that a follower takes at once.
const FOLLOW_ROWS: usize = 1024;

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/api/calls", get(calls))
        .route("/api/call/{id}", get(call))
        .route("/api/stats", get(stats))
        .route("/api/status", get(status))
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CallsQuery {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kfl: Option<String>,
    /// The newest ones that match; absent with `follow`: none of the past.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Milliseconds before now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    #[serde(default)]
    pub follow: bool,
}

#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct StatsQuery {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kfl: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Field names, with commas.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Calls of the past, the oldest first; then, with `follow`, each one as it ends.
async fn calls(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    asked: Result<Query<CallsQuery>, QueryRejection>,
) -> Response {
    let Query(asked) = match asked {
        Ok(asked) => asked,
        Err(rejection) => return unread(caller, "api/calls", &uri, &rejection.body_text()),
    };
    let audit = audit::Question::new(Some(caller), "api/calls", &json!(asked));
    let limit = asked.limit.unwrap_or(if asked.follow { 0 } else { LIMIT_MAX }).min(LIMIT_MAX);
    let question =
        match question::recent(&shared.app.node, asked.kfl.as_deref(), asked.since.map(Duration::from_millis)) {
            Ok(question) => question,
            Err(line) => {
                audit.answered(0, &line);
                return refused(&line);
            }
        };
    let past = question.clone();
    let page = shared.queries.run(move |app| {
        // What is followed begins where the page ends: nothing is shown twice, nothing is left out.
        let snapshot = app.store.snapshot();
        query::calls(&snapshot, &past, limit.max(1), None)
            .map(|page| (page, snapshot.end))
            .map_err(|error| error.to_string())
    });
    let (mut page, position) = match page.await {
        Ok(page) => page,
        Err(line) => {
            audit.answered(0, &line);
            return refused(&line);
        }
    };
    page.found.truncate(limit);
    let (reader, writer) = tokio::io::duplex(BUFFER);
    tokio::spawn(async move {
        let mut lines = Lines { writer, bytes: 0 };
        let outcome = if asked.follow {
            let past = page.found.into_iter().filter(ended);
            match lines.past(past.rev()).await {
                Ok(()) => follow(&mut lines, &shared, &question, position).await,
                Err(error) => Err(error),
            }
        } else {
            let end = json!({"end": {
                "coverage": page.coverage.to_json(),
                "notes": page.notes,
                "more": page.next.is_some(),
            }});
            match lines.past(page.found.into_iter().rev()).await {
                Ok(()) => lines.json(&end).await,
                Err(error) => Err(error),
            }
        };
        let outcome = outcome.map_or_else(|error| error.to_string(), |()| "ok".to_owned());
        audit.answered(lines.bytes, &outcome);
    });
    let stream = Body::from_stream(ReaderStream::with_capacity(reader, BUFFER));
    ([(header::CONTENT_TYPE, "application/x-ndjson")], stream).into_response()
}

/// Streams what is published from `position` on, until the client or the agent ends.
async fn follow(
    lines: &mut Lines,
    shared: &Shared,
    question: &query::Question,
    mut position: u64,
) -> std::io::Result<()> {
    let store = &shared.app.store;
    loop {
        let newer = tokio::select! {
            () = shared.shutdown.cancelled() => return lines.json(&json!({"end": {"notes": ["the agent stopped"]}})).await,
            newer = tokio::time::timeout(ALIVE, store.wait_newer(position)) => newer.is_ok(),
        };
        if !newer {
            lines.json(&json!({"alive": crate::time::Time::now().to_string()})).await?;
            continue;
        }
        let since = store.since(position, FOLLOW_ROWS);
        position = since.next;
        if since.missed > 0 {
            lines.json(&json!({"missed": since.missed})).await?;
        }
        let found = since.found.into_iter().filter(ended).filter(|found| question::matches(question, found.record()));
        lines.records(found).await?;
    }
}

/// A call that goes on is shown once, when it is complete.
fn ended(found: &Found) -> bool {
    !found.record().exchange.open
}

/// The writing end of a streamed answer.
struct Lines {
    writer: DuplexStream,
    bytes: usize,
}

impl Lines {
    /// Calls of the past.
    async fn past(&mut self, found: impl Iterator<Item = Found>) -> std::io::Result<()> {
        tokio::time::timeout(PAST_MAX, self.records(found)).await.unwrap_or_else(|_| Err(too_slow()))
    }

    async fn records(&mut self, found: impl Iterator<Item = Found>) -> std::io::Result<()> {
        let mut buffer = Vec::new();
        for found in found {
            write(found.record(), Detail::Full, &mut buffer);
            buffer.push(b'\n');
            if buffer.len() >= BUFFER {
                self.send(&buffer).await?;
                buffer.clear();
            }
        }
        self.send(&buffer).await
    }

    async fn json(&mut self, value: &Value) -> std::io::Result<()> {
        self.send(format!("{value}\n").as_bytes()).await
    }

    async fn send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.bytes += bytes.len();
        match tokio::time::timeout(STALL, self.writer.write_all(bytes)).await {
            Ok(sent) => sent,
            Err(_) => Err(too_slow()),
        }
    }
}

fn too_slow() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "the client takes its answer too slowly")
}

async fn call(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    id: Result<Path<String>, PathRejection>,
) -> Response {
    let Path(id) = match id {
        Ok(id) => id,
        Err(rejection) => return unread(caller, "api/call", &uri, &rejection.body_text()),
    };
    let audit = audit::Question::new(Some(caller), "api/call", &json!(id));
    let answer = shared.queries.run(move |app| {
        let snapshot = app.store.snapshot();
        let found = question::find(&snapshot, &id)?;
        let mut out = Vec::new();
        write(found.record(), Detail::Full, &mut out);
        out.push(b'\n');
        Ok(out)
    });
    respond(audit, answer.await, StatusCode::NOT_FOUND)
}

async fn stats(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    asked: Result<Query<StatsQuery>, QueryRejection>,
) -> Response {
    let Query(asked) = match asked {
        Ok(asked) => asked,
        Err(rejection) => return unread(caller, "api/stats", &uri, &rejection.body_text()),
    };
    let audit = audit::Question::new(Some(caller), "api/stats", &json!(asked));
    let answer = shared.queries.run(move |app| {
        let question = question::recent(&app.node, asked.kfl.as_deref(), asked.since.map(Duration::from_millis))?;
        let fields = question::fields(asked.group_by.as_deref().unwrap_or_default());
        let limit = asked.limit.unwrap_or(GROUPS_MAX).clamp(1, GROUPS_MAX);
        let stats =
            query::stats(&app.store.snapshot(), &question, &fields, limit).map_err(|error| error.to_string())?;
        Ok(line(&mcp::stats_json(&stats, &fields)))
    });
    respond(audit, answer.await, StatusCode::BAD_REQUEST)
}

async fn status(State(shared): State<Shared>, Extension(caller): Extension<Caller>) -> Response {
    let audit = audit::Question::new(Some(caller), "api/status", &json!({}));
    let answer = shared.queries.run(|app| Ok(line(&mcp::status_json(app))));
    respond(audit, answer.await, StatusCode::INTERNAL_SERVER_ERROR)
}

fn line(value: &Value) -> Vec<u8> {
    format!("{value}\n").into_bytes()
}

fn respond(audit: audit::Question, answer: Result<Vec<u8>, String>, failed: StatusCode) -> Response {
    match answer {
        Ok(body) => {
            audit.answered(body.len(), "ok");
            ([(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        Err(line) => {
            audit.answered(0, &line);
            (failed, format!("{line}\n")).into_response()
        }
    }
}

/// A question that is not understood leaves its line in the log like any other.
fn unread(caller: Caller, what: &str, uri: &Uri, line: &str) -> Response {
    audit::Question::new(Some(caller), what, &json!(uri.to_string())).answered(0, line);
    refused(line)
}

fn refused(line: &str) -> Response {
    (StatusCode::BAD_REQUEST, format!("{line}\n")).into_response()
}
