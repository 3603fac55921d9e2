//! The edge that speaks HTTP, on one port: `/mcp` for assistants, `/api` for our own command line, `/metrics`,
//! `/healthz` and `/readyz`. Everything bounded: connections, request bodies, running queries, the time of each.

pub mod announce;
pub mod api;
pub mod audit;
mod connection;
mod guard;
mod json_rpc;
mod metrics;
pub mod queries;
pub mod token;
mod token_file;

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use rmcp::transport::streamable_http_server::{
    StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
};
use tokio_util::sync::CancellationToken;

pub use announce::announce;
pub use queries::Queries;
pub use token::Token;

use crate::{mcp, status, store::Store};

/// A tool call's arguments are a filter of at most 8 KiB and a few numbers.
const REQUEST_BODY_MAX: usize = 64 << 10;

/// What the edges answer from.
#[derive(Debug)]
pub struct App {
    pub store: Arc<Store>,
    pub status: Arc<status::Shared>,
    pub node: String,
    pub token: Token,
    /// Host headers served besides loopback and the address that a connection arrived at.
    pub allow_hosts: Vec<String>,
}

/// What each request is handed.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) app: Arc<App>,
    pub(crate) queries: Queries,
    pub(crate) shutdown: CancellationToken,
}

/// Serves until `shutdown`, then lets running answers end for a moment.
pub async fn serve(listener: tokio::net::TcpListener, app: App, shutdown: CancellationToken) {
    let app = Arc::new(app);
    let shared = Shared { queries: Queries::new(app.clone()), app, shutdown: shutdown.clone() };
    connection::accept(listener, router(shared), shutdown).await;
}

fn router(shared: Shared) -> Router {
    // No sessions: the newest spec has none, older ones leave them to the server, and clients that would use one live
    // on without it over a restart of the agent. Host and Origin are checked by `guard`, for all routes alike.
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(REQUEST_BODY_MAX)
        .with_cancellation_token(shared.shutdown.child_token())
        .disable_allowed_hosts();
    let queries = shared.queries.clone();
    let mcp = StreamableHttpService::new(
        move || Ok(mcp::Server::new(queries.clone())),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    let guarded = Router::new()
        .route_service("/mcp", mcp)
        .layer(middleware::from_fn(json_rpc::body))
        .merge(api::router())
        .layer(middleware::from_fn_with_state(shared.clone(), guard::token));
    Router::new()
        .route("/metrics", get(metrics::metrics))
        .merge(guarded)
        .layer(middleware::from_fn_with_state(shared.clone(), guard::host))
        // Probes come from the kubelet, with the pod's address as Host, and tell nothing that needs a guard.
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .fallback(async || (StatusCode::NOT_FOUND, "not found: this is tapwire; MCP is at /mcp\n"))
        .with_state(shared)
}

/// Ready when something is captured: at least one hook is attached.
async fn ready(State(shared): State<Shared>) -> Response {
    let hooks = shared.app.status.get().capture;
    if hooks.iter().any(|hook| hook.attached) {
        return "ready\n".into_response();
    }
    let why: Vec<_> = hooks
        .iter()
        .map(|hook| format!("{}: {}", hook.name, hook.reason.as_deref().unwrap_or("not attached")))
        .collect();
    let why = if why.is_empty() { "no hook was tried yet".to_owned() } else { why.join("; ") };
    (StatusCode::SERVICE_UNAVAILABLE, format!("nothing is captured: {why}\n")).into_response()
}
