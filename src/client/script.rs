//! A file that drives a client: the console's commands, one a line, and what is expected to come of them.
//!
//! ```text
//! # Comments and empty lines are skipped.
//! walk east 3
//! expect moved 5
//! say hello
//! expect said hello
//! expect see Caravan* within 40
//! ```
//!
//! | line | holds when |
//! |---|---|
//! | `expect see NAME [within M]` | somebody of that name is in view, at most M metres away; `NAME*` is any name that begins so |
//! | `expect gone NAME` | nobody of that name is in view |
//! | `expect said TEXT` | something with TEXT in it is among the last 32 things that were heard |
//! | `expect done`, `expect refused` | the last action was done, or was refused |
//! | `expect moved M` | the avatar is at least M metres from where it was at the last command |
//!
//! An expectation has 5 seconds to come true; `timeout S` changes that for those behind it.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use glam::Vec3;

use crate::replication::Schema;

use super::console::{ClientGame, Command, Console, Sight, Speech, parse_seconds, whereabouts};
use super::player::Player;
use super::reach::{ClientFailure, ClientTarget, Clock, leave};

/// How long an expectation may take to come true, unless told otherwise.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// How long getting in may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How many of the entities in view a failure tells of.
const SEEN_MAX: usize = 8;

const EXPECTATIONS: &str = "see NAME [within M], gone NAME, said TEXT, done, refused or moved M";

/// What must come true.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// Somebody of this name is in view, and that near.
    See {
        /// The name; `*` at its end stands for anything.
        name: String,
        /// At most so many metres away.
        within_m: Option<f32>,
    },
    /// Nobody of this name is in view.
    Gone(String),
    /// Something with this in it was said not long ago.
    Said(String),
    /// The last action was done.
    Done,
    /// The last action was refused.
    Refused,
    /// The avatar is that far from where it was at the last command.
    Moved(f32),
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<C> {
    /// Carry out.
    Run(Command<C>),
    /// Wait until it is true.
    Expect(Expectation),
    /// From here on expectations have this long.
    Timeout(Duration),
}

/// A script, understood whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Script<C> {
    file: String,
    /// With their lines, from 1.
    steps: Vec<(usize, Step<C>)>,
}

impl<C> Script<C> {
    /// Understands a script. `file` is what messages call it.
    ///
    /// # Errors
    /// One line `file:line: what is wrong` for every line that is.
    pub fn parse<G: ClientGame<Command = C>>(
        console: &Console<G>,
        file: &str,
        text: &str,
    ) -> Result<Self, String> {
        let (mut steps, mut wrong) = (Vec::new(), Vec::new());
        for (number, line) in (1..).zip(text.lines()) {
            match parse_line(console, line) {
                Ok(step) => steps.extend(step.map(|step| (number, step))),
                Err(problem) => wrong.push(format!("{file}:{number}: {problem}")),
            }
        }
        if wrong.is_empty() { Ok(Self { file: file.into(), steps }) } else { Err(wrong.join("\n")) }
    }
}

fn parse_line<G: ClientGame>(console: &Console<G>, line: &str) -> Result<Option<Step<G::Command>>, String> {
    let line = line.trim();
    let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match verb {
        "expect" => parse_expectation(rest.trim()).map(|expectation| Some(Step::Expect(expectation))),
        "timeout" => parse_seconds("timeout", rest.trim()).map(|span| Some(Step::Timeout(span))),
        _ => Ok(console.parse(line)?.map(Step::Run)),
    }
}

fn parse_expectation(text: &str) -> Result<Expectation, String> {
    let (what, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let metres = |text: &str| match text.parse::<f32>() {
        Ok(metres) if metres.is_finite() && metres >= 0.0 => Ok(metres),
        _ => Err(format!("expect {what}: `{text}` is no distance: expected metres, 0 or more")),
    };
    match what {
        "see" | "gone" | "said" if rest.is_empty() => {
            Err(format!("expect {what}: expected a text behind it"))
        }
        "see" => Ok(match rest.rsplit_once(" within ") {
            Some((name, within)) => {
                Expectation::See { name: name.trim().into(), within_m: Some(metres(within.trim())?) }
            }
            None => Expectation::See { name: rest.into(), within_m: None },
        }),
        "gone" => Ok(Expectation::Gone(rest.into())),
        "said" => Ok(Expectation::Said(rest.into())),
        "moved" => Ok(Expectation::Moved(metres(rest)?)),
        "done" | "refused" if !rest.is_empty() => Err(format!("expect {what}: expected nothing behind it")),
        "done" => Ok(Expectation::Done),
        "refused" => Ok(Expectation::Refused),
        _ => Err(format!("`expect {what}` is no expectation: expected {EXPECTATIONS}")),
    }
}

/// Where a run of a script stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Call again after the next tick.
    Running,
    /// Every line was carried out and everything expected came true.
    Done,
    /// It did not: `file:line: what was expected, and what was seen instead`.
    Failed(String),
}

/// A script being carried out. The caller lets the player tick and calls [`step`](Self::step) after each tick, so
/// that a test in lockstep needs no clock.
#[derive(Debug)]
pub struct ScriptRun<'a, C> {
    script: &'a Script<C>,
    next: usize,
    /// When the line that is next became so.
    since: Duration,
    timeout: Duration,
    is_in: bool,
    /// Where the avatar was at the last command.
    from: Option<Vec3>,
    told: Vec<String>,
}

impl<'a, C: Clone + PartialEq + std::fmt::Debug> ScriptRun<'a, C> {
    /// From its first line.
    #[must_use]
    pub fn new(script: &'a Script<C>) -> Self {
        Self {
            script,
            next: 0,
            since: Duration::ZERO,
            timeout: TIMEOUT_DEFAULT,
            is_in: false,
            from: None,
            told: Vec::new(),
        }
    }

    /// What there was to say since the last call.
    pub fn told(&mut self) -> impl Iterator<Item = String> + '_ {
        self.told.drain(..)
    }

    /// Carries out what can be now: commands until one takes time, expectations until one is not true yet.
    /// `now` is the time since the start.
    pub fn step<G: ClientGame<Command = C>>(
        &mut self,
        console: &mut Console<G>,
        player: &mut Player,
        now: Duration,
    ) -> Progress {
        self.told.extend(console.hear(player));
        if let Some(ended) = player.ended() {
            return self.failed(&format!("the connection is over: {ended}"));
        }
        if !self.is_in {
            if !player.is_complete() || whereabouts(player).is_none() {
                let late = now >= CONNECT_TIMEOUT;
                return if late {
                    self.failed("the world did not let the player in")
                } else {
                    Progress::Running
                };
            }
            (self.is_in, self.since, self.from) = (true, now, whereabouts(player));
        }
        while let Some((_, step)) = self.script.steps.get(self.next) {
            match step {
                Step::Timeout(span) => self.timeout = *span,
                Step::Run(Command::Quit) => return Progress::Done,
                Step::Run(Command::Wait(span)) if now < self.since + *span => return Progress::Running,
                Step::Run(Command::Wait(_)) => {}
                Step::Run(command) => {
                    self.from = whereabouts(player);
                    match console.run(player, command) {
                        Ok(said) => self.told.extend((!said.is_empty()).then_some(said)),
                        Err(error) => return self.failed(&error),
                    }
                }
                Step::Expect(expectation) => match self.unmet(expectation, console, player) {
                    None => {}
                    Some(_) if now < self.since + self.timeout => return Progress::Running,
                    Some(seen) => {
                        let waited_s = self.timeout.as_secs_f32();
                        return self.failed(&format!("{seen} (after {waited_s} s)"));
                    }
                },
            }
            self.next += 1;
            self.since = now;
        }
        Progress::Done
    }

    fn failed(&self, what: &str) -> Progress {
        let line = self.script.steps.get(self.next).map_or(0, |(line, _)| *line);
        Progress::Failed(format!("{}:{line}: {what}", self.script.file))
    }

    /// What was expected and what is seen instead; `None` when the expectation holds.
    fn unmet<G: ClientGame>(
        &self,
        expectation: &Expectation,
        console: &Console<G>,
        player: &Player,
    ) -> Option<String> {
        match expectation {
            Expectation::See { name, within_m } => {
                let sights = console.sights(player);
                let near = |sight: &Sight| within_m.is_none_or(|metres| sight.distance_m <= metres);
                let within = within_m.map(|metres| format!(" within {metres} m")).unwrap_or_default();
                let found = sights.iter().any(|sight| is_called(sight, name) && near(sight));
                (!found).then(|| format!("expected to see {name}{within}; saw {}", names(&sights)))
            }
            Expectation::Gone(name) => {
                let sights = console.sights(player);
                let found = sights.iter().find(|sight| is_called(sight, name))?;
                Some(format!("expected {name} to be gone; {} is {:.1} m away", found.name, found.distance_m))
            }
            Expectation::Said(text) => {
                if console.speeches().any(|speech| speech.text.contains(text.as_str())) {
                    return None;
                }
                let mut heard = String::new();
                for Speech { by, text, .. } in console.speeches().take(SEEN_MAX) {
                    write!(heard, "{}{by}: {text:?}", if heard.is_empty() { "" } else { ", " })
                        .expect("writing into memory");
                }
                let heard = if heard.is_empty() { "nothing".into() } else { heard };
                Some(format!("expected to hear {text:?}; heard {heard}"))
            }
            Expectation::Done => match console.last_answer() {
                Some(Ok(())) => None,
                other => Some(format!("expected the last action to be done; {}", became(other))),
            },
            Expectation::Refused => match console.last_answer() {
                Some(Err(_)) => None,
                other => Some(format!("expected the last action to be refused; {}", became(other))),
            },
            Expectation::Moved(metres) => {
                let way = whereabouts(player).zip(self.from).map_or(0.0, |(to, from)| to.distance(from));
                (way < *metres).then(|| format!("expected to have moved {metres} m; moved {way:.2} m"))
            }
        }
    }
}

fn became(answer: Option<&super::console::Answer>) -> String {
    match answer {
        None => "there is no answer".into(),
        Some(Ok(())) => "it was done".into(),
        Some(Err(why)) => format!("it was refused: {why}"),
    }
}

fn is_called(sight: &Sight, wanted: &str) -> bool {
    let (name, wanted) = (sight.name.to_lowercase(), wanted.to_lowercase());
    match wanted.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => name == wanted,
    }
}

fn names(sights: &[Sight]) -> String {
    let others: Vec<&Sight> = sights.iter().filter(|sight| !sight.is_own).collect();
    let mut text: Vec<String> = others
        .iter()
        .take(SEEN_MAX)
        .map(|sight| format!("{} at {:.1} m", sight.name, sight.distance_m))
        .collect();
    if others.len() > SEEN_MAX {
        text.push(format!("and {} more", others.len() - SEEN_MAX));
    }
    if text.is_empty() { "nobody".into() } else { text.join(", ") }
}

/// Carries out a script file; what there is to say goes to stdout.
///
/// # Errors
/// [`ClientFailure::Usage`] when the file cannot be read or understood, before anything is done;
/// [`ClientFailure::Failed`] when it does not go as the script expects.
pub fn run_script<G: ClientGame>(
    target: &ClientTarget,
    schema: Arc<Schema>,
    game: G,
    file: &Path,
) -> Result<(), ClientFailure> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| ClientFailure::Usage(format!("{name}: cannot be read: {error}")))?;
    let mut console = Console::new(game);
    let script = Script::parse(&console, &name, &text).map_err(ClientFailure::Usage)?;
    let mut player = target.connect(schema)?;
    let mut clock = Clock::start();
    let mut run = ScriptRun::new(&script);
    loop {
        let now = clock.tick(&mut player);
        let progress = run.step(&mut console, &mut player, now);
        for line in run.told() {
            println!("{line}");
        }
        match progress {
            Progress::Running => {}
            Progress::Done => {
                leave(&mut player, &mut clock);
                return Ok(());
            }
            Progress::Failed(what) => {
                player.leave();
                return Err(ClientFailure::Failed(what));
            }
        }
    }
}
