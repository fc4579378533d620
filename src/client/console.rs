//! A client that is driven by lines of text, whoever writes them: the commands of every game, and the game's own.
//!
//! *Does*: understands lines, carries them out on a [`Player`], and says in words what there is and what came.
//! *Does not*: read or write anything, nor wait: the [repl](super::repl) and the [script](super::script) do.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use glam::{Vec2, Vec3};

use crate::ids::ActionId;
use crate::replication::Schema;
use crate::replication::field::FieldSpec;
use crate::replication::mask::FIELD_FIRST;

use super::compass;
use super::fields::{clean, print_field};
use super::mirror::MirrorEntity;
use super::player::{Player, PlayerNews};

mod game;

pub use game::{ClientGame, Done, Speech, Verb};

/// How many entities `look` tells of unless told otherwise.
const LOOK_DEFAULT: usize = 10;
/// How many of the newest things that were said are remembered.
const SPEECHES_MAX: usize = 32;
/// Longest `wait`, in seconds.
const WAIT_S_MAX: f32 = 3_600.0;

/// A line, understood. `C` is the game's own.
#[derive(Clone, Debug, PartialEq)]
pub enum Command<C> {
    /// Tell the commands.
    Help,
    /// Tell the nearest entities.
    Look(usize),
    /// Tell who of the players is in view.
    Who,
    /// Tell of the player.
    Me,
    /// Tell where the nearest entity is whose name contains this.
    Find(String),
    /// Tell every field of the nearest entity whose name contains this.
    Show(String),
    /// Tell what was counted.
    Stats,
    /// Let time pass.
    Wait(Duration),
    /// Leave.
    Quit,
    /// One of the game's.
    Game {
        /// As it was written: its answer is told with it.
        line: String,
        /// What it means.
        command: C,
    },
}

const VERBS: &[Verb] = &[
    Verb { usage: "look [N]", does: "the N nearest entities in view" },
    Verb { usage: "who", does: "the players in view" },
    Verb { usage: "me", does: "who and where you are" },
    Verb { usage: "find NAME", does: "where the nearest entity is whose name contains NAME" },
    Verb { usage: "show NAME", does: "every field of it, as it was sent" },
    Verb { usage: "stats", does: "what was counted" },
    Verb { usage: "wait SECONDS", does: "let time pass" },
    Verb { usage: "quit", does: "leave the world" },
];

/// Something in view, as seen from the avatar.
#[derive(Clone, Debug, PartialEq)]
pub struct Sight {
    /// Its name.
    pub name: String,
    /// What else there is to say of it.
    pub description: String,
    /// How far away it is, m.
    pub distance_m: f32,
    /// In which direction, degrees clockwise from north.
    pub bearing: f32,
    /// Whether it is a player.
    pub is_player: bool,
    /// Whether it is the player's own avatar.
    pub is_own: bool,
    /// Whether it is node-wide state, which has no place.
    pub is_everywhere: bool,
}

impl Sight {
    fn line(&self) -> String {
        let way = if self.is_own {
            "you".into()
        } else if self.is_everywhere {
            "everywhere".into()
        } else {
            format!("{:.1} m {} ({:.0}°)", self.distance_m, compass::point(self.bearing), self.bearing)
        };
        let description =
            if self.description.is_empty() { String::new() } else { format!("  {}", self.description) };
        format!("{:<24} {way}{description}", self.name)
    }
}

/// What became of an action.
pub type Answer = Result<(), String>;

/// A player at a console.
#[derive(Debug)]
pub struct Console<G: ClientGame> {
    game: G,
    /// Actions whose answers have not come, with the lines they came of and what those mean.
    asked: BTreeMap<ActionId, (String, G::Command)>,
    /// The newest action, and what became of it.
    last_asked: Option<ActionId>,
    last_answer: Option<Answer>,
    /// Whether there ever was a session.
    was_in: bool,
    /// Whether coming in last went on with the session that was.
    is_resumed: bool,
    /// What was said, the newest last.
    speeches: VecDeque<Speech>,
}

impl<G: ClientGame> Console<G> {
    /// For a game.
    #[must_use]
    pub fn new(game: G) -> Self {
        Self {
            game,
            asked: BTreeMap::new(),
            last_asked: None,
            last_answer: None,
            was_in: false,
            is_resumed: false,
            speeches: VecDeque::new(),
        }
    }

    /// Understands a line; `None` when nothing is on it but a comment.
    ///
    /// # Errors
    /// When it is no command; says what is wrong and what was expected.
    pub fn parse(&self, line: &str) -> Result<Option<Command<G::Command>>, String> {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(None);
        }
        let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let command = match verb {
            "help" | "?" => nothing_else(verb, rest, Command::Help)?,
            "look" if rest.is_empty() => Command::Look(LOOK_DEFAULT),
            "look" => {
                Command::Look(rest.parse().map_err(|_| format!("look {rest}: expected a whole number"))?)
            }
            "who" => nothing_else(verb, rest, Command::Who)?,
            "me" => nothing_else(verb, rest, Command::Me)?,
            "find" | "show" if rest.is_empty() => return Err(format!("{verb}: expected a name")),
            "find" => Command::Find(rest.into()),
            "show" => Command::Show(rest.into()),
            "stats" => nothing_else(verb, rest, Command::Stats)?,
            "wait" => Command::Wait(parse_seconds("wait", rest)?),
            "quit" | "exit" => nothing_else(verb, rest, Command::Quit)?,
            _ => match self.game.parse(verb, rest) {
                Some(command) => Command::Game { line: line.to_owned(), command: command? },
                None => return Err(format!("there is no command `{verb}`: `help` tells those there are")),
            },
        };
        Ok(Some(command))
    }

    /// Carries a command out, and gives what there is to say. `Wait` and `Quit` are the caller's to obey.
    ///
    /// # Errors
    /// When it cannot be done.
    pub fn run(&mut self, player: &mut Player, command: &Command<G::Command>) -> Result<String, String> {
        Ok(match command {
            Command::Help => self.help(),
            Command::Look(count) => self.list(self.sights(player).into_iter().take(*count)),
            Command::Who => self.list(self.sights(player).into_iter().filter(|sight| sight.is_player)),
            Command::Me => self.me(player),
            Command::Find(name) => match self.find(player, name) {
                Some((sight, _)) => sight.line(),
                None => format!("nobody in view has a name with {name:?} in it"),
            },
            Command::Show(name) => match self.find(player, name) {
                Some((sight, entity)) => {
                    format!(
                        "{}\n  named {}\n{}",
                        sight.line(),
                        entity.net_id(),
                        fields(player.schema(), entity)
                    )
                }
                None => format!("nobody in view has a name with {name:?} in it"),
            },
            Command::Stats => stats(player),
            Command::Wait(_) | Command::Quit => String::new(),
            Command::Game { line, command } => match self.game.run(player, command)? {
                Done::Said(text) => text,
                Done::Asked(id) => {
                    self.asked.insert(id, (line.clone(), command.clone()));
                    (self.last_asked, self.last_answer) = (Some(id), None);
                    String::new()
                }
            },
        })
    }

    /// What has come since the last call: what became of the session, notices, what was said, and answers, in words.
    pub fn hear(&mut self, player: &mut Player) -> Vec<String> {
        let mut heard: Vec<String> = player.news().filter_map(|news| self.news(news)).collect();
        heard.extend(player.notices().map(|notice| format!("* {}", clean(&notice))));
        let schema = player.schema().clone();
        for speech in player.events().filter_map(|event| self.game.speech(&schema, &event)) {
            let speech = Speech { by: clean(&speech.by), text: clean(&speech.text), ..speech };
            heard.push(speech.line());
            self.speeches.push_back(speech);
        }
        let surplus = self.speeches.len().saturating_sub(SPEECHES_MAX);
        self.speeches.drain(..surplus);
        for reply in player.replies() {
            let asked = self.asked.remove(&reply.id);
            let line = asked.as_ref().map_or("action", |(line, _)| line);
            let answer = match &reply.result {
                Ok(_) => Ok(()),
                Err(refusal) => Err(clean(&refusal.to_string())),
            };
            heard.push(match &answer {
                Ok(()) => {
                    let told = asked.as_ref().and_then(|(_, command)| self.game.answer(command, &reply));
                    let told = told.map_or_else(String::new, |told| format!(": {}", clean(&told)));
                    format!("done after {} ms: {line}{told}", reply.waited.as_millis())
                }
                Err(why) => format!("refused: {why}: {line}"),
            });
            // What is refused at once is answered before what was asked earlier and is done.
            if self.last_asked == Some(reply.id) {
                self.last_answer = Some(answer);
            }
        }
        heard
    }

    /// What there is to say of the session and the world's health.
    fn news(&mut self, news: PlayerNews) -> Option<String> {
        self.is_resumed = match news {
            PlayerNews::Connected => false,
            PlayerNews::Resumed => true,
            PlayerNews::Lost(_) | PlayerNews::Health(_) => self.is_resumed,
        };
        match news {
            PlayerNews::Connected => std::mem::replace(&mut self.was_in, true)
                .then(|| "* back in the world, in a new session".into()),
            PlayerNews::Lost(why) => Some(format!("* {}; connecting again", clean(&why.to_string()))),
            PlayerNews::Resumed => Some("* back: the session goes on".into()),
            PlayerNews::Health(health) => Some(format!("* the world is {}", clean(&health.to_string()))),
        }
    }

    /// The newest things that were said, at most 32, the newest last.
    pub fn speeches(&self) -> impl Iterator<Item = &Speech> {
        self.speeches.iter()
    }

    /// Whether coming in last went on with the session that was, rather than beginning one.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// What became of the last action; `None` while its answer is on its way, or before there was any.
    #[must_use]
    pub fn last_answer(&self) -> Option<&Answer> {
        self.last_answer.as_ref()
    }

    /// Whether an answer is on its way.
    #[must_use]
    pub fn awaits_answer(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Everything in view that is somewhere, the nearest first.
    #[must_use]
    pub fn sights(&self, player: &Player) -> Vec<Sight> {
        let all = player.view().entities().map(|entity| self.sight(player, entity));
        let mut sights: Vec<Sight> = all.filter(|sight| !sight.is_everywhere).collect();
        sights.sort_by(|a, b| a.distance_m.total_cmp(&b.distance_m).then_with(|| a.name.cmp(&b.name)));
        sights
    }

    fn sight(&self, player: &Player, entity: &MirrorEntity) -> Sight {
        let schema = player.schema();
        let way = entity.lattice().to_place() - whereabouts(player).unwrap_or(Vec3::ZERO);
        let name = self.game.name(schema, entity).unwrap_or_else(|| entity.net_id().to_string());
        Sight {
            name: clean(&name),
            description: clean(&self.game.describe(schema, entity)),
            distance_m: way.length(),
            bearing: compass::bearing(if way.truncate() == Vec2::ZERO { Vec2::Y } else { way.truncate() }),
            is_player: self.game.is_player(schema, entity),
            is_own: player.avatar() == Some(entity.net_id()),
            is_everywhere: entity.components() & schema.globals != 0,
        }
    }

    fn find<'a>(&self, player: &'a Player, name: &str) -> Option<(Sight, &'a MirrorEntity)> {
        let wanted = name.to_lowercase();
        let seen = player.view().entities().map(|entity| (self.sight(player, entity), entity));
        seen.filter(|(sight, _)| sight.name.to_lowercase().contains(&wanted))
            .min_by(|(a, _), (b, _)| a.distance_m.total_cmp(&b.distance_m).then_with(|| a.name.cmp(&b.name)))
    }

    /// A field, `Component.field`, of the nearest entity whose name contains this: as [`Command::Show`] tells it, `hidden`
    /// where this player is not told it.
    ///
    /// # Errors
    /// When nobody of that name is in view, or it has no such field: says what there is.
    pub fn field_of(&self, player: &Player, name: &str, field: &str) -> Result<String, String> {
        let Some((sight, entity)) = self.find(player, name) else {
            return Err(format!("nobody in view has a name with {name:?} in it"));
        };
        let fields = fields(player.schema(), entity);
        let found =
            fields.lines().find_map(|line| line.trim_start().strip_prefix(field)?.strip_prefix(" = "));
        // A component of which this player is told nothing looks like one that is not there.
        let is_known = player.schema().components.iter().any(|component| {
            let name = |spec: &FieldSpec| format!("{}.{}", component.name, spec.name);
            component.sent.iter().any(|spec| name(spec) == field)
        });
        match found {
            Some(value) => Ok(value.to_owned()),
            None if is_known && entity.is_whole() => Ok("hidden".to_owned()),
            None => Err(format!("{} has only\n{fields}", sight.name)),
        }
    }

    fn list(&self, sights: impl Iterator<Item = Sight>) -> String {
        let lines: Vec<String> = sights.map(|sight| sight.line()).collect();
        if lines.is_empty() { "nobody is in view".into() } else { lines.join("\n") }
    }

    fn me(&self, player: &Player) -> String {
        let Some(welcome) = player.welcome() else { return "not in the world yet".into() };
        let place =
            whereabouts(player).map_or("nowhere".into(), |place| format!("({:.1}, {:.1})", place.x, place.y));
        let size = welcome.area.size();
        format!(
            "{} at {place} in {:?}, {} × {} m, {} Hz, sight {} m; {} in view",
            welcome.player,
            clean(&welcome.world),
            size.x,
            size.y,
            welcome.hz,
            welcome.enter_radius_m,
            player.view().entities().count()
        )
    }

    fn help(&self) -> String {
        let lines = G::VERBS.iter().chain(VERBS).map(|verb| format!("{:<28} {}", verb.usage, verb.does));
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Where the player's avatar is; `None` until it has been seen.
#[must_use]
pub fn whereabouts(player: &Player) -> Option<Vec3> {
    Some(player.view().get(player.avatar()?)?.lattice().to_place())
}

/// A span of seconds as people write it.
pub(super) fn parse_seconds(verb: &str, text: &str) -> Result<Duration, String> {
    match text.parse::<f32>() {
        Ok(seconds) if (0.0..=WAIT_S_MAX).contains(&seconds) => Ok(Duration::from_secs_f32(seconds)),
        _ => Err(format!("{verb} {text}: expected seconds, 0 to {WAIT_S_MAX}")),
    }
}

fn nothing_else<C>(verb: &str, rest: &str, command: Command<C>) -> Result<Command<C>, String> {
    if rest.is_empty() { Ok(command) } else { Err(format!("{verb} {rest}: expected nothing after `{verb}`")) }
}

fn fields(schema: &Schema, entity: &MirrorEntity) -> String {
    if !entity.is_whole() {
        return "  its fields are on their way".into();
    }
    let row = entity.encoded();
    let lines =
        (FIELD_FIRST..).zip(schema.fields_of(entity.components())).map(|(bit, (component, _, spec))| {
            let name = schema.components[component].name;
            format!("  {name}.{} = {}", spec.name, print_field(spec, row.field(bit)))
        });
    let withdrawn = schema
        .components
        .iter()
        .enumerate()
        .filter(|(index, _)| entity.withdrawn_components() >> index & 1 == 1)
        .map(|(_, component)| format!("  {} = hidden", component.name));
    lines.chain(withdrawn).collect::<Vec<_>>().join("\n")
}

fn stats(player: &Player) -> String {
    let counts = player.counts();
    let link = match player.why_out() {
        None => String::new(),
        Some(why) => format!(" (connecting again: {})", clean(&why.to_string())),
    };
    let health = clean(&player.health().to_string());
    format!(
        "world {health}{link}; tick {}; {} updates, {} bytes, {} too late; {} decode errors; {} audits, {} inconclusive, {} failed; {} \
         actions unanswered",
        player.view().tick(),
        counts.updates,
        counts.update_bytes,
        counts.stale,
        counts.decode_errors,
        counts.audits,
        counts.audits_inconclusive,
        counts.audit_failures,
        player.unanswered()
    )
}
