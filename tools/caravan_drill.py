#!/usr/bin/env python3
"""The shipped game under load and under harm: players who trade over a lossy network, while the save is looked through, the
reference data are exchanged, a backup is made, and the world is killed and started again. Fails when a player is lost or holds what
is not so, when a trade that was told as done is not in the save exactly once, when `terrane verify` finds anything, or when the
backup, restored, does not start with what was told before it was made.

    cargo build --release --workspace --bins
    python3 tools/caravan_drill.py [--clients 300] [--seconds 60] [--loss 3] [--kills 1] [--bin target/release]

With more kills than one the world is killed at moments that the seed says, and the save is looked through before each start; give it
about seven seconds for each.
"""

import argparse
import json
import random
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

from drill import Acts, World, told, verdict

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "[save]\nimage_every_s = 5\nperiodic_every_s = 5\n"


def claims(save):
    """How often each key of a claim stands in a save, by its hexadecimal form."""
    kept = sqlite3.connect(f"file:{save}/world.db?mode=ro", uri=True)
    rows = kept.execute("SELECT lower(hex(key)), count(*) FROM claim WHERE key IS NOT NULL GROUP BY key").fetchall()
    kept.close()
    return dict(rows)


def double(file, key):
    """Doubles the numbers of a key in a file of reference data."""
    lines = file.read_text().splitlines()
    for at, line in enumerate(lines):
        name, _, rest = line.partition("=")
        number = rest.split("#")[0].strip()
        if name.strip() == key and number.isdigit():
            lines[at] = f"{key} = {2 * int(number)}"
    file.write_text("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--loss", type=float, default=3)
    parser.add_argument("--kills", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--bin", type=Path, default=Path("target/release"))
    args = parser.parse_args()

    done, wanted = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for file in (ROOT / "assets/config").glob("*.toml"):
            if file.name != "world.toml":
                shutil.copy(file, folder)
        flags = ["--npcs", 2000, "--max-players", 2 * args.clients, "--audit-every", 5]
        world = World(args.bin, folder, CONFIG, *flags).start()
        receipts, backup = folder / "receipts", folder / "backup"
        swarm = world.swarm(
            "--clients", args.clients, "--seconds", args.seconds, "--profile", "trade", "--loss", args.loss, "--ramp", 5,
            "--receipts", receipts,
        )
        acts = Acts()
        acts.at(args.seconds * 0.25, "the save is looked through while the world runs")
        done["verify, running"] = world.terrane("verify", world.save)
        acts.at(args.seconds * 0.35, "what goods cost is doubled")
        double(folder / "goods.toml", "price")
        done["config reload"] = world.terrane("config", "reload", world.save)
        moments = random.Random(args.seed)
        for number in range(1, args.kills + 1):
            if number == 1:
                acts.at(args.seconds * (0.5 if args.kills == 1 else 0.4), "the world is killed, and starts again")
            else:
                acts.after(moments.uniform(2, 6), f"the world is killed, for the {number}. time")
            world.kill()
            done[f"verify, killed {number}"] = world.terrane("verify", world.save)
            world.start()
        acts.at(args.seconds * 0.8, "a backup is made")
        done["backup"] = world.terrane("backup", world.save, backup)
        of_swarm = told(swarm, "the swarm", args.seconds)
        report = world.end()
        done["verify, ended"] = world.terrane("verify", world.save)

        acknowledged = receipts.read_text().split()
        kept = claims(world.save)
        missing = [key for key in acknowledged if kept.get(key) != 1]
        # The backup is a save like any other: it starts, and goes on.
        done["verify, backup"] = world.terrane("verify", backup)
        of_backup = claims(backup)
        restored = folder / "restored"
        restored.mkdir()
        shutil.move(backup, restored / "world")
        again = World(args.bin, folder, CONFIG, *flags, saves=restored).start()
        swarm_again = again.swarm("--clients", 20, "--seconds", 5, "--profile", "trade", "--seed", 2)
        of_swarm_again = told(swarm_again, "the swarm of the backup", 5)
        again.end()
        done["verify, restored"] = again.terrane("verify", again.save)
        of_restored = claims(again.save)

    for what, (code, said) in done.items():
        wanted[what] = code == 0
        if code != 0:
            print(f"{what}:\n{said}", file=sys.stderr)
    wanted |= {
        "lost": of_swarm["lost"] == 0,
        "returned": of_swarm["returned"] >= args.clients,
        "audits": of_swarm["audits"] > args.clients,
        "audit_failures": of_swarm["audit_failures"] == 0 and report["audit_failures"] == 0,
        "decode_errors": of_swarm["decode_errors"] == 0,
        "trades": of_swarm["trades"] >= args.clients and of_swarm["trades"] == len(acknowledged),
        "each_once": not missing and len(set(acknowledged)) == len(acknowledged),
        "backup_holds": 0 < len(of_backup) <= len(kept) and of_backup.items() <= kept.items(),
        "backup_goes_on": of_swarm_again["trades"] > 0 and of_backup.items() <= of_restored.items(),
        "swarm_of_backup": swarm_again.returncode == 0,
    }
    keys = ["clients", "connected", "lost", "returned", "trades", "trades_refused", "audits", "audit_failures", "decode_errors",
            "update_interval_ms_p50", "update_interval_ms_p99"]
    figures = {key: of_swarm[key] for key in keys}
    figures |= {"acknowledged": len(acknowledged), "not_once": len(missing), "claims": len(kept), "claims_in_backup": len(of_backup)}
    print(json.dumps(figures))
    verdict(wanted, swarm.returncode)


if __name__ == "__main__":
    main()
