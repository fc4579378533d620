//! Faults that are planted: SQL, and what must be said of it.

use crate::store::operator::ProblemKind::{self, *};

/// A fault: what it is, SQL that tells the key under which it must be named, SQL that plants it, and of what kind and in which
/// table it must be said to be.
pub(super) struct Fault {
    pub(super) what: &'static str,
    pub(super) key: &'static str,
    pub(super) plant: &'static str,
    pub(super) kind: ProblemKind,
    pub(super) table: &'static str,
}

const fn fault(
    what: &'static str,
    kind: ProblemKind,
    table: &'static str,
    key: &'static str,
    plant: &'static str,
) -> Fault {
    Fault { what, key, plant, kind, table }
}

/// The key of a holding.
macro_rules! holding {
    ($rest:literal) => {
        concat!(
            "SELECT 'account=' || account || ' asset=' || asset || ' expires_ms=' || expires_ms || ' instance=' || instance
             FROM holding ",
            $rest
        )
    };
}

/// Faults that can be seen in every save.
pub(super) const FAULTS: &[Fault] = &[
    fault(
        "a changed balance",
        Balance,
        "holding",
        holding!("WHERE account > 0 AND amount > 5 AND instance = 0 ORDER BY account LIMIT 1"),
        "UPDATE holding SET amount = amount + 5 WHERE (account, asset, expires_ms, instance) IN (SELECT account, asset,
            expires_ms, instance FROM holding WHERE account > 0 AND amount > 5 AND instance = 0 ORDER BY account LIMIT 1)",
    ),
    fault(
        "money made out of nothing",
        Conservation,
        "holding",
        "SELECT 'asset=' || id FROM asset WHERE name = 'coin'",
        "UPDATE holding SET amount = amount + 1 WHERE account = -1 AND asset = (SELECT id FROM asset WHERE name = 'coin')",
    ),
    fault(
        "a removed holding",
        Balance,
        "holding",
        holding!("WHERE account > 0 AND amount > 0 ORDER BY account DESC LIMIT 1"),
        "DELETE FROM holding WHERE (account, asset, expires_ms, instance) IN (SELECT account, asset, expires_ms, instance
            FROM holding WHERE account > 0 AND amount > 0 ORDER BY account DESC LIMIT 1)",
    ),
    fault(
        "a deleted row of the ledger",
        Ledger,
        "ledger",
        "SELECT 'claim=' || max(claim) FROM ledger",
        "DELETE FROM ledger WHERE claim = (SELECT max(claim) FROM ledger) AND position = 0",
    ),
    fault(
        "a deleted row in the middle of a claim's",
        Ledger,
        "ledger",
        "SELECT 'claim=' || max(claim) || ' position=1' FROM ledger WHERE position = 2",
        "DELETE FROM ledger WHERE claim = (SELECT max(claim) FROM ledger WHERE position = 2) AND position = 1",
    ),
    fault(
        "all rows of the ledger of a claim",
        Ledger,
        "ledger",
        "SELECT 'claim=' || max(claim) FROM ledger",
        "DELETE FROM ledger WHERE claim = (SELECT max(claim) FROM ledger)",
    ),
    fault(
        "another amount in the ledger",
        Ledger,
        "ledger",
        "SELECT 'claim=' || max(claim) FROM ledger",
        "UPDATE ledger SET amount = amount + 1 WHERE claim = (SELECT max(claim) FROM ledger)",
    ),
    fault(
        "another asset in the ledger",
        Ledger,
        "ledger",
        "SELECT 'claim=' || max(claim) FROM ledger",
        "UPDATE ledger SET asset = asset % 5 + 1 WHERE claim = (SELECT max(claim) FROM ledger)",
    ),
    fault(
        "another payer in the ledger",
        Balance,
        "holding",
        holding!("WHERE account = -2 AND asset = (SELECT id FROM asset WHERE name = 'coin')"),
        "UPDATE ledger SET from_account = -2 WHERE (claim, position) IN (SELECT claim, position FROM ledger
            WHERE asset = (SELECT id FROM asset WHERE name = 'coin') AND from_account = -1 ORDER BY claim LIMIT 1)",
    ),
    fault(
        "a claim that is there twice",
        DuplicateClaim,
        "claim",
        "SELECT 'key=' || lower(hex(key)) || ' account=' || account FROM claim ORDER BY id DESC LIMIT 1",
        "DROP INDEX claim_key; INSERT INTO claim (account, key, request, plan_hash, use_case, tick, now_ms, summary)
            SELECT account, key, request, plan_hash, use_case, tick, now_ms, summary FROM claim ORDER BY id DESC LIMIT 1",
    ),
    fault(
        "a claim under another key",
        Claim,
        "claim",
        "SELECT 'id=' || (max(id) + 1) FROM claim",
        "INSERT INTO claim (account, key, request, plan_hash, use_case, tick, now_ms, summary)
            SELECT account, randomblob(16), request, plan_hash, use_case, tick, now_ms, summary FROM claim
            ORDER BY id DESC LIMIT 1",
    ),
    fault(
        "a claim of somebody else's",
        Claim,
        "claim",
        "SELECT 'id=' || max(id) FROM claim",
        "UPDATE claim SET account = account % 4 + 1 WHERE id = (SELECT max(id) FROM claim)",
    ),
    fault(
        "a claim of another tick",
        Claim,
        "claim",
        "SELECT 'id=' || max(id) FROM claim",
        "UPDATE claim SET tick = tick + 1 WHERE id = (SELECT max(id) FROM claim)",
    ),
    fault(
        "a summary that cannot be read",
        Claim,
        "claim",
        "SELECT 'id=' || max(id) FROM claim",
        "UPDATE claim SET summary = substr(summary, 1, 9) WHERE id = (SELECT max(id) FROM claim)",
    ),
    fault(
        "a removed claim",
        Orphan,
        "ledger",
        "SELECT 'claim=' || max(claim) || ' position=0' FROM ledger",
        "DELETE FROM claim WHERE id = (SELECT max(claim) FROM ledger)",
    ),
    fault(
        "an item that came from nowhere",
        Orphan,
        "holding",
        "SELECT 'account=1 asset=' || id || ' expires_ms=0 instance=777' FROM asset WHERE name = 'sword'",
        "INSERT INTO holding SELECT 1, id, 0, 777, 1 FROM asset WHERE name = 'sword'",
    ),
    fault(
        "an item of nobody",
        Orphan,
        "holding",
        "SELECT 'account=99 asset=' || id || ' expires_ms=0 instance=0' FROM asset WHERE name = 'wine'",
        "INSERT INTO holding SELECT 99, id, 0, 0, 3 FROM asset WHERE name = 'wine'",
    ),
    fault(
        "an item of no kind",
        Orphan,
        "holding",
        "SELECT 'account=1 asset=99 expires_ms=0 instance=0'",
        "INSERT INTO holding VALUES (1, 99, 0, 0, 1)",
    ),
    fault(
        "less than nothing in a player's hands",
        Negative,
        "holding",
        "SELECT 'account=1 asset=' || id || ' expires_ms=0 instance=0' FROM asset WHERE name = 'map'",
        "INSERT OR REPLACE INTO holding SELECT 1, id, 0, 0, -3 FROM asset WHERE name = 'map'",
    ),
    fault(
        "less than nothing, as a row that its table forbids",
        Constraint,
        "holding",
        "SELECT 'account=1 asset=' || id || ' expires_ms=0 instance=0' FROM asset WHERE name = 'map'",
        "INSERT OR REPLACE INTO holding SELECT 1, id, 0, 0, -3 FROM asset WHERE name = 'map'",
    ),
    fault(
        "a game's stock below nothing",
        Constraint,
        "game_shop_stock",
        "SELECT 'good=silk'",
        "UPDATE game_shop_stock SET amount = -3",
    ),
    fault(
        "a stock that does not add up",
        Game,
        "game_shop_stock",
        "SELECT 'silk'",
        "UPDATE game_shop_stock SET sold = sold + 1",
    ),
    fault(
        "an empty lot",
        Lot,
        "holding",
        "SELECT 'account=1 asset=' || id || ' expires_ms=5 instance=0' FROM asset WHERE name = 'wine'",
        "INSERT INTO holding SELECT 1, id, 5, 0, 0 FROM asset WHERE name = 'wine'",
    ),
    fault(
        "a lot of a house",
        Lot,
        "holding",
        "SELECT 'account=-1 asset=' || id || ' expires_ms=5 instance=0' FROM asset WHERE name = 'wine'",
        "INSERT INTO holding SELECT -1, id, 5, 0, 2 FROM asset WHERE name = 'wine'",
    ),
    fault(
        "one of its kind, held twice",
        DuplicateItem,
        "holding",
        "SELECT 'asset=' || asset || ' instance=' || instance FROM holding WHERE instance > 0 AND account < 4 LIMIT 1",
        "DROP INDEX holding_instance; INSERT INTO holding SELECT 4, asset, expires_ms, instance, 1 FROM holding
            WHERE instance > 0 AND account < 4 LIMIT 1",
    ),
    fault(
        "a changelog that says another thing was changed",
        Changelog,
        "changelog",
        "SELECT 'account=' || account || ' data_version=' || data_version FROM changelog ORDER BY claim DESC LIMIT 1",
        "UPDATE changelog SET domains = (domains + 64) % 256 WHERE (account, data_version) IN
            (SELECT account, data_version FROM changelog ORDER BY claim DESC LIMIT 1)",
    ),
    fault(
        "a changelog that names another claim",
        Changelog,
        "changelog",
        "SELECT 'account=1 data_version=' || max(data_version) FROM changelog WHERE account = 1",
        "UPDATE changelog SET claim = claim - 1 WHERE account = 1 AND data_version =
            (SELECT max(data_version) FROM changelog WHERE account = 1)",
    ),
    fault(
        "a changelog with a gap",
        Changelog,
        "changelog",
        "SELECT 'account=1 data_version=' || (max(data_version) - 1) FROM changelog WHERE account = 1",
        "DELETE FROM changelog WHERE account = 1 AND data_version =
            (SELECT max(data_version) - 2 FROM changelog WHERE account = 1)",
    ),
    fault(
        "a changelog without its end",
        Changelog,
        "account",
        "SELECT 'id=1'",
        "DELETE FROM changelog WHERE account = 1 AND data_version =
            (SELECT max(data_version) FROM changelog WHERE account = 1)",
    ),
    fault(
        "a changelog without its end, by its claim",
        Changelog,
        "changelog",
        "SELECT 'claim=' || max(claim) FROM changelog WHERE account = 1",
        "DELETE FROM changelog WHERE account = 1 AND data_version =
            (SELECT max(data_version) FROM changelog WHERE account = 1)",
    ),
    fault(
        "another version of an account",
        Changelog,
        "account",
        "SELECT 'id=2'",
        "UPDATE account SET data_version = data_version + 1 WHERE id = 2",
    ),
    fault(
        "a house with a version",
        Changelog,
        "account",
        "SELECT 'id=-1'",
        "UPDATE account SET data_version = 4 WHERE id = -1",
    ),
    fault(
        "a pool counted by a version that never was",
        Changelog,
        "pool_clock",
        "SELECT 'account=1 asset=' || id FROM asset WHERE name = 'stamina'",
        "INSERT OR REPLACE INTO pool_clock SELECT 1, id, 5, 99999 FROM asset WHERE name = 'stamina'",
    ),
    fault(
        "a torn image",
        Image,
        "image",
        "SELECT 'id=' || max(id) FROM image",
        "UPDATE image_part SET bytes = zeroblob(length(bytes)) WHERE image = (SELECT max(id) FROM image) AND part = 1",
    ),
    fault(
        "an image without a part",
        Image,
        "image",
        "SELECT 'id=' || min(id) FROM image",
        "DELETE FROM image_part WHERE image = (SELECT min(id) FROM image) AND part = 0",
    ),
    fault(
        "a counter that ran backwards",
        Counter,
        "counter",
        "SELECT 'name=world_spawns'",
        "UPDATE counter SET value = 1 WHERE name = 'world_spawns'",
    ),
    fault(
        "an edited profile",
        Profile,
        "player",
        "SELECT 'name=bob'",
        "UPDATE player SET avatar = x'010204' WHERE name = 'bob'",
    ),
    fault(
        "a delivery that nobody will make",
        Delivery,
        "outbox",
        "SELECT 'id=' || min(id) FROM outbox",
        "UPDATE outbox SET next_ms = 9223372036854775807 WHERE id = (SELECT min(id) FROM outbox)",
    ),
    fault(
        "a delivery that was not asked for",
        Delivery,
        "outbox",
        "SELECT 'claim=' || max(id) FROM claim",
        "INSERT INTO outbox (claim, position, kind, payload, next_ms) SELECT max(id), 7, 'mail', x'01', 5 FROM claim",
    ),
    fault(
        "a compensation about nothing",
        Delivery,
        "compensation",
        "SELECT 'id=1'",
        "INSERT INTO compensation (kind, reference, what, error, attempts, made_ms)
            VALUES ('outbox', '4711', x'', 'no route', 10, 5)",
    ),
    fault(
        "a compensation that cannot be read",
        Delivery,
        "compensation",
        "SELECT 'id=1'",
        "INSERT INTO compensation (kind, reference, what, error, attempts, made_ms)
            VALUES ('plan', 'player bob', x'ff', 'overflow', 1, 5)",
    ),
    fault(
        "a missing index",
        Schema,
        "outbox",
        "SELECT 'index=outbox_next'",
        "DROP INDEX outbox_next",
    ),
    fault(
        "a table of nobody's",
        Schema,
        "loot",
        "SELECT 'table=loot'",
        "CREATE TABLE loot (x)",
    ),
];

/// Faults that can be seen only where something was summed up.
pub(super) const OF_THE_PAST: &[Fault] = &[
    fault(
        "another opening balance",
        Conservation,
        "opening",
        "SELECT 'asset=' || id FROM asset WHERE name = 'coin'",
        "UPDATE opening SET amount = amount + 1 WHERE asset = (SELECT id FROM asset WHERE name = 'coin') AND account > 0",
    ),
    fault(
        "another opening balance, by what is held",
        Balance,
        "holding",
        "SELECT 'account=-1 asset=' || id || ' expires_ms=0 instance=0' FROM asset WHERE name = 'coin'",
        "UPDATE opening SET amount = amount - 2 WHERE account = -1 AND asset = (SELECT id FROM asset WHERE name = 'coin')",
    ),
];
