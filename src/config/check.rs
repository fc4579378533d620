//! The rules that values keep, alone and among each other. Every rule tells file, line and key of the value
//! that broke it, what was expected, and what to do.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::error::{ConfigError, Origin, Problem, Sourced};
use super::key::{self, Expected, Key, WORLD_EDGE_M_MIN};
use super::settings::{SpaceSettings, WorldChoice};
use super::values::{GridSize, HttpListen};
use crate::limits::{
    CLIENTS_PER_SHARD_MAX, GRID_CELLS_MAX, LEAVE_RADIUS_M_MAX, TIER_TICKS_MAX, TIERS_MAX, WORLD_EDGE_M_MAX,
};

const NAME_BYTES_MAX: usize = 64;

/// Collects what is wrong, so that one look at the messages is enough to correct a file.
#[derive(Debug, Default)]
pub(super) struct Checker {
    problems: Vec<Problem>,
    /// Whether values of the file are missing because they could not be read: then the others are looked at each
    /// alone, because what they must agree with may not be what its writer meant.
    each_alone: bool,
}

impl Checker {
    /// Nothing wrong, or everything that is.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        if self.problems.is_empty() { Ok(()) } else { Err(ConfigError::Wrong { problems: self.problems }) }
    }

    /// Begins with what could not be read at all.
    pub(super) fn after(unreadable: Vec<Problem>) -> Self {
        Self { each_alone: !unreadable.is_empty(), problems: unreadable }
    }

    /// Two values that do not agree.
    fn wrong(&mut self, key: &Key, origin: &Origin, found: impl Display, expected: String, fix: &str) {
        if !self.each_alone {
            self.tell(key, origin, found, expected, fix);
        }
    }

    fn tell(&mut self, key: &Key, origin: &Origin, found: impl Display, expected: String, fix: &str) {
        self.problems.push(problem(key, origin, found, expected, fix));
    }

    /// A value that is wrong by itself.
    fn wrong_alone(&mut self, key: &Key, origin: &Origin, found: impl Display) {
        let (expected, fix) = match origin {
            Origin::Flag(_) => (key.expected.to_string(), "correct it, or leave the flag out"),
            _ => (key.expected.to_string(), "correct it, or remove it to use the default"),
        };
        self.tell(key, origin, found, expected, fix);
    }

    /// A whole number within its key's range. Out of range it is told, and brought into it so that the
    /// checks that follow do not complain about the same slip again.
    pub(super) fn whole(&mut self, key: &Key, number: Sourced<u64>) -> Sourced<u64> {
        let Expected::Whole(min, max) = key.expected else {
            unreachable!("{} is declared as a whole number", key.path)
        };
        if !(min..=max).contains(&number.value) {
            self.wrong_alone(key, &number.origin, number.value);
        }
        number.map(|value| value.clamp(min, max))
    }

    /// A finite number within its key's range; out of range as [`Checker::whole`].
    pub(super) fn number(&mut self, key: &Key, number: Sourced<f32>) -> Sourced<f32> {
        let Expected::Number(min, max, _) = key.expected else {
            unreachable!("{} is declared as a number", key.path)
        };
        if !(min..=max).contains(&number.value) {
            self.wrong_alone(key, &number.origin, number.value);
        }
        number.map(|value| if value.is_nan() { min } else { value.clamp(min, max) })
    }

    pub(super) fn name(&mut self, name: &Sourced<String>) {
        let text = name.value.as_str();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let fits = (1..=NAME_BYTES_MAX).contains(&text.len());
        if !fits || text.starts_with(['.', '-']) || !text.bytes().all(plain) {
            self.wrong_alone(&key::NAME, &name.origin, format_args!("{text:?}"));
        }
    }

    pub(super) fn path(&mut self, key: &Key, path: Option<&Sourced<PathBuf>>) {
        if let Some(path) = path
            && path.value.as_os_str().is_empty()
        {
            self.wrong_alone(key, &path.origin, "empty");
        }
    }

    pub(super) fn grid(&mut self, grid: &Sourced<GridSize>) {
        let GridSize { columns, rows } = grid.value;
        if columns == 0 || rows == 0 || grid.value.cells() > GRID_CELLS_MAX {
            self.wrong_alone(&key::GRID, &grid.origin, grid.value);
        }
    }

    pub(super) fn size(&mut self, size: &Sourced<[f32; 2]>) {
        if !size.value.iter().all(|edge| (WORLD_EDGE_M_MIN..=WORLD_EDGE_M_MAX).contains(edge)) {
            self.wrong_alone(&key::SIZE_M, &size.origin, format_args!("{:?}", size.value));
        }
    }

    pub(super) fn tiers(&mut self, tiers: &Sourced<Vec<(f32, u32)>>) {
        let ascend = tiers.value.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1);
        let in_range = |&(metres, ticks): &(f32, u32)| {
            (0.0..=LEAVE_RADIUS_M_MAX).contains(&metres) && (1..=TIER_TICKS_MAX).contains(&ticks)
        };
        if tiers.value.len() > TIERS_MAX || !ascend || !tiers.value.iter().all(in_range) {
            self.wrong_alone(&key::TIERS, &tiers.origin, format_args!("{:?}", tiers.value));
        }
    }

    pub(super) fn players_fit(&mut self, players: &Sourced<u64>, shards: &Sourced<u64>) {
        let shards_min = players.value.div_ceil(CLIENTS_PER_SHARD_MAX as u64);
        if shards.value < shards_min {
            self.wrong(
                &key::SHARDS,
                &shards.origin,
                shards.value,
                format!(
                    "at least {shards_min} for max_players {}: a shard holds {CLIENTS_PER_SHARD_MAX}",
                    players.value
                ),
                "raise it, lower max_players, or leave shards out to have enough",
            );
        }
    }

    pub(super) fn ports_fit(&mut self, listen: &Sourced<SocketAddr>, shards: &Sourced<u64>) {
        let last = u64::from(listen.value.port()) + shards.value - 1;
        if listen.value.port() != 0 && last > u64::from(u16::MAX) {
            self.wrong(
                &key::LISTEN,
                &listen.origin,
                listen.value,
                format!(
                    "a port of at most {}: {} shards take a port each",
                    65_536 - shards.value,
                    shards.value
                ),
                "choose a lower port, or fewer shards",
            );
        }
    }

    pub(super) fn public(&mut self, listen: &Sourced<SocketAddr>, public: Option<&Sourced<SocketAddr>>) {
        match public {
            Some(public) if public.value.ip().is_unspecified() || public.value.port() == 0 => self.wrong(
                &key::PUBLIC,
                &public.origin,
                public.value,
                "an address and port that players can reach".into(),
                "name the one they connect to",
            ),
            None if listen.value.ip().is_unspecified() => self.wrong(
                &key::LISTEN,
                &listen.origin,
                listen.value,
                "the address that players reach, which tokens must name".into(),
                "give it with --public ADDR, or listen on one address",
            ),
            Some(public) if listen.value.port() == 0 => self.wrong(
                &key::PUBLIC,
                &public.origin,
                public.value,
                format!(
                    "a fixed port in listen, not {}: any free port is none that players know",
                    listen.value
                ),
                "give --listen the port that is reached there, or leave public out",
            ),
            _ => {}
        }
    }

    /// Beyond loopback, players need tokens and the operator needs one too.
    pub(super) fn secured(
        &mut self,
        listen: &Sourced<SocketAddr>,
        public: Option<&Sourced<SocketAddr>>,
        http: &Sourced<HttpListen>,
        key_file: Option<&Sourced<PathBuf>>,
        admin_token_file: Option<&Sourced<PathBuf>>,
    ) {
        let mut addresses = vec![(&key::LISTEN, &listen.origin, listen.value)];
        addresses.extend(public.map(|public| (&key::PUBLIC, &public.origin, public.value)));
        addresses.extend(http.value.address().map(|address| (&key::HTTP, &http.origin, address)));
        let missing: Vec<&str> =
            [(key_file, "--key-file FILE"), (admin_token_file, "--admin-token-file FILE")]
                .into_iter()
                .filter_map(|(file, flag)| file.is_none().then_some(flag))
                .collect();
        if missing.is_empty() {
            return;
        }
        let open = addresses.into_iter().find(|(_, _, address)| !address.ip().is_loopback());
        if let Some((key, origin, address)) = open {
            self.wrong(
                key,
                origin,
                address,
                "a loopback address, or both a key file and an admin token file".into(),
                &format!("give {}", missing.join(" and ")),
            );
        }
    }

    /// What comes into view must not leave it by the same step.
    pub(super) fn hysteresis(&mut self, enter: &Sourced<f32>, leave: &Sourced<f32>) {
        if leave.value > enter.value {
            return;
        }
        if leave.origin == Origin::Default {
            self.wrong(
                &key::ENTER_RADIUS_M,
                &enter.origin,
                enter.value,
                format!("less than leave_radius_m, {} by default", leave.value),
                "lower it, or set space.leave_radius_m above it",
            );
        } else {
            self.wrong(
                &key::LEAVE_RADIUS_M,
                &leave.origin,
                leave.value,
                format!("more than enter_radius_m, {}", enter.value),
                "raise it: what enters must not leave at once",
            );
        }
    }

    /// The margin of the ghosts in metres: the given one if it is enough, else the least that is.
    pub(super) fn ghost_margin(
        &mut self,
        leave: &Sourced<f32>,
        top_speed: &Sourced<f32>,
        reach: &Sourced<f32>,
        hz: &Sourced<u64>,
        given: Option<&Sourced<f32>>,
    ) -> f32 {
        let step_m = top_speed.value / hz.value as f32;
        let least_m = leave.value + step_m + reach.value;
        let sum = format!(
            "leave_radius_m {} + a step of {step_m} (top_speed_m_s {} / hz {}) + attach_reach_m {}",
            leave.value, top_speed.value, hz.value, reach.value
        );
        let Some(given) = given else { return least_m };
        if given.value < least_m {
            self.wrong(
                &key::GHOST_MARGIN_M,
                &given.origin,
                given.value,
                format!("at least {least_m}: {sum}"),
                "raise it, or remove it to use just that",
            );
        }
        given.value
    }
}

/// Ticks that are too few to be smooth or more than a world usually affords.
pub(super) fn hz_advice(hz: &Sourced<u64>) -> Option<Problem> {
    (!(20..=30).contains(&hz.value)).then(|| {
        let fix = "expect choppy movement below, and a shorter time for each tick above";
        problem(&key::HZ, &hz.origin, hz.value, "20 to 30, as advised".into(), fix)
    })
}

/// Cells so small that most of their work is for their neighbours.
pub(super) fn cell_edge_advice(world: &WorldChoice, space: &SpaceSettings) -> Option<Problem> {
    let [width, depth] = world.cell_size_m();
    let edge_m = width.min(depth);
    let advised_m = 2.0 * space.enter_radius_m;
    (edge_m < advised_m).then(|| {
        problem(
            &key::GRID,
            &world.grid.origin,
            world.grid.value,
            format!("cells of at least {advised_m} m, twice the enter radius, as advised, not {edge_m} m"),
            "use fewer cells, a larger world or a smaller radius: most of a small cell are ghosts",
        )
    })
}

fn problem(key: &Key, origin: &Origin, found: impl Display, expected: String, fix: &str) -> Problem {
    Problem {
        origin: origin.clone(),
        key: key.path.to_owned(),
        found: found.to_string(),
        expected,
        fix: fix.to_owned(),
    }
}
