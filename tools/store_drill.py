#!/usr/bin/env python3
"""A store that stands still, and one that has no room, under players who trade: somebody else holds the save's lock for ten
seconds, and the file system it lies on is filled for ten. Fails when a player is lost or not told, when ticks wait for the
store, when what waits for it is not bounded, when it does not go on by itself afterwards, when a trade was told as done and is
not there, or when `terrane verify` finds anything, while the world runs and after it.

The save lies on a file system of its own, in memory, so Linux is needed, and root or user namespaces.

    cargo build --release --workspace --bins
    python3 tools/store_drill.py [--clients 300] [--trouble-s 10] [--bin target/release]
"""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from drill import Acts, World, told, verdict

SIZE_MIB = 256
# From one trouble to the next; longer than it takes to find out that the first is over.
REST_S = 20
# What one player may have waiting: `WAITING_PER_PLAYER_MAX`, and its profile and image.
BACKLOG_PER_CLIENT_MAX = 66
INSIDE = "TERRANE_DRILL_INSIDE"


def with_own_mounts():
    """Begins anew where file systems can be mounted that nobody else sees."""
    if INSIDE not in os.environ:
        flags = ["--mount"] if os.geteuid() == 0 else ["--mount", "--map-root-user"]
        command = ["unshare", *flags, "--", sys.executable, *sys.argv]
        os.execvpe(command[0], command, {**os.environ, INSIDE: "1"})


class Watch(threading.Thread):
    """What the world says of its store and its ticks, a few times a second."""

    NAMES = ("tick_number", "store_backlog", "store_wait_seconds", "store_plans_committed_total", "store_failures_total")

    def __init__(self, world):
        super().__init__(daemon=True)
        self.world, self.seen, self.over = world, [], threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.2):
            lines = dict(line.rsplit(" ", 1) for line in self.world.metrics().splitlines() if line.startswith("terrane_"))
            self.seen.append((time.monotonic(), {name: float(lines[f"terrane_{name}"]) for name in self.NAMES}))

    def between(self, begin, end):
        """How much each number grew, and how high it was at most."""
        seen = [numbers for at, numbers in self.seen if begin <= at <= end]
        return {name: (seen[-1][name] - seen[0][name], max(one[name] for one in seen)) for name in self.NAMES}


def hold_lock(save, seconds):
    """As a program that writes to the file while the world runs."""
    other = sqlite3.connect(save / "world.db", isolation_level=None, timeout=30)
    other.execute("BEGIN IMMEDIATE")
    time.sleep(seconds)
    other.execute("ROLLBACK")
    other.close()


def fill(folder, seconds):
    """As whatever else fills a disk."""
    ballast = folder / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                file.write(bytes(1 << 16))
            except OSError:
                # Whatever the world gives back is taken as well.
                time.sleep(0.05)
    ballast.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--trouble-s", type=float, default=10)
    parser.add_argument("--bin", type=Path, default=Path("target/release"))
    args = parser.parse_args()
    with_own_mounts()

    troubles = {"locked": lambda world, disk: hold_lock(world.save, args.trouble_s), "full": lambda world, disk: fill(disk, args.trouble_s)}
    seconds = 30 + len(troubles) * (args.trouble_s + REST_S)
    spans, verified = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        disk = folder / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "terrane-drill", str(disk)], check=True)
        try:
            config = "[save]\nimage_every_s = 5\nperiodic_every_s = 5\n"
            world = World(
                args.bin, folder, config, "--npcs", 2000, "--max-players", 2 * args.clients, "--audit-every", 5, saves=disk,
            ).start()
            watch = Watch(world)
            # Everybody is to be told of the trouble: nobody leaves.
            swarm = world.swarm("--clients", args.clients, "--seconds", seconds, "--profile", "trade", "--ramp", 5, "--stays")
            acts = Acts()
            for number, (what, trouble) in enumerate(troubles.items()):
                acts.at(25 + number * (args.trouble_s + REST_S), f"the store is {what}, {args.trouble_s} s long")
                begin = time.monotonic()
                trouble(world, disk)
                spans[what] = (begin, time.monotonic())
                acts.at(25 + number * (args.trouble_s + REST_S) + args.trouble_s, "it is over")
            acts.at(seconds - 4, "the save is looked through while the world runs")
            verified["running"] = world.terrane("verify", world.save)
            of_swarm = told(swarm, "the swarm", seconds)
            watch.over.set()
            watch.join()
            report = world.end()
            verified["ended"] = world.terrane("verify", world.save)
            kept = sqlite3.connect(f"file:{world.save}/world.db?mode=ro", uri=True)
            trades = kept.execute("SELECT count(*) FROM claim WHERE use_case IN"
                " ('buy', 'sell', 'bounty', 'hire', 'pay-off', 'mend', 'errand')").fetchone()[0]
            kept.close()
        finally:
            if world.process.poll() is None:
                world.kill()
            subprocess.run(["umount", "--lazy", str(disk)], check=False)

    during = {what: watch.between(*span) for what, span in spans.items()}
    after = {what: watch.between(span[1] + REST_S / 2, span[1] + REST_S - 1) for what, span in spans.items()}
    wanted = {
        "lost": of_swarm["lost"] == 0 and of_swarm["returned"] == 0,
        "audit_failures": of_swarm["audit_failures"] == 0 and report["audit_failures"] == 0,
        "told_degraded": of_swarm["told_degraded"] >= len(troubles) * args.clients,
        "told_well": of_swarm["told_well"] == of_swarm["told_degraded"],
        "trades_not_kept": of_swarm["trades_not_kept"] > 0,
        "trades": of_swarm["trades"] > 0 and trades >= of_swarm["trades"],
        "verify": all(code == 0 for code, _ in verified.values()),
    }
    for what in troubles:
        wanted[f"{what}: ticks"] = during[what]["tick_number"][0] >= 0.9 * args.trouble_s * report["hz"]
        wanted[f"{what}: nothing was kept"] = during[what]["store_failures_total"][0] + during[what]["store_wait_seconds"][1] > 1
        wanted[f"{what}: backlog"] = during[what]["store_backlog"][1] <= BACKLOG_PER_CLIENT_MAX * args.clients
        wanted[f"{what}: it goes on"] = after[what]["store_plans_committed_total"][0] > 0 and after[what]["store_failures_total"][0] == 0
    figures = {key: of_swarm[key] for key in (
        "clients", "connected", "lost", "trades", "trades_refused", "trades_not_kept", "told_degraded", "told_well", "audits",
        "audit_failures", "update_interval_ms_p99", "action_rtt_ms_p99",
    )}
    figures["trades_in_save"] = trades
    figures["tick_ms_p99"] = report["tick_ms_p99"]
    for what in troubles:
        figures[what] = {
            "ticks": during[what]["tick_number"][0],
            "backlog_max": during[what]["store_backlog"][1],
            "wait_s_max": round(during[what]["store_wait_seconds"][1], 2),
            "failures": during[what]["store_failures_total"][0],
            "committed_meanwhile": during[what]["store_plans_committed_total"][0],
            "committed_afterwards": after[what]["store_plans_committed_total"][0],
        }
    print(json.dumps(figures))
    for when, (code, said) in verified.items():
        if code != 0:
            print(f"verify, {when}:\n{said}", file=sys.stderr)
    verdict(wanted, swarm.returncode)


if __name__ == "__main__":
    main()
