//! The thread that listens, and what bounds each of its connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::http::guard::Guard;
use crate::http::seats::Seats;
use crate::http::{HttpCounters, HttpError, HttpLimits, HttpSettings, HttpState, routes};

/// How long a stop waits for answers that are being written.
const STOP_WAITS: Duration = Duration::from_secs(2);
/// How long the listener rests when the system has no more sockets to give.
const ACCEPT_RESTS: Duration = Duration::from_millis(100);
/// Said, if it can be said at once, to a connection too many.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A running HTTP server on a thread of its own. It stops in order when it is dropped.
#[derive(Debug)]
pub struct HttpServer {
    local_addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Binds the address and begins to answer. Adds its counters to the metrics of `state`.
    ///
    /// # Errors
    /// When the address cannot be bound, when others can reach it and the token is not an operator's, or when the
    /// system refuses a thread.
    pub fn start(settings: HttpSettings, state: HttpState) -> Result<Self, HttpError> {
        let HttpSettings { addr, token, limits } = settings;
        if !addr.ip().is_loopback() && !token.is_from_operator() {
            return Err(HttpError::TokenRequired { addr });
        }
        let bind = |error| HttpError::Bind { addr, error };
        let listener = std::net::TcpListener::bind(addr).map_err(bind)?;
        listener.set_nonblocking(true).map_err(bind)?;
        let local_addr = listener.local_addr().map_err(bind)?;

        let counters = HttpCounters::default();
        counters.register(&state.metrics);
        let guard = Guard { bound: local_addr, token: Arc::new(token), limits, counters: counters.clone() };
        let router = routes::router(state, guard);

        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(HttpError::Thread)?;
        let (stop, stopped) = oneshot::channel();
        let serve = move || runtime.block_on(serve(listener, router, limits, counters, stopped));
        let thread =
            std::thread::Builder::new().name("http".into()).spawn(serve).map_err(HttpError::Thread)?;
        Ok(Self { local_addr, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens; the port is the picked one if 0 was asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the HTTP thread panicked");
        }
    }
}

async fn serve(
    listener: std::net::TcpListener,
    router: Router,
    limits: HttpLimits,
    counters: HttpCounters,
    stopped: oneshot::Receiver<()>,
) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "HTTP cannot listen");
            return;
        }
    };
    let graceful = Arc::new(GracefulShutdown::new());
    let accepting = tokio::spawn(accept(listener, router, limits, counters, graceful.clone()));
    // An error here is the owner's drop, which is how a stop is asked for.
    let _ = stopped.await;
    accepting.abort();
    let _ = accepting.await;
    if let Some(graceful) = Arc::into_inner(graceful) {
        let _ = tokio::time::timeout(STOP_WAITS, graceful.shutdown()).await;
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    limits: HttpLimits,
    counters: HttpCounters,
    graceful: Arc<GracefulShutdown>,
) {
    let seats = Seats::new(limits.connections_max, counters.connections_displaced.clone());
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        // A client may end its side once it has asked, and is answered all the same.
        .half_close(true)
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes_max)
        .max_headers(limits.headers_max);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "HTTP could not accept a connection");
                tokio::time::sleep(ACCEPT_RESTS).await;
                continue;
            }
        };
        let Some(seat) = seats.take() else {
            counters.connections_refused.fetch_add(1, Ordering::Relaxed);
            turn_away(&stream);
            continue;
        };
        let (answers, asking) = (TowerToHyperService::new(router.clone()), seat.asking());
        // It is called once a request's head is whole.
        let service = service_fn(move |request| {
            asking.fetch_add(1, Ordering::Relaxed);
            let (answer, asking) = (answers.call(request), asking.clone());
            async move {
                let answer = answer.await;
                asking.fetch_sub(1, Ordering::Relaxed);
                answer
            }
        });
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        let number = seat.number();
        let serving = tokio::spawn(async move {
            let _seat = seat;
            match tokio::time::timeout(limits.connection_lifetime, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "an HTTP connection failed"),
                Err(_) => tracing::debug!("an HTTP connection was open for too long"),
            }
        });
        seats.seated(number, serving.abort_handle());
    }
}

/// A client that does not read gets nothing but the end of its connection.
fn turn_away(stream: &TcpStream) {
    let _ = stream.try_write(TOO_MANY);
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
