//! SIGINT and SIGTERM: the first one drains, the second ends at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};

/// Whether somebody asked the process to end.
#[derive(Clone, Debug)]
pub(super) struct Signals(Arc<AtomicBool>);

/// What a process that is told twice ends with, as if the signal had killed it.
const EXIT_AT_ONCE: i32 = 130;

impl Signals {
    /// From now on the first signal is noted, and the second ends the process.
    pub(super) fn install() -> io::Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // Order matters: this one acts only when the flag was set by an earlier signal.
            signal_hook::flag::register_conditional_shutdown(signal, EXIT_AT_ONCE, asked.clone())?;
            signal_hook::flag::register(signal, asked.clone())?;
        }
        Ok(Self(asked))
    }

    pub(super) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
