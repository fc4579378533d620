//! Who may ask: host, origin, size and token, before any answer is made.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, HOST, ORIGIN, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::http::{AdminToken, HttpCounters, HttpLimits};

/// What the guard compares with.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    pub(super) bound: SocketAddr,
    pub(super) token: Arc<AdminToken>,
    pub(super) limits: HttpLimits,
    pub(super) counters: HttpCounters,
}

impl Guard {
    fn refuse(&self, status: StatusCode, why: &str) -> Response {
        self.counters.refused.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(%status, why, "an HTTP request was refused");
        (status, axum::Json(serde_json::json!({ "error": why }))).into_response()
    }

    /// `Host` must be there once and be this machine: any loopback name or address, or the address bound. Where all
    /// addresses are bound, any address will do, but no name: only a name can be made to point here by others.
    fn host_is_ours(&self, host: &str) -> bool {
        let Some(name) = host_name(host) else { return false };
        if name.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let Ok(ip) = name.parse::<IpAddr>() else { return false };
        let bound = self.bound.ip();
        ip.to_canonical().is_loopback() || ip == bound || bound.is_unspecified()
    }

    fn check(&self, request: &Request) -> Result<(), (StatusCode, &'static str)> {
        let headers = request.headers();
        let host = single(headers, HOST).ok_or((StatusCode::BAD_REQUEST, "one Host header is needed"))?;
        if !self.host_is_ours(host) {
            return Err((StatusCode::MISDIRECTED_REQUEST, "this Host is not served here"));
        }
        if request.uri().authority().is_some_and(|authority| authority.as_str() != host) {
            return Err((StatusCode::BAD_REQUEST, "the request's target and its Host differ"));
        }
        if headers.contains_key(ORIGIN) {
            let origin = single(headers, ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
            if origin != Some(host) {
                return Err((StatusCode::FORBIDDEN, "requests of other sites are refused"));
            }
        }
        Ok(())
    }
}

/// The name in `name`, `name:port` or `[address]:port`.
fn host_name(host: &str) -> Option<&str> {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (address, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    port.is_none_or(|port| port.parse::<u16>().is_ok()).then_some(name)
}

/// A header's value when it is there exactly once and is text.
fn single(headers: &HeaderMap, name: axum::http::HeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

/// Around every request: host and origin, body size and time, and the headers that every answer carries.
pub(super) async fn admit(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    guard.counters.requests.fetch_add(1, Ordering::Relaxed);
    let mut response = match guard.check(&request) {
        Ok(()) => {
            match tokio::time::timeout(guard.limits.request_timeout, answer(&guard, request, next)).await {
                Ok(response) => response,
                Err(_) => guard.refuse(StatusCode::REQUEST_TIMEOUT, "the request took too long"),
            }
        }
        Err((status, why)) => guard.refuse(status, why),
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// No path takes much of a body: it is read whole, bounded, before the path's own code sees the request.
async fn answer(guard: &Guard, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match axum::body::to_bytes(body, guard.limits.body_bytes_max).await {
        Ok(bytes) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Err(_) => guard.refuse(StatusCode::PAYLOAD_TOO_LARGE, "the request's body is too large or broken"),
    }
}

/// Around private paths: the admin token as `Authorization: Bearer TOKEN`.
pub(super) async fn authorize(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let given = single(request.headers(), AUTHORIZATION)
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    if given.is_some_and(|(_, token)| guard.token.matches(token)) {
        return next.run(request).await;
    }
    let mut response =
        guard.refuse(StatusCode::UNAUTHORIZED, "the admin token is needed: Authorization: Bearer TOKEN");
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(bound: &str) -> Guard {
        Guard {
            bound: bound.parse().unwrap(),
            token: Arc::new(AdminToken::generate().unwrap()),
            limits: HttpLimits::default(),
            counters: HttpCounters::default(),
        }
    }

    /// H3
    #[test]
    fn only_hosts_that_cannot_be_rebound_are_served() {
        let loopback = guard("127.0.0.1:8080");
        for host in
            ["localhost", "LOCALHOST:9", "127.0.0.1", "127.0.0.1:8080", "127.9.9.9", "[::1]", "[::1]:80"]
        {
            assert!(loopback.host_is_ours(host), "{host} is this machine");
        }
        for host in [
            "",
            ":80",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "10.0.0.1",
            "127.0.0.1:x",
            "127.0.0.1:99999",
            "[::1",
            "[::1]x",
            "127.0.0.1@evil.example",
            "0.0.0.0",
            "[2001:db8::1]",
        ] {
            assert!(!loopback.host_is_ours(host), "{host} is not this machine");
        }
        assert!(guard("10.0.0.1:80").host_is_ours("10.0.0.1"), "the address bound");
        assert!(!guard("10.0.0.1:80").host_is_ours("10.0.0.2"));
        let all = guard("0.0.0.0:80");
        assert!(all.host_is_ours("10.0.0.2") && !all.host_is_ours("evil.example"), "addresses, not names");
    }
}
