//! A panic inside a cell says where: tick, cell, and system or action.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use bevy_ecs::error::{BevyError, ErrorContext, FallbackErrorHandler, Severity, match_severity};

use crate::ids::{CellId, TickNumber};

/// Names the system that panicked or gave an error that must not be passed over.
fn name_the_system(mut error: BevyError, context: ErrorContext) {
    if error.severity() != Severity::Panic {
        return match_severity(error, context);
    }
    let what = match error.take_payload() {
        Some(payload) => text_of(&*payload),
        None => error.to_string().trim_end().to_owned(),
    };
    // It has been printed where it happened, or will be with tick and cell.
    resume_unwind(Box::new(format!("{} `{}`: {what}", context.kind(), context.name())));
}

/// What a cell's world does with a failed system.
pub(super) fn handler() -> FallbackErrorHandler {
    FallbackErrorHandler(name_the_system)
}

fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without a text").to_owned()
}

/// Runs the game's part of a cell's tick. Nothing of a tick that panicked is kept: the process ends.
pub(super) fn within(tick: TickNumber, cell: CellId, work: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
        panic!("tick {tick}: cell {cell}: {}", text_of(&*payload));
    }
}

/// Runs an action's handler.
pub(super) fn within_action<R>(name: &str, work: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|payload| resume_unwind(Box::new(format!("action `{name}`: {}", text_of(&*payload)))))
}
