//! A person at a terminal: lines in, lines out, while the world goes on.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{Receiver, TryRecvError, bounded};

use crate::replication::Schema;

use super::console::{ClientGame, Command, Console};
use super::player::Player;
use super::reach::{ClientFailure, ClientTarget, Clock, leave};

/// Lines that may wait to be carried out; whoever writes more has to wait.
const LINES_WAITING_MAX: usize = 64;
/// How long the end of the input waits for the last answers.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Lets a person drive a client by stdin and stdout until they quit, the input ends or the connection does.
///
/// # Errors
/// When the client cannot connect, or the connection ends by itself.
pub fn run_repl<G: ClientGame>(
    target: &ClientTarget,
    schema: Arc<Schema>,
    game: G,
) -> Result<(), ClientFailure> {
    let mut player = target.connect(schema)?;
    let lines = read_lines(std::io::BufReader::new(std::io::stdin()));
    drive(&mut player, &mut Console::new(game), &lines, &mut std::io::stdout())
}

/// Reads lines in a thread of its own, since reading waits. The thread ends with the input, or once nobody
/// listens and another line comes.
pub fn read_lines(input: impl BufRead + Send + 'static) -> Receiver<String> {
    let (to_console, lines) = bounded(LINES_WAITING_MAX);
    std::thread::spawn(move || {
        for line in input.lines() {
            let Ok(line) = line else { break };
            if to_console.send(line).is_err() {
                break;
            }
        }
    });
    lines
}

/// Carries lines out on a player until they end or the connection does.
///
/// # Errors
/// When the connection ends by itself, or nothing can be written.
pub fn drive<G: ClientGame>(
    player: &mut Player,
    console: &mut Console<G>,
    lines: &Receiver<String>,
    out: &mut impl Write,
) -> Result<(), ClientFailure> {
    let mut clock = Clock::start();
    let mut session =
        Session { greeted: false, waits_until: Duration::ZERO, ends_at: None, told_queue: None };
    loop {
        let now = clock.tick(player);
        match session.step(player, console, lines, now) {
            Step::Say(text) => say(out, &text)?,
            Step::Leave(text) => {
                say(out, &text)?;
                leave(player, &mut clock);
                return Ok(());
            }
            Step::Ended(why) => return Err(ClientFailure::Failed(why)),
        }
    }
}

fn say(out: &mut impl Write, text: &str) -> Result<(), ClientFailure> {
    if text.is_empty() {
        return Ok(());
    }
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| ClientFailure::Failed(error.to_string()))
}

enum Step {
    Say(String),
    Leave(String),
    Ended(String),
}

struct Session {
    greeted: bool,
    waits_until: Duration,
    /// When the input has ended: until when answers are waited for.
    ends_at: Option<Duration>,
    told_queue: Option<u32>,
}

impl Session {
    fn step<G: ClientGame>(
        &mut self,
        player: &mut Player,
        console: &mut Console<G>,
        lines: &Receiver<String>,
        now: Duration,
    ) -> Step {
        let mut heard = console.hear(player);
        if let Some(ended) = player.ended() {
            return Step::Ended(ended.to_string());
        }
        if player.queued_behind() != self.told_queue {
            self.told_queue = player.queued_behind();
            heard.extend(self.told_queue.map(|ahead| format!("* waiting to get in; {ahead} are before you")));
        }
        if !player.is_complete() {
            return Step::Say(heard.join("\n"));
        }
        if !self.greeted {
            self.greeted = true;
            heard.extend(console.run(player, &Command::Me));
            heard.push("`help` tells the commands".into());
        }
        if let Some(ends_at) = self.ends_at {
            let over = !console.awaits_answer() || now >= ends_at;
            return if over { Step::Leave(heard.join("\n")) } else { Step::Say(heard.join("\n")) };
        }
        if now >= self.waits_until {
            match lines.try_recv() {
                Ok(line) => match console.parse(&line) {
                    Ok(None) => {}
                    Ok(Some(Command::Quit)) => return Step::Leave(heard.join("\n")),
                    Ok(Some(Command::Wait(span))) => self.waits_until = now + span,
                    Ok(Some(command)) => {
                        let said = console.run(player, &command).unwrap_or_else(|error| error);
                        heard.extend((!said.is_empty()).then_some(said));
                    }
                    Err(error) => heard.push(error),
                },
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => self.ends_at = Some(now + LAST_ANSWERS),
            }
        }
        Step::Say(heard.join("\n"))
    }
}
