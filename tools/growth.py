#!/usr/bin/env python3
"""How fast a save grows: of a world in which nobody plays but NPCs, and of one with players who trade. Between two moments the pages that
hold something are counted, and the rows of those tables that grow; what is forgotten and summed up later is not taken off, so the
figures are what a save grows by until then (`save.claims_kept_s`, `save.history_kept_s`).

    cargo build --release --workspace --bins
    python3 tools/growth.py [--seconds 120] [--npcs 5000] [--clients 300] [--bin target/release]
"""

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from drill import World, told, verdict

# Until players are in and have opened the stores of nodes, and images take as much room as they ever will.
SETTLING_S = 30


def sizes(save):
    """Bytes that hold something, and rows of each table."""
    file = sqlite3.connect(f"file:{save}/world.db?mode=ro", uri=True)
    number = lambda sql: file.execute(sql).fetchone()[0]
    used = (number("PRAGMA page_count") - number("PRAGMA freelist_count")) * number("PRAGMA page_size")
    tables = [name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
    rows = {table: number(f"SELECT count(*) FROM {table}") for table in tables}
    file.close()
    return time.monotonic(), used, rows


def grows(args, clients):
    """What it grows by in an hour, with so many players."""
    with tempfile.TemporaryDirectory() as folder:
        config = "[save]\nimage_every_s = 10\n"
        world = World(args.bin, Path(folder), config, "--npcs", args.npcs, "--max-players", max(2 * clients, 10)).start()
        swarm = None
        if clients:
            swarm = world.swarm("--clients", clients, "--seconds", SETTLING_S + args.seconds, "--profile", "trade", "--ramp", 5)
        time.sleep(SETTLING_S)
        begin = sizes(world.save)
        time.sleep(max(0, args.seconds - 10))
        end = sizes(world.save)
        trades = told(swarm, "the swarm", args.seconds)["trades"] if swarm else 0
        report = world.end()
        code, said = world.terrane("verify", world.save)
    if code != 0:
        sys.exit(said)
    hours = (end[0] - begin[0]) / 3600
    grown = {table: rows - begin[2].get(table, 0) for table, rows in end[2].items()}
    figures = {
        "npcs": args.npcs, "players": clients, "seconds": round(end[0] - begin[0], 1), "hz": report["hz"], "trades": trades,
        "mib_per_hour": round((end[1] - begin[1]) / hours / (1 << 20), 2),
        "rows_per_hour": {table: round(rows / hours) for table, rows in grown.items() if rows > 0},
    }
    print(json.dumps(figures), flush=True)
    return end[1] - begin[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--npcs", type=int, default=5000)
    parser.add_argument("--clients", type=int, default=300)
    parser.add_argument("--bin", type=Path, default=Path("target/release"))
    args = parser.parse_args()
    idle = grows(args, 0)
    played = grows(args, args.clients)
    verdict({"what is played is what grows": idle < played})


if __name__ == "__main__":
    main()
