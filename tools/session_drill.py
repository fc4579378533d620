#!/usr/bin/env python3
"""Everything that can happen to a connection, at once: players whose links are cut, who stay away too long, who come in from
a second device, one who is banned while it plays, and a world that is ended in order, killed, and started again, both times
under its players. Fails when a player is lost, acts on two devices, or sees anything wrong.

    cargo build --release --workspace --bins
    python3 tools/session_drill.py [--clients 200] [--seconds 90] [--secured] [--shards 1] [--bin target/release]
"""

import argparse
import json
import secrets
import sys
import tempfile
from pathlib import Path

from drill import Acts, World, told, verdict

GRACE_S = 15
BANNED = "swarm 1 3"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=90)
    parser.add_argument("--loss", type=float, default=0)
    parser.add_argument("--bin", type=Path, default=Path("target/release"))
    parser.add_argument("--shards", type=int, default=1)
    parser.add_argument("--secured", action="store_true", help="with a key: players come in, and back, by tokens")
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        key = []
        if args.secured:
            file = folder / "key"
            file.touch(mode=0o600)
            file.write_text(secrets.token_hex(32))
            key = ["--key-file", file]
        world = World(
            args.bin, folder, f"[session]\ngrace_s = {GRACE_S}\n[save]\nimage_every_s = 5\n", "--npcs", 2000,
            "--max-players", 2 * args.clients, "--audit-every", 5, "--shards", args.shards, *key,
        ).start()
        swarm = world.swarm(
            "--clients", args.clients, "--seconds", args.seconds, "--cut", 20, "--absent", 10, "--takeover", 10, "--loss",
            args.loss, "--profile", "caravan", "--shards", args.shards, *key,
        )
        acts = Acts()
        acts.at(args.seconds * 0.25, f"`{BANNED}` is banned")
        code, said = world.terrane("ban", world.save, "--player", BANNED, "--why", "a drill")
        if code != 0:
            sys.exit(f"the ban failed:\n{said}")
        acts.at(args.seconds * 0.45, "the world ends in order, and starts again")
        reports = [world.end()]
        world.start()
        acts.at(args.seconds * 0.7, "the world is killed, and starts again")
        world.kill()
        world.start()
        of_swarm = told(swarm, "the swarm", args.seconds + 60)
        reports.append(world.end())

    wanted = {
        "lost": of_swarm["lost"] == 0,
        "audit_failures": of_swarm["audit_failures"] == 0 and all(one["audit_failures"] == 0 for one in reports),
        "decode_errors": of_swarm["decode_errors"] == 0,
        "acted_after_takeover": of_swarm["acted_after_takeover"] == 0,
        "removed": of_swarm["removed"] >= 1,
        "resumed": of_swarm["resumed"] >= args.clients // 10,
        "returned": of_swarm["returned"] >= args.clients,
        "taken_over": of_swarm["taken_over"] >= args.clients // 20,
        "absences": of_swarm["absences"] >= args.clients // 20,
        "audits": of_swarm["audits"] > args.clients * 5,
    }
    keys = ["clients", "connected", "audits_inconclusive", *wanted, "cuts", "update_interval_ms_p50", "update_interval_ms_p99"]
    print(json.dumps({key: of_swarm.get(key) for key in keys}))
    verdict(wanted, swarm.returncode)


if __name__ == "__main__":
    main()
