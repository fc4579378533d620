//! The terminal: taken over on opening, given back on every way out, a panic included.

use std::io::{self, IsTerminal, Stdout, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{self, Event};
use crossterm::{cursor, execute, queue, style, terminal};

/// A terminal that shows one picture after the other. Dropping it gives the terminal back.
pub(crate) struct Screen {
    out: Stdout,
    shown: Vec<String>,
    size: (u16, u16),
    /// The wait of this picture is over: what else has come is taken at once.
    waited: bool,
}

/// Whether the terminal is ours: given back twice, it would put the cursor onto what was written in between.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);

/// Gives the terminal back, if it is taken. It may be gone already.
fn restore() {
    if !IS_TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let _ = execute!(io::stdout(), terminal::LeaveAlternateScreen, cursor::Show);
    let _ = terminal::disable_raw_mode();
}

impl Screen {
    pub(crate) fn open() -> io::Result<Self> {
        if !(io::stdout().is_terminal() && io::stdin().is_terminal()) {
            return Err(io::Error::other(
                "stdin and stdout must be a terminal; without one, try the watch example",
            ));
        }
        // What a panic says is to be read afterwards, so the terminal is given back before it is said.
        let say = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            say(panic);
        }));
        let screen = Self { out: io::stdout(), shown: Vec::new(), size: terminal::size()?, waited: false };
        IS_TAKEN.store(true, Ordering::SeqCst);
        terminal::enable_raw_mode()?;
        execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide)?;
        Ok(screen)
    }

    pub(crate) fn size(&self) -> (u16, u16) {
        self.size
    }

    /// What was typed; waits once per picture, for `span` at most, and gives `None` when there is nothing left.
    pub(crate) fn next_event(&mut self, span: Duration) -> io::Result<Option<Event>> {
        let wait = if std::mem::replace(&mut self.waited, true) { Duration::ZERO } else { span };
        if !event::poll(wait)? {
            self.waited = false;
            return Ok(None);
        }
        let event = event::read()?;
        if let Event::Resize(columns, rows) = event {
            self.size = (columns, rows);
            self.shown.clear();
            queue!(self.out, terminal::Clear(terminal::ClearType::All))?;
        }
        Ok(Some(event))
    }

    /// Writes the lines that differ from those shown.
    pub(crate) fn show(&mut self, lines: &[String]) -> io::Result<()> {
        for (row, line) in (0u16..).zip(lines) {
            if self.shown.get(usize::from(row)) != Some(line) {
                queue!(self.out, cursor::MoveTo(0, row), style::Print(line))?;
            }
        }
        self.shown = lines.to_vec();
        self.out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}
