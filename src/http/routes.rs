//! The paths and their answers.

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header::{ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;

use crate::http::guard::{Guard, admit, authorize};
use crate::http::questions::NoReply;
use crate::http::{CompensationRequest, HttpState, OrderRequest, ReloadRequest, Reply, WhyQuestion};
use crate::telemetry::metrics::METRICS_CONTENT_TYPE;
use crate::telemetry::{Health, Phase};
use crate::tick::TickSystems;

/// The page for people. It asks `/api/status`, `/healthz` and `/readyz` once a second and fetches nothing else.
const PAGE: &str = include_str!("page.html");
/// The page may run its own script and talk to this server alone.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                           connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn router(state: HttpState, guard: Guard) -> Router {
    let private = Router::new()
        .route("/api/config", get(config))
        .route("/api/why", get(why))
        .route("/api/moderate", post(moderate))
        .route("/api/compensations", post(compensations))
        .route("/api/reload", post(reload))
        .route("/api/drain", post(drain))
        .route_layer(from_fn_with_state(guard.clone(), authorize));
    Router::new()
        .route("/", get(page))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/status", get(status))
        .merge(private)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(map_response(no_script_of_others))
        .layer(from_fn_with_state(guard, admit))
        .with_state(state)
}

/// Only the page carries a policy of its own; whatever else a browser is led to, it runs nothing of it.
async fn no_script_of_others(mut response: Response) -> Response {
    let policy = axum::http::HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    response.headers_mut().entry(CONTENT_SECURITY_POLICY).or_insert(policy);
    response
}

async fn page() -> Response {
    ([(CONTENT_SECURITY_POLICY, PAGE_POLICY)], Html(PAGE)).into_response()
}

async fn healthz(State(state): State<HttpState>) -> Response {
    let heartbeat = &state.heartbeat;
    let health = match heartbeat.health() {
        Health::Healthy => {
            return Json(json!({ "healthy": true, "tick": heartbeat.tick().0 })).into_response();
        }
        Health::Panicked => json!({
            "healthy": false,
            "why": "a system panicked",
            "panic": heartbeat.panic_report().map(|report| report.to_json()),
        }),
        Health::Hangs => {
            let places: Vec<_> = heartbeat
                .places()
                .into_iter()
                .map(|place| {
                    json!({
                        "cell": place.cell.map(|(cell, _)| cell.to_string()),
                        "system": place.system.as_deref(),
                        "returned": place.returned,
                    })
                })
                .collect();
            json!({
                "healthy": false,
                "why": if heartbeat.beat().in_tick { "a tick hangs" } else { "no tick begins" },
                "tick": heartbeat.tick().0,
                "stage": heartbeat.stage().map(TickSystems::name),
                "places": places,
            })
        }
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(health)).into_response()
}

async fn readyz(State(state): State<HttpState>) -> Response {
    let phase = state.readiness.phase();
    let ready = phase == Phase::Ready;
    let degraded = state.readiness.degraded();
    let answer = json!({ "ready": ready, "phase": phase, "degraded": degraded.as_deref() });
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(answer)).into_response()
}

async fn metrics(State(state): State<HttpState>) -> Response {
    ([(CONTENT_TYPE, METRICS_CONTENT_TYPE)], state.metrics.encode()).into_response()
}

async fn status(State(state): State<HttpState>) -> Response {
    Json(&*state.status.read()).into_response()
}

async fn config(State(state): State<HttpState>) -> Response {
    Json(&*state.config).into_response()
}

/// For people as text where `Accept` asks for that, else as JSON.
async fn why(
    State(state): State<HttpState>,
    headers: HeaderMap,
    query: Result<Query<WhyQuestion>, QueryRejection>,
) -> Response {
    let question = match query {
        Ok(Query(question)) => question,
        Err(rejection) => {
            let usage = "ask for /api/why?player=NAME&entity=HEX and, if wanted, &field=Component.field";
            return error(StatusCode::BAD_REQUEST, format!("{}: {usage}", rejection.body_text()));
        }
    };
    let wants_text = headers.get(ACCEPT).is_some_and(|accept| accept.as_bytes() == b"text/plain");
    said(wants_text, state.questions.ask(question).await)
}

fn error(status: StatusCode, why: String) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

fn said(wants_text: bool, reply: Result<Reply, NoReply>) -> Response {
    match reply {
        Ok(Reply::Answer { text, .. }) if wants_text => text.into_response(),
        Ok(Reply::Answer { json, .. }) => Json(json).into_response(),
        Ok(Reply::Wrong(why)) => error(StatusCode::BAD_REQUEST, why),
        Ok(Reply::Unknown(why)) => error(StatusCode::NOT_FOUND, why),
        Ok(Reply::Failed(why)) => error(StatusCode::SERVICE_UNAVAILABLE, why),
        Err(late @ NoReply::NotWritten) => error(StatusCode::GATEWAY_TIMEOUT, late.to_string()),
        Err(no_reply) => error(StatusCode::SERVICE_UNAVAILABLE, no_reply.to_string()),
    }
}

/// The body is the order, as JSON.
async fn moderate(State(state): State<HttpState>, body: Bytes) -> Response {
    match serde_json::from_slice::<OrderRequest>(&body) {
        Ok(order) => said(false, state.orders.ask(order).await),
        Err(wrong) => {
            let usage =
                r#"send {"what": "ban", "player": NAME, "why": TEXT} and, if wanted, "for_s": SECONDS"#;
            error(StatusCode::BAD_REQUEST, format!("{wrong}: {usage}"))
        }
    }
}

/// The body is the order, as JSON.
async fn compensations(State(state): State<HttpState>, body: Bytes) -> Response {
    match serde_json::from_slice::<CompensationRequest>(&body) {
        Ok(order) => said(false, state.compensations.ask(order).await),
        Err(wrong) => {
            let usage =
                r#"send {"what": "retry", "number": N} or {"what": "discard", "number": N, "why": TEXT}"#;
            error(StatusCode::BAD_REQUEST, format!("{wrong}: {usage}"))
        }
    }
}

/// The body is an empty object: what is read is said by the world's configuration.
async fn reload(State(state): State<HttpState>, body: Bytes) -> Response {
    match serde_json::from_slice::<ReloadRequest>(&body) {
        Ok(order) => said(false, state.reloads.ask(order).await),
        Err(wrong) => error(StatusCode::BAD_REQUEST, format!("{wrong}: send {{}}")),
    }
}

async fn drain(State(state): State<HttpState>) -> Response {
    state.drain.request();
    tracing::info!("a drain was requested over HTTP");
    (StatusCode::ACCEPTED, Json(json!({ "draining": true }))).into_response()
}

async fn not_found(uri: Uri) -> Response {
    let path: String = uri.path().chars().take(80).collect();
    (StatusCode::NOT_FOUND, Json(json!({ "error": format!("nothing is at {path}") }))).into_response()
}

async fn method_not_allowed() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, Json(json!({ "error": "the path is not asked with this method" })))
        .into_response()
}
