//! What a tick may not call is refused by clippy: in this crate, and in a game's that takes the list over.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

fn read(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// All files of a folder and the folders in it, by their paths from the root.
fn files_below(folder: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files = Vec::new();
    for entry in path.read_dir().unwrap_or_else(|error| panic!("{}: {error}", path.display())) {
        let entry = entry.expect("readable");
        let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
        match entry.file_type().expect("readable").is_dir() {
            true => files.extend(files_below(&name)),
            false => files.push(name),
        }
    }
    files
}

/// The paths that a list names.
fn listed(path: &str) -> BTreeSet<String> {
    let text = read(path);
    let paths = text.lines().filter_map(|line| line.trim().strip_prefix("{ path = \"")?.split('"').next());
    paths.map(str::to_owned).collect()
}

/// What handlers would like to do and may not.
const HANDLER: &str = r#"
pub struct Purse { pub silver: u64 }
pub fn work(purse: &mut Purse) -> Result<(), String> {
    purse.silver += std::time::Instant::now().elapsed().as_secs();
    let now = std::time::SystemTime::now();
    purse.silver += now.elapsed().map_err(|error| error.to_string())?.as_secs();
    purse.silver += std::fs::read("prices").map_err(|error| error.to_string())?.len() as u64;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    drop(socket);
    std::thread::spawn(|| ());
    std::thread::sleep(std::time::Duration::from_millis(1));
    purse.silver += std::env::var("BONUS").map_err(|error| error.to_string())?.len() as u64;
    let seen: std::collections::HashMap<u64, u64> = Default::default();
    purse.silver += seen.len() as u64 + (purse.silver as f32).sin() as u64;
    let _ = std::sync::mpsc::channel::<u8>();
    Ok(())
}
"#;

/// What clippy says of a file, with the list in a folder.
fn clippy(list: &str, source: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("handler.rs");
    std::fs::write(&file, source).expect("written");
    let output = Command::new("clippy-driver")
        .env("CLIPPY_CONF_DIR", Path::new(env!("CARGO_MANIFEST_DIR")).join(list))
        .args(["--crate-type", "lib", "--edition", "2024", "--emit", "metadata", "--out-dir"])
        .arg(folder.path())
        .arg(&file)
        .output()
        .expect("clippy is installed with the toolchain: rustup component add clippy");
    String::from_utf8(output.stderr).expect("it writes text")
}

/// C1: clocks, files, sockets, threads, the environment, random order and what differs between platforms.
#[test]
fn what_a_handler_may_not_call_is_refused_by_the_lint() {
    let said = clippy("assets/clippy", HANDLER);
    for path in [
        "std::time::Instant::now",
        "std::time::Instant::elapsed",
        "std::time::SystemTime::now",
        "std::time::SystemTime::elapsed",
        "std::fs::read",
        "std::net::UdpSocket::bind",
        "std::thread::spawn",
        "std::thread::sleep",
        "std::env::var",
        "std::collections::HashMap",
        "f32::sin",
        "std::sync::mpsc::channel",
    ] {
        let (method, ty) =
            (format!("use of a disallowed method `{path}`"), format!("use of a disallowed type `{path}`"));
        assert!(said.contains(&method) || said.contains(&ty), "{path} passes: {said}");
    }
    assert!(!said.contains("does not refer to"), "the list names what there is not: {said}");
    // This crate reads files and has threads, outside of the tick; clocks, chance and order are refused all the same.
    let said = clippy(".", HANDLER);
    for path in
        ["std::time::Instant::now", "std::time::SystemTime::now", "std::collections::HashMap", "f32::sin"]
    {
        assert!(said.contains(&format!("`{path}`")), "{path} passes: {said}");
    }
    let said = clippy("assets/clippy", "pub fn work(silver: &mut u64) { *silver += 1; }");
    assert!(!said.contains("disallowed"), "{said}");
}

/// C1: the list for games holds all of the engine's own, and the shipped game keeps to what goes beyond it.
#[test]
fn a_game_may_call_nothing_that_the_engine_may_not() {
    let (engine, game) = (listed("clippy.toml"), listed("assets/clippy/clippy.toml"));
    let missing: Vec<_> = engine.difference(&game).collect();
    assert!(missing.is_empty() && engine.len() > 50, "assets/clippy/clippy.toml lacks {missing:?}");
    let files = files_below("src/caravan");
    assert!(files.len() > 15, "{files:?}");
    for name in files {
        let text = read(&name);
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        for word in ["std::fs", "std::net", "std::thread", "std::env", "std::process", "std::io"] {
            // The map is read before the world begins, and the post office stands outside of the tick: its courier goes there.
            let is_map = name == "src/caravan/roads.rs" && word == "std::fs";
            let is_outside = name == "src/caravan/post/office.rs" && ["std::fs", "std::io"].contains(&word);
            assert!(is_map || is_outside || !code.contains(word), "{name} uses {word}");
        }
    }
}
