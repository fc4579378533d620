//! A script being carried out, without a clock of its own.

use std::fmt::Write;
use std::time::Duration;

use glam::Vec3;

use super::super::console::{Answer, ClientGame, Command, Console, Sight, Speech, whereabouts};
use super::super::player::Player;
use super::{Actor, Expectation, Line, Script, Stage, Step};

/// How long an expectation may take to come true, unless told otherwise.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// How long getting in may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How many of the entities in view a failure tells of.
const SEEN_MAX: usize = 8;

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

/// Whether an actor is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    /// Not yet, or not any more.
    Out,
    /// Since then on the way in.
    Coming(Duration),
    In,
}

/// What is kept of one actor.
#[derive(Debug)]
struct Part<G: ClientGame> {
    console: Console<G>,
    presence: Presence,
    /// Where the avatar was at the last command.
    from: Option<Vec3>,
}

/// A script being carried out. The caller lets the players tick and calls [`step`](Self::step) after each tick, so
/// that a test in lockstep needs no clock.
#[derive(Debug)]
pub struct ScriptRun<'a, G: ClientGame> {
    script: &'a Script<G::Command>,
    parts: Vec<Part<G>>,
    next: usize,
    /// When the line that is next became so.
    since: Duration,
    timeout: Duration,
    told: Vec<String>,
}

impl<'a, G: ClientGame> ScriptRun<'a, G> {
    /// From its first line.
    #[must_use]
    pub fn new(script: &'a Script<G::Command>, game: &G) -> Self {
        let part = |_| Part { console: Console::new(game.clone()), presence: Presence::Out, from: None };
        Self {
            script,
            parts: script.cast.iter().map(part).collect(),
            next: 0,
            since: Duration::ZERO,
            timeout: TIMEOUT_DEFAULT,
            told: Vec::new(),
        }
    }
}

impl<G: ClientGame> ScriptRun<'_, G> {
    /// What there was to say since the last call; with several actors, each line with the name of who was told it.
    pub fn told(&mut self) -> impl Iterator<Item = String> + '_ {
        self.told.drain(..)
    }

    /// Carries out what can be now: commands until one takes time, expectations until one is not true yet.
    /// `now` is the time since the start.
    pub fn step(&mut self, stage: &mut impl Stage, now: Duration) -> Progress {
        for actor in 0..self.parts.len() {
            let part = &mut self.parts[actor];
            if part.presence == Presence::Out {
                continue;
            }
            let player = stage.player(actor);
            let heard = part.console.hear(player);
            let ended = player.ended().map(ToString::to_string);
            self.tell(actor, heard);
            if let Some(why) = ended
                && !self.awaits_end_of(actor)
            {
                return self.failed(&self.named(actor, &format!("the connection is over: {why}")));
            }
        }
        while let Some(Line { actor, step, .. }) = self.script.lines.get(self.next) {
            let actor = *actor;
            let needs_nobody =
                matches!(step, Step::Timeout(_) | Step::Back | Step::Run(Command::Wait(_) | Command::Quit));
            // Who is not let in at all is never there.
            let is_over = matches!(step, Step::Expect(Expectation::Ended(_)))
                && self.parts[actor].presence != Presence::Out;
            if !needs_nobody && !is_over {
                match self.come_in(actor, stage, now) {
                    Ok(true) => {}
                    Ok(false) => return Progress::Running,
                    Err(why) => return self.failed(&why),
                }
            }
            match step {
                Step::Timeout(span) => self.timeout = *span,
                Step::Away => {
                    stage.leave(actor);
                    self.parts[actor].presence = Presence::Out;
                }
                Step::Back => {
                    // Whoever comes in has not come in before a tick has passed.
                    if let Err(why) = self.come_in(actor, stage, now) {
                        return self.failed(&why);
                    }
                }
                Step::Cut => {
                    stage.cut(actor, &self.script.cast[actor]);
                    self.parts[actor].presence = Presence::Coming(now);
                }
                Step::Run(Command::Quit) => return Progress::Done,
                Step::Run(Command::Wait(span)) if now < self.since + *span => return Progress::Running,
                Step::Run(Command::Wait(_)) => {}
                Step::Run(command) => {
                    let (part, player) = (&mut self.parts[actor], stage.player(actor));
                    part.from = whereabouts(player);
                    match part.console.run(player, command) {
                        Ok(said) => self.tell(actor, (!said.is_empty()).then_some(said)),
                        Err(error) => return self.failed(&error),
                    }
                }
                Step::Expect(expectation) => {
                    match self.parts[actor].unmet(expectation, stage.player(actor)) {
                        None if matches!(expectation, Expectation::Ended(_)) => {
                            stage.leave(actor);
                            self.parts[actor].presence = Presence::Out;
                        }
                        None => {}
                        Some(_) if now < self.since + self.timeout => return Progress::Running,
                        Some(seen) => {
                            let waited_s = self.timeout.as_secs_f32();
                            return self.failed(&format!("{seen} (after {waited_s} s)"));
                        }
                    }
                }
            }
            self.next += 1;
            self.since = now;
        }
        Progress::Done
    }

    /// Lets an actor come in who is not there; whether it is.
    fn come_in(&mut self, actor: usize, stage: &mut impl Stage, now: Duration) -> Result<bool, String> {
        let part = &mut self.parts[actor];
        match part.presence {
            Presence::In => Ok(true),
            Presence::Out => {
                stage.enter(actor, &self.script.cast[actor])?;
                part.presence = Presence::Coming(now);
                Ok(false)
            }
            Presence::Coming(since) => {
                let player = stage.player(actor);
                if player.is_in() && player.is_complete() && whereabouts(player).is_some() {
                    (part.presence, part.from, self.since) = (Presence::In, whereabouts(player), now);
                    return Ok(true);
                }
                if now < since + CONNECT_TIMEOUT {
                    return Ok(false);
                }
                Err(self.named(actor, "the world did not let the player in"))
            }
        }
    }

    /// Whether the next that is to come of an actor is that its connection is over.
    fn awaits_end_of(&self, actor: usize) -> bool {
        let mut lines = self.script.lines.iter().skip(self.next);
        let own = lines.find(|line| line.actor == actor && !matches!(line.step, Step::Timeout(_)));
        own.is_some_and(|line| matches!(line.step, Step::Expect(Expectation::Ended(_))))
    }

    fn tell(&mut self, actor: usize, lines: impl IntoIterator<Item = String>) {
        let lines: Vec<String> = lines.into_iter().map(|line| self.named(actor, &line)).collect();
        self.told.extend(lines);
    }

    fn named(&self, actor: usize, line: &str) -> String {
        match &self.script.cast[actor] {
            Actor { name: Some(name), device: Some(device), .. } => format!("[{name} on {device}] {line}"),
            Actor { name: Some(name), .. } => format!("[{name}] {line}"),
            Actor { .. } => line.to_owned(),
        }
    }

    fn failed(&self, what: &str) -> Progress {
        let line = self.script.lines.get(self.next).map_or(0, |line| line.number);
        Progress::Failed(format!("{}:{line}: {what}", self.script.file))
    }
}

impl<G: ClientGame> Part<G> {
    /// What was expected and what is seen instead; `None` when the expectation holds.
    fn unmet(&self, expectation: &Expectation, player: &Player) -> Option<String> {
        let console = &self.console;
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
            Expectation::Unsaid(text) => {
                let speech = console.speeches().find(|speech| speech.text.contains(text.as_str()))?;
                Some(format!("expected not to hear {text:?}; heard {}: {:?}", speech.by, speech.text))
            }
            Expectation::Told { name, field, value } => {
                let what = value.as_ref().map(|value| format!(", {value}")).unwrap_or_default();
                match console.field_of(player, name, field) {
                    Ok(told) if told != "hidden" && value.as_ref().is_none_or(|value| *value == told) => None,
                    Ok(told) => Some(format!("expected to be told {field} of {name}{what}; it is {told}")),
                    Err(why) => Some(format!("expected to be told {field} of {name}{what}; {why}")),
                }
            }
            Expectation::Hidden { name, field } => match console.field_of(player, name, field) {
                Ok(told) if told == "hidden" => None,
                Ok(told) => Some(format!("expected {field} of {name} to be hidden; it is {told}")),
                Err(why) => Some(format!("expected {field} of {name} to be hidden; {why}")),
            },
            Expectation::Done => match console.last_answer() {
                Some(Ok(())) => None,
                other => Some(format!("expected the last action to be done; {}", became(other))),
            },
            Expectation::Refused(reason) => match console.last_answer() {
                Some(Err(why)) if why.contains(reason.as_str()) => None,
                other => {
                    let why = if reason.is_empty() { String::new() } else { format!(" for {reason:?}") };
                    Some(format!("expected the last action to be refused{why}; {}", became(other)))
                }
            },
            Expectation::Moved(metres) => {
                let way = whereabouts(player).zip(self.from).map_or(0.0, |(to, from)| to.distance(from));
                (way < *metres).then(|| format!("expected to have moved {metres} m; moved {way:.2} m"))
            }
            Expectation::Begun | Expectation::Resumed => {
                let is_resumed = console.is_resumed();
                let expected = match expectation {
                    Expectation::Begun => "begun a session",
                    _ => "gone on with its session",
                };
                let holds = is_resumed == (*expectation == Expectation::Resumed);
                let other = if is_resumed { "it went on with one" } else { "it began one" };
                (!holds).then(|| format!("expected to have {expected}; {other}"))
            }
            Expectation::Ended(reason) => match player.ended().map(ToString::to_string) {
                Some(why) if why.contains(reason.as_str()) => None,
                Some(why) => Some(format!("expected the connection to end for {reason:?}; it ended: {why}")),
                None => Some(format!("expected the connection to end for {reason:?}; it goes on")),
            },
            Expectation::Health(text) => {
                let health = player.health().to_string();
                (!health.contains(text.as_str()))
                    .then(|| format!("expected the world to be {text}; it is {health}"))
            }
        }
    }
}

fn became(answer: Option<&Answer>) -> String {
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
