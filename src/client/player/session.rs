//! How a player's session begins, is lost and goes on.

use std::time::Duration;

use crate::client::connection::{Connection, Ended};
use crate::client::mirror::Mirror;
use crate::client::reconnect::Reconnect;
use crate::protocol::messages::Resume;
use crate::protocol::messages::{Health, Welcome};

use super::{NEWS_KEPT_MAX, Player};

/// What became of a player's session, and of the world's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlayerNews {
    /// A session has begun: everything is told anew.
    Connected,
    /// The connection was lost, and the player is on its way back. What it saw stays.
    Lost(Ended),
    /// It is back, and the session goes on as if nothing had been.
    Resumed,
    /// How the world does has changed.
    Health(Health),
}

impl Player {
    pub(super) fn lose(&mut self, ended: Ended) {
        self.queued_behind = None;
        let Some(reconnect) = &mut self.reconnect else {
            self.ended = Some(ended);
            return;
        };
        let is_news = reconnect.why_out().is_none();
        match reconnect.lost(ended.clone(), self.now) {
            Ok(()) => {
                self.connection.let_go();
                if is_news {
                    self.tell(PlayerNews::Lost(ended));
                }
            }
            Err(ended) => self.ended = Some(ended),
        }
    }

    pub(super) fn connect_again(&mut self) {
        let (resume, now) = (self.resume(), self.now);
        let Some(reconnect) = self.reconnect.as_mut().filter(|reconnect| reconnect.is_due(now)) else {
            return;
        };
        match reconnect.dial(resume, now) {
            Ok(Some(connection)) => self.connection = connection,
            Ok(None) => {}
            Err(ended) => self.ended = Some(ended),
        }
    }

    /// The session that this player still holds all of: what another connection can ask to go on.
    #[must_use]
    pub fn resume(&self) -> Option<Resume> {
        self.welcome.as_ref().map(|welcome| Resume { epoch: welcome.epoch, heard: self.heard })
    }

    /// Goes on over another connection, which should ask for what [`resume`](Self::resume) says. For who makes
    /// connections by hand; [`with_reconnect`](Self::with_reconnect) does it by itself.
    pub fn come_back(&mut self, connection: Connection) {
        self.connection = connection;
        self.ended = None;
        self.queued_behind = None;
    }

    /// Cuts the connection as if the way to the server were gone: nobody says goodbye. A player that comes back by
    /// itself does so after that time. For tests and tools.
    pub fn cut(&mut self, away: Duration) {
        self.connection.cut();
        self.receive(Duration::ZERO);
        if let Some(reconnect) = &mut self.reconnect {
            reconnect.stay_away_until(self.now + away);
        }
    }

    /// Why the player is out, while it is on its way back by itself.
    #[must_use]
    pub fn why_out(&self) -> Option<&Ended> {
        self.reconnect.as_ref().and_then(Reconnect::why_out)
    }

    pub(super) fn begin_session(&mut self, welcome: Welcome) {
        self.queued_behind = None;
        self.calls.names_lie_above(welcome.ids_after);
        if !welcome.resumed {
            // What an answer names is an update of the session that is over.
            self.calls.deliver(self.now, |_| true);
            self.mirror = Mirror::default();
            if let Some(interpolation) = &mut self.interpolation {
                *interpolation = interpolation.restarted(welcome.hz);
            }
            self.complete = false;
            self.heard = 0;
        }
        self.input_seqs = (0, 0);
        // The server says so if it is otherwise.
        self.health = Health::Normal;
        self.calls.send_all_again();
        if let Some(reconnect) = &mut self.reconnect {
            reconnect.is_in(self.now, welcome.resumed);
        }
        self.tell(if welcome.resumed { PlayerNews::Resumed } else { PlayerNews::Connected });
        self.welcome = Some(welcome);
    }

    pub(super) fn tell(&mut self, news: PlayerNews) {
        if self.news.len() >= NEWS_KEPT_MAX {
            self.news.pop_front();
        }
        self.news.push_back(news);
    }
}
