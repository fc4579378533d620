//! The order of the tick, as data.
//!
//! *Does*: names the sets of one tick in their order, says what each reads, writes and promises, builds the
//! schedule from that list, and prints it as a table.
//! *Does not*: hold any system. *Reads* and *writes*: nothing.
//!
//! Everything that names a stage (Tracy zones, metric labels, the watchdog's report, the tables of the
//! documents) takes its name from [`TickSystems::ORDER`], so that no copy can drift from what runs.

use bevy_ecs::prelude::SystemSet;
use bevy_ecs::schedule::{IntoScheduleConfigs, LogLevel, Schedule, ScheduleBuildSettings, ScheduleLabel};

/// The label of the node's one schedule: running it is one tick.
#[derive(ScheduleLabel, Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tick;

/// The sets of one tick, in the order in which they run. Every system of the node's [`Tick`] schedule belongs to
/// exactly one of them.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TickSystems {
    /// Reads the sealed input, writes inboxes.
    ///
    /// After it nothing of this tick comes from outside any more.
    Receive,
    /// Reads joins and leaves, writes sessions and avatars; capped per tick.
    ///
    /// After it the sessions of this tick are fixed; who was not admitted waits and is told so.
    Admit,
    /// Reads what the store committed, writes holdings, components that show them, and answers.
    ///
    /// After it everything the store has confirmed is known to the world.
    Settle,
    /// Reads positions and the registry, writes ownership: crossings become handovers, requested teleports move.
    ///
    /// After it every entity is owned by the cell that it stands in, and no owner changes until the next tick.
    Partition,
    /// Reads actions and last tick's outboxes, writes the inboxes of owners and replies.
    ///
    /// After it every action was taken once or refused with a reason.
    Act,
    /// Runs the game's systems in every cell, then exports each cell's border.
    ///
    /// After it no component of an owned entity changes in this tick.
    Simulate,
    /// Swaps the buffers that cells exported into the published ones.
    ///
    /// After it every cell's border can be read by all others.
    Mirror,
    /// Imports ghosts, rebuilds each cell's index, encodes changed rows, gathers every viewer's candidates.
    ///
    /// After it every cell sees everything within the ghost margin of its border.
    Interest,
    /// Reads candidates and rows, writes views and one update a session; cells are read only.
    ///
    /// After it each session's update holds what its player may see and nothing else.
    Assemble,
    /// Reads what actions and systems asked for, writes plans.
    ///
    /// After it everything asked for is planned, refused with a reason, or waits behind something else of its player.
    Plan,
    /// Reads what has to last, writes requests to the store.
    ///
    /// After it all that this tick wants saved is on its way, in one batch.
    Commit,
    /// Reads updates and replies, writes the outbox of the shards.
    ///
    /// After it the tick's output is complete.
    Send,
    /// Reads everything, writes metrics, the fingerprint and the published snapshot; checks invariants in debug builds.
    ///
    /// After it the tick is over, and nothing it wrote is ever read by a tick.
    Record,
}

/// The engine's own beginning of a set: what runs in it before everything that games add to the set, in whatever order they do.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Foremost(pub TickSystems);

/// Where the systems of a set run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// On the node's world, one system after the other.
    Node,
    /// One task per cell, each with its cell alone.
    CellsInParallel,
    /// One task per chunk of sessions, with every cell readable.
    SessionsInParallel,
}

impl Runs {
    /// As written in the tick table.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Runs::Node => "node",
            Runs::CellsInParallel => "cells in parallel",
            Runs::SessionsInParallel => "sessions in parallel",
        }
    }
}

impl TickSystems {
    /// The order of the tick.
    pub const ORDER: [TickSystems; 13] = [
        TickSystems::Receive,
        TickSystems::Admit,
        TickSystems::Settle,
        TickSystems::Partition,
        TickSystems::Act,
        TickSystems::Simulate,
        TickSystems::Mirror,
        TickSystems::Interest,
        TickSystems::Assemble,
        TickSystems::Plan,
        TickSystems::Commit,
        TickSystems::Send,
        TickSystems::Record,
    ];

    /// How many sets a tick has.
    pub const COUNT: usize = Self::ORDER.len();

    /// The place of this set in [`ORDER`](Self::ORDER).
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The name, as in the tick table and in Tracy.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            TickSystems::Receive => "Receive",
            TickSystems::Admit => "Admit",
            TickSystems::Settle => "Settle",
            TickSystems::Partition => "Partition",
            TickSystems::Act => "Act",
            TickSystems::Simulate => "Simulate",
            TickSystems::Mirror => "Mirror",
            TickSystems::Interest => "Interest",
            TickSystems::Assemble => "Assemble",
            TickSystems::Plan => "Plan",
            TickSystems::Commit => "Commit",
            TickSystems::Send => "Send",
            TickSystems::Record => "Record",
        }
    }

    /// The name in lower case, as in the labels of metrics.
    #[must_use]
    pub fn label(self) -> String {
        self.name().to_ascii_lowercase()
    }

    /// Where its systems run.
    #[must_use]
    pub const fn runs(self) -> Runs {
        match self {
            TickSystems::Simulate | TickSystems::Interest => Runs::CellsInParallel,
            TickSystems::Assemble => Runs::SessionsInParallel,
            _ => Runs::Node,
        }
    }

    /// What goes in and what comes out.
    #[must_use]
    pub const fn flow(self) -> &'static str {
        match self {
            TickSystems::Receive => "the tick's sealed input → inboxes",
            TickSystems::Admit => "joins, leaves → sessions, avatars (capped per tick)",
            TickSystems::Settle => "what the store committed → holdings, components, answers",
            TickSystems::Partition => "crossings, teleports → handovers",
            TickSystems::Act => "actions, last tick's outboxes → owners' inboxes, replies",
            TickSystems::Simulate => "game systems → components; each cell exports its border",
            TickSystems::Mirror => "export buffers → published ones (pointer swap)",
            TickSystems::Interest => "ghosts, index, changed rows → each viewer's candidates",
            TickSystems::Assemble => "views, rows → one update per session",
            TickSystems::Plan => "what is asked for → plans of what it changes",
            TickSystems::Commit => "plans, what has to last → one batch to the store",
            TickSystems::Send => "updates, replies → outbox of the shards",
            TickSystems::Record => "everything → metrics, fingerprint, published snapshot",
        }
    }

    /// What holds once the set has run.
    #[must_use]
    pub const fn promise(self) -> &'static str {
        match self {
            TickSystems::Receive => "nothing more comes from outside",
            TickSystems::Admit => "the tick's sessions are fixed",
            TickSystems::Settle => "what the store confirmed is known",
            TickSystems::Partition => "every entity is owned by the cell it stands in",
            TickSystems::Act => "every action was taken once or refused",
            TickSystems::Simulate => "no owned component changes any more",
            TickSystems::Mirror => "every border can be read",
            TickSystems::Interest => "every cell sees all within the ghost margin",
            TickSystems::Assemble => "an update holds what its player may see, nothing else",
            TickSystems::Plan => "whatever was asked for is planned, refused or waits its turn",
            TickSystems::Commit => "all to be saved is on its way",
            TickSystems::Send => "the output is complete",
            TickSystems::Record => "nothing written here is read by a tick",
        }
    }
}

/// Chains the sets of `schedule` in [`TickSystems::ORDER`] and makes every ambiguity an error: two systems that touch
/// the same data in no declared order stop the server at its first tick, by name.
pub fn configure(schedule: &mut Schedule) {
    schedule.set_build_settings(strict_build_settings());
    for pair in TickSystems::ORDER.windows(2) {
        schedule.configure_sets((pair[0].before(Foremost(pair[1])), pair[0].before(pair[1])));
    }
    for set in TickSystems::ORDER {
        schedule.configure_sets(Foremost(set).before(set));
    }
}

/// The build settings of every schedule of the server, the node's and the cells': ambiguity is an error.
#[must_use]
pub fn strict_build_settings() -> ScheduleBuildSettings {
    ScheduleBuildSettings {
        ambiguity_detection: LogLevel::Error,
        hierarchy_detection: LogLevel::Error,
        ..ScheduleBuildSettings::default()
    }
}

/// The order as a Markdown table, one line a set. README, crate documentation, architecture and profiling guide
/// hold exactly this text.
#[must_use]
pub fn markdown_table() -> String {
    let mut table = String::from("| # | set | runs | in → out | after it |\n|---|---|---|---|---|\n");
    for (place, set) in TickSystems::ORDER.into_iter().enumerate() {
        let runs = match set.runs() {
            Runs::Node => Runs::Node.describe().to_owned(),
            parallel => format!("**{}**", parallel.describe()),
        };
        table +=
            &format!("| {} | `{}` | {runs} | {} | {} |\n", place + 1, set.name(), set.flow(), set.promise());
    }
    table
}

#[cfg(test)]
mod tests {
    use bevy_ecs::prelude::*;

    use super::*;

    #[derive(Resource, Default)]
    struct Ran(Vec<TickSystems>);

    #[derive(Resource, Default)]
    struct Contested(u32);

    #[test]
    fn the_order_lists_every_set_once_in_the_order_of_its_declaration() {
        for (place, set) in TickSystems::ORDER.into_iter().enumerate() {
            assert_eq!(set.index(), place, "{set:?} must stand where the enum declares it");
            assert_eq!(format!("{set:?}"), set.name(), "a set's name is its variant");
        }
    }

    #[test]
    fn the_built_schedule_runs_the_sets_in_the_order() {
        let mut schedule = Schedule::new(Tick);
        configure(&mut schedule);
        for set in TickSystems::ORDER.into_iter().rev() {
            schedule.add_systems((move |mut ran: ResMut<Ran>| ran.0.push(set)).in_set(set));
        }
        let mut world = World::new();
        world.init_resource::<Ran>();
        schedule.run(&mut world);
        schedule.run(&mut world);
        let ran = &world.resource::<Ran>().0;
        assert_eq!(ran[..TickSystems::COUNT], TickSystems::ORDER, "the schedule must run the order");
        assert_eq!(ran[TickSystems::COUNT..], TickSystems::ORDER, "every tick alike");
    }

    #[test]
    fn two_systems_of_one_set_that_write_the_same_data_are_refused() {
        let mut schedule = Schedule::new(Tick);
        configure(&mut schedule);
        assert_eq!(schedule.get_build_settings().ambiguity_detection, LogLevel::Error);
        fn first(mut contested: ResMut<Contested>) {
            contested.0 += 1;
        }
        fn second(mut contested: ResMut<Contested>) {
            contested.0 *= 2;
        }
        schedule.add_systems((first, second).in_set(TickSystems::Settle));
        let mut world = World::new();
        world.init_resource::<Contested>();
        assert!(schedule.initialize(&mut world).is_err(), "an ambiguity must be an error");
    }

    #[test]
    fn the_tick_table_of_every_document_is_the_one_the_schedule_is_built_from() {
        const BEGIN: &str = "<!-- tick-table -->";
        const END: &str = "<!-- /tick-table -->";
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        for document in ["README.md", "docs/architecture.md", "docs/profiling.md", "src/lib.rs"] {
            let text = std::fs::read_to_string(root.join(document)).expect("the document is there");
            let text: String =
                text.lines().map(|line| format!("{}\n", line.trim_start_matches("//! "))).collect();
            let (_, rest) =
                text.split_once(BEGIN).unwrap_or_else(|| panic!("{document} does not hold the tick table"));
            let (table, _) =
                rest.split_once(END).unwrap_or_else(|| panic!("{document}: {BEGIN} is not closed by {END}"));
            assert_eq!(
                table.trim(),
                markdown_table().trim(),
                "{document}: the tick table is not that of TickSystems::ORDER; it must read:\n{}",
                markdown_table()
            );
        }
    }
}
