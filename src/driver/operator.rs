//! The commands that work on a save: verify, backup, compensations, stats, ranks, repair.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bevy_app::AppExit;
use serde_json::{Value, json};

use super::ask::live_status;
use super::command::{exit, say};
use super::compensations::order;
use super::live::now_ms;
use super::operator_text as text;
use super::signals::Signals;
use crate::cli::{
    BackupOptions, CliError, CompensationsOptions, CompensationsSub, ExitCode, OperatorCommand, RanksOptions,
    RepairOptions, StatsOptions, VerifyOptions,
};
use crate::store::game::GameStore;
use crate::store::operator::{Progress, Watch, back_up, figures, ranks, repair, verify};
use crate::store::{CompensationVerb, Store, StoreError};
use crate::telemetry::StatusLine;

/// Carries a command out; `game` is what the game has in the store.
pub(super) fn operate(command: &OperatorCommand, game: &GameStore) -> AppExit {
    match command {
        OperatorCommand::Verify(options) => run_verify(options, game),
        OperatorCommand::Backup(options) => run_backup(options),
        OperatorCommand::Compensations(options) => run_compensations(options),
        OperatorCommand::Stats(options) => run_stats(options),
        OperatorCommand::Ranks(options) => run_ranks(options),
        OperatorCommand::Repair(options) => run_repair(options, game),
    }
}

/// What a person at a terminal is told while it takes long, and whether they want it to go on.
struct Waiting {
    line: Arc<Mutex<StatusLine>>,
    watch: Watch,
}

impl Waiting {
    #[expect(clippy::disallowed_methods, reason = "a person waits")]
    fn begin(json: bool) -> Result<Self, CliError> {
        let failed = |error| CliError::CheckFailed(format!("the system refuses signal handlers: {error}"));
        let signals = Signals::install().map_err(failed)?;
        let line = Arc::new(Mutex::new(StatusLine::on_stderr(json)));
        let (shown, began) = (line.clone(), Instant::now());
        let last = Mutex::new(Progress { doing: "beginning", done: 0, of: None });
        let watch = Watch::new(move |progress: Progress| {
            let now_ns = began.elapsed().as_nanos() as u64;
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            if !progress.doing.is_empty() {
                *last = progress;
            }
            // What takes no time need not be told.
            if now_ns > TOLD_AFTER_NS {
                let mut line = shown.lock().unwrap_or_else(PoisonError::into_inner);
                line.update(now_ns, &text::Line(*last));
            }
            !signals.is_asked()
        });
        Ok(Self { line, watch })
    }

    fn end(&self) {
        self.line.lock().unwrap_or_else(PoisonError::into_inner).finish();
    }
}

/// Before that nobody is told anything, nanoseconds.
const TOLD_AFTER_NS: u64 = 500_000_000;

/// Does something that may take long.
fn while_watched<T>(json: bool, work: impl FnOnce(&Watch) -> Result<T, StoreError>) -> Result<T, CliError> {
    let waiting = Waiting::begin(json)?;
    let done = work(&waiting.watch);
    waiting.end();
    Ok(done?)
}

/// Tells that it could not be done: to people, and to programs that read JSON.
fn failed(error: &CliError, json: bool, code: ExitCode) -> AppExit {
    error.print();
    if json {
        say(&json!({ "ok": false, "error": error.to_string() }).to_string());
    }
    exit(code)
}

/// Tells what came of it, and ends with 1 where something is wrong.
fn tell(answer: &Value, text: &str, json: bool, is_ok: bool) -> AppExit {
    let said = if json { say(&answer.to_string()) } else { AppExit::Success };
    if !json {
        eprintln!("{}", text.trim_end());
    }
    if is_ok { said } else { exit(ExitCode::CheckFailed) }
}

fn as_json(of: &impl serde::Serialize) -> Value {
    serde_json::to_value(of).unwrap_or_else(|error| json!({ "ok": false, "error": error.to_string() }))
}

fn run_verify(options: &VerifyOptions, game: &GameStore) -> AppExit {
    match while_watched(options.json, |watch| verify(&options.save, game, watch)) {
        Ok(verified) => {
            tell(&as_json(&verified), &text::verified(&options.save, &verified), options.json, verified.ok)
        }
        // 1 says that something is wrong with the save; of one that cannot be read nothing is known.
        Err(error) => failed(&error, options.json, ExitCode::Usage),
    }
}

fn run_backup(options: &BackupOptions) -> AppExit {
    let BackupOptions { save, dest, json } = options;
    match while_watched(*json, |watch| back_up(save, dest, now_ms(), watch)) {
        Ok(backup) => tell(&as_json(&backup), &text::backed_up(save, &backup), *json, true),
        Err(error) => failed(&error, *json, error.exit_code()),
    }
}

fn run_compensations(options: &CompensationsOptions) -> AppExit {
    let save = &options.save;
    let (verb, id, why, flags) = match &options.what {
        CompensationsSub::List { json } => {
            return match Store::read_compensations(save) {
                Ok(list) => tell(&json!({ "compensations": list }), &text::compensations(&list), *json, true),
                Err(error) => {
                    let error = CliError::from(error);
                    failed(&error, *json, error.exit_code())
                }
            };
        }
        CompensationsSub::Retry { id, order } => (CompensationVerb::Retry, *id, "", order),
        CompensationsSub::Discard { id, why, order } => (CompensationVerb::Discard, *id, why.as_str(), order),
    };
    match order(save, verb, id, why, flags.admin_token_file.as_ref()) {
        Ok(ordered) => {
            let answer = json!({
                "what": verb.name(), "id": id, "save": save,
                "done": ordered.done, "text": ordered.text, "live": ordered.live,
            });
            tell(&answer, &ordered.text, flags.json, ordered.done)
        }
        Err(error) => failed(&CliError::CheckFailed(error.to_string()), flags.json, ExitCode::Usage),
    }
}

fn run_stats(options: &StatsOptions) -> AppExit {
    let StatsOptions { save, json } = options;
    match while_watched(*json, |watch| figures(save, watch)) {
        Ok(figures) => {
            // Who is in a running world is known to its process alone.
            let online = if figures.live { live_status(save) } else { None };
            let online = online.as_ref().map_or(Value::Null, |status| status["players"].clone());
            let mut answer = as_json(&figures);
            answer["online"] = online.clone();
            tell(&answer, &text::figures(save, &figures, online.as_u64()), *json, true)
        }
        Err(error) => failed(&error, *json, error.exit_code()),
    }
}

fn run_ranks(options: &RanksOptions) -> AppExit {
    let RanksOptions { save, asset, top, json } = options;
    match while_watched(*json, |watch| ranks(save, asset.as_deref(), *top, watch)) {
        Ok(Some(ranks)) => tell(&as_json(&ranks), &text::ranks(&ranks), *json, true),
        Ok(None) => {
            let name = asset.as_deref().unwrap_or_default();
            let error =
                format!("there is no asset `{name}` in {}: `terrane stats` lists them", save.display());
            failed(&CliError::CheckFailed(error), *json, ExitCode::CheckFailed)
        }
        Err(error) => failed(&error, *json, error.exit_code()),
    }
}

fn run_repair(options: &RepairOptions, game: &GameStore) -> AppExit {
    let RepairOptions { save, dry_run, json } = options;
    match while_watched(*json, |watch| repair(save, game, *dry_run, now_ms(), watch)) {
        Ok(repaired) => tell(&as_json(&repaired), &text::repaired(save, &repaired), *json, repaired.ok),
        Err(error) => failed(&error, *json, error.exit_code()),
    }
}
