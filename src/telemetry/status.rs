//! What a running world says on stderr: one living line on a terminal, a line every ten seconds elsewhere.

use std::fmt;
use std::io::{self, IsTerminal, Write};

/// Between two rewrites of the living line, in nanoseconds.
const LIVE_EVERY_NS: u64 = 250_000_000;
/// Between two plain lines, in nanoseconds.
const PLAIN_EVERY_NS: u64 = 10_000_000_000;

/// How the status is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusMode {
    /// One line that is written over, four times a second.
    Live,
    /// A new line every ten seconds.
    Plain,
    /// Nothing: a machine reads the output.
    Off,
}

impl StatusMode {
    /// Live on a terminal, plain elsewhere, off when the report is JSON.
    #[must_use]
    pub fn choose(stderr_is_terminal: bool, json_report: bool) -> Self {
        match (json_report, stderr_is_terminal) {
            (true, _) => StatusMode::Off,
            (false, true) => StatusMode::Live,
            (false, false) => StatusMode::Plain,
        }
    }
}

/// The numbers of the line.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StatusNumbers {
    /// The tick.
    pub tick: u64,
    /// Ticks per second, lately.
    pub hz: f64,
    /// 99th percentile of the length of a tick in milliseconds, lately.
    pub tick_ms_p99: f64,
    /// Owned entities.
    pub entities: u64,
    /// Players in the world.
    pub players: u64,
    /// Bytes to clients per second, lately.
    pub bytes_per_s: f64,
}

impl fmt::Display for StatusNumbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "tick {}  {:.1} Hz  p99 {:.2} ms  {} entities  {} players  {:.1} kB/s",
            self.tick,
            self.hz,
            self.tick_ms_p99,
            self.entities,
            self.players,
            self.bytes_per_s / 1e3
        )
    }
}

/// Writes the line when it is due. Time is an argument.
#[derive(Debug)]
pub struct StatusLine<W: Write = io::Stderr> {
    mode: StatusMode,
    out: W,
    due_ns: u64,
    /// A living line stands on the terminal.
    standing: bool,
}

impl StatusLine {
    /// On stderr; see [`StatusMode::choose`].
    #[must_use]
    pub fn on_stderr(json_report: bool) -> Self {
        let stderr = io::stderr();
        let mode = StatusMode::choose(stderr.is_terminal(), json_report);
        Self::new(mode, stderr)
    }
}

impl<W: Write> StatusLine<W> {
    /// On another output.
    pub fn new(mode: StatusMode, out: W) -> Self {
        Self { mode, out, due_ns: 0, standing: false }
    }

    /// Whether [`update`](Self::update) would write at this time; numbers need not be made otherwise.
    #[must_use]
    pub fn is_due(&self, now_ns: u64) -> bool {
        self.mode != StatusMode::Off && now_ns >= self.due_ns
    }

    /// Writes the numbers if the last line is old enough. A terminal that is gone is not an error of the world.
    pub fn update(&mut self, now_ns: u64, numbers: &impl fmt::Display) {
        if !self.is_due(now_ns) {
            return;
        }
        let (every_ns, written) = match self.mode {
            StatusMode::Live => (LIVE_EVERY_NS, write!(self.out, "\r\x1b[K{numbers}")),
            StatusMode::Plain => (PLAIN_EVERY_NS, writeln!(self.out, "{numbers}")),
            StatusMode::Off => return,
        };
        self.due_ns = now_ns + every_ns;
        self.standing = self.mode == StatusMode::Live;
        if written.and_then(|()| self.out.flush()).is_err() {
            self.mode = StatusMode::Off;
        }
    }

    /// Clears the living line, so that the report begins on an empty one.
    pub fn finish(&mut self) {
        if std::mem::take(&mut self.standing) {
            let _ = write!(self.out, "\r\x1b[K").and_then(|()| self.out.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn written(mode: StatusMode) -> String {
        let mut line = StatusLine::new(mode, Vec::new());
        for tick in 0..600u64 {
            line.update(tick * SECOND_NS / 20, &StatusNumbers { tick, hz: 20.0, ..Default::default() });
        }
        line.finish();
        String::from_utf8(line.out).unwrap()
    }

    #[test]
    fn a_terminal_gets_one_living_line_and_a_file_one_line_in_ten_seconds() {
        let live = written(StatusMode::Live);
        assert_eq!(
            (live.matches('\n').count(), live.matches("tick ").count()),
            (0, 120),
            "30 s, four times a second"
        );
        assert!(live.ends_with("\r\x1b[K"), "the line is cleared in the end");
        let plain = written(StatusMode::Plain);
        assert_eq!(plain.lines().count(), 3);
        assert!(
            !plain.contains('\x1b') && plain.starts_with("tick 0  20.0 Hz  p99 0.00 ms  0 entities"),
            "{plain}"
        );
        assert_eq!(written(StatusMode::Off), "");
    }

    #[test]
    fn a_report_for_machines_is_never_mixed_with_a_status() {
        assert_eq!(StatusMode::choose(true, true), StatusMode::Off);
        assert_eq!(StatusMode::choose(true, false), StatusMode::Live);
        assert_eq!(StatusMode::choose(false, false), StatusMode::Plain);
    }
}
