//! A file that drives clients: the console's commands, one a line, and what is expected to come of them.
//!
//! ```text
//! # Comments and empty lines are skipped.
//! walk east 3
//! expect moved 5
//! as bob
//! say hello
//! expect said hello
//! expect see Caravan* within 40
//! ```
//!
//! Besides the console's commands:
//!
//! | line | does |
//! |---|---|
//! | `as NAME [on DEVICE] [gm｜admin]` | lines behind it are this player's, who comes in with the first of them; before any `as`, they are the client's own. Each device is a client of its own |
//! | `away`, `back` | the player leaves the world; comes in again |
//! | `cut` | the connection breaks, and nobody says goodbye; the player comes back by itself |
//! | `timeout S` | expectations behind it have S seconds to come true; 5 before |
//!
//! | line | holds when |
//! |---|---|
//! | `expect see NAME [within M]` | somebody of that name is in view, at most M metres away; `NAME*` is any name that begins so |
//! | `expect gone NAME` | nobody of that name is in view |
//! | `expect said TEXT`, `expect unsaid TEXT` | something with TEXT in it is among the last 32 things that were heard; nothing is |
//! | `expect told NAME: FIELD [= VALUE]` | of the nearest entity with NAME in its name, the player is told that field, as `Component.field`; and it is VALUE |
//! | `expect hidden NAME: FIELD` | of that entity, the player is not told that field |
//! | `expect done` | the last action was done |
//! | `expect refused [TEXT]` | the last action was refused, for a reason with TEXT in it |
//! | `expect moved M` | the avatar is at least M metres from where it was at the last command |
//! | `expect begun`, `expect resumed` | coming in last began a session; went on with the one that was |
//! | `expect ended TEXT` | the connection is over, for a reason with TEXT in it; the player is away then |
//! | `expect health TEXT` | the world says of itself that it is `normal`, `degraded` or `draining` |

mod run;
mod stage;

pub use run::{Progress, ScriptRun};
pub use stage::{Stage, run_script};

use std::collections::BTreeSet;
use std::time::Duration;

use crate::ids::{PlayerId, Role};

use super::console::{ClientGame, Command, Console, parse_seconds};

const EXPECTATIONS: &str = "see NAME [within M], gone NAME, said TEXT, unsaid TEXT, told NAME: FIELD [= VALUE], \
     hidden NAME: FIELD, done, refused [TEXT], moved M, begun, resumed, ended TEXT or health TEXT";

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
    /// Nothing with this in it was.
    Unsaid(String),
    /// A field of the nearest entity with this in its name is told.
    Told {
        /// Part of the name.
        name: String,
        /// `Component.field`.
        field: String,
        /// What it is, as `show` prints it.
        value: Option<String>,
    },
    /// A field of the nearest entity with this in its name is not told.
    Hidden {
        /// Part of the name.
        name: String,
        /// `Component.field`.
        field: String,
    },
    /// The last action was done.
    Done,
    /// The last action was refused, for a reason with this in it.
    Refused(String),
    /// The avatar is that far from where it was at the last command.
    Moved(f32),
    /// Coming in last began a session.
    Begun,
    /// Coming in last went on with the session that was.
    Resumed,
    /// The connection is over, for a reason with this in it.
    Ended(String),
    /// What the world says of how it does has this in it.
    Health(String),
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
    /// Leave the world.
    Away,
    /// Come in again.
    Back,
    /// Lose the connection, and come back by itself.
    Cut,
}

/// Somebody whose lines a script has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The name; `None` for whoever the client is without any `as`.
    pub name: Option<PlayerId>,
    /// Which of the player's devices it is; `None` for the only one.
    pub device: Option<String>,
    /// What this player must be allowed to do.
    pub role: Role,
}

/// A line of an actor's.
#[derive(Clone, Debug, PartialEq)]
struct Line<C> {
    /// From 1.
    number: usize,
    /// Place in the cast.
    actor: usize,
    step: Step<C>,
}

/// A script, understood whole.
#[derive(Clone, Debug, PartialEq)]
pub struct Script<C> {
    file: String,
    cast: Vec<Actor>,
    lines: Vec<Line<C>>,
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
        let mut reading = Reading {
            cast: vec![Actor { name: None, device: None, role: Role::Player }],
            actor: 0,
            away: BTreeSet::new(),
            lines: Vec::new(),
        };
        let mut wrong = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            if let Err(problem) = reading.line(console, number, line) {
                wrong.push(format!("{file}:{number}: {problem}"));
            }
        }
        let Reading { cast, lines, .. } = reading;
        if wrong.is_empty() { Ok(Self { file: file.into(), cast, lines }) } else { Err(wrong.join("\n")) }
    }

    /// Everybody whose lines it may have: first the client itself, then by first `as`.
    #[must_use]
    pub fn cast(&self) -> &[Actor] {
        &self.cast
    }
}

/// A script that is understood so far.
struct Reading<C> {
    cast: Vec<Actor>,
    /// Whose lines they are.
    actor: usize,
    away: BTreeSet<usize>,
    lines: Vec<Line<C>>,
}

impl<C> Reading<C> {
    fn line<G: ClientGame<Command = C>>(
        &mut self,
        console: &Console<G>,
        number: usize,
        line: &str,
    ) -> Result<(), String> {
        let line = line.trim();
        let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let step = match verb {
            "as" => return self.turn_to(rest),
            "away" | "back" | "cut" if !rest.is_empty() => {
                return Err(format!("{verb} {rest}: expected nothing after `{verb}`"));
            }
            "away" => Step::Away,
            "back" => Step::Back,
            "cut" => Step::Cut,
            "expect" => Step::Expect(parse_expectation(rest)?),
            "timeout" => Step::Timeout(parse_seconds("timeout", rest)?),
            _ => match console.parse(line)? {
                Some(command) => Step::Run(command),
                None => return Ok(()),
            },
        };
        let is_away = self.away.contains(&self.actor);
        match step {
            Step::Back if !is_away => return Err("back: expected `away` before it".into()),
            Step::Back => self.away.retain(|actor| *actor != self.actor),
            Step::Timeout(_) | Step::Run(Command::Wait(_) | Command::Quit) => {}
            _ if is_away => {
                return Err(format!("{verb}: who is away can do nothing: expected `back` before it"));
            }
            Step::Away | Step::Expect(Expectation::Ended(_)) => {
                self.away.insert(self.actor);
            }
            _ => {}
        }
        self.lines.push(Line { number, actor: self.actor, step });
        Ok(())
    }

    /// From here on the lines are this player's.
    fn turn_to(&mut self, text: &str) -> Result<(), String> {
        let (name, role) = match text.rsplit_once(char::is_whitespace) {
            Some((name, "gm")) => (name.trim(), Role::Gm),
            Some((name, "admin")) => (name.trim(), Role::Admin),
            _ => (text, Role::Player),
        };
        let (name, device) = match name.rsplit_once(" on ") {
            Some((name, device)) => (name.trim(), Some(device_named(device.trim())?)),
            None => (name, None),
        };
        let name = PlayerId::new(name).map_err(|error| format!("as: {error}"))?;
        let is_same = |actor: &Actor| actor.name.as_ref() == Some(&name) && actor.device == device;
        let known = self.cast.iter().position(is_same);
        self.actor = match known {
            Some(place) if role != Role::Player && self.cast[place].role != role => {
                return Err(format!("as {text}: that player came in with another role"));
            }
            Some(place) => place,
            None => {
                self.cast.push(Actor { name: Some(name), device, role });
                self.cast.len() - 1
            }
        };
        Ok(())
    }
}

/// What a device is called: a part of the name of a token's file too.
fn device_named(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.chars().all(|letter| letter.is_ascii_alphanumeric()) {
        return Err(format!("as: `{text}` names no device: expected letters and digits"));
    }
    Ok(text.to_owned())
}

fn parse_expectation(text: &str) -> Result<Expectation, String> {
    let (what, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    let metres = |text: &str| match text.parse::<f32>() {
        Ok(metres) if metres.is_finite() && metres >= 0.0 => Ok(metres),
        _ => Err(format!("expect {what}: `{text}` is no distance: expected metres, 0 or more")),
    };
    let field_of = |text: &str| match text.split_once(": ") {
        Some((name, field)) if field.contains('.') => Ok((name.trim().to_owned(), field.trim().to_owned())),
        _ => Err(format!("expect {what}: expected a name and a field, as in `Caravan: Caravan.route`")),
    };
    match what {
        "see" | "gone" | "said" | "unsaid" | "ended" | "health" if rest.is_empty() => {
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
        "unsaid" => Ok(Expectation::Unsaid(rest.into())),
        "told" => {
            let (rest, value) = match rest.split_once(" = ") {
                Some((rest, value)) => (rest, Some(value.trim().to_owned())),
                None => (rest, None),
            };
            let (name, field) = field_of(rest)?;
            Ok(Expectation::Told { name, field, value })
        }
        "hidden" => field_of(rest).map(|(name, field)| Expectation::Hidden { name, field }),
        "moved" => Ok(Expectation::Moved(metres(rest)?)),
        "done" | "begun" | "resumed" if !rest.is_empty() => {
            Err(format!("expect {what}: expected nothing behind it"))
        }
        "done" => Ok(Expectation::Done),
        "begun" => Ok(Expectation::Begun),
        "resumed" => Ok(Expectation::Resumed),
        "ended" => Ok(Expectation::Ended(rest.into())),
        "health" => Ok(Expectation::Health(rest.into())),
        "refused" => Ok(Expectation::Refused(rest.into())),
        _ => Err(format!("`expect {what}` is no expectation: expected {EXPECTATIONS}")),
    }
}
