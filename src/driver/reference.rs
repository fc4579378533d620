//! Reference data on their way into a world that runs: read by the watcher, written down by the store, then sealed into a tick.
//! And the commands about them.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ask::{AskError, Request, ask_world};
use super::error::RunError;
use super::live::in_stopped_or_live;
use super::watch::{Found, Watcher};
use crate::cli::{ConfigExportOptions, ConfigReloadOptions};
use crate::config::config_file;
use crate::http::{ReloadOrders, Reply, WaitingReload};
use crate::reference::{LoadedReference, Problem, ReferenceKind, ReferenceVersion, export};
use crate::server::io::TickInput;
use crate::store::{ReferenceWrite, Store, StoreHandle, StoreRequest};

/// Orders that are taken in one tick.
const ORDERS_PER_TICK_MAX: usize = 4;

/// One version on its way, and who waits for it.
#[derive(Debug)]
struct OnItsWay {
    loaded: LoadedReference,
    is_with_store: bool,
    waiting: Vec<WaitingReload>,
}

/// What a running world goes by, and what is to take its place.
#[derive(Debug)]
pub(super) struct ReferenceDesk {
    watcher: Watcher,
    current: LoadedReference,
    /// Whom the next reading answers.
    asking: Vec<WaitingReload>,
    /// Whom the reading under way answers.
    asked: Vec<WaitingReload>,
    is_asked: bool,
    on_its_way: Option<OnItsWay>,
}

impl ReferenceDesk {
    pub(super) fn new(watcher: Watcher, current: LoadedReference) -> Self {
        Self { watcher, current, asking: Vec::new(), asked: Vec::new(), is_asked: false, on_its_way: None }
    }

    /// Whether the store has something of it to do.
    pub(super) fn is_under_way(&self) -> bool {
        self.on_its_way.as_ref().is_some_and(|it| it.is_with_store)
    }

    /// Takes orders and what was read, and hands on what is new.
    pub(super) fn turn(&mut self, input: &TickInput, orders: &ReloadOrders, store: &StoreHandle) {
        self.asking.extend(orders.take(ORDERS_PER_TICK_MAX));
        // One after the other: what is read meanwhile is compared with what is then in force.
        if self.on_its_way.is_none()
            && let Some(found) = self.watcher.found()
        {
            self.take(found);
        }
        if !self.asking.is_empty() && !self.is_asked && self.watcher.ask() {
            self.is_asked = true;
            self.asked.append(&mut self.asking);
        }
        self.send(input, store);
    }

    fn take(&mut self, Found { is_asked, read }: Found) {
        let waiting = if is_asked { std::mem::take(&mut self.asked) } else { Vec::new() };
        self.is_asked &= !is_asked;
        let version = self.current.version();
        let checked = read.map_err(|problems| lines(&problems)).and_then(|loaded| {
            loaded.follows(&self.current)?;
            Ok(loaded)
        });
        match checked {
            Err(why) => {
                tracing::error!("the reference data are refused, and version {version} stays:\n{why}");
                let told =
                    format!("version {version} stays, since what the files say now is refused:\n{why}");
                tell(waiting, || Reply::Wrong(told.clone()));
            }
            Ok(loaded) if loaded.version() == version => {
                let text = format!("the files say nothing new: version {version} stays");
                tell(waiting, || answer(version, &text));
            }
            Ok(loaded) => self.on_its_way = Some(OnItsWay { loaded, is_with_store: false, waiting }),
        }
    }

    /// Hands what is new to the store. A full queue is tried again in the next tick.
    fn send(&mut self, input: &TickInput, store: &StoreHandle) {
        let Some(it) = self.on_its_way.as_mut().filter(|it| !it.is_with_store) else { return };
        let reference = it.loaded.clone();
        let write = ReferenceWrite { reference, tick: input.tick, now_ms: input.now_ms };
        it.is_with_store = store.try_request(StoreRequest::Reference(write)).is_ok();
    }

    /// It is written down: the next tick goes by it.
    pub(super) fn written(&mut self, version: ReferenceVersion, input: &mut TickInput) {
        let Some(OnItsWay { loaded, waiting, .. }) =
            self.on_its_way.take_if(|it| it.loaded.version() == version)
        else {
            return;
        };
        tracing::info!("reference data: version {version} takes the place of {}", self.current.version());
        input.reference = Some(loaded.clone());
        self.current = loaded;
        let text = format!("version {version} is in force from tick {} on", input.tick.0);
        tell(waiting, || answer(version, &text));
    }

    /// The store has given it up: the old version stays until a file changes again or somebody orders it.
    pub(super) fn gave_up(&mut self, why: &str) {
        if let Some(OnItsWay { loaded, waiting, .. }) = self.on_its_way.take() {
            let (new, old) = (loaded.version(), self.current.version());
            let text =
                format!("version {old} stays, since {new} could not be written: {why}; order it again");
            tracing::error!("reference data: {text}");
            tell(waiting, || Reply::Failed(text.clone()));
        }
    }
}

fn tell(waiting: Vec<WaitingReload>, reply: impl Fn() -> Reply) {
    for one in waiting {
        one.reply(reply());
    }
}

fn answer(version: ReferenceVersion, text: &str) -> Reply {
    let json =
        serde_json::json!({ "done": true, "text": text, "live": true, "version": version.to_string() });
    Reply::Answer { json, text: format!("{text}\n") }
}

/// One problem a line.
pub(super) fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// What came of an order to read the files again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reloaded {
    /// Whether the world goes by what the files say.
    pub(super) done: bool,
    /// What came of it, in words.
    pub(super) text: String,
    /// Whether the world runs.
    pub(super) live: bool,
    /// Which version is in force, if any is.
    pub(super) version: Option<String>,
}

/// `terrane config reload SAVE`: orders the world that runs there to read its files again.
pub(super) fn reload(options: &ConfigReloadOptions) -> Result<Reloaded, AskError> {
    let stopped = |mut store: Store| -> Result<Reloaded, AskError> {
        let text = "the world does not run: it reads its files when it starts".to_owned();
        Ok(Reloaded { done: false, text, live: false, version: store.reference_version()? })
    };
    in_stopped_or_live(&options.save, stopped, || {
        let request = Request { target: "/api/reload", accept: "application/json", body: Some("{}") };
        let answer = ask_world(&options.save, options.admin_token_file.as_deref(), &request)?;
        serde_json::from_str(&answer).map_err(|error| AskError::Refused(format!("{error}: {answer}")))
    })
}

/// `terrane config export DIR`: writes a game's data as JSON files, and says what was done.
pub(super) fn export_to(
    kind: Option<ReferenceKind>,
    options: &ConfigExportOptions,
) -> Result<String, RunError> {
    let kind = kind.ok_or_else(|| RunError::Game("this game has no reference data to export".into()))?;
    let named = config_file(options.config.as_deref());
    if let Some(file) = named.filter(|file| !file.is_file()) {
        return Err(RunError::Game(format!(
            "--config {}: there is no such file; name the world's configuration",
            file.display()
        )));
    }
    let loaded = kind.load(named.map(folder_of)).map_err(RunError::Reference)?;
    let files = export(&loaded, &options.dir).map_err(|error| {
        RunError::Game(format!("{}: cannot be written ({error}); name a folder", options.dir.display()))
    })?;
    Ok(format!("version {} in {} files in {}", loaded.version(), files.len(), options.dir.display()))
}

/// The folder that a configuration file is in.
pub(super) fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}
