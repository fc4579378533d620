//! What may stand on the command line.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use terrane::caravan::bots::BotProfile;
use terrane::net::Conditions;

use crate::abuse::{ABUSE_S_MAX, ABUSERS_MAX, Abuse};
use crate::plan::Mishap;

/// Connects many players to a Terrane world on this machine, lets them play, and says how they fared.
///
/// Exit codes: 0 fine; 1 a client was lost, an audit failed, something could not be decoded, or nothing was
/// measured (no updates, or audits of which not one came to a result), or, with --abuse, nobody was let in;
/// 2 wrong usage.
#[derive(Clone, Debug, Parser)]
#[command(name = "swarm", version, max_term_width = 110)]
pub(crate) struct Args {
    /// The address of the world's first shard; shard i is on port + i. Loopback addresses only.
    #[arg(long, value_name = "ADDR", value_parser = loopback)]
    pub(crate) server: SocketAddr,
    /// How many shards the world has; clients are spread over them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub(crate) shards: u16,
    /// How many players.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) clients: u32,
    /// For how long they play once all have begun to connect, in seconds.
    #[arg(long = "seconds", value_name = "S", default_value = "10", value_parser = seconds)]
    pub(crate) play: Duration,
    /// How often each player acts and acknowledges, per second.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(crate) hz: u16,
    /// The seconds over which they begin to connect.
    #[arg(long, value_name = "S", default_value = "2", value_parser = seconds)]
    pub(crate) ramp: Duration,
    /// What they do.
    #[arg(long, value_name = "PROFILE", value_enum, default_value_t = Profile::Walk)]
    pub(crate) profile: Profile,
    /// Share of datagrams that are lost in each direction, in percent.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent)]
    pub(crate) loss: f32,
    /// How long every datagram takes longer in each direction, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub(crate) delay_ms: u64,
    /// How much longer than that at most, drawn anew for each datagram, so that they overtake each other.
    #[arg(long, value_name = "MS", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub(crate) jitter_ms: u64,
    /// Where the players' decisions and the network's mishaps begin.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Threads that the players share; leave the world some cores.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: u16,
    /// The world's key file, if it has one: connect tokens are made with it.
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// Share of clients whose link is cut without a goodbye every 10 s, and who come back at once, in percent.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent)]
    pub(crate) cut: f32,
    /// Share of clients that are cut off, stay away for longer than the world waits, and come back into a new session,
    /// in percent.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent)]
    pub(crate) absent: f32,
    /// Share of clients of whose players a second device takes over every 10 s, in percent. The first must be told, and
    /// do nothing more. Together with the two above at most 100.
    #[arg(long, value_name = "PERCENT", default_value = "0", value_parser = percent)]
    pub(crate) takeover: f32,
    /// Nobody leaves the world of its own will, as players of the trade profile do now and then.
    #[arg(long, conflicts_with = "abuse")]
    pub(crate) stays: bool,
    /// The loopback address that the clients come from. Of IPv4 alone.
    #[arg(long, value_name = "IP", value_parser = own_address)]
    pub(crate) from: Option<Ipv4Addr>,
    /// How many clients come from one address; those behind them come from the next one. All from one without.
    #[arg(long, value_name = "N", requires = "from", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) per_address: Option<u32>,
    /// Harm the world instead of playing, to see that nobody else notices: as many abusers as --clients, at most 1000,
    /// for --seconds, at most 600.
    #[arg(
        long, value_name = "KIND", value_enum,
        conflicts_with_all = ["hz", "profile", "loss", "delay_ms", "jitter_ms", "threads", "cut", "absent", "takeover"],
    )]
    pub(crate) abuse: Option<Abuse>,
    /// Write there, at the end, the ids of all trades that players were told are done, one a line, in hexadecimal: the keys of
    /// the claims in the save.
    #[arg(long, value_name = "FILE", conflicts_with = "abuse")]
    pub(crate) receipts: Option<PathBuf>,
    /// Print the result to stdout, as one JSON object on one line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What players do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// Walk from trade node to trade node.
    Walk,
    /// Gather in the middle of the map and mill about.
    Crowd,
    /// Go to and fro over the borders of cells, and around their corners.
    Border,
    /// Play all of it: become somebody, march from node to node, trade, hand in bounties, hire, run errands, fight, travel in
    /// parties, chat, and now and then leave the world and return.
    Trade,
    /// Walk, and keep all that sync policies decide by changing: parties, scouting, and, with a key file, roles.
    Caravan,
}

impl From<Profile> for BotProfile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Walk => Self::Walk,
            Profile::Crowd => Self::Crowd,
            Profile::Border => Self::Border,
            Profile::Trade => Self::Trade,
            Profile::Caravan => Self::Caravan,
        }
    }
}

impl Args {
    /// The address of shard `shard`; `None` when there is no such port.
    pub(crate) fn shard(&self, shard: u16) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.server.ip(), self.server.port().checked_add(shard)?))
    }

    /// Where client number `number` comes from; `None` where the system chooses. Behind the last loopback address
    /// comes the first one.
    pub(crate) fn address(&self, number: u32) -> Option<IpAddr> {
        let step = self.per_address.map_or(0, |per_address| number / per_address);
        let host = |from: Ipv4Addr| from.to_bits().wrapping_add(step) & 0x00FF_FFFF;
        self.from.map(|from| Ipv4Addr::from_bits(0x7F00_0000 | host(from)).into())
    }

    /// Whether the addresses of both ends are of one family, and abuse is within its bounds.
    pub(crate) fn fits(&self) -> Result<(), &'static str> {
        if self.from.is_some() && !self.server.is_ipv4() {
            return Err("--from: the world's address must be of IPv4 too");
        }
        if self.abuse.is_some() && (self.clients > ABUSERS_MAX || self.play > ABUSE_S_MAX) {
            return Err("--abuse: at most 1000 --clients, for at most 600 --seconds");
        }
        Ok(())
    }

    /// What happens to the datagrams of one client.
    pub(crate) fn conditions(&self, number: u32) -> Conditions {
        Conditions {
            loss: self.loss / 100.0,
            delay: Duration::from_millis(self.delay_ms),
            jitter: Duration::from_millis(self.jitter_ms),
            seed: self.seed ^ u64::from(number + 1) << 32,
        }
    }

    /// What befalls client number `number`; each only one kind of thing.
    pub(crate) fn mishap(&self, number: u32) -> Option<Mishap> {
        // Over all numbers every share is met as well as it can be.
        let at = (f64::from(number) * 0.618_033_988_749_895).fract() * 100.0;
        let (cut, absent, takeover) = (f64::from(self.cut), f64::from(self.absent), f64::from(self.takeover));
        if at < cut {
            Some(Mishap::Cut)
        } else if at < cut + absent {
            Some(Mishap::Absence)
        } else if at < cut + absent + takeover {
            Some(Mishap::Takeover)
        } else {
            None
        }
    }

    /// Whether the shares of clients that something befalls are shares.
    pub(crate) fn mishaps_fit(&self) -> bool {
        self.cut + self.absent + self.takeover <= 100.0
    }

    /// Between two ticks of one client.
    pub(crate) fn tick(&self) -> Duration {
        Duration::from_secs(1) / u32::from(self.hz)
    }
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "expected IP:PORT, such as 127.0.0.1:5000".to_owned())?;
    if !address.ip().is_loopback() {
        return Err(format!(
            "{} is not this machine: swarm loads only worlds on loopback, such as 127.0.0.1:5000",
            address.ip()
        ));
    }
    if address.port() == 0 {
        return Err("port 0 is no port that a world listens on".to_owned());
    }
    Ok(address)
}

fn own_address(text: &str) -> Result<Ipv4Addr, String> {
    let address: Option<Ipv4Addr> = text.parse().ok().filter(Ipv4Addr::is_loopback);
    address.ok_or_else(|| "expected an address of this machine's loopback, such as 127.0.1.1".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=1e6).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected seconds, 0 to 1000000".to_owned()),
    }
}

fn percent(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent),
        _ => Err("expected a percentage, 0 to 100".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(std::iter::once("swarm").chain(line.split_whitespace()))
    }

    #[test]
    fn every_flag_is_understood() {
        let args = parse(
            "--server 127.0.0.1:5000 --shards 2 --clients 300 --seconds 20 --hz 30 --ramp 0.5 --profile border \
             --loss 5 --delay-ms 80 --jitter-ms 9 --seed 4 --threads 2 --cut 20 --absent 5 --takeover 75 --key-file k --json",
        )
        .unwrap();
        assert_eq!((args.shards, args.clients, args.hz, args.threads), (2, 300, 30, 2));
        assert_eq!((args.play, args.ramp), (Duration::from_secs(20), Duration::from_millis(500)));
        assert_eq!((args.profile, args.seed, args.json), (Profile::Border, 4, true));
        assert_eq!(args.shard(1), Some("127.0.0.1:5001".parse().unwrap()));
        let conditions = args.conditions(0);
        assert_eq!(conditions.loss, 0.05);
        assert_eq!((conditions.delay.as_millis(), conditions.jitter.as_millis()), (80, 9));
        let befallen = |mishap| (0..300).filter(|&number| args.mishap(number) == Some(mishap)).count();
        assert!(befallen(Mishap::Cut).abs_diff(60) <= 3 && befallen(Mishap::Absence).abs_diff(15) <= 3);
        assert_eq!((0..300).filter(|&number| args.mishap(number).is_none()).count(), 0);
        assert!(args.mishaps_fit());
        assert_ne!(conditions.seed, args.conditions(1).seed, "each client has a network of its own");
    }

    #[test]
    fn clients_come_from_where_they_are_told_to() {
        let from = |line: &str, number: u32| {
            let args = parse(&format!("--server 127.0.0.1:5000 {line}")).unwrap();
            args.address(number).map(|address| address.to_string())
        };
        assert_eq!(from("", 7), None);
        assert_eq!(from("--from 127.0.2.1", 700), Some("127.0.2.1".into()), "all from one");
        let ten_each = "--from 127.0.1.250 --per-address 10";
        for (number, expected) in
            [(0, "127.0.1.250"), (9, "127.0.1.250"), (10, "127.0.1.251"), (60, "127.0.2.0")]
        {
            assert_eq!(from(ten_each, number), Some(expected.into()));
        }
        assert_eq!(
            from("--from 127.255.255.255 --per-address 1", 1),
            Some("127.0.0.0".into()),
            "still this machine"
        );
    }

    #[test]
    fn abuse_is_bounded() {
        let fits = |line: &str| parse(&format!("--server [::1]:5000 {line}")).unwrap().fits();
        assert!(fits("--abuse connections --clients 1000 --seconds 600").is_ok());
        assert!(fits("--clients 1001 --seconds 601").is_ok(), "who plays is not bounded so");
        assert!(fits("--abuse connections --clients 1001").is_err());
        assert!(fits("--abuse connections --seconds 601").is_err());
        assert!(fits("--from 127.0.0.2").is_err(), "from IPv4 to IPv6");
    }

    #[test]
    fn wrong_flags_are_refused_with_what_was_expected() {
        for (line, expected) in [
            ("--server 192.0.2.1:5000", "192.0.2.1 is not this machine"),
            ("--server localhost", "expected IP:PORT"),
            ("--server 127.0.0.1:0", "port 0"),
            ("--server [::1]:5000 --profile swim", "possible values: walk, crowd, border, trade, caravan"),
            ("--server [::1]:5000 --loss 101", "expected a percentage, 0 to 100"),
            ("--server [::1]:5000 --cut half", "expected a percentage, 0 to 100"),
            ("--server [::1]:5000 --seconds 1e9", "expected seconds, 0 to 1000000"),
            ("--server [::1]:5000 --clients 0", "0 is not in 1..=20000"),
            ("--clients 5", "--server <ADDR>"),
            ("--server [::1]:5000 --from 192.0.2.1", "expected an address of this machine's loopback"),
            ("--server [::1]:5000 --per-address 9", "--from <IP>"),
            ("--server [::1]:5000 --abuse flood-actions --profile walk", "cannot be used with"),
            ("--server [::1]:5000 --abuse flood-bytes --threads 2", "cannot be used with"),
            ("--server [::1]:5000 --abuse shout", "flood-actions, flood-bytes, never-read, connections"),
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(expected), "{line}: {error}");
        }
    }
}
