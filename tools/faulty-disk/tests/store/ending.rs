//! A process that ends at a chosen call to its disk: this very program again, with one of its ignored tests.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use terrane_faulty_disk::{Call, Crash, Edge, FileKind};

/// Names the save to that process.
const FOLDER: &str = "TERRANE_TEST_ENDING_SAVE";
/// At which call, and on which side of it: `log write before 3`.
const POINT: &str = "TERRANE_TEST_ENDING_AT";
/// How a process ends that a disk lets end.
const SIGABRT: i32 = 6;

/// In which save this process is to work, and where it is to end; none when nobody has started it for that.
pub(crate) fn wanted() -> Option<(PathBuf, Crash)> {
    let folder = std::env::var_os(FOLDER)?;
    let point = std::env::var(POINT).expect("said together with the folder");
    let words: Vec<&str> = point.split(' ').collect();
    let [file, call, edge, nth] = words[..] else { panic!("{point}: four words") };
    let file = match file {
        "main" => FileKind::Main,
        "log" => FileKind::Log,
        other => panic!("{point}: there is no file {other}"),
    };
    let call = match call {
        "sync" => Call::Sync,
        "write" => Call::Write,
        other => panic!("{point}: there is no call {other}"),
    };
    let edge = match edge {
        "before" => Edge::Before,
        "after" => Edge::After,
        other => panic!("{point}: there is no side {other}"),
    };
    Some((folder.into(), Crash { file, call, nth: nth.parse().expect("a number"), edge }))
}

/// Runs that ignored test in such a process; whether it has ended there, and not got to its end.
pub(crate) fn ends(test: &str, folder: &Path, point: &str) -> bool {
    let child = Command::new(std::env::current_exe().expect("this is a program"))
        .args(["--ignored", "--exact", test])
        .env(FOLDER, folder)
        .env(POINT, point)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("it runs");
    match child.signal() {
        None => assert!(child.success(), "{point}: {child}"),
        Some(signal) => assert_eq!(signal, SIGABRT, "{point}"),
    }
    !child.success()
}
