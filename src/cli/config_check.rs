//! `terrane config check FILE`.

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use super::args::ConfigCheckOptions;
use super::exit::ExitCode;
use crate::config::{ConfigError, Problem, RunOptions, Settings, WorldConfig};
use crate::reference::ReferenceKind;

/// What goes to stdout with `--json`.
#[derive(Default, Serialize)]
struct Outcome {
    ok: bool,
    /// Set when the file could not even be read, or when a file that it names cannot be used.
    error: Option<String>,
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

/// Checks a file as a run without flags would, with the game's reference data beside it, and tells a person (`err`) and, if asked,
/// a program (`out`). The file may be one of the reference data itself: then they alone are checked. Wrong is exit code 2; unwise is
/// told and is 0. `named_files` says what is wrong with the files that a world with these settings would read, one line each; it
/// is asked once everything else is right.
///
/// # Errors
/// When `out` or `err` cannot be written to.
pub fn config_check(
    options: &ConfigCheckOptions,
    reference: Option<ReferenceKind>,
    named_files: impl FnOnce(&Settings) -> Vec<String>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<ExitCode> {
    let file = options.file.as_path();
    let is_of_reference = reference.is_some_and(|kind| {
        kind.files().iter().any(|of_game| file.file_name().is_some_and(|name| name == of_game.name))
    });
    let mut outcome = if is_of_reference && !file.is_file() {
        Outcome { error: Some(format!("{}: there is no such file", file.display())), ..Outcome::default() }
    } else if is_of_reference {
        Outcome::default()
    } else {
        check_world(file, reference.is_none_or(|kind| is_fine(kind, file)).then_some(named_files))
    };
    if outcome.error.is_none()
        && let Some(Err(problems)) = reference.map(|kind| kind.load(Some(folder_of(file))))
    {
        outcome.problems.extend(problems);
    }
    outcome.ok = outcome.error.is_none() && outcome.problems.is_empty();
    for warning in &outcome.warnings {
        writeln!(err, "warning: {warning}")?;
    }
    for line in outcome.error.iter().flat_map(|error| error.lines()) {
        writeln!(err, "error: {line}")?;
    }
    for problem in &outcome.problems {
        writeln!(err, "error: {problem}")?;
    }
    if outcome.ok {
        writeln!(err, "{}: fine", file.display())?;
    }
    if options.json {
        serde_json::to_writer(&mut *out, &outcome)?;
        writeln!(out)?;
    }
    Ok(if outcome.ok { ExitCode::Fine } else { ExitCode::Usage })
}

fn is_fine(kind: ReferenceKind, file: &Path) -> bool {
    kind.load(Some(folder_of(file))).is_ok()
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

fn check_world(file: &Path, named_files: Option<impl FnOnce(&Settings) -> Vec<String>>) -> Outcome {
    let checked =
        WorldConfig::load(file).and_then(|config| Settings::resolve(&RunOptions::default(), Some(&config)));
    match checked {
        Ok(settings) => {
            let wrong = named_files.map_or_else(Vec::new, |named_files| named_files(&settings));
            let error = (!wrong.is_empty()).then(|| wrong.join("\n"));
            Outcome { error, warnings: settings.warnings, ..Outcome::default() }
        }
        Err(ConfigError::Wrong { problems }) => Outcome { problems, ..Outcome::default() },
        Err(unread) => Outcome { error: Some(unread.to_string()), ..Outcome::default() },
    }
}
