//! What trade nodes have in store, in the save: counted, and moved with the trades of players.
//!
//! Goods themselves move between accounts, as all value does: what a store holds is what it opened with and what its house has taken
//! in since. The table says what it opened with, and how much of its quota is used up.

use crate::prelude::*;
use crate::reward::Name;
use crate::store::game::{GameTransaction, KindRefusal, MutationKind, SqlValue};

use super::goods::Good;
use super::objection::{Objection, quotas_begin_in_s};
use super::price::Terms;

/// A store as somebody asks for it: it opens when the save does not know it yet, for a map may grow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenStore {
    market: Name,
    good: Name,
    /// What is in a store that opens now.
    opening: u32,
}

/// What a store holds and how much of its quota is used up, by the save.
struct Row {
    loads: i64,
    period: i64,
    traded: i64,
}

/// What a store holds: an expression over a row of the table `stock`.
const LOADS: &str = "stock.opened + coalesce((
    SELECT sum(holding.amount) FROM holding
    JOIN account ON account.id = holding.account JOIN asset ON asset.id = holding.asset
    WHERE account.kind = 'house' AND account.name = stock.market AND asset.name = stock.good), 0)";

impl OpenStore {
    pub(super) fn new(market: Name, good: Good, opening: u32) -> Self {
        Self { market, good: good.asset(), opening }
    }

    fn key(&self) -> [SqlValue; 2] {
        [self.market.as_str().into(), self.good.as_str().into()]
    }

    fn row(&self, tx: &mut GameTransaction<'_>) -> Result<Row, KindRefusal> {
        let [market, good] = self.key();
        tx.execute(
            "INSERT INTO game_caravan_stock (market, good, opened) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            &[market, good, self.opening.into()],
        )?;
        let sql = format!(
            "SELECT {LOADS}, stock.period, stock.traded FROM game_caravan_stock AS stock WHERE stock.market = ?1 AND stock.good = ?2"
        );
        let found = tx.first(&sql, &self.key())?;
        let number = |place: usize| found.as_ref()?.get(place)?.integer();
        match (number(0), number(1), number(2)) {
            (Some(loads), Some(period), Some(traded)) => Ok(Row { loads, period, traded }),
            _ => {
                Err(KindRefusal::new(format!("the store of {} in {} cannot be read", self.good, self.market)))
            }
        }
    }
}

/// Stores are opened where they are new, and counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CountStores(pub(super) Vec<OpenStore>);

/// What the save says of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counted {
    pub(super) market: Name,
    pub(super) good: Name,
    pub(super) loads: i64,
    pub(super) period: u64,
    pub(super) traded: u32,
}

impl CountStores {
    /// What a plan calls it.
    pub(super) const KIND: &str = "count_stores";
}

impl MutationKind for CountStores {
    const NAME: &'static str = Self::KIND;
    type Data = Self;

    fn carry_out(tx: &mut GameTransaction<'_>, Self(stores): Self) -> Result<(), KindRefusal> {
        let mut counted = Vec::new();
        for store in stores {
            let Row { loads, period, traded } = store.row(tx)?;
            let OpenStore { market, good, .. } = store;
            let (period, traded) = (period.max(0).cast_unsigned(), u32::try_from(traded).unwrap_or(u32::MAX));
            counted.push(Counted { market, good, loads, period, traded });
        }
        tx.tell(&counted)
    }
}

/// Loads come into a store or leave it, in the plan that has moved them before. All of the plan is refused when they are not there, when
/// there is no room for them, when the quota does not suffice, or when they are worth another price by now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveStock {
    market: Name,
    good: Name,
    /// Below nothing where they leave.
    loads: i32,
    /// How the node trades in the good.
    terms: Terms,
    /// What others than players brought or took, below nothing, that is not written yet.
    unwritten: i32,
    /// What was agreed upon; nothing of what the node has asked for itself.
    deal: Option<Deal>,
}

/// What a player and a node agreed upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Deal {
    /// A load, silver.
    silver: u32,
    /// The period whose quota it counts against.
    period: u64,
}

/// How a store stands after a trade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moved {
    pub(super) market: Name,
    pub(super) good: Name,
    /// Loads that are there.
    pub(super) loads: u32,
    /// The period in which players traded last, and how many loads in it.
    pub(super) period: u64,
    pub(super) traded: u32,
    /// Loads that are left of the quota.
    pub(super) quota_left: u32,
}

impl MoveStock {
    /// What a plan calls it.
    pub(super) const KIND: &str = "move_stock";

    /// So many loads come in, or leave, below nothing.
    pub(super) fn new(market: Name, good: Good, loads: i32, terms: Terms, unwritten: i32) -> Self {
        Self { market, good: good.asset(), loads, terms, unwritten, deal: None }
    }

    /// They were agreed upon, at so much silver a load and against the quota of that period.
    pub(super) fn at(self, silver: u32, period: u64) -> Self {
        Self { deal: Some(Deal { silver, period }), ..self }
    }

    /// What is against it, in a store that holds so many loads once they have moved.
    fn against_stock(&self, loads: i64) -> Option<Objection> {
        let (moved, unwritten) = (i64::from(self.loads), i64::from(self.unwritten));
        let (least, most) = (loads + unwritten.min(0), loads + unwritten.max(0));
        if moved < 0 && least < 0 {
            return Some(Objection::SoldOut { left: whole(least - moved) });
        }
        // What lies in a store that holds less now may leave it.
        if moved > 0 && most > i64::from(self.terms.most) {
            return Some(Objection::Full { room: whole(i64::from(self.terms.most) - (most - moved)) });
        }
        None
    }

    /// What is against the price, in a store that held so many loads before and of whose quota so many are used up: it is off when it
    /// would be worse for the node than what holds now.
    fn against_price(&self, deal: Deal, stored: u32, traded: u32) -> Option<Objection> {
        let loads = self.loads.unsigned_abs();
        let (now, is_off) = if self.loads < 0 {
            let asked = self.terms.asked_of_players(stored, loads, traded);
            (asked, asked > deal.silver)
        } else {
            let given = self.terms.given_to_players(stored, loads, traded);
            (given, given < deal.silver)
        };
        is_off.then_some(Objection::Price { silver: now })
    }
}

fn whole(loads: i64) -> u32 {
    loads.clamp(0, u32::MAX.into()) as u32
}

impl MutationKind for MoveStock {
    const NAME: &'static str = Self::KIND;
    type Data = Self;

    fn carry_out(tx: &mut GameTransaction<'_>, data: Self) -> Result<(), KindRefusal> {
        let refused = |why: Objection| Err(KindRefusal::new(why.to_string()));
        let store =
            OpenStore { market: data.market.clone(), good: data.good.clone(), opening: data.terms.rest };
        // The loads have moved already.
        let Row { loads, mut period, traded } = store.row(tx)?;
        if let Some(why) = data.against_stock(loads) {
            return refused(why);
        }
        let (moved, here) = (i64::from(data.loads), loads + i64::from(data.unwritten));
        let (mut traded, mut quota_left) = (whole(traded), 0);
        if let Some(deal) = data.deal {
            let now = i64::try_from(deal.period).unwrap_or(i64::MAX);
            if now > period {
                (period, traded) = (now, 0);
            }
            let (left, needs) = (data.terms.quota.saturating_sub(traded), data.loads.unsigned_abs());
            if needs > left {
                return refused(Objection::Quota { left, opens_in_s: quotas_begin_in_s(tx.now_ms()) });
            }
            if let Some(why) = data.against_price(deal, whole(here - moved), traded) {
                return refused(why);
            }
            (traded, quota_left) = (traded.saturating_add(needs), left - needs);
            let [market, good] = store.key();
            tx.execute(
                "UPDATE game_caravan_stock SET period = ?3, traded = ?4 WHERE market = ?1 AND good = ?2",
                &[market, good, period.into(), traded.into()],
            )?;
        }
        let Self { market, good, .. } = data;
        tx.tell(&Moved {
            market,
            good,
            loads: whole(here),
            period: period.max(0).cast_unsigned(),
            traded,
            quota_left,
        })
    }

    /// No store holds less than nothing, and no node's house holds goods that are in no store.
    fn conservation(tx: &mut GameTransaction<'_>) -> Result<Vec<String>, KindRefusal> {
        let sql = format!(
            "SELECT stock.market, stock.good, {LOADS} AS loads FROM game_caravan_stock AS stock WHERE loads < 0
             UNION ALL
             SELECT account.name, asset.name, NULL FROM holding
             JOIN account ON account.id = holding.account JOIN asset ON asset.id = holding.asset
             WHERE account.kind = 'house' AND account.name LIKE 'market/%' AND holding.amount <> 0 AND asset.name IN ({})
             AND NOT EXISTS (SELECT 1 FROM game_caravan_stock AS stock WHERE stock.market = account.name AND stock.good = asset.name)",
            Good::ALL.map(|good| format!("'{}'", good.asset())).join(", ")
        );
        let wrong = tx.query(&sql, &[])?;
        let tell = |row: &Vec<SqlValue>| match &row[..] {
            [market, good, loads] => {
                let text = |value: &SqlValue| value.text().unwrap_or("?").to_owned();
                let what = match loads.integer() {
                    Some(loads) => format!("{loads} loads are there, which is less than nothing"),
                    None => "loads are there, and there is no such store".to_owned(),
                };
                format!("game_caravan_stock {} {}: {what}", text(market), text(good))
            }
            _ => "game_caravan_stock: unreadable".to_owned(),
        };
        Ok(wrong.iter().map(tell).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::caravan::stores::plugin;
    use crate::caravan::{Bent, QUOTA_EVERY_MS};
    use crate::caravan::{Lore, SILVER};
    use crate::config::{GridSize, Sourced};
    use crate::ids::PlayerId;
    use crate::reward::{Claim, CommitBatch, PlanContext, Submission, plan};
    use crate::store::game::{GamePlugin, GameStore};
    use crate::store::{Bank, MutationSummary, Store, WorldIdentity};

    const HOUSE: &str = "market/town";

    /// A batch of one plan, made for somebody with so much of everything.
    fn batch(number: u128, now_ms: u64, request: &PlanRequest, holdings: Holdings) -> CommitBatch {
        let claim = Claim::new(request.claimant.clone(), ClaimKey(number), b"trade");
        let tables = Arc::new(Lore::shipped().reward_tables().clone());
        let mut context = PlanContext::new(tables, now_ms, &claim, 0);
        for player in request.players() {
            context = context.with(&player, holdings.clone());
        }
        let plan = plan(&context, &claim, request).expect("it can be planned");
        CommitBatch { tick: TickNumber(1), now_ms, plans: vec![Submission { number: 1, plan: plan.into() }] }
    }

    fn store() -> OpenStore {
        OpenStore::new(HOUSE.into(), Good::Salt, 5)
    }

    const TERMS: Terms = Terms { usual: 100, bent: Bent::None, rest: 5, most: 12, quota: 15 };

    /// Loads leave the store (more than nothing) to a player, or come into it, at so much silver each.
    fn trade(loads: i32, unwritten: i32, period: u64, silver: u32) -> PlanRequest {
        let player = PlayerId::new("alice").unwrap();
        let request = PlanRequest::new("trade", &player);
        let many = u64::from(loads.unsigned_abs());
        let request = if loads > 0 {
            request.grant(Good::Salt.asset(), many, HOUSE)
        } else {
            request.pay(Good::Salt.asset(), many, HOUSE)
        };
        let moved = MoveStock::new(HOUSE.into(), Good::Salt, -loads, TERMS, unwritten);
        request.game(MoveStock::KIND, &moved.at(silver, period))
    }

    fn counted(summary: &MutationSummary) -> Counted {
        summary.told::<Vec<Counted>>(CountStores::KIND).remove(0).remove(0)
    }

    fn count() -> PlanRequest {
        PlanRequest::new("count", Account::house("clerks"))
            .game(CountStores::KIND, &CountStores(vec![store()]))
    }

    /// What was done to a store.
    #[derive(Clone, Debug)]
    enum Step {
        /// A player buys, or sells, below nothing, while so much of others' is not written, at a price that is so much better for it
        /// than what holds, silver.
        Trade(i32, i32, i32),
        /// Others bring, or take, and it is written.
        Net(i32),
        /// Time passes.
        Period,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => ((1..6i32, any::<bool>()), -3..3i32, prop_oneof![3 => Just(0), 1 => -2..3i32])
                .prop_map(|((loads, buys), unwritten, off)| {
                    Step::Trade(if buys { loads } else { -loads }, unwritten, off)
                }),
            2 => (-4..8i32).prop_map(Step::Net),
            1 => Just(Step::Period),
        ];
        prop::collection::vec(step, 1..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// E9: of any trades the save carries out those, and refuses the others for those reasons, that a list of numbers does; what it
        /// tells of stock and quota is right, and in the end it counts as many loads.
        #[test]
        fn trades_are_done_and_refused_as_by_plain_arithmetic(steps in steps()) {
            let (most, quota) = (i64::from(TERMS.most), TERMS.quota);
            let bank = Bank::new(Lore::shipped().reward_tables().assets(), GameStore::default().plugin(plugin()));
            let (mut loads, mut period, mut traded, mut held, mut number) = (5i64, 1u64, 0u32, 0i64, 0);
            for step in steps {
                number += 1;
                match step {
                    Step::Period => (period, traded) = (period + 1, 0),
                    Step::Net(net) => {
                        let net = i64::from(net).clamp(-loads.min(4), (most - loads).max(0));
                        if net != 0 {
                            let (from, to) = if net > 0 { ("npc", HOUSE) } else { (HOUSE, "npc") };
                            let grant = crate::reward::Part::Grant {
                                asset: Good::Salt.asset(), amount: net.unsigned_abs(), from: Account::house(from),
                                to: Account::house(to), overflow: crate::reward::Overflow::Refuse,
                            };
                            let request = PlanRequest::new("net", Account::house("npc")).part(grant);
                            // The store has to be known before anything lies in it.
                            let opened = bank.commit(&batch(1_000 + number, 1, &count(), Holdings::default()));
                            prop_assert!(opened[0].result.is_ok());
                            let done = bank.commit(&batch(number, 1, &request, Holdings::default()));
                            prop_assert!(done[0].result.is_ok(), "{done:?}");
                            loads += net;
                        }
                    }
                    Step::Trade(bought, unwritten, off) => {
                        if i64::from(-bought) > held {
                            continue;
                        }
                        let (many, other) = (i64::from(bought), i64::from(unwritten));
                        let now_ms = period * QUOTA_EVERY_MS + 1_000;
                        let (here, needs) = ((loads + other).max(0) as u32, many.unsigned_abs() as u32);
                        let holds = match many > 0 {
                            true => TERMS.asked_of_players(here, needs, traded),
                            false => TERMS.given_to_players(here, needs, traded),
                        };
                        let silver = holds.saturating_add_signed(if many > 0 { -off } else { off });
                        let request = trade(bought, unwritten, period, silver);
                        let holdings = bank.holdings(&request.claimant);
                        let outcome = bank.commit(&batch(number, now_ms, &request, holdings)).remove(0);
                        let refusal = if many > 0 && loads + other.min(0) < many {
                            Some(Objection::SoldOut { left: (loads + other.min(0)).max(0) as u32 })
                        } else if many < 0 && loads + other.max(0) - many > most {
                            Some(Objection::Full { room: (most - loads - other.max(0)).max(0) as u32 })
                        } else if needs + traded > quota {
                            Some(Objection::Quota { left: quota - traded, opens_in_s: 599 })
                        } else if off > 0 {
                            Some(Objection::Price { silver: holds })
                        } else {
                            None
                        };
                        match (refusal, outcome.result) {
                            (Some(why), Err(PlanRefusal::Game { reason, .. })) => {
                                prop_assert_eq!(Objection::told_in(&reason), Some(why));
                            }
                            (None, Ok(summary)) => {
                                (loads, held, traded) =
                                    (loads - many, held + many, traded + needs);
                                let told = summary.told::<Moved>(MoveStock::KIND).remove(0);
                                let here = (loads + other).max(0) as u32;
                                prop_assert_eq!((told.loads, told.quota_left), (here, quota - traded));
                                prop_assert_eq!((told.period, told.traded), (period, traded));
                            }
                            (expected, found) => prop_assert!(false, "{expected:?} {found:?}"),
                        }
                    }
                }
                prop_assert_eq!(bank.conservation(), Vec::<String>::new());
            }
            let done = bank.commit(&batch(9_999, 1, &count(), Holdings::default())).remove(0).result.unwrap();
            prop_assert_eq!(counted(&done).loads, loads);
        }
    }

    /// E9: goods that lie in no store, and a store from which more was taken than there was, are found.
    #[test]
    fn what_is_wrong_with_stores_is_found() {
        let bank = Bank::new(Lore::shipped().reward_tables().assets(), GameStore::default().plugin(plugin()));
        let alice = PlayerId::new("alice").unwrap();
        let request =
            PlanRequest::new("theft", &alice).grant(Good::Salt.asset(), 7, HOUSE).grant(SILVER, 1, HOUSE);
        assert!(bank.commit(&batch(1, 1, &request, Holdings::default()))[0].result.is_ok());
        let told = "game_caravan_stock market/town salt: ";
        assert_eq!(
            bank.conservation(),
            [format!("move_stock: {told}loads are there, and there is no such store")]
        );
        assert!(bank.commit(&batch(2, 1, &count(), Holdings::default()))[0].result.is_ok());
        assert_eq!(
            bank.conservation(),
            [format!("move_stock: {told}-2 loads are there, which is less than nothing")]
        );
    }

    /// As stores were kept before they were counted by the ledger.
    struct MovedBefore;

    impl MutationKind for MovedBefore {
        const NAME: &'static str = "moved_before";
        type Data = ();
        fn carry_out(tx: &mut GameTransaction<'_>, (): ()) -> Result<(), KindRefusal> {
            let sql =
                "INSERT INTO game_caravan_stock (market, good, loads, opened) VALUES (?1, 'salt', 503, 500)";
            tx.execute(sql, &[HOUSE.into()]).map(drop)
        }
    }

    /// E9: a save in which stores were kept before they were counted by the ledger holds as many loads afterwards.
    #[test]
    fn stores_of_an_older_save_hold_what_they_held() {
        let folder = tempfile::tempdir().unwrap();
        let open = |folder: &Path, plugin: GamePlugin| {
            let identity = WorldIdentity {
                name: "world".into(),
                seed: Sourced::default_of(7),
                grid: Sourced::default_of(GridSize { columns: 1, rows: 1 }),
                size_m: Sourced::default_of([1_000.0, 1_000.0]),
                secret: None,
            };
            let mut store = Store::create_or_open(folder, &identity).unwrap().0;
            store.adopt_assets(Lore::shipped().reward_tables().assets()).unwrap();
            store.adopt_game(GameStore::default().plugin(plugin)).unwrap();
            store
        };
        let before = GamePlugin::new("caravan").migration(
            "stores of trade nodes",
            "CREATE TABLE game_caravan_stock (
                 market TEXT NOT NULL, good TEXT NOT NULL, loads INTEGER NOT NULL CHECK (loads >= 0), opened INTEGER NOT NULL,
                 PRIMARY KEY (market, good)) STRICT, WITHOUT ROWID",
        );
        let mut store = open(folder.path(), before.kind::<MovedBefore>());
        let alice = PlayerId::new("alice").unwrap();
        let moved = PlanRequest::new("sale", &alice).game(MovedBefore::NAME, &());
        let mut holdings = Holdings::default();
        holdings.set(&Good::Salt.asset(), crate::reward::Lot::PLAIN, 3);
        let given = PlanRequest::new("gift", &alice).grant(Good::Salt.asset(), 3, "npc");
        assert!(store.commit(&batch(1, 1, &given, Holdings::default())).unwrap()[0].result.is_ok());
        let sale = moved.pay(Good::Salt.asset(), 3, HOUSE);
        assert!(store.commit(&batch(2, 1, &sale, holdings)).unwrap()[0].result.is_ok());
        drop(store);

        let mut store = open(folder.path(), plugin());
        assert_eq!(store.conservation().unwrap(), Vec::<String>::new());
        let done = store.commit(&batch(3, 1, &count(), Holdings::default())).unwrap().remove(0);
        let told = counted(&done.result.unwrap());
        assert_eq!((told.loads, told.period, told.traded), (503, 0, 0), "and not the five of a new one");
    }
}
