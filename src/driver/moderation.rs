//! Orders about players from the command line: handed to the world that runs in a save, or written into one that does not.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::cli::ModerateOptions;
use crate::http::OrderRequest;
use crate::players::{Order, OrderKind, OrderOutcome, PlayerRequest, SanctionKind};
use crate::store::{PlayerWork, Store, StoreError};

use super::ask::{AskError, Request, ask_world};
use super::live::{in_stopped_or_live, now_ms};

/// What came of an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moderated {
    /// Whether it changed anything.
    pub(super) done: bool,
    /// What, in words.
    pub(super) text: String,
    /// Whether the world runs.
    pub(super) live: bool,
}

/// Carries an order out, wherever the world of the save is.
pub(super) fn moderate(kind: OrderKind, options: &ModerateOptions) -> Result<Moderated, AskError> {
    let write = |store| Ok(write(store, &order(kind, options))?);
    in_stopped_or_live(&options.save, write, || order_of_live(kind, options))
}

fn order_of_live(kind: OrderKind, options: &ModerateOptions) -> Result<Moderated, AskError> {
    let request = OrderRequest {
        what: kind,
        player: options.player.to_string(),
        why: options.why.clone(),
        for_s: options.for_s,
    };
    let body = serde_json::to_string(&request).map_err(|error| AskError::Refused(error.to_string()))?;
    let request = Request { target: "/api/moderate", accept: "application/json", body: Some(&body) };
    let answer = ask_world(&options.save, options.admin_token_file.as_deref(), &request)?;
    serde_json::from_str(&answer).map_err(|error| AskError::Refused(format!("{error}: {answer}")))
}

fn order(kind: OrderKind, options: &ModerateOptions) -> Order {
    Order {
        number: 0,
        kind,
        player: options.player.clone(),
        why: options.why.clone(),
        for_s: options.for_s,
        by: "operator".into(),
    }
}

/// Writes an order into a save that nobody else has.
fn write(mut store: Store, order: &Order) -> Result<Moderated, StoreError> {
    let now_ms = now_ms();
    let sanctions = store.sanctions()?;
    let is_under = |kind: SanctionKind| {
        sanctions.iter().any(|it| it.player == order.player && it.kind == kind && it.holds_at(now_ms))
    };
    let player = &order.player;
    let (done, text) = match order.kind {
        OrderKind::Kick => (false, "the world does not run: nobody is in it".to_owned()),
        OrderKind::Ban => (true, format!("{player} is banned")),
        OrderKind::Mute => (true, format!("{player} may not speak")),
        OrderKind::Unban if is_under(SanctionKind::Ban) => (true, format!("{player} may come in again")),
        OrderKind::Unban => (false, format!("{player} was not banned")),
        OrderKind::Unmute if is_under(SanctionKind::Mute) => (true, format!("{player} may speak again")),
        OrderKind::Unmute => (false, format!("{player} was not muted")),
    };
    let outcome = OrderOutcome { number: 0, done, text };
    if done {
        let change = order.sanction(now_ms).map(PlayerRequest::Sanction).map(PlayerWork::Request);
        let row = order.audit_row(store.next_tick()?, now_ms, &outcome);
        let batch: Vec<PlayerWork> = change.into_iter().chain([PlayerWork::Audit(row)]).collect();
        store.carry_out(&batch)?;
    }
    Ok(Moderated { done, text: outcome.text, live: false })
}

/// What came of it, for programs.
pub(super) fn as_json(kind: OrderKind, options: &ModerateOptions, outcome: &Moderated) -> serde_json::Value {
    let save: &Path = &options.save;
    serde_json::json!({
        "what": kind.name(),
        "player": options.player.as_str(),
        "save": save,
        "done": outcome.done,
        "text": outcome.text,
        "live": outcome.live,
    })
}
