#!/usr/bin/env python3
"""Everything that can happen to a connection, at once: players whose links are cut, who stay away too long, who come in from
a second device, one who is banned while it plays, and a world that is ended in order, killed, and started again, both times
under its players. Fails when a player is lost, acts on two devices, or sees anything wrong.

    cargo build --release --workspace --bins
    python3 tools/session_drill.py [--clients 200] [--seconds 90] [--bin target/release]
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GRACE_S = 15
BANNED = "swarm 1 3"


def start(args, save, config, port):
    """Starts the world and waits until it says where it runs."""
    command = [
        args.bin / "terrane", "run", "--config", config, "--saves", save.parent, "--name", save.name,
        "--listen", f"127.0.0.1:{port}", "--http", "127.0.0.1:0", "--npcs", "2000",
        "--max-players", str(2 * args.clients), "--audit-every", "5", "--report", "json",
    ]
    log = open(save.parent / "world.log", "ab")
    world = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=log)
    for _ in range(600):
        try:
            info = json.loads((save / "run.json").read_text())
            if info["pid"] == world.pid:
                return world, int(info["shards"][0].rsplit(":", 1)[1])
        except (OSError, ValueError):
            pass
        if world.poll() is not None:
            break
        time.sleep(0.1)
    sys.exit(f"the world does not start: see {save.parent}/world.log")


def ended(world):
    """The report of a world that ended in order."""
    out, _ = world.communicate(timeout=60)
    if world.returncode != 0:
        sys.exit(f"the world ended with {world.returncode}")
    return json.loads(out.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=90)
    parser.add_argument("--loss", type=float, default=0)
    parser.add_argument("--bin", type=Path, default=Path("target/release"))
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        save, config = Path(folder) / "world", Path(folder) / "world.toml"
        config.write_text(f"[session]\ngrace_s = {GRACE_S}\n[save]\nimage_every_s = 5\n")
        world, port = start(args, save, config, 0)
        swarm = subprocess.Popen(
            [
                str(args.bin / "swarm"), "--server", f"127.0.0.1:{port}", "--clients", str(args.clients),
                "--seconds", str(args.seconds), "--cut", "20", "--absent", "10", "--takeover", "10",
                "--loss", str(args.loss), "--profile", "caravan", "--json",
            ],
            stdout=subprocess.PIPE,
        )
        begun = time.monotonic()

        def at(second, what):
            time.sleep(max(0, begun + second - time.monotonic()))
            print(f"{time.monotonic() - begun:5.1f} s: {what}", file=sys.stderr, flush=True)

        at(args.seconds * 0.25, f"`{BANNED}` is banned")
        ban = [str(args.bin / "terrane"), "ban", str(save), "--player", BANNED, "--why", "a drill"]
        subprocess.run(ban, check=True, stdout=subprocess.DEVNULL)
        at(args.seconds * 0.45, "the world ends in order, and starts again")
        world.send_signal(signal.SIGTERM)
        reports = [ended(world)]
        world, _ = start(args, save, config, port)
        at(args.seconds * 0.7, "the world is killed, and starts again")
        world.kill()
        world.wait()
        world, _ = start(args, save, config, port)
        out, _ = swarm.communicate(timeout=args.seconds + 120)
        told = json.loads(out.splitlines()[-1])
        world.send_signal(signal.SIGTERM)
        reports.append(ended(world))

    wanted = {
        "lost": told["lost"] == 0,
        "audit_failures": told["audit_failures"] == 0 and all(one["audit_failures"] == 0 for one in reports),
        "decode_errors": told["decode_errors"] == 0,
        "acted_after_takeover": told["acted_after_takeover"] == 0,
        "removed": told["removed"] >= 1,
        "resumed": told["resumed"] >= args.clients // 10,
        "returned": told["returned"] >= args.clients,
        "taken_over": told["taken_over"] >= args.clients // 20,
        "absences": told["absences"] >= args.clients // 20,
        "audits": told["audits"] > args.clients * 5,
    }
    keys = ["clients", "connected", "audits_inconclusive", *wanted, "cuts", "update_interval_ms_p50", "update_interval_ms_p99"]
    print(json.dumps({key: told.get(key) for key in keys}))
    wrong = [key for key, is_right in wanted.items() if not is_right]
    if wrong or swarm.returncode != 0:
        sys.exit(f"not as it should be: {', '.join(wrong) or 'the swarm'} (swarm exit {swarm.returncode})")


if __name__ == "__main__":
    main()
