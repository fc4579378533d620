//! The tables of value: who holds what, and how it came there.
//!
//! An account's id tells what it is: a player's is above 0, a house's below. So a CHECK on one row alone keeps players
//! from being below nothing. Houses do not tell lots apart: what they have given out is one number per asset, however
//! many different moments of expiry went through them.

use super::Migration;

pub(in crate::store) const VALUE: Migration = Migration {
    name: "value: accounts, holdings, ledger, claims, changelog, outbox, compensations",
    sql: "
        CREATE TABLE asset (
            id               INTEGER PRIMARY KEY,
            name             TEXT    NOT NULL UNIQUE,
            class            TEXT    NOT NULL CHECK (class IN ('currency', 'item', 'pool', 'unlock')),
            cap              INTEGER CHECK (cap >= 0),
            stack_max        INTEGER CHECK (stack_max > 0),
            is_single        INTEGER NOT NULL CHECK (is_single IN (0, 1)),
            expires_after_ms INTEGER CHECK (expires_after_ms >= 0),
            regen_ms         INTEGER CHECK (regen_ms >= 0),
            is_retired       INTEGER NOT NULL CHECK (is_retired IN (0, 1)),
            CHECK ((class = 'item') = (stack_max IS NOT NULL))
        ) STRICT;
        CREATE TABLE account (
            id           INTEGER PRIMARY KEY CHECK (id <> 0),
            kind         TEXT    NOT NULL CHECK (kind IN ('player', 'house')),
            name         TEXT    NOT NULL CHECK (name <> ''),
            data_version INTEGER NOT NULL DEFAULT 0 CHECK (data_version >= 0),
            UNIQUE (kind, name),
            CHECK ((kind = 'house') = (id < 0))
        ) STRICT;
        CREATE TABLE holding (
            account    INTEGER NOT NULL REFERENCES account (id),
            asset      INTEGER NOT NULL REFERENCES asset (id),
            expires_ms INTEGER NOT NULL CHECK (expires_ms >= 0),
            instance   INTEGER NOT NULL,
            amount     INTEGER NOT NULL,
            PRIMARY KEY (account, asset, expires_ms, instance),
            CHECK (amount >= 0 OR account < 0),
            CHECK (instance = 0 OR amount BETWEEN 0 AND 1),
            CHECK (account > 0 OR (expires_ms = 0 AND instance = 0))
        ) STRICT, WITHOUT ROWID;
        CREATE UNIQUE INDEX holding_instance ON holding (asset, instance) WHERE instance <> 0;
        CREATE TABLE pool_clock (
            account      INTEGER NOT NULL REFERENCES account (id) CHECK (account > 0),
            asset        INTEGER NOT NULL REFERENCES asset (id),
            as_of_ms     INTEGER NOT NULL CHECK (as_of_ms >= 0),
            data_version INTEGER NOT NULL CHECK (data_version > 0),
            PRIMARY KEY (account, asset)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE claim (
            id        INTEGER PRIMARY KEY,
            account   INTEGER NOT NULL REFERENCES account (id),
            key       BLOB    CHECK (length(key) = 16),
            request   INTEGER NOT NULL,
            plan_hash INTEGER NOT NULL,
            use_case  TEXT    NOT NULL,
            tick      INTEGER NOT NULL,
            now_ms    INTEGER NOT NULL,
            summary   BLOB,
            CHECK ((key IS NULL) = (summary IS NULL))
        ) STRICT;
        CREATE UNIQUE INDEX claim_key ON claim (key, account) WHERE key IS NOT NULL;
        CREATE TABLE ledger (
            claim        INTEGER NOT NULL REFERENCES claim (id),
            position     INTEGER NOT NULL CHECK (position >= 0),
            asset        INTEGER NOT NULL REFERENCES asset (id),
            expires_ms   INTEGER NOT NULL,
            instance     INTEGER NOT NULL,
            from_account INTEGER NOT NULL REFERENCES account (id),
            to_account   INTEGER NOT NULL REFERENCES account (id),
            amount       INTEGER NOT NULL CHECK (amount > 0),
            PRIMARY KEY (claim, position),
            CHECK (from_account <> to_account)
        ) STRICT, WITHOUT ROWID;
        CREATE TRIGGER ledger_is_not_changed BEFORE UPDATE ON ledger
            BEGIN SELECT RAISE(ABORT, 'what moved stays written'); END;
        CREATE TABLE opening (
            account    INTEGER NOT NULL REFERENCES account (id),
            asset      INTEGER NOT NULL REFERENCES asset (id),
            expires_ms INTEGER NOT NULL,
            instance   INTEGER NOT NULL,
            amount     INTEGER NOT NULL,
            PRIMARY KEY (account, asset, expires_ms, instance)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE changelog (
            account      INTEGER NOT NULL REFERENCES account (id) CHECK (account > 0),
            data_version INTEGER NOT NULL CHECK (data_version > 0),
            claim        INTEGER NOT NULL REFERENCES claim (id),
            domains      INTEGER NOT NULL CHECK (domains BETWEEN 0 AND 255),
            PRIMARY KEY (account, data_version)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX changelog_claim ON changelog (claim);
        CREATE TRIGGER changelog_is_not_changed BEFORE UPDATE ON changelog
            BEGIN SELECT RAISE(ABORT, 'what changed stays written'); END;
        CREATE TRIGGER changelog_raises_the_version AFTER INSERT ON changelog BEGIN
            UPDATE account SET data_version = NEW.data_version
                WHERE id = NEW.account AND data_version = NEW.data_version - 1;
            SELECT RAISE(ABORT, 'a version was left out') WHERE changes() <> 1;
        END;
        CREATE TABLE outbox (
            id       INTEGER PRIMARY KEY AUTOINCREMENT,
            claim    INTEGER NOT NULL REFERENCES claim (id),
            position INTEGER NOT NULL CHECK (position >= 0),
            kind     TEXT    NOT NULL,
            payload  BLOB    NOT NULL,
            attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
            next_ms  INTEGER NOT NULL,
            UNIQUE (claim, position)
        ) STRICT;
        CREATE INDEX outbox_next ON outbox (next_ms);
        CREATE TABLE compensation (
            id        INTEGER PRIMARY KEY AUTOINCREMENT,
            kind      TEXT    NOT NULL CHECK (kind IN ('plan', 'outbox')),
            reference TEXT    NOT NULL,
            what      BLOB    NOT NULL,
            error     TEXT    NOT NULL,
            attempts  INTEGER NOT NULL CHECK (attempts > 0),
            made_ms   INTEGER NOT NULL,
            UNIQUE (kind, reference)
        ) STRICT;
        CREATE TABLE retention (
            what  TEXT    PRIMARY KEY,
            value INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE game_migration (
            plugin  TEXT    NOT NULL,
            version INTEGER NOT NULL CHECK (version > 0),
            name    TEXT    NOT NULL,
            hash    TEXT    NOT NULL,
            PRIMARY KEY (plugin, version)
        ) STRICT, WITHOUT ROWID;
    ",
};
