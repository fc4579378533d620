//! What may stand behind the commands that work on a save.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::args::parse_why;

/// What to do with a save.
#[derive(Clone, Debug)]
pub enum OperatorCommand {
    /// Look through it.
    Verify(VerifyOptions),
    /// Copy it.
    Backup(BackupOptions),
    /// Look after what failed for good.
    Compensations(CompensationsOptions),
    /// Count what is in it.
    Stats(StatsOptions),
    /// Say who holds most.
    Ranks(RanksOptions),
    /// Mend it.
    Repair(RepairOptions),
}

/// What `verify` looks through.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  terrane verify saves/world
  terrane verify saves/world --json | jq '.problems[] | select(.kind == \"balance\")'
Exit codes: 0 nothing is wrong, 1 something is, 2 it cannot be looked through.")]
pub struct VerifyOptions {
    /// The save of the world, running or not: saves/NAME.
    #[arg(value_name = "SAVE")]
    pub save: PathBuf,
    /// Print what was found as one JSON object on one line.
    #[arg(long)]
    pub json: bool,
}

/// What `backup` copies, and where to.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  terrane backup saves/world /backups/world-monday
  terrane run --saves /backups --name world-monday       runs it")]
pub struct BackupOptions {
    /// The save of the world, running or not: saves/NAME.
    #[arg(value_name = "SAVE")]
    pub save: PathBuf,
    /// The folder to make: something of that name must not be there.
    #[arg(value_name = "DEST")]
    pub dest: PathBuf,
    /// Print the outcome as one JSON object on one line.
    #[arg(long)]
    pub json: bool,
}

/// Whose compensations.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  terrane compensations saves/world list
  terrane compensations saves/world retry 3
  terrane compensations saves/world discard 3 --why \"paid out by hand\"
Exit codes: 0 done, 1 it was not done (it failed again, or nothing waits under that number), 2 it could not be ordered.")]
pub struct CompensationsOptions {
    /// The save of the world, running or not: saves/NAME.
    #[arg(value_name = "SAVE")]
    pub save: PathBuf,
    /// What to do.
    #[command(subcommand)]
    pub what: CompensationsSub,
}

/// What to do about what failed for good.
#[derive(Clone, Debug, Subcommand)]
pub enum CompensationsSub {
    /// List what waits, the oldest first.
    List {
        /// Print the list as one JSON object on one line.
        #[arg(long)]
        json: bool,
    },
    /// Have it tried once more: a plan is carried out, a delivery is due again.
    Retry {
        /// Its number in the list.
        #[arg(value_name = "ID")]
        id: u64,
        /// How it is ordered.
        #[command(flatten)]
        order: CompensationFlags,
    },
    /// Have it go, undone; a delivery is not tried again either.
    Discard {
        /// Its number in the list.
        #[arg(value_name = "ID")]
        id: u64,
        /// Why: kept in the save for good.
        #[arg(long, value_name = "TEXT", value_parser = parse_why)]
        why: String,
        /// How it is ordered.
        #[command(flatten)]
        order: CompensationFlags,
    },
}

/// How an order is given.
#[derive(Clone, Debug, Args)]
pub struct CompensationFlags {
    /// The token to show a running world that was given one [default: SAVE/admin.token].
    #[arg(long, value_name = "FILE")]
    pub admin_token_file: Option<PathBuf>,
    /// Print the outcome as one JSON object on one line.
    #[arg(long)]
    pub json: bool,
}

/// What `stats` counts.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  terrane stats saves/world
  terrane stats saves/world --json | jq '.assets[] | {name, circulating}'")]
pub struct StatsOptions {
    /// The save of the world, running or not: saves/NAME.
    #[arg(value_name = "SAVE")]
    pub save: PathBuf,
    /// Print the figures as one JSON object on one line.
    #[arg(long)]
    pub json: bool,
}

/// Who holds most.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  terrane ranks saves/world
  terrane ranks saves/world --asset renown --top 3 --json
Exit codes: 0 they are told, 1 there is no such asset, 2 the save cannot be read.")]
pub struct RanksOptions {
    /// The save of the world, running or not: saves/NAME.
    #[arg(value_name = "SAVE")]
    pub save: PathBuf,
    /// Of this asset alone [default: every currency].
    #[arg(long, value_name = "NAME")]
    pub asset: Option<String>,
    /// So many of each.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub top: u32,
    /// Print them as one JSON object on one line.
    #[arg(long)]
    pub json: bool,
}

/// What `repair` mends.
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  terrane repair saves/world --dry-run
  terrane repair saves/world
Mended are: amounts that are not what the ledger says, indexes, missing indexes and triggers, torn images beside a whole one,
counters that ran backwards, files that are nobody's any more. Everything else is named and left: restore a backup.
Exit codes: 0 nothing is wrong any more, 1 something is left, 2 it cannot be mended now (the world runs, there is no save).")]
pub struct RepairOptions {
    /// The save of the world, which must not run: saves/NAME.
    #[arg(value_name = "SAVE")]
    pub save: PathBuf,
    /// Only tell what would be done.
    #[arg(long)]
    pub dry_run: bool,
    /// Print what was done as one JSON object on one line.
    #[arg(long)]
    pub json: bool,
}
