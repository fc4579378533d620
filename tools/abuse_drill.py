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
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

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


def start(args, folder):
    """Starts a world and waits until it says where it runs."""
    config, save = folder / "world.toml", folder / "world"
    folder.mkdir()
    config.write_text(f"[network]\nconnections_per_address = {PER_ADDRESS}\n[save]\nimage_every_s = 5\n")
    command = [
        args.bin / "terrane", "run", "--config", config, "--saves", folder, "--name", "world", "--listen", "127.0.0.1:0",
        "--http", "127.0.0.1:0", "--npcs", args.npcs, "--max-players", 2 * args.clients, "--audit-every", AUDIT_EVERY,
        "--log", "warn", "--report", "json",
    ]
    log = open(folder / "world.log", "wb")
    world = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=log)
    for _ in range(600):
        try:
            info = json.loads((save / "run.json").read_text())
            if info["pid"] == world.pid:
                return world, info["shards"][0], info["http"]
        except (OSError, ValueError):
            pass
        if world.poll() is not None:
            break
        time.sleep(0.1)
    sys.exit(f"the world does not start:\n{(folder / 'world.log').read_text()}")


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


def swarm(args, shard, *flags, nice=0):
    """Clients of a world; with `nice` they get only what its world and its players leave of the machine."""
    command = ["nice", "-n", nice, args.bin / "swarm", "--server", shard, "--json", *flags]
    return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told(process, what, seconds):
    out, err = process.communicate(timeout=seconds + 60)
    print(f"{what}, exit {process.returncode}:\n{err}", file=sys.stderr)
    return json.loads(out.splitlines()[-1]) if out else {}


def play(args, folder, abuses):
    """One world and what its players, and it itself, say of it."""
    world, shard, http = start(args, folder)
    started = [world]
    try:
        memory = Memory(world.pid)
        honest = swarm(
            args, shard, "--clients", args.clients, "--seconds", args.seconds, "--ramp", RAMP_S, "--profile", "caravan",
            "--from", "127.0.1.1", "--per-address", PER_ADDRESS // 2,
        )
        started.append(honest)
        time.sleep(RAMP_S + 1)
        before_mib = memory.mib()
        rogues = [
            (kind, swarm(args, shard, "--abuse", kind, "--clients", count, "--seconds", args.seconds - 3, "--ramp", "2",
                         "--from", first, "--per-address", each, nice=NICE))
            for kind, count, first, each in abuses
        ]
        started += [rogue for _, rogue in rogues]
        of_rogues = {kind: told(rogue, kind, args.seconds) for kind, rogue in rogues}
        of_honest = told(honest, "the honest swarm", args.seconds)
        of_honest["exit"] = honest.returncode
        with urllib.request.urlopen(f"http://{http}/metrics", timeout=30) as answer:
            metrics = answer.read().decode()
        shards_s = shards_cpu_s(world.pid)
        memory.over.set()
        memory.join()
        world.send_signal(signal.SIGTERM)
        out, _ = world.communicate(timeout=60)
        if world.returncode != 0:
            sys.exit(f"the world ended with {world.returncode}:\n{(folder / 'world.log').read_text()}")
        report = json.loads(out.splitlines()[-1])
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
        "stages_ms": stages_ms(metrics), "shards_cpu_s": shards_s, "log_bytes": (folder / "world.log").stat().st_size,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--npcs", type=int, default=2000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--memory-mib", type=float, default=64)
    parser.add_argument("--ratio-max", type=float, default=0, help="0, unless said otherwise: any; others may use the machine too")
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
    wrong = [key for key, is_right in wanted.items() if not is_right]
    if wrong:
        sys.exit(f"not as it should be: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
