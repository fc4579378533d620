//! Saves to begin with, and how to ask them for things.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;
use serde::Deserialize;
use tempfile::TempDir;
use terrane::config::{GridSize, Sourced};
use terrane::ids::{ActionId, PlayerId, TickNumber};
use terrane::players::PlayerRequest;
use terrane::reward::{
    Account, AffectedDomains, AssetClass, Claim, ClaimKey, CommitBatch, Lot, Mutation, MutationPlan, Name,
    Participant, Submission,
};
use terrane::store::game::{GamePlugin, GameStore, GameTransaction, KindRefusal, MutationKind};
use terrane::store::{Image, OutboxWork, PlayerWork, PlayersDone, Store, StoreError, WorldIdentity};
use terrane_faulty_disk::Disk;

/// When everything happens but what a save begins with.
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;
/// When that happened: long enough before to be forgotten.
const LONG_AGO_MS: u64 = NOW_MS - 40 * 24 * 3_600_000;
/// Of what a save begins with in the shop.
pub(crate) const STOCK: i64 = 100_000;
/// As if a plan were always made from the newest version of everybody's holdings: which one it is does not matter here.
const NEWEST: u64 = 1 << 40;

/// Who plays.
pub(crate) const PLAYERS: [&str; 4] = ["alice", "bob", "carol", "dave"];

pub(crate) fn identity() -> WorldIdentity {
    WorldIdentity {
        name: "north".into(),
        seed: Sourced::default_of(7),
        grid: Sourced::default_of(GridSize { columns: 5, rows: 4 }),
        size_m: Sourced::default_of([1_000.0, 800.5]),
        secret: Some(5),
    }
}

pub(crate) fn assets() -> BTreeMap<Name, AssetClass> {
    let item = |stack_max, is_single| AssetClass::Item { stack_max, is_single, expires_after_ms: None };
    [
        ("coin", AssetClass::Currency { cap: 1 << 40 }),
        ("wine", item(10, false)),
        ("sword", item(1, true)),
        ("stamina", AssetClass::Pool { cap: 1_000_000, regen_ms: 1_000 }),
        ("map", AssetClass::Unlock),
    ]
    .into_iter()
    .map(|(name, class)| (Name::from(name), class))
    .collect()
}

/// Sells what a shop has.
struct TakeStock;

#[derive(Deserialize)]
struct Take(u32);

impl MutationKind for TakeStock {
    const NAME: &'static str = "take_stock";
    type Data = Take;

    fn carry_out(tx: &mut GameTransaction<'_>, Take(amount): Take) -> Result<(), KindRefusal> {
        let sql = "UPDATE game_shop_stock SET amount = amount - ?1, sold = sold + ?1 WHERE amount >= ?1";
        if tx.execute(sql, &[amount.into()])? != 1 {
            return Err(KindRefusal::new("sold out"));
        }
        let left = tx.first("SELECT amount FROM game_shop_stock", &[])?;
        tx.tell(&left.and_then(|row| row[0].integer()))
    }

    fn conservation(tx: &mut GameTransaction<'_>) -> Result<Vec<String>, KindRefusal> {
        let sql = "SELECT good FROM game_shop_stock WHERE amount + sold <> 100000";
        let wrong = tx.query(sql, &[])?;
        Ok(wrong.iter().map(|_| "the shop has lost something".to_owned()).collect())
    }
}

pub(crate) fn game() -> GameStore {
    let stock =
        "CREATE TABLE game_shop_stock (good TEXT PRIMARY KEY, amount INTEGER NOT NULL CHECK (amount >= 0),
        sold INTEGER NOT NULL) STRICT;
        INSERT INTO game_shop_stock VALUES ('silk', 100000, 0)";
    GameStore::default().plugin(GamePlugin::new("shop").migration("stock", stock).kind::<TakeStock>())
}

/// Opens a save as every start of a world does.
pub(crate) fn open(folder: &Path) -> Result<Store, StoreError> {
    let (mut store, _) = Store::create_or_open(folder, &identity())?;
    store.adopt_assets(&assets())?;
    store.adopt_game(game())?;
    Ok(store)
}

pub(crate) fn account(name: &str) -> Account {
    Account::Player(PlayerId::new(name).expect("it is a name"))
}

pub(crate) fn house(name: &'static str) -> Account {
    Account::house(name)
}

pub(crate) fn moves(asset: &'static str, from: &Account, to: &Account, amount: u64) -> Mutation {
    moves_lot(asset, Lot::PLAIN, from, to, amount, None)
}

pub(crate) fn moves_lot(
    asset: &'static str,
    lot: Lot,
    from: &Account,
    to: &Account,
    amount: u64,
    cap: Option<u64>,
) -> Mutation {
    Mutation::Transfer { asset: asset.into(), lot, from: from.clone(), to: to.clone(), amount, cap }
}

fn plan_at(now_ms: u64, number: u64, who: &[&str], mutations: Vec<Mutation>) -> MutationPlan {
    let key: ClaimKey = ActionId::new(ActionId::order_at(now_ms) + number, 7).into();
    let request = format!("{mutations:?}");
    let participant = |name: &&str| Participant { account: account(name), version: NEWEST };
    MutationPlan {
        use_case: "done".into(),
        claim: Claim::new(account(who[0]), key, request.as_bytes()),
        tables: 1,
        now_ms,
        participants: who.iter().map(participant).collect(),
        mutations,
        domains: AffectedDomains::NONE,
        lines: Vec::new(),
    }
}

/// A plan that can be carried out whatever else was.
pub(crate) fn plan(number: u64, who: &[&str], mutations: Vec<Mutation>) -> MutationPlan {
    plan_at(NOW_MS, number, who, mutations)
}

/// One that never can: what comes last in it is more than anybody has.
pub(crate) fn hopeless(number: u64, who: &str, mut mutations: Vec<Mutation>) -> MutationPlan {
    mutations.push(moves("coin", &account(who), &house("market"), 1 << 50));
    MutationPlan { use_case: "refused".into(), ..plan(number, &[who], mutations) }
}

/// Whether it can never be carried out.
pub(crate) fn is_hopeless(plan: &MutationPlan) -> bool {
    plan.use_case.as_str() == "refused"
}

/// A plan that moves one coin.
pub(crate) fn grant(number: u64, name: &str) -> MutationPlan {
    plan(number, &[name], vec![moves("coin", &house("market"), &account(name), 1 + number % 50)])
}

pub(crate) fn batch(plans: impl IntoIterator<Item = MutationPlan>) -> CommitBatch {
    let submission = |(number, plan)| Submission { number, plan: std::sync::Arc::new(plan) };
    CommitBatch { tick: TickNumber(5), now_ms: NOW_MS, plans: (0..).zip(plans).map(submission).collect() }
}

/// Something that a store is asked for, done whole or not at all.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Players(Vec<PlayerWork>),
    Image(Image),
    /// The counter of ticks.
    Reserve(u64),
    Outbox(OutboxWork),
    /// To forget what is old; a store thread does that by itself.
    Tidy,
    /// To move the log into the file while it stays; a store thread does that by itself after many plans.
    Relieve,
}

pub(crate) fn commits(plans: impl IntoIterator<Item = MutationPlan>) -> Step {
    Step::Players(vec![PlayerWork::Request(PlayerRequest::Commit(batch(plans)))])
}

impl Step {
    pub(crate) fn works(&self) -> &[PlayerWork] {
        match self {
            Step::Players(works) => works,
            _ => &[],
        }
    }

    pub(crate) fn batches(&self) -> impl Iterator<Item = &CommitBatch> {
        self.works().iter().filter_map(|work| match work {
            PlayerWork::Request(PlayerRequest::Commit(batch)) => Some(batch),
            _ => None,
        })
    }

    /// The plans in it that can be carried out.
    pub(crate) fn plans(&self) -> impl Iterator<Item = &MutationPlan> {
        let all = self.batches().flat_map(|batch| &batch.plans).map(|submission| &*submission.plan);
        all.filter(|plan| !is_hopeless(plan))
    }

    /// How many things it writes of players.
    pub(crate) fn writes(&self) -> u64 {
        use PlayerRequest::{FindClaim, Load};
        let writes =
            |work: &&PlayerWork| !matches!(work, PlayerWork::Request(Load { .. } | FindClaim { .. }));
        self.works().iter().filter(writes).count() as u64
    }
}

/// What was told of steps, by their place.
pub(crate) type Told = BTreeMap<usize, PlayersDone>;

/// Does what a store does to its log now and then, in the same words.
pub(crate) fn relieve(folder: &Path) {
    let connection = Connection::open(folder.join("world.db")).unwrap();
    // Whether that works is no matter: it is done again.
    let _ = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
}

/// Carries steps out until one fails; tells of each that was done.
pub(crate) fn carry_out(
    store: &mut Store,
    steps: &[Step],
    told: &mut Told,
    mut tell: impl FnMut(u64),
) -> Result<(), StoreError> {
    let mut after = 0;
    for (at, step) in steps.iter().enumerate() {
        let done = match step {
            Step::Players(works) => store.carry_out_after(after, works)?,
            Step::Image(image) => store.save_image(image).map(|()| PlayersDone::default())?,
            Step::Reserve(up_to) => store.reserve("tick", *up_to).map(|_| PlayersDone::default())?,
            Step::Outbox(work) => store.outbox(work).map(|_| PlayersDone::default())?,
            Step::Tidy => store.tidy(NOW_MS, 5).map(|_| PlayersDone::default())?,
            Step::Relieve => {
                relieve(store.folder().path());
                PlayersDone::default()
            }
        };
        after += step.writes();
        told.insert(at, done);
        tell(at as u64);
    }
    Ok(())
}

/// A save as files, with what is in it.
#[derive(Debug)]
pub(crate) struct Base {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) plans: Vec<MutationPlan>,
    /// Where in the outbox what the plans send is: number, plan and place in it.
    pub(crate) deliveries: BTreeMap<u64, (String, i64)>,
}

fn base_plans() -> Vec<MutationPlan> {
    let market = house("market");
    let mut plans = Vec::new();
    for (number, name) in (0..).zip(PLAYERS) {
        let who = account(name);
        let sword = Lot { expires_ms: 0, instance: number + 1 };
        let mail = Mutation::Outbox { kind: "mail".into(), payload: vec![number as u8; 9] };
        let mutations = vec![
            moves("coin", &market, &who, 1_000_000),
            moves("wine", &house("loot"), &who, 90_000),
            moves_lot("sword", sword, &market, &who, 1, None),
            moves("stamina", &market, &who, 90_000),
            mail,
        ];
        plans.push(plan_at(LONG_AGO_MS, number, &[name], mutations));
        // What is summed up some day.
        let more = (0..6).map(|at| moves("coin", &market, &who, at + 1)).collect();
        plans.push(plan_at(LONG_AGO_MS, 100 + number, &[name], more));
    }
    plans
}

/// The files of a folder that are a database's.
pub(crate) fn files_in(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let names = ["world.db", "world.db-wal"].into_iter();
    names.filter_map(|name| Some((name.to_owned(), fs::read(folder.join(name)).ok()?))).collect()
}

/// A save in which everybody has something of everything.
pub(crate) static BASE: LazyLock<Base> = LazyLock::new(|| {
    let place = Place::empty();
    let mut store = open(&place.folder).unwrap();
    let plans = base_plans();
    let outcomes = store.commit(&CommitBatch { now_ms: LONG_AGO_MS, ..batch(plans.clone()) }).unwrap();
    assert!(outcomes.iter().all(|outcome| outcome.result.is_ok()), "{outcomes:?}");
    store.save_image(&image(1)).unwrap();
    store.reserve("tick", 10).unwrap();
    let raw = Connection::open(place.folder.join("world.db")).unwrap();
    let deliveries = raw
        .prepare("SELECT outbox.id, account.kind || ' ' || account.name, lower(hex(claim.key)), position FROM outbox
             JOIN claim ON claim.id = claim JOIN account ON account.id = account")
        .unwrap()
        .query_map([], |row| {
            let of = format!("{} {}", row.get::<_, String>(1)?, row.get::<_, String>(2)?);
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), (of, row.get(3)?)))
        })
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    drop(raw);
    drop(store);
    Base { files: files_in(&place.folder), plans, deliveries }
});

/// The image that a tick has here: a few pages.
pub(crate) fn image(tick: u64) -> Image {
    Image {
        tick: TickNumber(tick),
        now_ms: tick * 50,
        fingerprint: tick.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        counters: vec![("world_spawns".into(), tick * 3)],
        entities: (0..9_000_u64).map(|at| (at * tick % 251) as u8).collect(),
        entity_count: 9,
    }
}

/// A folder for one save, on a disk of its own.
pub(crate) struct Place {
    pub(crate) disk: Disk,
    pub(crate) folder: PathBuf,
    _parent: TempDir,
}

impl Place {
    pub(crate) fn empty() -> Self {
        static PLACES: AtomicU64 = AtomicU64::new(0);
        let parent = tempfile::tempdir().unwrap();
        let disk = Disk::below(parent.path());
        let folder = parent.path().join(format!("north{}", PLACES.fetch_add(1, Ordering::Relaxed)));
        // As SQLite names it, whatever leads there.
        let folder = parent.path().canonicalize().unwrap().join(folder.file_name().unwrap());
        Self { disk, folder, _parent: parent }
    }

    pub(crate) fn with(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let place = Self::empty();
        fs::create_dir(&place.folder).unwrap();
        for (name, bytes) in files {
            fs::write(place.folder.join(name), bytes).unwrap();
        }
        place
    }
}
