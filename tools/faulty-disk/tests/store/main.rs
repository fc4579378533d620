//! What a save promises, asked of a disk that fails at every call there is, and of one that loses power at every sync.
//!
//! The ordinary run looks at every failing call of a kind up to a number, and then at ever fewer of them, and at a few power losses of a
//! few runs: a minute or so. `TERRANE_TEST_DISK_ROUNDS=20 cargo test --release -p terrane-faulty-disk` looks at every call, and at
//! twenty times as many runs.

mod books;
mod caravan;
mod cases;
mod check;
mod ending;
mod failing;
mod migration;
mod power;
mod recovery;
mod save;
mod slow;
mod thread;

/// How many times as much is looked at as in the ordinary run.
fn rounds() -> u64 {
    std::env::var("TERRANE_TEST_DISK_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1)
}
