//! A client without a window: says who comes into view, leaves, and what is hidden or granted.
//!
//! Run it beside the shipped world: `cargo run --release --example watch -- --seconds 20`
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use bevy_app::{ScheduleRunnerPlugin, Update};
use bevy_ecs::message::{MessageReader, MessageWriter};
use clap::Parser;
use terrane::caravan::{Caravan, Walker, caravan_plugins};
use terrane::client::fields::clean;
use terrane::client::plugin::{
    Client, ClientAppExt, ClientClock, ClientPlugin, ComponentNews, Disconnected, Entered, FieldChange,
    FieldNews, Left, NetIds, Notice, Welcomed,
};
use terrane::client::{As, ClientFailure, ClientTarget};
use terrane::prelude::*;

/// Watches the shipped world as a player.
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

#[derive(Resource, Default)]
struct Seen {
    names: BTreeMap<NetId, String>,
    counts: BTreeMap<&'static str, u64>,
}

impl Seen {
    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn name(&self, net_id: NetId) -> &str {
        self.names.get(&net_id).map_or("somebody", String::as_str)
    }
}

#[derive(Resource)]
struct Until(Option<Duration>);

fn tell_of_entities(
    mut seen: ResMut<Seen>,
    mut left: MessageReader<Left>,
    mut entered: MessageReader<Entered>,
    named: Query<(&Position, Option<&Caravan>, Option<&Walker>)>,
) {
    for gone in left.read() {
        println!("- {}", seen.name(gone.net_id));
        seen.names.remove(&gone.net_id);
        seen.count("left");
    }
    for Entered { entity, net_id } in entered.read().copied() {
        let Ok((place, caravan, walker)) = named.get(entity) else { continue };
        let name = caravan.map(|caravan| &caravan.name).or(walker.map(|walker| &walker.name));
        let name = name.map_or_else(|| net_id.to_string(), |name| clean(name));
        println!("+ {name} at ({:.1}, {:.1})", place.0.x, place.0.y);
        seen.names.insert(net_id, name);
        seen.count("entered");
    }
}

fn tell_of_components(
    mut seen: ResMut<Seen>,
    mut components: MessageReader<ComponentNews>,
    mut fields: MessageReader<FieldNews>,
) {
    for news in components.read() {
        println!(
            "~ {}: {} {}",
            seen.name(news.net_id),
            news.component,
            format!("{:?}", news.change).to_lowercase()
        );
        seen.count("components");
    }
    for news in fields.read() {
        let what = match news.change {
            FieldChange::Changed => {
                seen.count("changed");
                continue;
            }
            FieldChange::Hidden => "hidden",
            FieldChange::Granted => "granted",
        };
        println!("~ {}: {}.{} {what}", seen.name(news.net_id), news.component, news.field);
        seen.count(what);
    }
}

fn tell_of_session(mut welcomed: MessageReader<Welcomed>, mut notices: MessageReader<Notice>) {
    for welcome in welcomed.read() {
        println!("* in the world as {}", welcome.avatar);
    }
    for notice in notices.read() {
        println!("* {}", clean(&notice.0));
    }
}

fn end(
    clock: Res<ClientClock>,
    until: Res<Until>,
    seen: Res<Seen>,
    net_ids: Res<NetIds>,
    mut client: ResMut<Client>,
    mut disconnected: MessageReader<Disconnected>,
    mut exit: MessageWriter<AppExit>,
) {
    for end in disconnected.read() {
        eprintln!("error: {}", end.why);
        exit.write(AppExit::error());
    }
    if until.0.is_some_and(|until| clock.now() >= until) {
        let counts: Vec<_> = seen.counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
        println!(
            "* {} in view after {:.1} s: {}",
            net_ids.len(),
            clock.now().as_secs_f32(),
            counts.join(", ")
        );
        client.leave();
        exit.write(AppExit::Success);
    }
}

fn main() -> ExitCode {
    match connect(&Options::parse()) {
        Ok(mut app) => match app.run() {
            AppExit::Success => ExitCode::SUCCESS,
            AppExit::Error(code) => ExitCode::from(code.get()),
        },
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn connect(options: &Options) -> Result<App, ClientFailure> {
    let game = caravan_plugins(ServerBuilder::default()).learn();
    let game = game.map_err(|error| ClientFailure::Failed(error.to_string()))?;
    let player = options.player.clone().map_or(As::Anybody, As::Player);
    let target = ClientTarget::new(options.server, player);
    let until = options.seconds.map(|seconds| Duration::from_secs_f32(seconds.clamp(0.0, 1e6)));
    let mut app = App::new();
    app.add_plugins((
        ScheduleRunnerPlugin::run_loop(Duration::from_millis(10)),
        ClientPlugin::connect(&target, Arc::new(game.schema.clone()))?,
    ))
    .mirror::<Caravan>()
    .mirror::<Walker>()
    .init_resource::<Seen>()
    .insert_resource(Until(until))
    .add_systems(Update, (tell_of_session, tell_of_entities, tell_of_components, end).chain());
    Ok(app)
}
