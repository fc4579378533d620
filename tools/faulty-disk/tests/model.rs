//! What the disk of these tests does, shown with SQLite alone: also that it finds those who do not sync.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, ffi};
use terrane_faulty_disk::{Call, Disk, Done, Fault, Journal, SECTOR_BYTES, Survivors};

/// Opens a database as a store does, with this much syncing.
fn connect(file: &Path, synchronous: &str) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection
        .execute_batch(&format!("PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = 0"))?;
    Ok(connection)
}

/// Moves a coin from one account to another with every commit, and moves the log into the file now and then.
fn run(synchronous: &str) -> Journal {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::below(folder.path());
    disk.record();
    let connection = connect(&folder.path().join("coins.db"), synchronous).unwrap();
    let make = "CREATE TABLE coins (account INTEGER PRIMARY KEY, amount INTEGER, filler BLOB);
                INSERT INTO coins SELECT value, 100, zeroblob(900) FROM json_each('[0,1,2,3,4,5,6,7,8,9]')";
    connection.execute_batch(make).unwrap();
    disk.mark(0);
    for number in 1..20 {
        let one = format!(
            "BEGIN; UPDATE coins SET amount = amount - 1 WHERE account = 0;
             UPDATE coins SET amount = amount + 1 WHERE account = {}; COMMIT",
            1 + number % 9
        );
        connection.execute_batch(&one).unwrap();
        disk.mark(number);
        if number % 6 == 0 {
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        }
    }
    drop(connection);
    disk.take_journal()
}

/// What is wrong with what a disk holds after so many commits were told, if anything is.
fn fault(folder: &Path, told: Option<u64>) -> Result<(), String> {
    let file = folder.join("coins.db");
    let look = || -> rusqlite::Result<(String, i64, i64)> {
        let connection = Connection::open(file)?;
        let sound = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        let is_made = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'coins')";
        if !connection.query_row(is_made, [], |row| row.get::<_, bool>(0))? {
            return Ok((sound, 0, 0));
        }
        connection.query_row(
            "SELECT coalesce(sum(amount), 0), 100 - coalesce(min(amount), 0) FROM coins",
            [],
            |row| Ok((sound, row.get(0)?, row.get(1)?)),
        )
    };
    match (look(), told) {
        (Ok((sound, sum, moved)), told) if sound == "ok" => match told {
            Some(_) if sum == 0 => Err("lost: everything".to_owned()),
            None if sum == 0 => Ok(()),
            _ if sum != 1_000 => Err(format!("half: {sum} coins of 1000")),
            Some(told) if moved < told.cast_signed() => Err(format!("lost: {moved} of {told}")),
            _ => Ok(()),
        },
        (Ok((damage, ..)), Some(_)) => Err(format!("damaged: {damage}")),
        // Before the first commit there need be nothing.
        (_, None) => Ok(()),
        (Err(error), _) => Err(format!("damaged: {error}")),
    }
}

/// All that goes wrong with such a run, and how many power losses it was looked at after.
fn faults_of(journal: &Journal) -> (Vec<String>, usize) {
    let (mut faults, mut looked) = (Vec::new(), 0);
    journal.each_moment(|moment| {
        let some = (0..3).map(|at| Survivors::Some(moment.number * 3 + at));
        for survivors in [Survivors::None, Survivors::All].into_iter().chain(some) {
            let folder = tempfile::tempdir().unwrap();
            moment.write_to(folder.path(), survivors);
            faults.extend(fault(folder.path(), moment.mark).err());
            looked += 1;
        }
    });
    (faults, looked)
}

/// D4: power losses are hard enough to find who syncs too little: of three stores that differ in nothing else, one keeps its
/// promises.
#[test]
fn a_store_that_does_not_sync_is_found_and_one_that_does_is_not() {
    let (faults, looked) = faults_of(&run("FULL"));
    assert_eq!(faults, Vec::<String>::new(), "after {looked} power losses");
    assert!(looked > 200, "only {looked} power losses");
    // The log is synced before it is moved into the file, so nothing is half there; but what was told is lost.
    let (faults, _) = faults_of(&run("NORMAL"));
    assert!(faults.len() > 20 && faults.iter().all(|fault| fault.starts_with("lost")), "{faults:?}");
    let (faults, _) = faults_of(&run("OFF"));
    for word in ["lost", "damaged"] {
        assert!(faults.iter().any(|fault| fault.starts_with(word)), "nothing is {word}: {faults:?}");
    }
}

/// What is told as a failure is one, and is the call that was meant; the next one passes, unless it is for good.
#[test]
fn calls_fail_as_they_are_told_to() {
    for call in Call::ALL {
        for times in [1, u64::MAX] {
            let folder = tempfile::tempdir().unwrap();
            let disk = Disk::below(folder.path());
            let file = folder.path().join("a.db");
            // Everything that a connection does in its life.
            let live = || -> rusqlite::Result<()> {
                let connection = connect(&file, "FULL")?;
                connection.execute_batch("CREATE TABLE IF NOT EXISTS t (x); INSERT INTO t VALUES (1)")?;
                connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
                connection.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
                connection.execute_batch("INSERT INTO t VALUES (2)")?;
                connection.close().map_err(|(_, error)| error)
            };
            live().unwrap();
            assert!(disk.calls(call) > 0, "{call:?} is never made");
            for code in call.codes() {
                disk.fail(Fault { code: *code, times, ..Fault::once(call, 1) });
                let error = live().err();
                assert!(disk.heal() > 0, "{call:?} did not fail");
                if let Some(rusqlite::Error::SqliteFailure(error, _)) = &error {
                    let told = [*code, code & 0xFF, ffi::SQLITE_CANTOPEN, ffi::SQLITE_IOERR];
                    assert!(told.contains(&error.extended_code), "{call:?}: {error:?}");
                }
                // Not every failure keeps a connection from what it is for; for good these do.
                let is_vital =
                    matches!(call, Call::Open | Call::Read | Call::Write | Call::Sync | Call::Lock);
                assert!(!is_vital || times == 1 || error.is_some(), "{call:?}");
                live().unwrap_or_else(|error| panic!("{call:?} {times}: {error}"));
            }
        }
    }
}

/// Of a write that fails there is nothing, half or all of it in the file.
#[test]
fn what_fails_is_done_as_far_as_it_was_told() {
    let len_after = |done| {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::below(folder.path());
        let connection = Connection::open(folder.path().join("a.db")).unwrap();
        connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA page_size = 4096").unwrap();
        disk.fail(Fault { done, ..Fault::once(Call::Write, 1) });
        connection.execute_batch("CREATE TABLE t (x)").unwrap_err();
        fs::metadata(folder.path().join("a.db")).unwrap().len()
    };
    assert_eq!([Done::Nothing, Done::Half, Done::All].map(len_after), [0, 2_048, 4_096]);
}

/// What lies in another folder is on another disk, and a disk that is gone fails no more.
#[test]
fn a_disk_is_below_its_folder_alone() {
    let [here, there] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let disk = Disk::below(here.path());
    disk.fail(Fault::from_then_on(Call::Write, 1));
    let write = |folder: &Path| Connection::open(folder.join("a.db"))?.execute_batch("CREATE TABLE t (x)");
    write(there.path()).unwrap();
    write(here.path()).unwrap_err();
    drop(disk);
    write(here.path()).unwrap();
}

/// What was written since the last sync is torn at the borders of sectors and nowhere else; what a failed sync was about stays in
/// doubt although the next one works.
#[test]
fn writes_are_torn_at_sectors_and_a_failed_sync_leaves_doubt_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::below(folder.path());
    let file = folder.path().join("a.db");
    disk.record();
    let connection = connect(&file, "FULL").unwrap();
    connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES ('first')").unwrap();
    // The commit fails, and so does moving the log into the file at the end: the log stays.
    disk.fail(Fault { times: 2, ..Fault::once(Call::Sync, 1) });
    connection.execute_batch("INSERT INTO t VALUES ('second')").unwrap_err();
    drop(connection);
    assert_eq!(disk.heal(), 2);
    // The next process finds it whole, and syncs.
    let connection = connect(&file, "FULL").unwrap();
    let count = |connection: &Connection| {
        connection.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(count(&connection), 2);
    connection.execute_batch("INSERT INTO t VALUES ('third')").unwrap();
    disk.mark(1);
    let whole = fs::read(folder.path().join("a.db-wal")).unwrap();
    drop(connection);
    let mut torn = 0;
    disk.take_journal().each_moment(|moment| {
        if moment.mark.is_some() {
            return;
        }
        for seed in 0..40 {
            let files = moment.power_loss(Survivors::Some(seed));
            let Some(log) = files.get("a.db-wal").filter(|log| log.len() == whole.len()) else { continue };
            for (sector, there) in whole.chunks(SECTOR_BYTES as usize).zip(log.chunks(SECTOR_BYTES as usize))
            {
                torn += u64::from(sector != there);
            }
        }
    });
    assert!(torn > 0, "what the failed sync was about is never lost");
}

/// A call that waits is waited for, and goes on when it is let.
#[test]
fn a_call_waits_until_it_is_let() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::below(folder.path());
    let connection = connect(&folder.path().join("a.db"), "FULL").unwrap();
    let stall = disk.stall(Call::Sync, 1);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let connection = connection;
            connection.execute_batch("CREATE TABLE t (x)")
        });
        stall.wait_until_reached();
        assert!(!writer.is_finished(), "it waits");
        drop(stall);
        writer.join().unwrap().unwrap();
    });
}
