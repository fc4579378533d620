//! A client that draws its surroundings as characters. Arrow keys walk, the space bar stops; what is typed is a command:
//! `walk ne 3`, `stop`, `say hello`, `party hello`, `join 3`, `scout out`, `buy 3 salt`, `sell 3 salt`,
//! `bounty`, `march Eastgate`, `attack`, `hire 2 guards`, `errand`, `deliver`, `retinue`, `coach`, `create soldier`, `wear spear`,
//! `takeoff hand`, `learn skill fighting`, `treat 1 bandage`, `character`, `delete NAME`, `quit`.
//!
//! Run it beside the shipped world: `cargo run --release --example terminal -- --player ann`
mod draw;
mod screen;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bevy_app::Update;
use bevy_ecs::message::MessageReader;
use clap::Parser;
use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use terrane::caravan::console::{CaravanCommand, CaravanConsole};
use terrane::caravan::{
    Accept, Appoint, Buy, Campaign, Caravan, Chat, CreateCharacter, DeleteCharacter, Deliver, Disband,
    Dismiss, Fight, Gather, Halt, HandIn, Hire, Invite, JoinParty, Learn, LeaveParty, March, Mend, PayOff,
    PeopleCommand, Purse, Roads, Say, Scout, Sell, Steer, TakeCoach, TakeErrand, TakeOff, TellParty, Treat,
    Walker, Wear, caravan_plugins,
};
use terrane::client::fields::clean;
use terrane::client::plugin::{
    Answer, Client, ClientAppExt, ClientClock, ClientPlugin, Disconnected, Heard, Hidden, Mirrored, Notice,
    OwnAvatar,
};
use terrane::client::{As, ClientFailure, ClientGame, ClientTarget, compass};
use terrane::prelude::*;

use draw::{Mark, Scene, draw};
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
    /// End after so many seconds.
    #[arg(long, value_name = "N")]
    seconds: Option<f32>,
}

/// How far the map reaches to both sides, m.
const REACH_M: f32 = 40.0;
/// How fast the arrow keys walk, m/s.
const WALK_M_S: f32 = 4.0;
/// Between two pictures.
const FRAME: Duration = Duration::from_millis(50);
/// How long what somebody said stands beside them.
const SPEECH: Duration = Duration::from_secs(5);
/// Longest line that can be typed.
const TYPED_CHARS_MAX: usize = 160;

/// What the world said last, what those in view are saying until when, and whether it is over.
#[derive(Resource, Default)]
struct Told {
    last: String,
    speeches: BTreeMap<NetId, (String, Duration)>,
    ended: Option<String>,
}

fn refused<A: Action>(mut told: ResMut<Told>, mut answers: MessageReader<Answer<A>>) {
    for refusal in answers.read().filter_map(|answer| answer.result.as_ref().err()) {
        told.last = clean(&refusal.to_string());
    }
}

fn listen(
    mut told: ResMut<Told>,
    clock: Res<ClientClock>,
    mut notices: MessageReader<Notice>,
    mut chats: MessageReader<Heard<Chat>>,
    mut disconnected: MessageReader<Disconnected>,
) {
    for notice in notices.read() {
        told.last = clean(&notice.0);
    }
    let now = clock.now();
    told.speeches.retain(|_, (_, until)| *until > now);
    for Heard { about, event, .. } in chats.read() {
        let text = clean(&event.text);
        match about {
            Some(speaker) if !event.to_party => {
                told.speeches.insert(*speaker, (text, now + SPEECH));
            }
            _ => told.last = format!("{} to the party: {text}", clean(&event.by)),
        }
    }
    for end in disconnected.read() {
        told.ended = Some(end.why.to_string());
    }
}

/// What there is to draw.
fn scene_of(app: &mut App, typed: &str) -> Scene {
    let mut marks = Vec::new();
    let (mut centre, mut owned) = (Vec2::ZERO, String::new());
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
            if let Some(Campaign { band: Some(band), foes, round, .. }) = campaign {
                owned = format!("{foes} {band}, round {round}: attack, defend or flee?  ");
            }
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
        (Some(_), _) => {
            format!("({:.1}, {:.1})  {owned}{} in view  {}", centre.x, centre.y, marks.len(), told.last)
        }
        (None, Some(ahead)) => format!("waiting to get in; {ahead} are before you"),
        (None, None) => "connecting".into(),
    };
    Scene { centre, reach_m: REACH_M, marks, status, typed: typed.into() }
}

/// What a key does besides changing the line.
#[derive(Debug, PartialEq)]
enum Typed {
    Nothing,
    Quit,
    Walk { bearing: f32 },
    Stop,
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
        KeyCode::Char(c) if line.chars().count() < TYPED_CHARS_MAX => line.push(c),
        KeyCode::Backspace => drop(line.pop()),
        KeyCode::Enter => return Typed::Line(std::mem::take(line)),
        _ => {}
    }
    Typed::Nothing
}

/// Carries out a line; `Ok(false)` to end.
fn obey(client: &mut Client, console: &CaravanConsole, line: &str) -> Result<bool, String> {
    let line = line.trim();
    let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    if verb.is_empty() {
        return Ok(true);
    }
    if matches!(verb, "quit" | "exit") {
        return Ok(false);
    }
    let command = console.parse(verb, rest.trim()).ok_or_else(|| {
        format!("there is no command `{}`: walk, stop, say, party, join, invite, accept, leave, gather, scout, buy, sell, quotes, bounty, march, halt, attack, defend, flee, hire, payoff, mend, errand, deliver, retinue, coach, create, delete, learn, wear, takeoff, treat, character, quit", clean(verb))
    })?;
    let sent = match command? {
        CaravanCommand::Walk { bearing, speed_m_s } => {
            client.want(&Steer { heading: compass::heading(bearing), speed_m_s })
        }
        CaravanCommand::Stop => client.want(&Steer { heading: 0.0, speed_m_s: 0.0 }),
        CaravanCommand::Say(text) => client.call(&Say { text }).map(drop),
        CaravanCommand::TellParty(text) => client.call(&TellParty { text }).map(drop),
        CaravanCommand::Invite(player) => client.call(&Invite { player }).map(drop),
        CaravanCommand::Accept(party) => client.call(&Accept { party }).map(drop),
        CaravanCommand::Leave => client.call(&LeaveParty).map(drop),
        CaravanCommand::Dismiss(player) => client.call(&Dismiss { player }).map(drop),
        CaravanCommand::Disband => client.call(&Disband).map(drop),
        CaravanCommand::Gather => client.call(&Gather).map(drop),
        CaravanCommand::Join(party) => client.call(&JoinParty { party }).map(drop),
        CaravanCommand::Scout(out) => client.call(&Scout { out }).map(drop),
        CaravanCommand::Appoint(player, game_master) => {
            client.call(&Appoint { player, game_master }).map(drop)
        }
        CaravanCommand::Buy(loads, good, at_most) => client.call(&Buy { good, loads, at_most }).map(drop),
        CaravanCommand::Sell(loads, good, at_least) => client.call(&Sell { good, loads, at_least }).map(drop),
        CaravanCommand::HandIn => client.call(&HandIn).map(drop),
        CaravanCommand::March(to) => client.call(&March { to }).map(drop),
        CaravanCommand::Halt => client.call(&Halt).map(drop),
        CaravanCommand::Fight(order) => client.call(&Fight { order }).map(drop),
        CaravanCommand::Hire(count, hand) => client.call(&Hire { hand, count }).map(drop),
        CaravanCommand::PayOff(count, hand) => client.call(&PayOff { hand, count }).map(drop),
        CaravanCommand::Mend(count) => client.call(&Mend { count }).map(drop),
        CaravanCommand::TakeErrand => client.call(&TakeErrand).map(drop),
        CaravanCommand::Deliver => client.call(&Deliver).map(drop),
        CaravanCommand::Retinue => return Err(console.retinue(client.player())),
        CaravanCommand::Letters => return Err(console.letters(client.player())),
        CaravanCommand::Quotes => return Err(console.quotes(client.player())),
        CaravanCommand::Purse => return Err("what you own stands at the left of this".to_owned()),
        CaravanCommand::Coach => client.call(&TakeCoach).map(drop),
        CaravanCommand::People(command) => match command {
            PeopleCommand::Create(create) => client.call(&create).map(drop),
            PeopleCommand::Delete(name) => client.call(&DeleteCharacter { name }).map(drop),
            PeopleCommand::Learn(what) => client.call(&Learn { what }).map(drop),
            PeopleCommand::Wear(item) => client.call(&Wear { item }).map(drop),
            PeopleCommand::TakeOff(slot) => client.call(&TakeOff { slot }).map(drop),
            PeopleCommand::Treat(count, item) => client.call(&Treat { item, count }).map(drop),
            PeopleCommand::Character => return Err(PeopleCommand::tell(client.player())),
        },
    };
    sent.map(|()| true).map_err(|error| error.to_string())
}

fn act(app: &mut App, console: &CaravanConsole, typed: Typed) -> bool {
    let mut client = app.world_mut().resource_mut::<Client>();
    let done = match typed {
        Typed::Nothing => Ok(true),
        Typed::Quit => Ok(false),
        Typed::Walk { bearing } => obey(&mut client, console, &format!("walk {bearing} {WALK_M_S}")),
        Typed::Stop => obey(&mut client, console, "stop"),
        Typed::Line(line) => obey(&mut client, console, &line),
    };
    done.unwrap_or_else(|wrong| {
        app.world_mut().resource_mut::<Told>().last = wrong;
        true
    })
}

fn play(options: &Options) -> Result<(), ClientFailure> {
    let failed = |error: std::io::Error| ClientFailure::Failed(format!("the terminal: {error}"));
    let game = caravan_plugins(ServerBuilder::default()).learn();
    let game = game.map_err(|error| ClientFailure::Failed(error.to_string()))?;
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
        .answers::<Deliver>()
        .answers::<CreateCharacter>()
        .answers::<DeleteCharacter>()
        .answers::<Learn>()
        .answers::<Wear>()
        .answers::<TakeOff>()
        .answers::<Treat>()
        .hear::<Chat>()
        .init_resource::<Told>()
        .add_systems(
            Update,
            (
                refused::<Say>,
                refused::<TellParty>,
                refused::<JoinParty>,
                refused::<Invite>,
                refused::<Accept>,
                refused::<LeaveParty>,
                refused::<Dismiss>,
                refused::<Disband>,
                refused::<Gather>,
                refused::<Scout>,
                refused::<Appoint>,
                refused::<TakeCoach>,
                (refused::<Buy>, refused::<Sell>, refused::<HandIn>, refused::<Deliver>).chain(),
                (refused::<March>, refused::<Halt>, refused::<Fight>).chain(),
                (refused::<Hire>, refused::<PayOff>, refused::<Mend>, refused::<TakeErrand>).chain(),
                (refused::<CreateCharacter>, refused::<DeleteCharacter>, refused::<Learn>).chain(),
                (refused::<Wear>, refused::<TakeOff>, refused::<Treat>).chain(),
                listen,
            )
                .chain(),
        );
    let console = CaravanConsole::new(Roads::shipped());
    let until = options.seconds.map(|seconds| Duration::from_secs_f32(seconds.clamp(0.0, 1e6)));
    let terminated = Arc::new(AtomicBool::new(false));
    signal_hook::flag::register(signal_hook::consts::SIGTERM, terminated.clone()).map_err(failed)?;

    let mut screen = Screen::open().map_err(|error| ClientFailure::Usage(error.to_string()))?;
    let mut line = String::new();
    loop {
        while let Some(event) = screen.next_event(FRAME).map_err(failed)? {
            if let Event::Key(key) = event
                && !act(&mut app, &console, press(key, &mut line))
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
        screen.show(&draw(&scene_of(&mut app, &line), columns, rows)).map_err(failed)?;
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
        let end = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(press(end, &mut line), Typed::Quit);
    }
}
