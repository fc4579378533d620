#!/usr/bin/env python3
"""The shipped game in lockstep, played by bots, once for each grid and number of threads. Fails when the game comes to another end
in one of them than in the others, when `terrane verify` finds anything in a save, when money or goods are not conserved to the
unit, when the ledger says what the rules of the game do not allow (`game_ledger.py`: who may pay whom for what, and how much), or when
bots traded, fought, hired and ran errands too seldom to show anything. That a payment against the rules is found is shown on a copy.

    cargo build --release --workspace --bins
    python3 tools/economy_drill.py [--ticks 10000] [--bots 200] [--npcs 500] [--bin target/release]
"""

import argparse
import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

from drill import verdict
from game_ledger import against_the_rules, plant

# Grid and threads.
LAYOUTS = [("1x1", 1), ("1x1", 2), ("2x2", 1), ("2x2", 2), ("5x5", 1), ("5x5", 2)]
COUNTED = ("trades", "battles", "hires", "quests")
LEAST_OF_EACH = 100


def kept(save):
    """Everything of value in a save and all that the game itself wrote, as one hash; and what does not add up."""
    file = sqlite3.connect(f"file:{save}/world.db?mode=ro", uri=True)
    tables = [name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'game_%' ORDER BY name")]
    queries = [f"SELECT * FROM {name}" for name in tables] + [
        "SELECT account.kind, account.name, asset.name, holding.amount FROM holding"
        " JOIN account ON account.id = holding.account JOIN asset ON asset.id = holding.asset",
        "SELECT account.name, hex(claim.key), claim.use_case, claim.tick, claim.now_ms FROM claim"
        " JOIN account ON account.id = claim.account WHERE account.kind = 'player'",
    ]
    digest = hashlib.sha256()
    for query in queries:
        for row in sorted(repr(row) for row in file.execute(query)):
            digest.update(row.encode())
    sums = file.execute(
        "SELECT asset.name, sum(holding.amount) FROM holding JOIN asset ON asset.id = holding.asset GROUP BY asset.name"
        " HAVING sum(holding.amount) <> 0").fetchall()
    rows = sum(file.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables)
    file.close()
    return digest.hexdigest()[:16], sums, rows


def is_found(save, folder):
    """Whether a payment that the rules do not allow is found in a copy of a save, though its books add up."""
    copy = Path(folder) / "planted"
    shutil.copytree(save, copy)
    plant(copy / "world.db")
    return not kept(copy)[1] and bool(against_the_rules(copy / "world.db")[0])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ticks", type=int, default=10_000)
    parser.add_argument("--bots", type=int, default=200)
    parser.add_argument("--npcs", type=int, default=500)
    parser.add_argument("--bin", type=Path, default=Path("target/release"))
    args = parser.parse_args()

    wanted, ends = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for grid, threads in LAYOUTS:
            layout = f"{grid}, {threads} threads"
            saves = Path(folder) / f"{grid}-{threads}"
            command = [
                args.bin / "terrane", "run", "--fast", "--ticks", args.ticks, "--bots", args.bots, "--npcs", args.npcs, "--grid", grid,
                "--threads", threads, "--saves", saves, "--http", "off", "--listen", "127.0.0.1:0", "--audit-every", 100,
                "--report", "json", "--log", "error",
            ]
            ran = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=False)
            if ran.returncode != 0:
                sys.exit(f"{layout}: the world ended with {ran.returncode}")
            report = json.loads(ran.stdout.splitlines()[-1])
            verified = subprocess.run([str(args.bin / "terrane"), "verify", str(saves / "world")], capture_output=True, text=True, check=False)
            digest, sums, rows = kept(saves / "world")
            against, claims = against_the_rules(saves / "world" / "world.db")
            counts = {what: report[what] for what in COUNTED}
            ends[layout] = (report["fingerprint"], digest, tuple(counts.items()))
            wanted |= {
                f"{layout}: verify": verified.returncode == 0,
                f"{layout}: conserved": not sums,
                f"{layout}: by the rules": not against and claims > LEAST_OF_EACH,
                f"{layout}: enough of each": all(count >= LEAST_OF_EACH for count in counts.values()),
                f"{layout}: audits": report["audits"] > 0 and report["audit_failures"] == 0,
                f"{layout}: bots": report["bots"] == args.bots and report["bots_lost"] == 0 and report["bots_audit_failures"] == 0,
            }
            for line in against[:20]:
                print(f"{layout}: {line}", file=sys.stderr)
            if verified.returncode != 0:
                print(f"{layout}:\n{verified.stdout}{verified.stderr}", file=sys.stderr)
            figures = {"seconds": round(report["seconds"], 1), "handovers": report["handovers"], "rows of the game": rows, "kept": digest}
            print(json.dumps({"layout": layout, **counts, **figures, "fingerprint": report["fingerprint"]}), flush=True)
        # The save of the last layout is as good as any.
        wanted["a planted payment is found"] = is_found(saves / "world", folder)
    wanted["the same end everywhere"] = len(set(ends.values())) == 1
    verdict(wanted)


if __name__ == "__main__":
    main()
