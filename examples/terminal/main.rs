//! A client that draws its surroundings as characters, with the nodes and roads of the map. Arrow keys walk, the space bar stops, `+` and
//! `-` bring the map nearer and take it away; what is typed is a command of the game's, and `help` tells all of them. What happens to the
//! player and what others say stands below the map; what there is at the node where one is, and how one is doing, below that.
//!
//! Run it beside the shipped world: `cargo run --release --example terminal -- --player ann`
mod draw;
mod obey;
mod screen;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bevy_app::Update;
use bevy_ecs::message::MessageReader;
use clap::Parser;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use terrane::caravan::console::{CaravanConsole, InWords, battle_line, encounter_line, party_line};
use terrane::caravan::{
    Accept, Appoint, BattleNews, Buy, Campaign, Caravan, Chat, CreateCharacter, DeleteCharacter, Deliver,
    Disband, Dismiss, Encounter, Fight, Gather, GiveUpErrand, Halt, HandIn, Hire, Invite, JoinParty, Learn,
    LeaveParty, March, Mend, PartyNews, PayOff, Post, Purse, Roads, Say, Scout, Sell, TakeCoach, TakeErrand,
    TakeOff, TellParty, Treat, Walker, Wear, caravan_plugins, roads,
};
use terrane::client::fields::clean;
use terrane::client::plugin::{
    Answer, Client, ClientAppExt, ClientClock, ClientPlugin, Disconnected, Heard, Hidden, Mirrored, Notice,
    OwnAvatar,
};
use terrane::client::{As, ClientFailure, ClientTarget};
use terrane::prelude::*;

use draw::{Mark, Scene, draw};
use obey::{Obeyed, obey};
use screen::Screen;

/// Draws the shipped world around a player, in a terminal.
#[derive(Parser)]
struct Options {
    /// A shard of the world.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:5000")]
    server: SocketAddr,
    /// Whom to be.
    #[arg(long, value_name = "PLAYER", value_parser = PlayerId::new)]
    player: Option<PlayerId>,
    /// The configuration that the world was started with, whose map is beside it; without it the shipped map is drawn.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// End after so many seconds.
    #[arg(long, value_name = "N")]
    seconds: Option<f32>,
}

/// How far the map reaches to both sides at first, m, and how near and how far it can.
const REACH_M: f32 = 40.0;
const REACH_M_MIN: f32 = 10.0;
const REACH_M_MAX: f32 = 640.0;
/// How fast the arrow keys walk, m/s.
const WALK_M_S: f32 = 4.0;
/// Between two pictures.
const FRAME: Duration = Duration::from_millis(50);
/// How long what somebody said stands beside them.
const SPEECH: Duration = Duration::from_secs(5);
/// Longest line that can be typed.
const TYPED_CHARS_MAX: usize = 160;

/// How many lines of news are kept.
const NEWS_MAX: usize = 50;

/// What the player was told last, what those in view are saying until when, what is read, and whether it is over.
#[derive(Resource, Default)]
struct Told {
    news: VecDeque<String>,
    speeches: BTreeMap<NetId, (String, Duration)>,
    page: Vec<String>,
    ended: Option<String>,
}

impl Told {
    /// Adds what was said, a line each.
    fn tell(&mut self, text: &str) {
        for line in text.lines() {
            if self.news.len() == NEWS_MAX {
                self.news.pop_front();
            }
            self.news.push_back(clean(line));
        }
    }
}

fn answered<A: Action>(mut told: ResMut<Told>, mut answers: MessageReader<Answer<A>>)
where
    A::Reply: InWords,
{
    for answer in answers.read() {
        match &answer.result {
            Ok(reply) => told.tell(&reply.in_words().unwrap_or_default()),
            Err(refusal) => told.tell(&format!("not done: {refusal}")),
        }
    }
}

/// What a player is told of: what others say, what happens to its party, whom it meets, how battles end, and its letters.
type Events<'w, 's> = (
    MessageReader<'w, 's, Heard<Chat>>,
    MessageReader<'w, 's, Heard<PartyNews>>,
    MessageReader<'w, 's, Heard<BattleNews>>,
    MessageReader<'w, 's, Heard<Encounter>>,
    MessageReader<'w, 's, Heard<Post>>,
);

fn listen(
    mut told: ResMut<Told>,
    clock: Res<ClientClock>,
    mut notices: MessageReader<Notice>,
    (mut chats, mut party, mut battles, mut meetings, mut post): Events<'_, '_>,
    mut disconnected: MessageReader<Disconnected>,
) {
    for notice in notices.read() {
        told.tell(&notice.0);
    }
    let now = clock.now();
    told.speeches.retain(|_, (_, until)| *until > now);
    for Heard { about, event, .. } in chats.read() {
        let to = if event.to_party { " to the party" } else { "" };
        told.tell(&format!("{}{to}: {}", event.by, event.text));
        if let Some(speaker) = about.filter(|_| !event.to_party) {
            told.speeches.insert(speaker, (clean(&event.text), now + SPEECH));
        }
    }
    for Heard { event, .. } in party.read() {
        told.tell(&format!("{}: {}", event.by, party_line(event)));
    }
    for Heard { event, .. } in battles.read() {
        told.tell(&format!("battle: {}", battle_line(event)));
    }
    for Heard { event, .. } in meetings.read() {
        told.tell(&format!("the road: {}", encounter_line(event)));
    }
    for Heard { event, .. } in post.read() {
        told.tell(&format!("a letter: {}", event.about));
    }
    for end in disconnected.read() {
        told.ended = Some(end.why.to_string());
    }
}

/// What the player looks at the world through.
struct Sheet {
    console: CaravanConsole,
    roads: Roads,
    reach_m: f32,
}

impl Sheet {
    /// Of a map.
    fn new(roads: Roads) -> Self {
        Self { console: CaravanConsole::new(roads.clone()), roads, reach_m: REACH_M }
    }

    fn nodes(&self) -> Vec<Mark> {
        let mark = |node: &terrane::caravan::roads::TradeNode| Mark {
            place: node.place.truncate(),
            glyph: 'O',
            name: node.name.clone(),
            ..Mark::default()
        };
        self.roads.nodes.iter().map(mark).collect()
    }

    fn lines(&self) -> Vec<[Vec2; 2]> {
        let of = |node: &terrane::caravan::roads::TradeNode| {
            let from = node.place.truncate();
            let ends = node.neighbours.iter().map(move |&other| (from, other));
            ends.collect::<Vec<_>>()
        };
        let ends = self.roads.nodes.iter().flat_map(of);
        ends.map(|(from, other)| [from, self.roads.node(other).place.truncate()]).collect()
    }
}

/// What there is to draw.
fn scene_of(app: &mut App, sheet: &Sheet, typed: &str) -> Scene {
    let mut marks = Vec::new();
    let (mut centre, mut owned, mut fights) = (Vec2::ZERO, String::new(), false);
    let speeches = app.world().resource::<Told>().speeches.clone();
    let mut seen = app.world_mut().query_filtered::<(
        &NetId,
        &Position,
        Option<&OwnAvatar>,
        (Option<&Purse>, Option<&Campaign>),
        (Option<&Caravan>, Option<&Hidden<Caravan>>),
        (Option<&Walker>, Option<&Hidden<Walker>>),
    ), With<Mirrored>>();
    for (net_id, place, own, (purse, campaign), (caravan, no_caravan), (walker, no_walker)) in
        seen.iter(app.world())
    {
        let (glyph, name) = match (own, walker, caravan) {
            (Some(_), walker, _) => ('@', walker.map(|walker| &walker.name)),
            (None, Some(walker), _) => ('&', Some(&walker.name)),
            (None, None, caravan) => ('c', caravan.map(|caravan| &caravan.name)),
        };
        let place = place.0.truncate();
        if own.is_some() {
            centre = place;
            owned = purse.map_or_else(String::new, |purse| format!("{purse}  "));
            fights = campaign.is_some_and(Campaign::is_fighting);
        }
        let whole = |is_whole: bool, name: &str| is_whole.then(|| name.to_owned());
        let caravan_hidden = no_caravan.into_iter().flat_map(|it| {
            it.paths().map(str::to_owned).chain(whole(it.is_whole(), "all of its trade")).collect::<Vec<_>>()
        });
        let walker_hidden = no_walker.into_iter().flat_map(|it| {
            it.paths().map(str::to_owned).chain(whole(it.is_whole(), "all about it")).collect::<Vec<_>>()
        });
        marks.push(Mark {
            place,
            glyph,
            name: name.map_or_else(|| net_id.to_string(), |name| clean(name)),
            says: speeches.get(net_id).map(|(text, _)| text.clone()).unwrap_or_default(),
            hidden: caravan_hidden.chain(walker_hidden).collect(),
        });
    }
    // The own mark above all others.
    marks.sort_by_key(|mark| mark.glyph == '@');
    let told = app.world().resource::<Told>();
    let client = app.world().resource::<Client>().player();
    let status = match (client.welcome(), client.queued_behind()) {
        (Some(_), _) if fights => sheet.console.battle(client).unwrap_or_default(),
        (Some(_), _) => {
            format!("({:.1}, {:.1})  {owned}  {} in view", centre.x, centre.y, marks.len())
        }
        (None, Some(ahead)) => format!("waiting to get in; {ahead} are before you"),
        (None, None) => "connecting".into(),
    };
    Scene {
        centre,
        reach_m: sheet.reach_m,
        roads: sheet.lines(),
        nodes: sheet.nodes(),
        marks,
        news: told.news.iter().cloned().collect(),
        page: told.page.clone(),
        place: sheet.console.market(client),
        status,
        typed: typed.into(),
    }
}

/// What a key does besides changing the line.
#[derive(Debug, PartialEq)]
enum Typed {
    Nothing,
    Quit,
    Walk {
        bearing: f32,
    },
    Stop,
    /// The map reaches so many times as far.
    Zoom {
        times: f32,
    },
    Line(String),
}

fn press(key: KeyEvent, line: &mut String) -> Typed {
    if key.kind == KeyEventKind::Release {
        return Typed::Nothing;
    }
    match key.code {
        KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => return Typed::Quit,
        KeyCode::Esc if line.is_empty() => return Typed::Quit,
        KeyCode::Esc => line.clear(),
        KeyCode::Up => return Typed::Walk { bearing: 0.0 },
        KeyCode::Right => return Typed::Walk { bearing: 90.0 },
        KeyCode::Down => return Typed::Walk { bearing: 180.0 },
        KeyCode::Left => return Typed::Walk { bearing: 270.0 },
        KeyCode::Char(' ') if line.is_empty() => return Typed::Stop,
        KeyCode::Char('+') if line.is_empty() => return Typed::Zoom { times: 0.5 },
        KeyCode::Char('-') if line.is_empty() => return Typed::Zoom { times: 2.0 },
        KeyCode::Char(c) if line.chars().count() < TYPED_CHARS_MAX => line.push(c),
        KeyCode::Backspace => drop(line.pop()),
        KeyCode::Enter => return Typed::Line(std::mem::take(line)),
        _ => {}
    }
    Typed::Nothing
}

/// Does what was typed; `false` to end.
fn act(app: &mut App, sheet: &mut Sheet, typed: Typed) -> bool {
    let mut client = app.world_mut().resource_mut::<Client>();
    let done = match typed {
        Typed::Nothing => return true,
        Typed::Quit => Ok(Obeyed::Left),
        Typed::Walk { bearing } => obey(&mut client, &sheet.console, &format!("walk {bearing} {WALK_M_S}")),
        Typed::Stop => obey(&mut client, &sheet.console, "stop"),
        Typed::Zoom { times } => {
            sheet.reach_m = (sheet.reach_m * times).clamp(REACH_M_MIN, REACH_M_MAX);
            Ok(Obeyed::Done)
        }
        Typed::Line(line) => obey(&mut client, &sheet.console, &line),
    };
    let mut told = app.world_mut().resource_mut::<Told>();
    // What was read is put away with whatever is done next.
    told.page.clear();
    match done {
        Ok(Obeyed::Done) => {}
        Ok(Obeyed::Left) => return false,
        Ok(Obeyed::Told(text)) | Err(text) => told.tell(&text),
        Ok(Obeyed::Page(lines)) => told.page = lines,
    }
    true
}

fn play(options: &Options) -> Result<(), ClientFailure> {
    let failed = |error: std::io::Error| ClientFailure::Failed(format!("the terminal: {error}"));
    let game = caravan_plugins(ServerBuilder::default()).learn();
    let game = game.map_err(|error| ClientFailure::Failed(error.to_string()))?;
    let map = Roads::of_world(options.config.as_deref(), roads::EVERYWHERE);
    let map = map.map_err(|error| ClientFailure::Usage(error.to_string()))?;
    let player = options.player.clone().map_or(As::Anybody, As::Player);
    let target = ClientTarget::new(options.server, player);
    let mut app = App::new();
    app.add_plugins(ClientPlugin::connect(&target, Arc::new(game.schema.clone()))?)
        .mirror::<Caravan>()
        .mirror::<Walker>()
        .mirror::<Purse>()
        .mirror::<Campaign>()
        .answers::<Say>()
        .answers::<TellParty>()
        .answers::<JoinParty>()
        .answers::<Invite>()
        .answers::<Accept>()
        .answers::<LeaveParty>()
        .answers::<Dismiss>()
        .answers::<Disband>()
        .answers::<Gather>()
        .answers::<Scout>()
        .answers::<Appoint>()
        .answers::<TakeCoach>()
        .answers::<Buy>()
        .answers::<Sell>()
        .answers::<HandIn>()
        .answers::<March>()
        .answers::<Halt>()
        .answers::<Fight>()
        .answers::<Hire>()
        .answers::<PayOff>()
        .answers::<Mend>()
        .answers::<TakeErrand>()
        .answers::<GiveUpErrand>()
        .answers::<Deliver>()
        .answers::<CreateCharacter>()
        .answers::<DeleteCharacter>()
        .answers::<Learn>()
        .answers::<Wear>()
        .answers::<TakeOff>()
        .answers::<Treat>()
        .hear::<Chat>()
        .hear::<PartyNews>()
        .hear::<BattleNews>()
        .hear::<Encounter>()
        .hear::<Post>()
        .init_resource::<Told>()
        .add_systems(
            Update,
            (
                answered::<Say>,
                answered::<TellParty>,
                answered::<JoinParty>,
                answered::<Invite>,
                answered::<Accept>,
                answered::<LeaveParty>,
                answered::<Dismiss>,
                answered::<Disband>,
                answered::<Gather>,
                answered::<Scout>,
                answered::<Appoint>,
                answered::<TakeCoach>,
                (answered::<Buy>, answered::<Sell>, answered::<HandIn>, answered::<Deliver>).chain(),
                (answered::<March>, answered::<Halt>, answered::<Fight>).chain(),
                (answered::<Hire>, answered::<PayOff>, answered::<Mend>).chain(),
                (answered::<TakeErrand>, answered::<GiveUpErrand>).chain(),
                (answered::<CreateCharacter>, answered::<DeleteCharacter>, answered::<Learn>).chain(),
                (answered::<Wear>, answered::<TakeOff>, answered::<Treat>).chain(),
                listen,
            )
                .chain(),
        );
    let mut sheet = Sheet::new(map);
    let until = options.seconds.map(|seconds| Duration::from_secs_f32(seconds.clamp(0.0, 1e6)));
    let terminated = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, terminated.clone()).map_err(failed)?;

    let mut screen = Screen::open().map_err(|error| ClientFailure::Usage(error.to_string()))?;
    let mut line = String::new();
    loop {
        while let Some(event) = screen.next_event(FRAME).map_err(failed)? {
            if let Event::Key(key) = event
                && !act(&mut app, &mut sheet, press(key, &mut line))
            {
                app.world_mut().resource_mut::<Client>().leave();
                return Ok(());
            }
        }
        app.update();
        if let Some(why) = app.world_mut().resource_mut::<Told>().ended.take() {
            return Err(ClientFailure::Failed(why));
        }
        let is_late = until.is_some_and(|until| app.world().resource::<ClientClock>().now() >= until);
        if is_late || terminated.load(Ordering::Relaxed) {
            app.world_mut().resource_mut::<Client>().leave();
            return Ok(());
        }
        let (columns, rows) = screen.size();
        screen.show(&draw(&scene_of(&mut app, &sheet, &line), columns, rows)).map_err(failed)?;
    }
}

fn main() -> ExitCode {
    // By now the terminal is as it was: the screen is gone with `play`.
    match play(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode) -> KeyEvent {
        KeyEvent::new(code, KeyModifiers::NONE)
    }

    #[test]
    fn arrows_walk_at_any_time_and_letters_make_a_line() {
        let mut line = String::new();
        assert_eq!(press(key(KeyCode::Char(' ')), &mut line), Typed::Stop);
        for letter in "say a b".chars() {
            assert_eq!(press(key(KeyCode::Char(letter)), &mut line), Typed::Nothing);
        }
        assert_eq!(press(key(KeyCode::Left), &mut line), Typed::Walk { bearing: 270.0 });
        assert_eq!(press(key(KeyCode::Backspace), &mut line), Typed::Nothing);
        assert_eq!(press(key(KeyCode::Enter), &mut line), Typed::Line("say a ".into()));
        assert_eq!(press(key(KeyCode::Esc), &mut line), Typed::Quit);
        assert_eq!(press(key(KeyCode::Char('-')), &mut line), Typed::Zoom { times: 2.0 });
        let end = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(press(end, &mut line), Typed::Quit);
    }
}
