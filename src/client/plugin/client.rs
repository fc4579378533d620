//! The player in the game's `App`: what systems call actions with.

use std::time::Duration;

use bevy_ecs::prelude::{MessageWriter, Res, ResMut, Resource};
use bevy_ecs::system::SystemParam;
use bevy_ecs::world::World;
use rustc_hash::FxHashMap;

use crate::action::Action;
use crate::client::player::{CallError, Player, PlayerNews, Reply};
use crate::ids::{ActionId, NetId};

use super::answers::deliver;
use super::clock::ClientClock;
use super::messages::{Connected, Disconnected, HealthChanged, Lost, Notice, Resumed, Welcomed};

/// Ticks of a world that has not said how many it makes, per second.
const HZ_BEFORE: u16 = 20;

/// Writes an answer as the message of its action's type.
pub(super) type Deliver = fn(&mut World, Reply);

/// The player. Systems act through it: `ResMut<Client>`.
#[derive(Resource)]
pub struct Client {
    player: Player,
    /// Whose answers have not come.
    pub(super) asked: FxHashMap<ActionId, Deliver>,
    /// Time since acks and inputs left last.
    unsent: Duration,
    told_avatar: Option<NetId>,
    told_end: bool,
    undecodable: u64,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("player", &self.player).finish_non_exhaustive()
    }
}

impl Client {
    pub(super) fn new(player: Player) -> Self {
        Self {
            player,
            asked: FxHashMap::default(),
            unsent: Duration::ZERO,
            told_avatar: None,
            told_end: false,
            undecodable: 0,
        }
    }

    /// Asks the world to do something. It leaves at the end of this update of the `App`; the one answer comes as an
    /// [`Answer<A>`](super::Answer) with this id, unless the connection ends before.
    ///
    /// # Errors
    /// When the game has no such action or the connection does not take it.
    pub fn call<A: Action>(&mut self, action: &A) -> Result<ActionId, CallError> {
        let id = self.player.act(action)?;
        self.asked.insert(id, deliver::<A>);
        Ok(id)
    }

    /// Says what is wanted from now on, for actions of which the latest wins; it is sent once per tick of the world, so
    /// a lost message does not matter.
    ///
    /// # Errors
    /// When the game has no such action.
    pub fn want<A: Action>(&mut self, input: &A) -> Result<(), CallError> {
        self.player.want(input)
    }

    /// Leaves on purpose; [`Disconnected`] follows.
    pub fn leave(&mut self) {
        self.player.leave();
    }

    /// Cuts the connection as if the way to the world were gone, so that a game can be seen to lose it and to come back
    /// after that time.
    pub fn cut(&mut self, away: Duration) {
        self.player.cut(away);
    }

    /// The player's avatar, once the player is in; [`NetIds`](super::NetIds) has its entity when it is in view.
    #[must_use]
    pub fn avatar(&self) -> Option<NetId> {
        self.player.avatar()
    }

    /// Number of the newest own message that carried what is [wanted](Self::want); 0 before the first.
    #[must_use]
    pub fn input_seq_sent(&self) -> u32 {
        self.player.input_seq_sent()
    }

    /// Number of the newest of them that took part in what is mirrored now. A game that predicts its own avatar does so
    /// from [`TargetPosition`](super::TargetPosition) on, by what it wanted in the messages between the two.
    #[must_use]
    pub fn input_seq_shown(&self) -> u32 {
        self.player.input_seq_shown()
    }

    /// Everything else about the player: welcome, schema, counts, the mirror underneath.
    #[must_use]
    pub fn player(&self) -> &Player {
        &self.player
    }

    /// Components and fields in view whose bytes are no value of their type, so that they are missing or as they were:
    /// an honest server sends none.
    #[must_use]
    pub fn undecodable(&self) -> u64 {
        self.undecodable
    }

    pub(super) fn count_undecodable(&mut self, fields: u64) {
        self.undecodable += fields;
    }

    pub(super) fn player_mut(&mut self) -> &mut Player {
        &mut self.player
    }

    /// Ticks of the world per second.
    pub(super) fn hz(&self) -> u16 {
        self.player.welcome().map_or(HZ_BEFORE, |welcome| welcome.hz.max(1))
    }
}

/// Takes what has come.
pub(super) fn receive(mut client: ResMut<Client>, clock: Res<ClientClock>) {
    client.player.receive(clock.step());
}

/// What becomes of a session.
#[derive(SystemParam)]
pub(super) struct SessionWriters<'w> {
    connected: MessageWriter<'w, Connected>,
    lost: MessageWriter<'w, Lost>,
    resumed: MessageWriter<'w, Resumed>,
    health: MessageWriter<'w, HealthChanged>,
}

/// Tells of the session itself, and what the server wants people to read.
pub(super) fn tell_session(
    mut client: ResMut<Client>,
    mut welcomed: MessageWriter<Welcomed>,
    mut session: SessionWriters<'_>,
    mut notices: MessageWriter<Notice>,
    mut disconnected: MessageWriter<Disconnected>,
) {
    for news in client.player.news() {
        match news {
            PlayerNews::Connected => drop(session.connected.write(Connected)),
            PlayerNews::Lost(why) => drop(session.lost.write(Lost { why })),
            PlayerNews::Resumed => drop(session.resumed.write(Resumed)),
            PlayerNews::Health(health) => drop(session.health.write(HealthChanged(health))),
        }
    }
    let avatar = client.avatar();
    if let Some(avatar) = avatar
        && client.told_avatar != Some(avatar)
    {
        welcomed.write(Welcomed { avatar });
        client.told_avatar = Some(avatar);
    }
    notices.write_batch(client.player.notices().map(Notice));
    if !client.told_end
        && let Some(why) = client.player.ended().cloned()
    {
        disconnected.write(Disconnected { why });
        client.told_end = true;
        client.asked.clear();
    }
}

/// Sends actions at once, acks and inputs at the pace of the world.
pub(super) fn send(mut client: ResMut<Client>, clock: Res<ClientClock>) {
    let period = Duration::from_secs(1) / u32::from(client.hz());
    client.unsent += clock.step();
    if client.unsent < period {
        client.player.flush();
        return;
    }
    // What is left counts, so that the pace is the world's; a pause is not made up for.
    client.unsent = (client.unsent - period).min(period);
    client.player.send();
}
