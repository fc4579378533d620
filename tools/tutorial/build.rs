//! Writes every step of the tutorial out as modules, for `tests/steps.rs` to include: so each step is compiled, and its tests run,
//! with the workspace's own build of Terrane, which a project apart would have to build anew.

#[path = "src/lib.rs"]
#[expect(unreachable_pub, reason = "it is the library that the tests use as well")]
mod document;

use std::env::var;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const DOCUMENT: &str = "../../docs/tutorial.md";

/// The name of the game's package: what its own programs and tests call it.
const GAME: &str = "quarry";

fn main() {
    println!("cargo::rerun-if-changed={DOCUMENT}");
    println!("cargo::rerun-if-changed=src/lib.rs");
    let text = fs::read_to_string(DOCUMENT).unwrap_or_else(|error| panic!("{DOCUMENT}: {error}"));
    let steps = document::steps(&text).unwrap_or_else(|error| panic!("{error}"));
    let out = PathBuf::from(var("OUT_DIR").expect("cargo says where to write"));
    let mut modules = String::new();
    for (number, step) in (1..).zip(&steps) {
        let folder = out.join(format!("step_{number}"));
        writeln!(modules, "/// {}\nmod step_{number} {{", step.title).expect("into a string");
        for (file, text) in step.files.iter().filter(|(file, _)| file.ends_with(".rs")) {
            let path = folder.join(file);
            write(&path, &as_module(file, text));
            // A module of the library's own is found from there.
            if let Some(module) = module_of(file) {
                writeln!(modules, "    #[path = {path:?}]\n    pub mod {module};").expect("into a string");
            }
        }
        modules.push_str("}\n");
    }
    writeln!(modules, "/// How many there are.\nconst STEPS: usize = {};", steps.len())
        .expect("into a string");
    write(&out.join("steps.rs"), &modules);
}

/// What a root of the project's is as a module: the library by its name, a program or a test by its own.
fn module_of(file: &str) -> Option<String> {
    match file {
        "src/lib.rs" => Some(GAME.to_owned()),
        "src/main.rs" => Some("main".to_owned()),
        _ => file.strip_prefix("tests/")?.strip_suffix(".rs").map(|test| format!("test_of_{test}")),
    }
}

/// A program or a test finds the library beside it, below what it says of itself.
fn as_module(file: &str, text: &str) -> String {
    if module_of(file).is_none_or(|module| module == GAME) {
        return text.to_owned();
    }
    let head: usize =
        text.split_inclusive('\n').take_while(|line| line.starts_with("//!")).map(str::len).sum();
    format!("{}use super::{GAME};\n{}", &text[..head], &text[head..])
}

fn write(path: &Path, text: &str) {
    let folder = path.parent().expect("a file has a folder");
    fs::create_dir_all(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
