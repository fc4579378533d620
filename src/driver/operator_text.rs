//! What the operator's commands say to people.

use std::fmt::{self, Write};
use std::path::Path;

use crate::store::Compensation;
use crate::store::operator::{BackedUp, Progress, Repaired, SaveFigures, SaveRanks, Verified};

/// How far something has come, on one line.
pub(super) struct Line(pub(super) Progress);

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Progress { doing, done, of } = self.0;
        match of {
            Some(of) => {
                write!(f, "{doing}: {done} of {of} ({} %)", (done * 100).checked_div(of).unwrap_or(100))
            }
            None if done > 0 => write!(f, "{doing}: {done} rows so far"),
            None => write!(f, "{doing}"),
        }
    }
}

/// Lines, one after the other. Writing into a text does not fail.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, line: fmt::Arguments<'_>) {
        let _ = writeln!(self.0, "{line}");
    }
}

macro_rules! line {
    ($lines:ident, $($text:tt)*) => { $lines.add(format_args!($($text)*)) };
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

pub(super) fn verified(save: &Path, of: &Verified) -> String {
    let mut lines = Lines::default();
    for problem in &of.problems {
        line!(lines, "{problem}");
    }
    if of.problems_more > 0 {
        line!(lines, "and {} more", of.problems_more);
    }
    let totals = &of.totals;
    for asset in &totals.assets {
        line!(
            lines,
            "{} {}: players hold {}, houses {}",
            asset.class,
            asset.name,
            asset.players,
            asset.houses
        );
    }
    line!(
        lines,
        "{}: {} accounts, {} claims, {} rows of the ledger and {} opening balances, {} holdings ({} lots, {} of them expired), \
         {} images, {} profiles; {} rows were looked at",
        save.display(),
        totals.accounts,
        totals.claims,
        totals.ledger,
        totals.opening,
        totals.holdings,
        totals.lots,
        totals.lots_expired,
        totals.images,
        totals.profiles,
        totals.rows
    );
    let copied = if of.live { " (the world runs: a copy of it was looked through)" } else { "" };
    match of.problems.len() as u64 + of.problems_more {
        0 => line!(lines, "nothing is wrong{copied}"),
        1 => line!(lines, "1 thing is wrong{copied}"),
        count => line!(lines, "{count} things are wrong{copied}"),
    }
    lines.0
}

pub(super) fn backed_up(save: &Path, backup: &BackedUp) -> String {
    let running = if backup.live { ", which runs," } else { "" };
    format!("{}{running} is copied to {}, {:.1} MiB", save.display(), backup.to.display(), mib(backup.bytes))
}

pub(super) fn compensations(list: &[Compensation]) -> String {
    if list.is_empty() {
        return "nothing waits for an operator".into();
    }
    let mut lines = Lines::default();
    for waits in list {
        let Compensation { number, kind, reference, error, attempts, .. } = waits;
        line!(lines, "{number}: {} {reference}, tried {attempts} times: {error}", kind.name());
    }
    lines.0
}

pub(super) fn figures(save: &Path, of: &SaveFigures, online: Option<u64>) -> String {
    let mut lines = Lines::default();
    let state = match (of.live, online) {
        (true, Some(online)) => format!("runs, with {online} players in it"),
        (true, None) => "runs; it cannot be asked who is in it".into(),
        (false, _) => "does not run".into(),
    };
    line!(
        lines,
        "{}: world `{}`, schema version {}; it {state}",
        save.display(),
        of.world,
        of.schema_version
    );
    let image = match (of.tick, of.last_image_ms) {
        (Some(tick), Some(now_ms)) => {
            format!("{} images, the newest of tick {tick}, {} s after 1970", of.images, now_ms / 1_000)
        }
        _ => "no image yet".into(),
    };
    let backup = match &of.last_backup {
        Some(backup) => {
            format!("last backup {} s after 1970, to {}", backup.at_ms / 1_000, backup.to.display())
        }
        None => "no backup was made".into(),
    };
    line!(lines, "{image}; {backup}");
    line!(
        lines,
        "{} players, {} of them under a sanction; {} records of what was ordered",
        of.players,
        of.sanctions,
        of.audit
    );
    line!(
        lines,
        "{} accounts, {} claims, {} rows of the ledger, {} of the changelog",
        of.accounts,
        of.claims,
        of.ledger,
        of.changelog
    );
    line!(
        lines,
        "outbox: {} wait, {} were given up; {} compensations wait for an operator",
        of.outbox_waiting,
        of.outbox_failed,
        of.compensations
    );
    for asset in &of.assets {
        let retired = if asset.is_retired { ", retired" } else { "" };
        line!(
            lines,
            "{} {}: {} in circulation, {} holders{retired}",
            asset.class,
            asset.name,
            asset.circulating,
            asset.holders
        );
    }
    for house in &of.houses {
        let holds: Vec<String> =
            house.holds.iter().map(|(asset, amount)| format!("{amount} {asset}")).collect();
        line!(lines, "house {}: {}", house.name, holds.join(", "));
    }
    line!(lines, "file {:.1} MiB, log {:.1} MiB", mib(of.file_bytes), mib(of.log_bytes));
    for table in &of.tables {
        line!(lines, "  {:<20} {:>9.1} KiB", table.name, table.bytes as f64 / 1_024.0);
    }
    lines.0
}

pub(super) fn repaired(save: &Path, of: &Repaired) -> String {
    let mut lines = Lines::default();
    let (would, was) = if of.dry_run { ("would be ", "would be") } else { ("", "was") };
    if let Some(backup) = &of.backup {
        line!(lines, "as it was before: {}", backup.display());
    }
    for file in &of.files {
        line!(lines, "{would}removed: {}", file.display());
    }
    for mended in &of.mended {
        line!(lines, "{would}mended: {}; {}", mended.problem, mended.done);
    }
    for problem in &of.left {
        line!(lines, "left: {problem}");
    }
    if of.left_more > 0 {
        line!(lines, "and {} more are left", of.left_more);
    }
    let left = of.left.len() as u64 + of.left_more;
    let rest = match left {
        0 => "nothing is wrong any more".to_owned(),
        left => format!("{left} things are left that cannot be mended for certain: restore a backup"),
    };
    line!(lines, "{}: {} things {was} mended; {rest}", save.display(), of.mended.len() + of.files.len());
    lines.0
}

pub(super) fn ranks(of: &SaveRanks) -> String {
    let mut lines = Lines::default();
    for asset in &of.assets {
        line!(lines, "{}:", asset.name);
        for (place, (player, amount)) in (1..).zip(&asset.best) {
            line!(lines, "{place:>4}  {amount:>12}  {player}");
        }
        if asset.best.is_empty() {
            line!(lines, "      nobody holds any");
        }
    }
    lines.0
}
