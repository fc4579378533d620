//! `terrane config check FILE`.

use std::io::{self, Write};

use serde::Serialize;

use super::args::ConfigCheckOptions;
use super::exit::ExitCode;
use crate::config::{ConfigError, Problem, RunOptions, Settings, WorldConfig};

/// What goes to stdout with `--json`.
#[derive(Serialize)]
struct Outcome<'a> {
    ok: bool,
    /// Set when the file could not even be read, or when a file that it names cannot be used.
    error: Option<String>,
    problems: &'a [Problem],
    warnings: &'a [Problem],
}

/// Checks a file as a run without flags would, and tells a person (`err`) and, if asked, a program (`out`).
/// Wrong is exit code 2; unwise is told and is 0. `named_files` says what is wrong with the files that a world with
/// these settings would read, one line each; it is asked once all values are right.
///
/// # Errors
/// When `out` or `err` cannot be written to.
pub fn config_check(
    options: &ConfigCheckOptions,
    named_files: impl FnOnce(&Settings) -> Vec<String>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<ExitCode> {
    let checked = WorldConfig::load(&options.file)
        .and_then(|config| Settings::resolve(&RunOptions::default(), Some(&config)));
    let outcome = match &checked {
        Ok(settings) => {
            for warning in &settings.warnings {
                writeln!(err, "warning: {warning}")?;
            }
            let wrong = named_files(settings);
            for line in &wrong {
                writeln!(err, "error: {line}")?;
            }
            let ok = wrong.is_empty();
            if ok {
                writeln!(err, "{}: fine", options.file.display())?;
            }
            let error = (!ok).then(|| wrong.join("\n"));
            Outcome { ok, error, problems: &[], warnings: &settings.warnings }
        }
        Err(error) => {
            for line in error.to_string().lines() {
                writeln!(err, "error: {line}")?;
            }
            let unread = !matches!(error, ConfigError::Wrong { .. });
            Outcome {
                ok: false,
                error: unread.then(|| error.to_string()),
                problems: error.problems(),
                warnings: &[],
            }
        }
    };
    if options.json {
        serde_json::to_writer(&mut *out, &outcome)?;
        writeln!(out)?;
    }
    Ok(if outcome.ok { ExitCode::Fine } else { ExitCode::Usage })
}
