//! Commit: plans carried out durably, with ledger, foreign keys and changelog, in a real file.
//!
//! A plan grants a player coins, wine and a sword of its own from a house, under caps and within slots. Players take turns, so that
//! their rows lie all over the file. The time is that of the wall, since most of it is the disk's: `sync_ms` is what one
//! `fdatasync` of one page takes there in the same minute. At the end the holdings of all players are read back and compared with
//! what was granted.
//!
//! The case `rows` writes rows of components too, a chunk behind each batch as the driver hands them over, until all players have
//! one; then none for as many batches; and so on. What they cost those who wait for grants is the difference.

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use common::{median, print_line, round};
use cpu_time::ProcessTime;
use serde::Serialize;
use terrane::config::{GridSize, Sourced};
use terrane::ids::{ActionId, PlayerId, TickNumber};
use terrane::limits::ROWS_PER_CHUNK;
use terrane::players::{ComponentRow, PlayerRequest, RowsSave};
use terrane::reward::{
    Account, AffectedDomains, AssetClass, Claim, CommitBatch, Lot, Mutation, MutationPlan, Name, Participant,
    PlannedLine, Submission,
};
use terrane::store::{PlayerWork, Store, StoreRequest, StoreResult, WorldIdentity};

/// The calendar of the bench.
const NOW_MS: u64 = 1_800_000_000_000;
/// More than anybody gets.
const CAP: u64 = 1 << 40;

/// Measures commits.
#[derive(Parser)]
struct Args {
    /// Players who are granted something in turn.
    #[arg(long, default_value_t = 10_000)]
    players: u64,
    /// Grants of each case, at most.
    #[arg(long, default_value_t = 50_000)]
    grants: u64,
    /// Folder of the save; it decides which disk is measured.
    #[arg(long)]
    folder: Option<std::path::PathBuf>,
    /// This case alone: `coins`, `loot` or `rows`.
    #[arg(long)]
    case: Option<String>,
    /// Grants per transaction; 1, 50 and 1,000 unless it is said.
    #[arg(long)]
    per: Option<u64>,
    /// Passed by `cargo bench`; means nothing here.
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Serialize)]
struct Line {
    case: &'static str,
    grants_per_transaction: u64,
    transfers_per_grant: usize,
    grants: u64,
    grants_per_s: f64,
    p50_ms: f64,
    p99_ms: f64,
    cpu_us_per_grant: f64,
    sync_ms: f64,
    hand_over_us: f64,
    bytes_per_grant: f64,
    check: String,
}

fn player(at: u64) -> Account {
    Account::Player(PlayerId::new(&format!("player{at}")).expect("a short name"))
}

/// What one grant moves.
#[derive(Clone, Copy)]
struct Shape {
    case: &'static str,
    coins_only: bool,
}

fn mutations(shape: Shape, to: &Account, number: u64) -> Vec<Mutation> {
    let house = Account::house("loot");
    let moves = |asset: &'static str, lot, amount, cap| Mutation::Transfer {
        asset: asset.into(),
        lot,
        from: house.clone(),
        to: to.clone(),
        amount,
        cap,
    };
    let mut all = vec![moves("coin", Lot::PLAIN, number % 7 + 1, Some(CAP))];
    if !shape.coins_only {
        all.push(moves("wine", Lot::PLAIN, 2, None));
        all.push(moves("sword", Lot { expires_ms: 0, instance: number + 1 }, 1, None));
        all.push(Mutation::Slots { account: to.clone(), most: CAP });
    }
    all
}

fn plan(shape: Shape, number: u64, players: u64) -> MutationPlan {
    let to = player(number % players);
    let mutations = mutations(shape, &to, number);
    let line = |mutation: &Mutation| match mutation {
        Mutation::Transfer { asset, lot, to, amount, .. } => Some(PlannedLine {
            account: to.clone(),
            asset: asset.clone(),
            lot: *lot,
            amount: *amount,
            out_of: Vec::new(),
        }),
        _ => None,
    };
    let key = ActionId::new(ActionId::order_at(NOW_MS) + number, number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    MutationPlan {
        use_case: "bench".into(),
        claim: Claim::new(to.clone(), key, &number.to_le_bytes()),
        tables: 1,
        now_ms: NOW_MS,
        participants: vec![Participant { account: to, version: number / players }],
        lines: mutations.iter().filter_map(line).collect(),
        mutations,
        domains: AffectedDomains::CURRENCIES | AffectedDomains::ITEMS,
    }
}

fn open(folder: &Path) -> Store {
    let identity = WorldIdentity {
        name: "bench".into(),
        seed: Sourced::default_of(7),
        grid: Sourced::default_of(GridSize { columns: 1, rows: 1 }),
        size_m: Sourced::default_of([100.0, 100.0]),
        secret: Some(1),
    };
    let (mut store, _) = Store::create_or_open(&folder.join("save"), &identity).expect("a new save");
    let item = |stack_max, is_single| AssetClass::Item { stack_max, is_single, expires_after_ms: None };
    let assets: BTreeMap<Name, AssetClass> =
        [("coin", AssetClass::Currency { cap: CAP }), ("wine", item(10, false)), ("sword", item(1, true))]
            .map(|(name, class)| (Name::from(name), class))
            .into();
    store.adopt_assets(&assets).expect("the assets are taken");
    store
}

/// What one `fdatasync` of one page takes, ms.
#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn sync_ms(folder: &Path) -> f64 {
    let mut file = File::create(folder.join("sync")).expect("a file");
    let times: Vec<f64> = (0..101)
        .map(|_| {
            file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&[7; 4096])).expect("a page");
            let began = Instant::now();
            file.sync_data().expect("it is synced");
            began.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    median(&times)
}

/// What is wrong: somebody who holds something else than was granted.
fn fault(store: &mut Store, shape: Shape, grants: u64, players: u64) -> Option<String> {
    let mut coins = vec![0u64; players as usize];
    for number in 0..grants {
        coins[(number % players) as usize] += number % 7 + 1;
    }
    for at in 0..players {
        let account = player(at);
        let load =
            PlayerRequest::Load { number: 1, player: account.player().expect("it is a player").clone() };
        let done = store.carry_out(&[PlayerWork::Request(load)]).expect("it is read");
        let holdings = &done.profiles[0].holdings;
        let times = grants / players + u64::from(at < grants % players);
        let swords = if shape.coins_only { 0 } else { times };
        let has = ["coin", "wine", "sword"].map(|asset| holdings.amount(&asset.into()));
        let expected = [coins[at as usize], 2 * swords, swords];
        if has != expected || holdings.version != times {
            return Some(format!("{account} has {has:?} at version {}, not {expected:?}", holdings.version));
        }
    }
    None
}

fn batches(shape: Shape, grants: u64, per: u64, players: u64) -> Vec<CommitBatch> {
    (0..grants / per)
        .map(|tick| CommitBatch {
            tick: TickNumber(tick),
            now_ms: NOW_MS,
            plans: (tick * per..(tick + 1) * per)
                .map(|number| Submission { number, plan: Arc::new(plan(shape, number, players)) })
                .collect(),
        })
        .collect()
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn measure(shape: Shape, per: u64, args: &Args) -> Line {
    let place = match &args.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    }
    .expect("a folder");
    let store = open(place.path());
    let grants = args.grants.min(per * 1_000) / per * per;
    let batches = batches(shape, grants, per, args.players);
    let sync_ms = sync_ms(place.path());
    let handle = store.start().expect("a thread");
    let (mut times, mut hand_overs, mut wrong) = (Vec::new(), Vec::new(), None);
    let (began, cpu_before) = (Instant::now(), ProcessTime::now());
    for batch in batches {
        let asked = Instant::now();
        let work = PlayerWork::Request(PlayerRequest::Commit(batch));
        handle.try_request(StoreRequest::Players { after: 0, batch: vec![work] }).expect("there is room");
        hand_overs.push(asked.elapsed().as_secs_f64() * 1e6);
        match handle.wait_result(Duration::from_secs(60)) {
            Some(StoreResult::Players(done)) => {
                times.push(asked.elapsed().as_secs_f64() * 1e3);
                if let Some(bad) = done.plans.iter().find(|outcome| outcome.result.is_err()) {
                    wrong.get_or_insert(format!("{bad:?}"));
                }
            }
            other => {
                wrong.get_or_insert(format!("{other:?}"));
            }
        }
    }
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_before.elapsed().as_secs_f64());
    handle.finish(None).expect("it ends");
    let mut store = open(place.path());
    let bytes = std::fs::metadata(place.path().join("save").join("world.db")).map_or(0, |file| file.len());
    let wrong = wrong.or_else(|| fault(&mut store, shape, grants, args.players));
    times.sort_unstable_by(f64::total_cmp);
    Line {
        case: shape.case,
        grants_per_transaction: per,
        transfers_per_grant: if shape.coins_only { 1 } else { 3 },
        grants,
        grants_per_s: (grants as f64 / seconds).round(),
        p50_ms: round(median(&times)),
        p99_ms: round(times[times.len() * 99 / 100]),
        cpu_us_per_grant: round(cpu * 1e6 / grants as f64),
        sync_ms: round(sync_ms),
        hand_over_us: round(median(&hand_overs)),
        bytes_per_grant: (bytes as f64 / grants as f64).round(),
        check: wrong.unwrap_or_else(|| "ok".to_owned()),
    }
}

/// Of grants beside rows and without.
#[derive(Serialize)]
struct RowsLine {
    case: &'static str,
    grants_per_transaction: u64,
    rows_per_flush: u64,
    rows_per_transaction: usize,
    rows: u64,
    alone_p50_ms: f64,
    alone_p99_ms: f64,
    beside_p50_ms: f64,
    beside_p99_ms: f64,
    delay_p99_ms: f64,
    check: String,
}

/// Bytes of a component, as those of a larger one.
const ROW_BYTES: usize = 200;

fn row(at: u64, version: u64) -> ComponentRow {
    let player = player(at).player().expect("it is a player").clone();
    let data = [&version.to_le_bytes()[..], &[7; ROW_BYTES - 8]].concat();
    ComponentRow { player, component: "Burden".to_owned(), base: 0, version, data: Some(data) }
}

/// What is wrong: somebody of whom another row stands there than the last that was written.
fn fault_of_rows(store: &mut Store, players: u64, version: u64) -> Option<String> {
    (0..players).find_map(|at| {
        let player = player(at).player().expect("it is a player").clone();
        let load = PlayerRequest::Load { number: 1, player: player.clone() };
        let done = store.carry_out(&[PlayerWork::Request(load)]).expect("it is read");
        let rows = &done.profiles[0].rows;
        (*rows != [row(at, version)])
            .then(|| format!("{player} has {} rows, and not that of {version}", rows.len()))
    })
}

#[expect(clippy::disallowed_methods, reason = "a bench measures time")]
fn measure_rows(per: u64, args: &Args) -> RowsLine {
    let place = match &args.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    }
    .expect("a folder");
    let store = open(place.path());
    let shape = Shape { case: "rows", coins_only: true };
    let chunks = args.players.div_ceil(ROWS_PER_CHUNK as u64);
    // As many flushes as make the 99th percentile one of many.
    let flushes = 20;
    let grants = 2 * flushes * chunks * per;
    let batches = batches(shape, grants, per, args.players);
    let handle = store.start().expect("a thread");
    let (mut alone, mut beside, mut rows, mut wrong) = (Vec::new(), Vec::new(), 0, None);
    let mut written = 0;
    for (tick, batch) in (0..).zip(batches) {
        let (flush, chunk) = (tick / (2 * chunks), tick % (2 * chunks));
        let mut work = vec![PlayerWork::Request(PlayerRequest::Commit(batch))];
        let has_rows = chunk < chunks;
        if has_rows {
            let first = chunk * ROWS_PER_CHUNK as u64;
            let of_chunk = first..args.players.min(first + ROWS_PER_CHUNK as u64);
            rows += of_chunk.end - of_chunk.start;
            let save =
                RowsSave { is_immediate: false, rows: of_chunk.map(|at| row(at, flush + 1)).collect() };
            work.push(PlayerWork::Request(PlayerRequest::SaveRows(save)));
        }
        let asked = Instant::now();
        let after = written;
        written += work.len() as u64;
        handle.try_request(StoreRequest::Players { after, batch: work }).expect("there is room");
        match handle.wait_result(Duration::from_secs(60)) {
            Some(StoreResult::Players(done)) => {
                let times = if has_rows { &mut beside } else { &mut alone };
                times.push(asked.elapsed().as_secs_f64() * 1e3);
                if let Some(bad) = done.plans.iter().find(|outcome| outcome.result.is_err()) {
                    wrong.get_or_insert(format!("{bad:?}"));
                }
            }
            other => {
                wrong.get_or_insert(format!("{other:?}"));
            }
        }
    }
    handle.finish(None).expect("it ends");
    let mut store = open(place.path());
    let wrong = wrong
        .or_else(|| fault(&mut store, shape, grants, args.players))
        .or_else(|| fault_of_rows(&mut store, args.players, flushes));
    let p99 = |times: &mut Vec<f64>| {
        times.sort_unstable_by(f64::total_cmp);
        times[times.len() * 99 / 100]
    };
    let (alone_p99, beside_p99) = (p99(&mut alone), p99(&mut beside));
    RowsLine {
        case: "rows",
        grants_per_transaction: per,
        rows_per_flush: args.players,
        rows_per_transaction: ROWS_PER_CHUNK,
        rows,
        alone_p50_ms: round(median(&alone)),
        alone_p99_ms: round(alone_p99),
        beside_p50_ms: round(median(&beside)),
        beside_p99_ms: round(beside_p99),
        delay_p99_ms: round(beside_p99 - alone_p99),
        check: wrong.unwrap_or_else(|| "ok".to_owned()),
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut all_right = true;
    for (case, coins_only) in [("coins", true), ("loot", false)] {
        if args.case.as_ref().is_some_and(|only| only != case) {
            continue;
        }
        for per in args.per.map_or(vec![1, 50, 1_000], |per| vec![per]) {
            let line = measure(Shape { case, coins_only }, per, &args);
            all_right &= line.check == "ok";
            print_line(&line);
        }
    }
    if args.case.as_ref().is_none_or(|only| only == "rows") {
        let line = measure_rows(args.per.unwrap_or(50), &args);
        all_right &= line.check == "ok";
        print_line(&line);
    }
    if all_right { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
