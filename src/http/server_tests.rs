//! Over real loopback sockets, with requests written by hand.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use super::*;
use crate::http::{AdminToken, CompensationOrders, DrainRequest, Orders, Questions, ReloadOrders, Reply};
use crate::ids::{CellId, SlotIndex, TickNumber};
use crate::telemetry::metrics::tests::parse;
use crate::telemetry::{
    Heartbeat, Metrics, Phase, Readiness, Snapshot, StatusBoard, Watchdog, WatchdogSettings,
};
use crate::tick::TickSystems;

struct Site {
    server: HttpServer,
    state: HttpState,
    token: String,
}

fn site_with(limits: HttpLimits) -> Site {
    let state = HttpState {
        heartbeat: Heartbeat::new(),
        readiness: Readiness::default(),
        status: StatusBoard::default(),
        metrics: Arc::new(Metrics::new()),
        config: Arc::new(serde_json::json!({ "seed": 7 })),
        drain: DrainRequest::default(),
        questions: Questions::default(),
        orders: Orders::default(),
        compensations: CompensationOrders::default(),
        reloads: ReloadOrders::default(),
    };
    let token = AdminToken::generate().unwrap();
    let secret = token.reveal().to_owned();
    let settings = HttpSettings { addr: "127.0.0.1:0".parse().unwrap(), token, limits };
    let server = HttpServer::start(settings, state.clone()).unwrap();
    Site { server, state, token: secret }
}

fn site() -> Site {
    site_with(HttpLimits::default())
}

impl Site {
    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.server.local_addr()).unwrap();
        // A test that hangs fails instead.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// Sends bytes, says no more, and returns all that comes back.
    fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may refuse, and close, before it has read everything.
        let _ = stream.write_all(request).and_then(|()| stream.shutdown(Shutdown::Write));
        read_all(stream)
    }

    fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String) {
        let host = if headers.contains("Host:") { "" } else { "Host: localhost\r\n" };
        let length = body.len();
        let answer = self.raw(
            format!(
                "{method} {path} HTTP/1.1\r\n{host}Connection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
            )
            .as_bytes(),
        );
        (status_of(&answer), answer.split_once("\r\n\r\n").map_or("", |(_, body)| body).to_owned())
    }

    fn get(&self, path: &str) -> (u16, serde_json::Value) {
        let (status, body) = self.ask("GET", path, "", "");
        (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}")))
    }

    fn counter(&self, name: &str) -> f64 {
        let samples = parse(&self.state.metrics.encode());
        samples.into_iter().find(|(key, _)| key == name).unwrap_or_else(|| panic!("{name} is missing")).1
    }
}

fn read_all(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset after the answer is the end of it too; a connection that stays open is not.
    if let Err(error) = stream.read_to_end(&mut answer) {
        let stays_open = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(!stays_open, "the connection was never closed");
    }
    String::from_utf8(answer).unwrap()
}

fn status_of(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0)
}

/// H1: a cell that never returns, a real watchdog, and the world's recovery.
#[test]
fn healthz_turns_503_while_a_tick_hangs_and_names_what_hangs() {
    let site = site();
    assert_eq!(site.get("/healthz").0, 200);
    let heartbeat = &site.state.heartbeat;
    let settings = WatchdogSettings {
        unhealthy_after: Duration::from_millis(20),
        fatal_after: Duration::from_secs(3_600),
    };
    let _watchdog = Watchdog::start(heartbeat.clone(), settings, |_| {}).unwrap();
    heartbeat.begin_tick(TickNumber(17));
    heartbeat.enter_stage(TickSystems::Simulate);
    let crumb = heartbeat.cell(SlotIndex(0));
    let cell = crumb.enter(CellId { world: 0, depth: 0, cx: 3, cy: 4 });
    cell.system("game::spin");
    let answer = loop {
        let (status, answer) = site.get("/healthz");
        if status == 503 {
            break answer;
        }
    };
    assert_eq!(
        answer,
        serde_json::json!({
            "healthy": false, "why": "a tick hangs", "tick": 17, "stage": "Simulate",
            "places": [{ "cell": "w0/3,4@0", "system": "game::spin", "returned": false }],
        })
    );
    drop(cell);
    heartbeat.end_tick();
    while site.get("/healthz").0 != 200 {}
}

/// A11
#[test]
fn readyz_is_200_only_between_starting_and_draining_and_tells_what_is_degraded() {
    let site = site();
    let readiness = &site.state.readiness;
    let expected = |ready: bool, phase: &str, degraded: Option<&str>| serde_json::json!({ "ready": ready, "phase": phase, "degraded": degraded });
    assert_eq!(site.get("/readyz"), (503, expected(false, "starting", None)));
    readiness.set_phase(Phase::Ready);
    assert_eq!(site.get("/readyz"), (200, expected(true, "ready", None)));
    readiness.set_degraded(Some("the store is slow"));
    assert_eq!(site.get("/readyz"), (200, expected(true, "ready", Some("the store is slow"))));
    readiness.set_phase(Phase::Draining);
    assert_eq!(site.get("/readyz").0, 503);
}

/// E11
#[test]
fn metrics_are_prometheus_text() {
    let site = site();
    let (status, text) = site.ask("GET", "/metrics", "", "");
    assert_eq!(status, 200);
    let samples = parse(&text);
    assert!(samples.contains(&("terrane_http_requests_total".to_owned(), 1.0)), "this request is counted");
}

#[test]
fn status_is_what_was_published_last_and_the_page_stands_alone() {
    let site = site();
    site.state.status.publish(Snapshot { world: "plain".into(), players: 3, ..Snapshot::default() });
    let (status, answer) = site.get("/api/status");
    assert_eq!((status, &answer["world"], &answer["players"]), (200, &"plain".into(), &3.into()));
    let (status, page) = site.ask("GET", "/", "", "");
    assert_eq!(status, 200);
    assert!(page.contains("/api/status") && !page.contains("://"), "the page asks nobody else");
    let head =
        site.raw(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").to_ascii_lowercase();
    assert!(head.contains("content-security-policy: default-src 'none'; style-src"), "{head}");
    assert!(head.contains("x-content-type-options: nosniff") && head.contains("cache-control: no-store"));
}

/// H3: also on loopback.
#[test]
fn private_paths_need_the_token() {
    let site = site();
    let bearer = format!("Authorization: Bearer {}\r\n", site.token);
    let wrong = format!("Authorization: Bearer {}x\r\n", &site.token[1..]);
    let basic = format!("Authorization: Basic {}\r\n", site.token);
    let twice = format!("{bearer}{bearer}");
    for refused in ["", "Authorization: Bearer\r\n", "Authorization: Bearer \r\n", &wrong, &basic, &twice] {
        assert_eq!(site.ask("GET", "/api/config", refused, "").0, 401, "{refused:?}");
        assert_eq!(site.ask("POST", "/api/drain", refused, "").0, 401, "{refused:?}");
    }
    assert!(!site.state.drain.is_requested(), "who has no token changes nothing");
    assert_eq!(site.counter("terrane_http_requests_refused_total"), 12.0);
    let (status, config) = site.ask("GET", "/api/config", &bearer, "");
    assert_eq!((status, config.as_str()), (200, r#"{"seed":7}"#));
    assert_eq!(site.ask("GET", "/api/drain", &bearer, "").0, 405, "looking changes nothing");
    assert!(!site.state.drain.is_requested());
    assert_eq!(site.ask("POST", "/api/drain", &bearer, "").0, 202);
    assert!(site.state.drain.is_requested());
}

/// H3: DNS rebinding and pages of other sites.
#[test]
fn other_hosts_and_origins_are_refused_everywhere() {
    let site = site();
    let bearer = format!("Authorization: Bearer {}\r\n", site.token);
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/healthz"),
        ("GET", "/metrics"),
        ("GET", "/api/status"),
        ("POST", "/api/drain"),
    ] {
        let ask = |headers: &str| site.ask(method, path, &format!("{bearer}{headers}"), "").0;
        assert_eq!(ask("Host: evil.example\r\n"), 421);
        assert_eq!(ask("Host: localhost\r\nHost: evil.example\r\n"), 400);
        assert_eq!(ask("Origin: http://evil.example\r\n"), 403);
        assert_eq!(ask("Origin: null\r\n"), 403);
        assert_eq!(ask("Origin: https://localhost\r\n"), 403);
        assert!(!site.state.drain.is_requested());
        assert!(ask("Origin: http://localhost\r\n") < 300, "the page's own requests pass");
    }
    let no_host = site.raw(b"GET /healthz HTTP/1.0\r\n\r\n");
    assert_eq!(status_of(&no_host), 400, "{no_host}");
    let other_target =
        b"GET http://evil.example/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert_eq!(status_of(&site.raw(other_target)), 400);
}

#[test]
fn unknown_paths_and_methods_are_told_so() {
    let site = site();
    assert_eq!(site.get("/nothing").0, 404);
    assert_eq!(site.get(&format!("/{}", "x".repeat(2_000))).0, 404);
    assert_eq!(site.ask("POST", "/healthz", "", "").0, 405);
    assert_eq!(site.ask("DELETE", "/api/status", "", "").0, 405);
    assert_eq!(status_of(&site.raw(b"\x16\x03\x01 this is not HTTP\r\n\r\n")), 400);
}

#[test]
fn large_headers_and_bodies_are_refused() {
    let site = site();
    let long = format!("X-Long: {}\r\n", "x".repeat(9_000));
    assert_eq!(site.ask("GET", "/healthz", &long, "").0, 431);
    let many: String = (0..60).map(|number| format!("X-{number}: 1\r\n")).collect();
    assert_eq!(site.ask("GET", "/healthz", &many, "").0, 431);
    assert_eq!(site.ask("GET", "/healthz", "", &"x".repeat(5_000)).0, 413);
    let chunk = format!("400\r\n{}\r\n", "x".repeat(0x400));
    let head =
        "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(status_of(&site.raw(format!("{head}{}0\r\n\r\n", chunk.repeat(5)).as_bytes())), 413);
    assert_eq!(site.ask("GET", "/healthz", "", "small").0, 200, "a small body is no crime");
}

#[test]
fn who_sends_slowly_is_cut_off() {
    let short = Duration::from_millis(50);
    let site =
        site_with(HttpLimits { header_timeout: short, request_timeout: short, ..HttpLimits::default() });
    let mut unfinished_head = site.connect();
    unfinished_head.write_all(b"GET /healthz HTTP/1.1\r\nHost: loc").unwrap();
    let mut unfinished_body = site.connect();
    unfinished_body
        .write_all(b"POST /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc")
        .unwrap();
    let mut idle = site.connect();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    // Each of them ends, though the client never closes.
    read_all(unfinished_head);
    assert_eq!(status_of(&read_all(unfinished_body)), 408);
    assert_eq!(status_of(&read_all(idle)), 200, "a kept connection is answered and later closed");
    assert_eq!(site.get("/healthz").0, 200);
}

#[test]
fn who_never_stops_asking_is_cut_off_too() {
    let limits = HttpLimits { connection_lifetime: Duration::from_millis(50), ..HttpLimits::default() };
    let site = site_with(limits);
    let mut greedy = site.connect();
    // A hundred times what fits into the connection's life.
    for _ in 0..200_000 {
        if greedy.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").is_err() {
            return;
        }
        match greedy.read(&mut [0; 1_024]) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "the connection was never closed");
                return;
            }
        }
    }
    panic!("the connection was never closed");
}

/// Connections that never ask cost those that do nothing: health stays visible while somebody holds every seat.
#[test]
fn connections_that_ask_nothing_make_room_for_those_that_do() {
    let site = site_with(HttpLimits { connections_max: 4, ..HttpLimits::default() });
    let mut half_open: Vec<TcpStream> = (0..16)
        .map(|_| {
            let mut stream = site.connect();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: loc").unwrap();
            stream
        })
        .collect();
    for _ in 0..8 {
        assert_eq!(site.get("/healthz").0, 200);
        assert_ne!(site.get("/readyz").1, serde_json::Value::Null, "readiness is told");
    }
    assert!(site.counter("terrane_http_connections_displaced_total") >= 12.0);
    // The oldest have ended, and a kept connection that was answered is no better than they.
    assert_eq!(read_all(half_open.remove(0)), "");
    let mut kept = site.connect();
    kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(kept.read(&mut [0; 1_024]).unwrap() > 0);
    let others: Vec<TcpStream> = (0..4).map(|_| site.connect()).collect();
    assert_eq!(read_all(kept), "");
    drop(others);
}

/// A connection whose request is being answered keeps its seat.
#[test]
fn a_connection_too_many_is_turned_away_while_all_are_answered() {
    let seats = Seats::new(2, Arc::default());
    let busy: Vec<_> = (0..2).map(|_| seats.take().expect("free")).collect();
    for seat in &busy {
        seat.asking().fetch_add(1, Ordering::Relaxed);
    }
    assert!(seats.take().is_none());
    busy[1].asking().fetch_sub(1, Ordering::Relaxed);
    let third = seats.take().expect("the second was answered and waits");
    third.asking().fetch_add(1, Ordering::Relaxed);
    assert!(seats.take().is_none());
    drop(busy);
    assert!(seats.take().is_some(), "a freed seat is used again");
}

#[test]
fn a_stop_frees_the_port_and_does_not_wait_for_idle_clients() {
    let site = site();
    let mut idle = site.connect();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert!(idle.read(&mut [0; 1_024]).unwrap() > 0);
    let addr = site.server.local_addr();
    drop(site);
    assert_eq!(idle.read(&mut [0; 16]).unwrap_or(0), 0, "idle connections are closed");
    assert!(TcpStream::connect(addr).is_err(), "nobody listens any more");
}

#[test]
fn a_taken_address_and_an_open_one_without_a_token_are_told_with_the_flag() {
    let site = site();
    let addr = site.server.local_addr();
    let start = |addr: SocketAddr| {
        let token = AdminToken::generate().unwrap();
        let settings = HttpSettings { addr, token, limits: HttpLimits::default() };
        let mut state = site.state.clone();
        state.metrics = Arc::new(Metrics::new());
        HttpServer::start(settings, state).expect_err("must not start").to_string()
    };
    let taken = start(addr);
    assert!(taken.contains(&addr.to_string()) && taken.contains("--http"), "{taken}");
    let open = start("0.0.0.0:0".parse().unwrap());
    assert!(open.contains("--admin-token-file"), "{open}");
}

/// C9, H3: whoever ticks answers, not this thread; without the token nobody is asked.
#[test]
fn why_is_answered_by_whoever_ticks_and_needs_the_token() {
    let site = site();
    let path = "/api/why?player=Bot%201&entity=00ff&field=Caravan.purse";
    assert_eq!(site.get(path).0, 401, "it is private");
    let token = format!("Authorization: Bearer {}\r\n", site.token);
    let (questions, done) =
        (site.state.questions.clone(), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let over = done.clone();
    let ticks = std::thread::spawn(move || {
        let mut asked = Vec::new();
        while !over.load(Ordering::Relaxed) {
            questions.answer(1, |question| {
                asked.push(question.clone());
                match question.player.as_str() {
                    "Bot 1" => {
                        Reply::Answer { json: serde_json::json!({ "sees": true }), text: "seen".into() }
                    }
                    "" => Reply::Wrong("a player has a name".into()),
                    _ => Reply::Unknown("no such player".into()),
                }
            });
            std::thread::yield_now();
        }
        asked
    });
    let ask = |path: &str, headers: &str| site.ask("GET", path, &format!("{token}{headers}"), "");
    assert_eq!(ask(path, ""), (200, "{\"sees\":true}".into()));
    assert_eq!(ask(path, "Accept: text/plain\r\n"), (200, "seen".into()), "for people");
    assert_eq!(ask("/api/why?player=&entity=1", "").0, 400);
    assert_eq!(ask("/api/why?player=x&entity=1", "").0, 404);
    let (status, body) = ask("/api/why?player=x", "");
    assert!(status == 400 && body.contains("&entity=HEX"), "{body}");
    assert_eq!(ask("/api/why?player=x&entity=1&what=1", "").0, 400, "what is not known is not ignored");
    done.store(true, Ordering::Relaxed);
    let asked = ticks.join().unwrap();
    assert_eq!(asked.len(), 4);
    assert_eq!((asked[0].player.as_str(), asked[0].field.as_deref()), ("Bot 1", Some("Caravan.purse")));
}

/// A world that does not tick keeps nobody waiting for ever, and no more than a few.
#[test]
fn a_world_that_does_not_tick_is_told_to_who_asks_and_the_queue_is_bounded() {
    let site = site();
    let token = format!("Authorization: Bearer {}\r\n", site.token);
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let ask = || site.ask("GET", "/api/why?player=a&entity=1", &token, "");
        let asking: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|asking| asking.join().unwrap().0).collect()
    });
    assert_eq!(statuses, [503; 20]);
    assert!(site.state.questions.is_waiting(), "they were put to whoever would have ticked");
    let mut answered = 0;
    site.state.questions.answer(64, |_| {
        answered += 1;
        Reply::Unknown(String::new())
    });
    assert_eq!(answered, 0, "nobody waits any more, so nothing is computed");
}

/// H3: an order that a tick has taken is done in the world, however slow the disk is: who gave it is not told that the world
/// does not tick.
#[test]
fn an_order_that_is_done_and_not_written_yet_is_told_as_such() {
    let site = site();
    let token = format!("Authorization: Bearer {}\r\n", site.token);
    let body = r#"{"what": "kick", "player": "alice", "why": "rude"}"#;
    let headers = format!("{token}Content-Type: application/json\r\n");
    let order = || site.ask("POST", "/api/moderate", &headers, body);
    let (status, told) = order();
    assert!(status == 503 && told.contains("does not tick"), "nobody took it: {status} {told}");
    let (status, told) = std::thread::scope(|scope| {
        let ordering = scope.spawn(order);
        let taken = loop {
            let taken = site.state.orders.take(8);
            if !taken.is_empty() {
                break taken;
            }
            std::thread::yield_now();
        };
        let told = ordering.join().unwrap();
        drop(taken);
        told
    });
    assert!(status == 504 && told.contains("not written yet"), "{status} {told}");
}

/// E6, H3: what failed for good is ordered about with the token alone, in words that are understood; whoever ticks answers.
#[test]
fn orders_about_what_failed_need_the_token_and_are_understood() {
    let site = site();
    let token = format!("Authorization: Bearer {}\r\n", site.token);
    let post = |headers: &str, body: &str| site.ask("POST", "/api/compensations", headers, body);
    let retry = r#"{"what": "retry", "number": 7}"#;
    assert_eq!(post("", retry).0, 401);
    for wrong in ["", "{}", r#"{"what": "retry"}"#, r#"{"what": "forget", "number": 7}"#, "[7]"] {
        let (status, told) = post(&token, wrong);
        assert!(status == 400 && told.contains("discard"), "{wrong}: {told}");
    }
    let told = std::thread::scope(|scope| {
        let ordering = scope.spawn(|| post(&token, retry));
        let taken = loop {
            if let Some(taken) = site.state.compensations.take(1).pop() {
                break taken;
            }
            std::thread::yield_now();
        };
        assert_eq!((taken.question().number, taken.question().why.as_str()), (7, ""));
        taken.reply(Reply::Answer { json: serde_json::json!({ "done": true }), text: "done".into() });
        ordering.join().unwrap()
    });
    assert_eq!(told, (200, "{\"done\":true}".into()));
}
