//! Rows about battles, for whoever asks with SQL. No rule reads them.
//!
//! A battle has a row from when it begins, which its settlement completes, and each of its rounds has one. That it began and how its
//! rounds went is written in batches, as the house of the chroniclers has its plans carried out: no tick waits for it. A batch is kept
//! until it is committed, and one is on its way at a time. So a row without an end is of a battle that goes on, or that ended with the process.

use crate::cell::pool::NodeContext;
use crate::ids::PlayerId;
use crate::prelude::*;
use crate::protocol::codec;
use crate::store::game::{GameTransaction, KindRefusal, MutationKind};

use super::super::walk::Walker;
use super::Campaign;
use super::band::Band;
use super::battle::Order;
use super::settle::ASKS_AGAIN_TICKS;
use super::spoils::Spoils;

/// The tables as they were at first.
pub(in super::super) const TABLES: [(&str, &str); 2] = [
    (
        "battles that were fought",
        "CREATE TABLE game_caravan_battle (
             id INTEGER PRIMARY KEY, player TEXT NOT NULL, begun INTEGER NOT NULL, ended INTEGER NOT NULL, band TEXT NOT NULL,
             result TEXT NOT NULL, rounds INTEGER NOT NULL, fallen INTEGER NOT NULL, wounded INTEGER NOT NULL) STRICT",
    ),
    (
        "rounds of battles",
        "CREATE TABLE game_caravan_round (
             id INTEGER PRIMARY KEY, avatar INTEGER NOT NULL, begun INTEGER NOT NULL, round INTEGER NOT NULL,
             doing TEXT NOT NULL, felled INTEGER NOT NULL, foes INTEGER NOT NULL, fallen INTEGER NOT NULL,
             health INTEGER NOT NULL) STRICT",
    ),
];

/// From then on a battle has its row when it begins. The moment at which it did tells battles of a player apart: ticks come again after
/// a crash. Of those from before nobody knows it.
pub(in super::super) const SEPARATE_ROWS: (&str, &str) = (
    "battles have rows from when they begin",
    "ALTER TABLE game_caravan_battle RENAME TO game_caravan_battle_before;
     CREATE TABLE game_caravan_battle (
         id INTEGER PRIMARY KEY, player TEXT NOT NULL, at_ms INTEGER NOT NULL, begun INTEGER NOT NULL, band TEXT NOT NULL,
         ended INTEGER, result TEXT, rounds INTEGER NOT NULL DEFAULT 0, fallen INTEGER NOT NULL DEFAULT 0,
         wounded INTEGER NOT NULL DEFAULT 0, UNIQUE (player, at_ms)) STRICT;
     INSERT INTO game_caravan_battle (id, player, at_ms, begun, band, ended, result, rounds, fallen, wounded)
         SELECT id, player, -id, begun, band, ended, result, rounds, fallen, wounded FROM game_caravan_battle_before;
     DROP TABLE game_caravan_battle_before",
);

/// Newest rows of battles, and of rounds, that are kept.
pub(super) const BATTLES_KEPT: i64 = 100_000;
const ROUNDS_KEPT: i64 = 100_000;
/// Rows are written when there are so many, or after so many ticks.
const ROWS_AT_ONCE: usize = 200;
const ROWS_EVERY: u64 = 100;
/// Most rows that wait to be written; what is told beyond is left out.
const ROWS_MAX: usize = 20_000;
/// A batch that is refused is asked for again so often.
const TRIES_MAX: u8 = 5;

/// A battle that began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    pub(super) by: NetId,
    pub(super) player: PlayerId,
    pub(super) band: Band,
    pub(super) begun: u64,
    pub(super) begun_ms: u64,
}

impl Begun {
    /// The battle that somebody has just come into; `None` if its name is none that a player may have.
    pub(super) fn of(by: NetId, walker: &Walker, campaign: &Campaign) -> Option<Self> {
        let player = PlayerId::new(&walker.name).ok()?;
        let (band, begun, begun_ms) = (campaign.band?, campaign.begun, campaign.begun_ms);
        Some(Self { by, player, band, begun, begun_ms })
    }
}

/// A round that was fought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Round {
    pub(super) by: NetId,
    pub(super) begun: u64,
    pub(super) round: u16,
    pub(super) order: Order,
    pub(super) foes_felled: u16,
    pub(super) foes_left: u16,
    pub(super) fallen: u16,
    pub(super) health: u16,
}

/// What is on its way to the store, or will be again.
#[derive(Debug)]
struct Batch {
    key: ClaimKey,
    rows: KeepRounds,
    tries: u8,
    /// In which tick it is asked for again; `None` while it is on its way.
    again: Option<u64>,
}

/// What is not written yet. In memory alone.
#[derive(Resource, Debug, Default)]
pub struct Chronicle {
    begun: Vec<Begun>,
    rounds: Vec<Round>,
    /// When something was told or written last while nothing waited.
    since: u64,
    batch: Option<Batch>,
    /// How many batches were made.
    batches: u64,
    left_out: u64,
}

impl Chronicle {
    /// How many rows were left out since the start: too many waited, or they could not be written.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// How many rows wait, those that are on their way included.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.begun.len() + self.rounds.len() + self.batch.as_ref().map_or(0, |batch| batch.rows.len())
    }

    /// Takes up what happened in a tick, in its order.
    pub(super) fn tell(&mut self, begun: Vec<Begun>, rounds: Vec<Round>, now: u64) {
        if self.begun.is_empty() && self.rounds.is_empty() {
            self.since = now;
        }
        let told = begun.len() + rounds.len();
        let before = self.begun.len() + self.rounds.len();
        let room = ROWS_MAX.saturating_sub(before);
        let left = room.saturating_sub(begun.len());
        self.begun.extend(begun.into_iter().take(room));
        self.rounds.extend(rounds.into_iter().take(left));
        let taken = self.begun.len() + self.rounds.len() - before;
        self.left_out += (told - taken) as u64;
    }

    /// Hears what became of the batch that was on its way.
    fn hear(&mut self, key: ClaimKey, result: Result<(), &PlanRefusal>, now: u64) {
        let Some(batch) = self.batch.as_mut().filter(|batch| batch.key == key) else { return };
        match result {
            Ok(()) => self.batch = None,
            Err(PlanRefusal::Degraded { .. } | PlanRefusal::Busy { .. }) => {
                batch.again = Some(now + ASKS_AGAIN_TICKS);
            }
            Err(why) => {
                batch.tries += 1;
                batch.again = Some(now + 1);
                if batch.tries >= TRIES_MAX || matches!(why, PlanRefusal::Compensation { .. }) {
                    let rows = batch.rows.len();
                    tracing::error!("{rows} rows about battles cannot be written and are left out: {why}");
                    self.left_out += rows as u64;
                    self.batch = None;
                }
            }
        }
    }

    /// What is to be asked for now, and under which key.
    fn take(&mut self, now: u64, now_ms: u64) -> Option<(ClaimKey, PlanRequest)> {
        let is_time = self.begun.len() + self.rounds.len() >= ROWS_AT_ONCE || now >= self.since + ROWS_EVERY;
        let some = !self.begun.is_empty() || !self.rounds.is_empty();
        if self.batch.is_none() && is_time && some {
            let begun: Vec<Begun> = self.begun.drain(..self.begun.len().min(ROWS_AT_ONCE)).collect();
            let rounds = self.rounds.len().min(ROWS_AT_ONCE - begun.len());
            let rows = KeepRounds { begun, rounds: self.rounds.drain(..rounds).collect() };
            self.since = now;
            self.batches += 1;
            self.batch = Some(Batch { key: ClaimKey(0), rows, tries: 0, again: Some(now) });
        }
        let batches = self.batches;
        let batch = self.batch.as_mut().filter(|batch| batch.again.is_some_and(|again| now >= again))?;
        batch.again = None;
        // What was refused is in no row, so that it may be asked for under another key, which is not too old.
        batch.key = ClaimKey::dated(now_ms, "rounds", &codec::encode(&(now, batches)));
        let request = PlanRequest::new("rounds", Account::house("chronicle"));
        Some((batch.key, request.game(KeepRounds::KIND, &batch.rows)))
    }
}

/// Has what is known of battles written, when it is time.
pub(in super::super) fn write_down(
    mut rewards: RewardsOfNode,
    context: Res<NodeContext>,
    mut chronicle: ResMut<Chronicle>,
) {
    let (now, now_ms) = (context.0.tick.0, context.0.now_ms);
    for outcome in rewards.outcomes() {
        chronicle.hear(outcome.claim.key, outcome.result.as_ref().map(|_| ()), now);
    }
    if let Some((key, request)) = chronicle.take(now, now_ms) {
        rewards.ask(NetId::WORLD, key, request);
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A battle that is over: its row is completed, or made where that it began is not written yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepBattle(pub(super) Spoils);

impl KeepBattle {
    /// What a plan calls it.
    pub(in super::super) const KIND: &str = "keep_battle";
}

impl MutationKind for KeepBattle {
    const NAME: &'static str = Self::KIND;
    type Data = Self;

    fn carry_out(tx: &mut GameTransaction<'_>, Self(spoils): Self) -> Result<(), KindRefusal> {
        tx.execute(
            "INSERT INTO game_caravan_battle (player, at_ms, begun, ended, band, result, rounds, fallen, wounded)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (player, at_ms) DO UPDATE SET ended = excluded.ended, result = excluded.result,
                 rounds = excluded.rounds, fallen = excluded.fallen, wounded = excluded.wounded",
            &[
                spoils.player.as_str().into(),
                whole(spoils.begun_ms).into(),
                whole(spoils.begun).into(),
                whole(spoils.ended).into(),
                spoils.band.name().into(),
                spoils.end.name().into(),
                u32::from(spoils.rounds).into(),
                u32::from(spoils.lost.all()).into(),
                u32::from(spoils.hurt).into(),
            ],
        )?;
        forget_old_battles(tx)
    }
}

fn forget_old_battles(tx: &mut GameTransaction<'_>) -> Result<(), KindRefusal> {
    tx.execute(
        "DELETE FROM game_caravan_battle WHERE id <= (SELECT max(id) FROM game_caravan_battle) - ?1",
        &[BATTLES_KEPT.into()],
    )?;
    Ok(())
}

/// Battles that began, and rounds that were fought.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepRounds {
    pub(super) begun: Vec<Begun>,
    pub(super) rounds: Vec<Round>,
}

impl KeepRounds {
    /// What a plan calls it.
    pub(in super::super) const KIND: &str = "keep_rounds";

    fn len(&self) -> usize {
        self.begun.len() + self.rounds.len()
    }
}

impl MutationKind for KeepRounds {
    const NAME: &'static str = Self::KIND;
    type Data = Self;

    fn carry_out(tx: &mut GameTransaction<'_>, Self { begun, rounds }: Self) -> Result<(), KindRefusal> {
        for battle in begun {
            // One that is over already has its row.
            tx.execute(
                "INSERT INTO game_caravan_battle (player, at_ms, begun, band) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                &[
                    battle.player.as_str().into(),
                    whole(battle.begun_ms).into(),
                    whole(battle.begun).into(),
                    battle.band.name().into(),
                ],
            )?;
        }
        for round in rounds {
            tx.execute(
                "INSERT INTO game_caravan_round (avatar, begun, round, doing, felled, foes, fallen, health)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                &[
                    round.by.0.cast_signed().into(),
                    whole(round.begun).into(),
                    u32::from(round.round).into(),
                    round.order.to_string().as_str().into(),
                    u32::from(round.foes_felled).into(),
                    u32::from(round.foes_left).into(),
                    u32::from(round.fallen).into(),
                    u32::from(round.health).into(),
                ],
            )?;
        }
        tx.execute(
            "DELETE FROM game_caravan_round WHERE id <= (SELECT max(id) FROM game_caravan_round) - ?1",
            &[ROUNDS_KEPT.into()],
        )?;
        forget_old_battles(tx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::battle::End;
    use super::*;
    use crate::caravan::Lore;
    use crate::caravan::hands::Hands;
    use crate::reward::{Claim, CommitBatch, PlanContext, Submission, plan};
    use crate::store::Bank;
    use crate::store::game::GameStore;

    fn round(number: u16) -> Round {
        let (order, by) = (Order::Attack, NetId(7));
        Round { by, begun: 5, round: number, order, foes_felled: 0, foes_left: 1, fallen: 0, health: 9 }
    }

    fn begun(number: u64) -> Begun {
        let player = PlayerId::new("anna").unwrap();
        Begun { by: NetId(7), player, band: Band::Bandits, begun: number, begun_ms: number }
    }

    fn spoils(number: u64) -> Spoils {
        let Begun { by, player, band, begun, begun_ms } = begun(number);
        let (end, ended, lost, broken) = (End::Won, number + 9, Hands::default(), Vec::new());
        Spoils {
            by,
            player,
            band,
            end,
            begun,
            begun_ms,
            ended,
            rounds: 3,
            lost,
            hurt: 0,
            broken,
            died: false,
            fellows: 0,
        }
    }

    /// Commits what chroniclers have written.
    struct Desk {
        bank: Bank,
        tables: Arc<RewardTables>,
        number: u128,
    }

    impl Desk {
        fn new() -> Self {
            let tables = Arc::new(Lore::shipped().reward_tables().clone());
            let game = GameStore::default().plugin(crate::caravan::tables::plugin());
            Self { bank: Bank::new(tables.assets(), game), tables, number: 0 }
        }

        fn keep(&mut self, kind: &'static str, data: &impl Serialize) {
            self.number += 1;
            let request = PlanRequest::new("rounds", Account::house("chronicle")).game(kind, data);
            let claim = Claim::new(Account::house("chronicle"), ClaimKey(self.number), b"rows");
            let context = PlanContext::new(self.tables.clone(), 1, &claim, 0);
            let plan = plan(&context, &claim, &request).unwrap();
            let plans = vec![Submission { number: 1, plan: plan.into() }];
            let done = self.bank.commit(&CommitBatch { tick: TickNumber(1), now_ms: 1, plans });
            assert!(done[0].result.is_ok(), "{:?}", done[0].result);
        }
    }

    /// E10: a battle has a row when it begins, which its end completes, whichever of the two comes to the store first; and there are so
    /// many rows at most.
    #[test]
    fn a_battle_has_one_row_from_its_beginning_and_old_ones_go() {
        let mut desk = Desk::new();
        let rows = |desk: &Desk, where_: &str| {
            let sql = format!("SELECT begun, ended, result, rounds FROM game_caravan_battle WHERE {where_}");
            desk.bank.query(&sql)
        };
        desk.keep(KeepRounds::KIND, &KeepRounds { begun: vec![begun(1), begun(2)], rounds: vec![round(1)] });
        assert_eq!(rows(&desk, "ended IS NULL").len(), 2, "they go on");
        desk.keep(KeepBattle::KIND, &KeepBattle(spoils(1)));
        desk.keep(KeepBattle::KIND, &KeepBattle(spoils(3)));
        desk.keep(KeepRounds::KIND, &KeepRounds { begun: vec![begun(3)], rounds: Vec::new() });
        let over =
            |begun: u64| [begun.to_string(), (begun + 9).to_string(), "won".into(), "3".into()].to_vec();
        assert_eq!(rows(&desk, "ended IS NOT NULL"), [over(1), over(3)]);
        assert_eq!(rows(&desk, "ended IS NULL").len(), 1, "one goes on");
        // As if so many had been fought since.
        let fill = format!(
            "INSERT INTO game_caravan_battle (id, player, at_ms, begun, band) VALUES ({BATTLES_KEPT} + 1, 'bob', 1, 1, 'gang')"
        );
        assert_eq!(desk.bank.query(&fill), Vec::<Vec<String>>::new());
        desk.keep(KeepBattle::KIND, &KeepBattle(spoils(4)));
        assert_eq!(rows(&desk, "player = 'anna'"), [over(3), over(4)], "the newest are kept");
        // One that begins makes room as well; and of rounds there are so many at most, too.
        let fill = format!(
            "INSERT INTO game_caravan_round (id, avatar, begun, round, doing, felled, foes, fallen, health)
             VALUES ({ROUNDS_KEPT} + 1, 8, 1, 1, 'attack', 0, 0, 0, 0)"
        );
        assert_eq!(desk.bank.query(&fill), Vec::<Vec<String>>::new());
        desk.keep(KeepRounds::KIND, &KeepRounds { begun: vec![begun(5)], rounds: vec![round(2)] });
        assert_eq!(rows(&desk, "player = 'anna' AND ended IS NOT NULL"), [over(4)]);
        assert_eq!(desk.bank.query("SELECT round FROM game_caravan_round WHERE avatar = 7"), [["2"]]);
    }

    /// E4: a batch is kept until it is committed, one is on its way at a time, and what can never be written holds up no other.
    #[test]
    fn rows_wait_until_the_store_takes_them() {
        let mut chronicle = Chronicle::default();
        chronicle.tell(vec![begun(1)], vec![round(1)], 10);
        assert!(chronicle.take(10, 1).is_none(), "it is not time");
        let (first, request) = chronicle.take(10 + ROWS_EVERY, 2).unwrap();
        chronicle.tell(Vec::new(), vec![round(2)], 120);
        assert!(chronicle.take(900, 3).is_none(), "one is on its way");
        let why = PlanRefusal::Degraded { why: "full".into() };
        for turn in 0..20_u64 {
            let now = 1_000 + turn * ASKS_AGAIN_TICKS;
            let key = chronicle.batch.as_ref().unwrap().key;
            chronicle.hear(key, Err(&why), now);
            assert!(chronicle.take(now + ASKS_AGAIN_TICKS - 1, now).is_none(), "it waits a while");
            let (_, again) = chronicle.take(now + ASKS_AGAIN_TICKS, now).unwrap();
            assert_eq!(again, request, "the same is asked for");
        }
        assert_eq!((chronicle.waiting(), chronicle.left_out()), (3, 0));
        chronicle.hear(first, Ok(()), 9_000);
        assert_eq!(chronicle.waiting(), 3, "that was another batch");
        let key = chronicle.batch.as_ref().unwrap().key;
        chronicle.hear(key, Ok(()), 9_000);
        let (mut key, _) = chronicle.take(9_001, 9_001).unwrap();
        let why = PlanRefusal::Senseless { why: "a test".into() };
        for now in 9_002..9_002 + u64::from(TRIES_MAX) - 1 {
            chronicle.hear(key, Err(&why), now);
            key = chronicle.take(now + 1, now).unwrap().0;
        }
        chronicle.hear(key, Err(&why), 9_900);
        assert_eq!((chronicle.waiting(), chronicle.left_out()), (0, 1));
    }

    /// E4: a batch has so many rows at most, and the others stay in their order.
    #[test]
    fn a_batch_of_rows_is_bounded() {
        let mut chronicle = Chronicle::default();
        let all: Vec<Round> = (0..ROWS_AT_ONCE as u16 + 50).map(round).collect();
        chronicle.tell((0..20).map(begun).collect(), all.clone(), 1);
        assert!(chronicle.take(1, 1).is_some(), "there are enough");
        let first = &chronicle.batch.as_ref().unwrap().rows;
        assert_eq!((first.begun.len(), first.len()), (20, ROWS_AT_ONCE));
        assert_eq!(chronicle.rounds, all[ROWS_AT_ONCE - 20..]);
    }

    /// Whatever happens, so many rows wait at most, and those beyond are counted.
    #[test]
    fn rows_beyond_the_bound_are_counted() {
        let mut chronicle = Chronicle::default();
        chronicle.tell(vec![begun(1)], (0..ROWS_MAX as u16).map(round).collect(), 1);
        chronicle.tell(vec![begun(2)], vec![round(1), round(2)], 2);
        assert_eq!((chronicle.waiting(), chronicle.left_out()), (ROWS_MAX, 4));
    }
}
