//! The life of a player's presence as one machine: which states there are, what can happen, and what follows.

use std::fmt;

/// Where a player is between its hello and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Said hello; nothing was asked for yet.
    Greeted,
    /// The store was asked for its profile.
    Loading,
    /// All is known that is needed to let it in; its turn comes.
    Queued,
    /// In the world, and connected.
    Active,
    /// In the world, without a connection, for as long as the grace time lasts.
    Lingering,
    /// Over. Nothing happens to it any more.
    Ended,
}

/// What can happen to a player.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// The store is asked for the profile, for the first time or again.
    Asked,
    /// The profile is there, or none is needed.
    Loaded,
    /// The profile cannot be read.
    Unreadable,
    /// The profile did not come in time.
    TimedOut,
    /// Let into the world.
    Admitted,
    /// Not let in: there is no room, or no avatar for it.
    TurnedAway,
    /// The connection is gone without a goodbye.
    ConnectionLost,
    /// Said goodbye.
    Bye,
    /// The same client goes on over another connection.
    Resumed,
    /// The same player came in from elsewhere.
    TakenOver,
    /// Did not come back in time.
    GraceOver,
    /// An operator sent it away.
    Kicked,
    /// It may not be here.
    Banned,
    /// The world ends.
    Drained,
}

impl State {
    /// All of them, in the order of a life.
    pub const ALL: [State; 6] =
        [State::Greeted, State::Loading, State::Queued, State::Active, State::Lingering, State::Ended];

    /// Whether the player has an avatar and a view.
    #[must_use]
    pub const fn is_in_world(self) -> bool {
        matches!(self, State::Active | State::Lingering)
    }
}

impl Event {
    /// All of them.
    pub const ALL: [Event; 14] = [
        Event::Asked,
        Event::Loaded,
        Event::Unreadable,
        Event::TimedOut,
        Event::Admitted,
        Event::TurnedAway,
        Event::ConnectionLost,
        Event::Bye,
        Event::Resumed,
        Event::TakenOver,
        Event::GraceOver,
        Event::Kicked,
        Event::Banned,
        Event::Drained,
    ];
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What cannot happen: a fault of the engine's, whatever clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a player who is {state} cannot be told {event}: this is a fault of the engine")]
pub struct Illegal {
    /// The state that stays.
    pub state: State,
    /// What was said to have happened.
    pub event: Event,
}

/// The state that follows; every change of a player's state is one of these.
///
/// # Errors
/// When the event cannot happen in that state.
pub const fn next(state: State, event: Event) -> Result<State, Illegal> {
    use Event as E;
    use State as S;
    Ok(match (state, event) {
        (S::Greeted | S::Loading | S::Queued, E::Asked) => S::Loading,
        (S::Greeted | S::Loading, E::Loaded) => S::Queued,
        (S::Queued, E::Admitted) => S::Active,
        (S::Active, E::ConnectionLost) => S::Lingering,
        // The old connection may not have been missed yet.
        (S::Active | S::Lingering, E::Resumed) => S::Active,
        (S::Loading | S::Queued, E::Unreadable)
        | (S::Greeted | S::Loading, E::TimedOut)
        | (S::Greeted | S::Loading | S::Queued, E::TurnedAway | E::ConnectionLost)
        | (S::Greeted | S::Loading | S::Queued | S::Active, E::Bye)
        | (S::Lingering, E::GraceOver)
        | (
            S::Greeted | S::Loading | S::Queued | S::Active | S::Lingering,
            E::TakenOver | E::Kicked | E::Banned | E::Drained,
        ) => S::Ended,
        _ => return Err(Illegal { state, event }),
    })
}

/// One player's state, changed by events alone.
#[derive(Debug, PartialEq, Eq)]
pub struct Life(State);

impl Default for Life {
    fn default() -> Self {
        Self(State::Greeted)
    }
}

impl Life {
    /// Where it is.
    #[must_use]
    pub const fn state(&self) -> State {
        self.0
    }

    /// Takes note of what happened. What cannot happen changes nothing, is logged and counted, and `false` is returned:
    /// the caller must not act on it.
    ///
    /// # Panics
    /// In debug builds, when it cannot happen.
    #[must_use = "an event that could not happen must have no consequences"]
    pub fn on(&mut self, event: Event, illegal: &mut u64) -> bool {
        match next(self.0, event) {
            Ok(state) => {
                self.0 = state;
                true
            }
            Err(error) => {
                *illegal += 1;
                tracing::error!("{error}");
                debug_assert!(false, "{error}");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D1: every pair of state and event, legal and illegal: columns are the events in the order of `Event::ALL`, letters
    /// the states that follow, by initial (`N` is Lingering, `.` cannot happen).
    #[test]
    fn the_table_of_transitions_is_this_one() {
        let table = [
            // Asked Loaded Unreadable TimedOut Admitted TurnedAway Lost Bye Resumed TakenOver Grace Kicked Banned Drained
            (State::Greeted, "L Q . E . E E E . E . E E E"),
            (State::Loading, "L Q E E . E E E . E . E E E"),
            (State::Queued, "L . E . A E E E . E . E E E"),
            (State::Active, ". . . . . . N E A E . E E E"),
            (State::Lingering, ". . . . . . . . A E E E E E"),
            (State::Ended, ". . . . . . . . . . . . . ."),
        ];
        assert_eq!(table.map(|(state, _)| state), State::ALL);
        for (state, row) in table {
            let row: Vec<&str> = row.split(' ').collect();
            assert_eq!(row.len(), Event::ALL.len());
            for (event, expected) in Event::ALL.into_iter().zip(row) {
                let letter = match next(state, event) {
                    Ok(State::Greeted) => "G",
                    Ok(State::Loading) => "L",
                    Ok(State::Queued) => "Q",
                    Ok(State::Active) => "A",
                    Ok(State::Lingering) => "N",
                    Ok(State::Ended) => "E",
                    Err(Illegal { state: stays, event: said }) => {
                        assert_eq!((stays, said), (state, event), "the error names both");
                        "."
                    }
                };
                assert_eq!(letter, expected, "{state} on {event}");
            }
        }
    }

    #[test]
    fn every_state_can_be_reached_and_every_life_can_end() {
        let mut reached = vec![State::Greeted];
        let mut at = 0;
        while at < reached.len() {
            for event in Event::ALL {
                if let Ok(state) = next(reached[at], event)
                    && !reached.contains(&state)
                {
                    reached.push(state);
                }
            }
            at += 1;
        }
        reached.sort_unstable();
        assert_eq!(reached, State::ALL);
        for state in &State::ALL[..5] {
            assert_eq!(next(*state, Event::Drained), Ok(State::Ended), "nobody outlives the world: {state}");
        }
    }

    #[test]
    #[should_panic(expected = "a player who is Ended cannot be told Bye")]
    fn what_cannot_happen_is_a_fault_of_the_engine() {
        let (mut life, mut illegal) = (Life::default(), 0);
        assert!(life.on(Event::Bye, &mut illegal) && life.state() == State::Ended);
        let _ = life.on(Event::Bye, &mut illegal);
    }
}
