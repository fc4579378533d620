//! A world in a child process, which is the test binary again: its ignored test `child_world` runs it.
#![allow(dead_code, missing_docs, unreachable_pub, reason = "each test file uses a part of it")]
#![expect(clippy::disallowed_methods, reason = "processes are waited for in real time")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use terrane::client::{Connection, Player};
use terrane::ids::PlayerId;
use terrane::net::Conditions;
use terrane::replication::Schema;
use terrane::store::RunInfo;

/// How long a test waits for what must come, before it fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A running world; killed with the test.
pub struct World {
    pub child: Child,
    pub save: PathBuf,
    pub info: RunInfo,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl World {
    /// Starts it below that folder, with these variables of the environment, and waits until it says where it runs.
    pub fn start(saves: &Path, environment: &[(&str, &str)]) -> Self {
        let child = Command::new(std::env::current_exe().expect("a test knows itself"))
            .args(["--exact", "child_world", "--ignored", "--nocapture"])
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the test binary starts again");
        let (save, pid) = (saves.join("world"), child.id());
        let info =
            wait_for("run.json", || RunInfo::read(&save).ok().flatten().filter(|info| info.pid == pid));
        Self { child, save, info }
    }

    pub fn http(&self) -> SocketAddr {
        self.info.http.expect("HTTP is on")
    }

    /// Ends it in order.
    pub fn drain(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill is there").success());
        assert_eq!(self.child.wait().expect("it ends").code(), Some(0));
    }

    /// A player on its way in.
    pub fn join(&self, name: &str, schema: Arc<Schema>) -> Player {
        let player = PlayerId::new(name).expect("a name");
        let (shard, hash) = (self.info.shards[0], schema.hash());
        let connection = Connection::open(shard, player, hash, terrane::VERSION, Conditions::default());
        Player::new(connection.expect("a socket"), schema, 1)
    }

    /// A player who is in.
    pub fn joined(&self, name: &str, schema: Arc<Schema>) -> Player {
        let mut player = self.join(name, schema);
        wait_for("the welcome", || {
            player.tick(Duration::from_millis(10));
            assert!(player.ended().is_none(), "{:?}", player.ended());
            player.welcome().is_some().then_some(())
        });
        player
    }
}
