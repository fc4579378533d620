#!/usr/bin/env python3
"""Abuse of every kind against the whole server, beside players who mean no harm: players who call actions, and send input, a
hundred times as often as they may; connections with a hundred times the bytes and messages that one may send, and forged
packets beside them; players who never read; and 500 connections of one address.

The same game is played twice, in two new worlds: in peace, and beside the abuse. Fails when an honest player is lost, sees
anything wrong, or waits longer than --ratio-max times as long for 99 % of the updates as in peace; when the world takes more
memory than --memory-mib beyond what it takes in peace; or when something was not limited, so that nothing is shown.

    cargo build --release --workspace --bins
    python3 tools/abuse_drill.py [--clients 200] [--seconds 20] [--bin target/release]
"""

import argparse
import json
import os
import re
import tempfile
import threading
import time
from pathlib import Path

from drill import World, told, verdict

# As where players come from anywhere: by itself a world does not limit those of its own machine.
PER_ADDRESS = 16
RAMP_S = 3
# An audited tick is a long one, and those are not to be what the 99th percentile tells.
AUDIT_EVERY = 150
# Abusers have machines of their own; here they have what is left of one.
NICE = 10
# Kind, how many, the first address, and how many of them come from one. Honest ones come from 127.0.1.1 and so on.
ABUSES = [
    ("flood-actions", 10, "127.0.2.1", 5),
    ("flood-bytes", 2, "127.0.3.1", 1),
    ("never-read", 10, "127.0.4.1", 5),
    ("connections", 500, "127.0.5.1", 500),
]


class Memory(threading.Thread):
    """What a process holds in memory, MiB, every quarter of a second."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.status, self.seen, self.over = Path(f"/proc/{pid}/status"), [], threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(0.25):
            try:
                self.seen.append(int(re.search(r"VmRSS:\s+(\d+) kB", self.status.read_text())[1]) / 1024)
            except (OSError, TypeError):
                return

    def mib(self):
        return self.seen[-1] if self.seen else 0.0


def shards_cpu_s(pid):
    """Processor time that the threads of the network have taken."""
    ticks = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        name, rest = (task / "stat").read_text().split("(", 1)[1].rsplit(") ", 1)
        if name.startswith("shard"):
            ticks += sum(int(field) for field in rest.split()[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


def stages_ms(metrics):
    """How long each stage of a tick takes on average, if it takes a tenth of a millisecond."""
    def of(what):
        found = re.findall(rf'^terrane_tick_stage_seconds_{what}{{stage="(\w+)"}} (\S+)$', metrics, re.MULTILINE)
        return {stage: float(value) for stage, value in found}

    sums, counts = of("sum"), of("count")
    means = {stage: round(1000 * sums[stage] / counts[stage], 2) for stage in sums if counts.get(stage)}
    return {stage: mean for stage, mean in means.items() if mean >= 0.1}


def play(args, folder, abuses):
    """One world and what its players, and it itself, say of it."""
    folder.mkdir()
    config = f"[network]\nconnections_per_address = {PER_ADDRESS}\n[save]\nimage_every_s = 5\n"
    world = World(
        args.bin, folder, config, "--npcs", args.npcs, "--max-players", 2 * args.clients, "--audit-every", AUDIT_EVERY,
        "--log", "warn",
    ).start()
    started = [world.process]
    try:
        memory = Memory(world.process.pid)
        honest = world.swarm(
            "--clients", args.clients, "--seconds", args.seconds, "--ramp", RAMP_S, "--profile", "caravan",
            "--from", "127.0.1.1", "--per-address", PER_ADDRESS // 2,
        )
        started.append(honest)
        time.sleep(RAMP_S + 1)
        before_mib = memory.mib()
        rogues = [
            (kind, world.swarm("--abuse", kind, "--clients", count, "--seconds", args.seconds - 3, "--ramp", 2, "--from", first,
                               "--per-address", each, before=("nice", "-n", NICE)))
            for kind, count, first, each in abuses
        ]
        started += [rogue for _, rogue in rogues]
        of_rogues = {kind: told(rogue, kind, args.seconds) for kind, rogue in rogues}
        of_honest = told(honest, "the honest swarm", args.seconds)
        of_honest["exit"] = honest.returncode
        metrics = world.metrics()
        shards_s = shards_cpu_s(world.process.pid)
        memory.over.set()
        memory.join()
        report = world.end()
    finally:
        for process in started:
            if process.poll() is None:
                process.kill()
                process.wait()
    counters = {name: int(float(value)) for name, value in re.findall(r"^terrane_net_(\w+)_total (\S+)$", metrics, re.MULTILINE)}
    return {
        "honest": of_honest, "rogues": of_rogues, "report": report, "counters": counters,
        "before_mib": before_mib, "peak_mib": max(memory.seen),
        "limited": sum(one["limited"] + one["superseded"] for one in report["actions"]),
        "stages_ms": stages_ms(metrics), "shards_cpu_s": shards_s, "log_bytes": world.log.stat().st_size,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--npcs", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--memory-mib", type=float, default=64)
    parser.add_argument("--ratio-max", type=float, default=2, help="0: any; others may use the machine too")
    parser.add_argument("--only", help="only abuse of this kind")
    parser.add_argument("--bin", type=Path, default=Path("target/release"))
    args = parser.parse_args()
    if args.seconds < 18:
        parser.error("--seconds: at least 18, so that who never reads is found out")
    abuses = [abuse for abuse in ABUSES if args.only in (None, abuse[0])]

    with tempfile.TemporaryDirectory() as folder:
        load = os.getloadavg()[0]
        peace = play(args, Path(folder) / "peace", [])
        abuse = play(args, Path(folder) / "abuse", abuses)

    kinds = {kind for kind, *_ in abuses}
    p99, p99_peace = (one["honest"].get("update_interval_ms_p99") or 0.0 for one in (abuse, peace))
    counters, rogues = abuse["counters"], abuse["rogues"]
    more_mib = abuse["peak_mib"] - max(abuse["before_mib"], peace["peak_mib"])
    wanted = {
        "honest": all(one["honest"].get("exit") == 0 for one in (peace, abuse)),
        "lost": abuse["honest"].get("lost") == 0 and abuse["honest"].get("returned") == 0,
        "audit_failures": all(one["report"]["audit_failures"] == 0 for one in (peace, abuse)),
        "audits": abuse["honest"].get("audits", 0) >= args.clients,
        "memory": more_mib <= args.memory_mib,
        "ratio": args.ratio_max == 0 or p99 <= args.ratio_max * p99_peace,
        "log": abuse["log_bytes"] < 1 << 20,
        "abused": set(rogues) == kinds and all(rogue.get("let_in", 0) > 0 for rogue in rogues.values()),
        "actions_limited": "flood-actions" not in kinds or rogues["flood-actions"].get("actions_limited", 0) > 1000,
        "floods": "flood-bytes" not in kinds or counters["floods"] > 0,
        "too_slow": "never-read" not in kinds or counters["too_slow"] >= dict((kind, count) for kind, count, *_ in abuses)["never-read"],
        "refused_address": "connections" not in kinds or counters["refused_address"] > 400,
    }
    figures = {"clients": args.clients, "npcs": args.npcs, "load_before": round(load, 2)}
    for name, one in (("peace", peace), ("abuse", abuse)):
        figures[name] = {
            **{key: one["honest"].get(key) for key in (
                "connected", "lost", "returned", "update_interval_ms_p50", "update_interval_ms_p99", "action_rtt_ms_p99",
                "audits", "audits_inconclusive",
            )},
            **{key: one["report"][key] for key in ("tick_ms_p50", "tick_ms_p99", "tick_ms_max", "overruns", "hz")},
            "before_mib": round(one["before_mib"], 1), "peak_mib": round(one["peak_mib"], 1), "log_bytes": one["log_bytes"],
            "stages_ms": one["stages_ms"], "shards_cpu_s": one["shards_cpu_s"], "actions_limited": one["limited"],
            "packets_in": one["counters"]["packets_in"], "updates_dropped": one["counters"]["updates_dropped"],
        }
    figures["p99_ratio"] = round(p99 / p99_peace, 3) if p99_peace else None
    figures["more_mib"] = round(more_mib, 1)
    figures["counters"] = {key: counters[key] for key in (
        "floods", "too_slow", "refused_address", "refused_packets", "malformed_packets", "protocol_violations", "timed_out",
        "queue_full", "connections", "disconnections", "refused_full",
    )}
    figures["rogues"] = rogues
    print(json.dumps(figures))
    verdict(wanted)


if __name__ == "__main__":
    main()
