//! Questions to a running world, from both ends: the command that asks over HTTP, and the world that answers between
//! two ticks.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::WhyOptions;
use crate::http::{AdminToken, Questions, Reply, TokenError, WhyQuestion};
use crate::ids::{FieldNameError, NetIdError, PlayerId};
use crate::replication::why::WhyQuery;
use crate::server::Server;
use crate::store::{RunInfo, StoreError};

/// Questions that are answered between two ticks: each costs far less than a tick, but whoever asks must not slow the
/// world.
const QUESTIONS_PER_TICK_MAX: usize = 2;
/// How long the world may take to accept a connection, and to answer.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: u64 = 4 << 20;

/// Why a running world could not be asked, or did not answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// Nothing runs there.
    #[error("no world runs in {}: start it with `terrane run --saves {} --name {}`, and ask again",
        folder.display(), folder.parent().unwrap_or(Path::new(".")).display(),
        folder.file_name().unwrap_or_default().display())]
    NotRunning {
        /// The save.
        folder: PathBuf,
    },
    /// It runs without its HTTP side.
    #[error("the world in {} runs with --http off, so it cannot be asked: start it with --http ADDR", folder.display())]
    HttpOff {
        /// The save.
        folder: PathBuf,
    },
    /// What the save says of where it runs cannot be read.
    #[error(transparent)]
    Save(#[from] StoreError),
    /// There is no token to show.
    #[error("{0}; a world that was started with --admin-token-file FILE is asked with the same")]
    Token(#[from] TokenError),
    /// Nobody answers.
    #[error(
        "no answer from {addr}, where the world in {} says it is ({error}): if it has crashed, start it again",
        folder.display()
    )]
    NoAnswer {
        /// The save.
        folder: PathBuf,
        /// Where it was asked.
        addr: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// It refuses, and says why.
    #[error("{0}")]
    Refused(String),
}

/// Answers what waits, between two ticks.
pub(super) fn answer_questions(server: &mut Server, questions: &Questions) {
    questions.answer(QUESTIONS_PER_TICK_MAX, |question| answer(server, question));
}

fn answer(server: &mut Server, question: &WhyQuestion) -> Reply {
    let query = match read(question) {
        Ok(query) => query,
        Err(why) => return Reply::Wrong(why),
    };
    match server.why(&query) {
        Ok(why) => match serde_json::to_value(&why) {
            Ok(json) => Reply::Answer { json, text: format!("{why}\n") },
            Err(error) => Reply::Wrong(error.to_string()),
        },
        Err(error) => Reply::Unknown(error.to_string()),
    }
}

fn read(question: &WhyQuestion) -> Result<WhyQuery, String> {
    let player = PlayerId::new(&question.player).map_err(|error| error.to_string())?;
    let entity = question.entity.parse().map_err(|error: NetIdError| error.to_string())?;
    let field = question.field.as_deref().map(str::parse).transpose();
    let field = field.map_err(|error: FieldNameError| error.to_string())?;
    Ok(WhyQuery { player, entity, field })
}

/// Asks the world that runs in a save, and gives what it says: JSON, or text for people.
pub(super) fn ask_why(options: &WhyOptions) -> Result<String, AskError> {
    let mut target = format!(
        "/api/why?player={}&entity={}",
        escaped(options.player.as_str()),
        escaped(&format!("{:016x}", options.entity.0))
    );
    if let Some(field) = &options.field {
        target.push_str(&format!("&field={}", escaped(&format!("{}.{}", field.component, field.field))));
    }
    let accept = if options.json { "application/json" } else { "text/plain" };
    ask_world(
        &options.save,
        options.admin_token_file.as_deref(),
        &Request { target: &target, accept, body: None },
    )
}

/// Asks the world that runs in a save, with its token, and gives the body of its answer.
pub(super) fn ask_world(
    folder: &Path,
    token_file: Option<&Path>,
    request: &Request<'_>,
) -> Result<String, AskError> {
    let info = RunInfo::read(folder)?.ok_or_else(|| AskError::NotRunning { folder: folder.to_owned() })?;
    let addr = info.http.ok_or_else(|| AskError::HttpOff { folder: folder.to_owned() })?;
    let token_file = token_file.map_or_else(|| folder.join("admin.token"), Path::to_owned);
    let token = AdminToken::from_file(&token_file)?;
    let addr = reachable(addr);
    let no_answer = |error| AskError::NoAnswer { folder: folder.to_owned(), addr, error };
    let (status, body) = send(addr, request, token.reveal()).map_err(no_answer)?;
    if status == 200 {
        return Ok(body);
    }
    let error: Option<String> = serde_json::from_str::<serde_json::Value>(&body)
        .ok()
        .and_then(|answer| answer["error"].as_str().map(str::to_owned));
    Err(AskError::Refused(error.unwrap_or_else(|| format!("{addr} answers {status}: {}", body.trim()))))
}

/// What the world that runs in a save tells everybody of itself, if it can be asked.
pub(super) fn live_status(folder: &Path) -> Option<serde_json::Value> {
    let addr = reachable(RunInfo::read(folder).ok()??.http?);
    let request = Request { target: "/api/status", accept: "application/json", body: None };
    let (status, body) = send(addr, &request, "").ok()?;
    if status == 200 { serde_json::from_str(&body).ok() } else { None }
}

/// What is asked of a running world.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// Path and query.
    pub(super) target: &'a str,
    /// The form of the answer.
    pub(super) accept: &'a str,
    /// JSON that is posted; without any it is a GET.
    pub(super) body: Option<&'a str>,
}

/// Where a world that listens on all addresses is reached from its own machine.
fn reachable(addr: SocketAddr) -> SocketAddr {
    let ip = match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, addr.port())
}

/// For the query of an address: letters and digits stay, all other bytes are written in hexadecimal.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

/// One request, one answer: its status and body.
fn send(addr: SocketAddr, request: &Request<'_>, token: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&addr, CONNECT_WITHIN)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    stream.set_write_timeout(Some(ANSWER_WITHIN))?;
    let Request { target, accept, body } = *request;
    let method = if body.is_some() { "POST" } else { "GET" };
    let body = body.unwrap_or_default();
    let length = body.len();
    // 1.0: the body comes in one piece and ends with the connection.
    let request = format!(
        "{method} {target} HTTP/1.0\r\nHost: {addr}\r\nAccept: {accept}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    let malformed = || std::io::Error::new(std::io::ErrorKind::InvalidData, "this is no answer of a world");
    let answer = String::from_utf8(answer).map_err(|_| malformed())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(malformed)?;
    Ok((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_the_way_into_an_address() {
        assert_eq!(escaped("Bot 1&x=é#"), "Bot%201%26x%3D%C3%A9%23");
        assert_eq!(escaped("Caravan.purse_2~-"), "Caravan.purse_2~-");
    }

    #[test]
    fn a_question_that_makes_no_sense_is_told_what_was_expected() {
        let ask = |player: &str, entity: &str, field: Option<&str>| {
            read(&WhyQuestion {
                player: player.into(),
                entity: entity.into(),
                field: field.map(str::to_owned),
            })
        };
        assert!(ask("", "1", None).unwrap_err().contains("player name"));
        assert!(ask("alice", "xyz", None).unwrap_err().contains("hexadecimal"));
        assert!(ask("alice", "", None).unwrap_err().contains("hexadecimal"));
        assert!(ask("alice", "12345678901234567", None).unwrap_err().contains("up to 16"));
        assert!(ask("alice", "+1", None).is_err());
        assert!(ask("alice", "1", Some("purse")).unwrap_err().contains("Component.field"));
        let query = ask("alice", "#00000000000000ff", Some("Caravan.purse")).unwrap();
        assert_eq!((query.entity.0, query.field.unwrap().field.as_str()), (255, "purse"));
    }

    #[test]
    fn a_world_that_listens_everywhere_is_asked_on_loopback() {
        assert_eq!(reachable("0.0.0.0:80".parse().unwrap()), "127.0.0.1:80".parse().unwrap());
        assert_eq!(reachable("[::]:80".parse().unwrap()), "[::1]:80".parse().unwrap());
        assert_eq!(reachable("10.0.0.1:80".parse().unwrap()), "10.0.0.1:80".parse().unwrap());
    }
}
