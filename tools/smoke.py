#!/usr/bin/env python3
"""Runs the shipped world as a person would, and checks what comes out.

    tools/smoke.py [FOLDER]     FOLDER holds `terrane`, `swarm` and `examples`, built before: target/release unless told
                                otherwise

Every step is bounded in time, listens on free ports of loopback alone, saves into a folder of its own, and ends only
what it started. The first step that does not hold ends it with exit code 1 and what the program said.
"""

import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import time
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# No step takes a tenth of this on two cores.
STEP_S_MAX = 180
STARTED: list[subprocess.Popen] = []


class Broken(Exception):
    """Something does not hold."""

# What smugglers have hidden in the shipped world, beside its caravans.
CACHES = 17


def expect(holds: bool, what: str) -> None:
    if not holds:
        raise Broken(what)


def start(program: Path, *arguments: object) -> subprocess.Popen:
    command = [str(program), *map(str, arguments)]
    print("  $", program.name, *command[1:], flush=True)
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    STARTED.append(process)
    return process


def finish(process: subprocess.Popen, code: int) -> tuple[str, str]:
    """Waits for the end and for this exit code."""
    try:
        out, err = process.communicate(timeout=STEP_S_MAX)
    except subprocess.TimeoutExpired as late:
        process.kill()
        out, err = process.communicate()
        raise Broken(f"it did not end within {STEP_S_MAX} s\n{out}{err}") from late
    expect(process.returncode == code, f"exit code {process.returncode} and not {code}\n{out}{err}")
    return out, err


def one_json_line(out: str) -> dict:
    lines = out.splitlines()
    expect(len(lines) == 1, f"one JSON object on one line was expected on stdout:\n{out}")
    return json.loads(lines[0])


def agree(found: dict, wanted: dict) -> None:
    """Every wanted key has the wanted value, or one that the wanted function holds for."""
    for key, value in wanted.items():
        expect(key in found, f"the key {key} is missing: {found}")
        holds = value(found[key]) if callable(value) else found[key] == value
        expect(holds, f"{key} is {found[key]}: {found}")


def positive(value: float) -> bool:
    return value > 0


class Smoke:
    def __init__(self, programs: Path, saves: Path) -> None:
        self.terrane = programs / "terrane"
        self.swarm = programs / "swarm"
        self.examples = programs / "examples"
        self.saves = saves

    def world(self, name: str, *arguments: object) -> subprocess.Popen:
        return start(
            self.terrane, "--saves", self.saves, "--name", name, "--listen", "127.0.0.1:0", "--log", "warn", *arguments
        )

    def lockstep(self, name: str, *arguments: object) -> dict:
        out, _ = finish(self.world(name, "--http", "off", "--fast", "--report", "json", *arguments), 0)
        return one_json_line(out)

    def the_same_outcome_on_any_threads_cells_and_over_a_restart(self) -> None:
        reference = self.lockstep("reference", "--npcs", 2000, "--ticks", 200)
        agree(reference, {"ticks": 200, "entities": 2000 + CACHES, "cells": 25, "handovers": positive, "audit_failures": 0})
        expect(re.fullmatch("[0-9a-f]{16}", reference["fingerprint"]) is not None, str(reference))
        other = self.lockstep("other", "--npcs", 2000, "--ticks", 200, "--threads", 1, "--grid", "3x2")
        agree(other, {"cells": 6, "threads": 1, "fingerprint": reference["fingerprint"]})
        self.lockstep("halves", "--npcs", 2000, "--ticks", 120)
        halves = self.lockstep("halves", "--npcs", 2000, "--ticks", 80)
        agree(halves, {"entities": 2000 + CACHES, "fingerprint": reference["fingerprint"]})
        seed = self.lockstep("seed", "--npcs", 2000, "--ticks", 200, "--seed", 2)
        expect(seed["fingerprint"] != reference["fingerprint"], "another seed must give another world")

    def bots_hold_what_they_should(self) -> None:
        report = self.lockstep("bots", "--npcs", 500, "--bots", 50, "--ticks", 200, "--audit-every", 5)
        agree(report, {"clients_max": 50, "audits": positive, "audit_failures": 0, "bots_lost": 0})
        expect(report["audit_fields"] > report["audit_fields_skipped"], f"most fields must be compared: {report}")

    def wait_for_run_file(self, name: str, process: subprocess.Popen) -> dict:
        file = self.saves / name / "run.json"
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if process.poll() is not None:
                out, err = process.communicate()
                raise Broken(f"the world ended by itself with {process.returncode}\n{out}{err}")
            if file.exists() and file.stat().st_size > 0:
                return json.loads(file.read_text())
            time.sleep(0.05)
        raise Broken("the world did not become ready within 60 s")

    def a_paced_world_serves_players_and_operators_and_goes_on_after_a_drain(self) -> None:
        world = self.world("paced", "--http", "127.0.0.1:0", "--npcs", 1000, "--audit-every", 5, "--report", "json")
        where = self.wait_for_run_file("paced", world)
        expect(where["pid"] == world.pid, f"run.json names another process: {where}")
        http, shard = where["http"], where["shards"][0]
        self.operators(http)

        player = start(self.swarm, "--server", shard, "--clients", 50, "--seconds", 5, "--profile", "walk", "--json")
        out, _ = finish(player, 0)
        agree(one_json_line(out), {
            "clients": 50, "connected": 50, "lost": 0, "decode_errors": 0, "audit_failures": 0,
            "audits": positive, "updates": positive, "visible_p50": positive,
        })
        busy = start(self.swarm, "--server", shard, "--clients", 50, "--seconds", 6, "--profile", "caravan", "--loss", 5, "--seed", 2, "--json")
        out, _ = finish(busy, 0)
        agree(one_json_line(out), {"connected": 50, "lost": 0, "decode_errors": 0, "audit_failures": 0, "audits": positive})
        scenario = ROOT / "tests/scenarios/a_walk.txt"
        finish(start(self.terrane, "client", "--server", shard, "--player", "tester", "script", scenario), 0)

        out, _ = finish(start(self.examples / "watch", "--server", shard, "--player", "eve", "--seconds", 3), 0)
        expect(re.search(r"\+ .+ at \(.+\* \d+ in view after 3\.\d s: .*\d+ entered", out, re.DOTALL) is not None, out)
        self.a_terminal_is_drawn_on_and_given_back(shard)

        world.send_signal(signal.SIGINT)
        out, _ = finish(world, 0)
        report = one_json_line(out)
        agree(report, {"clients_max": lambda most: most >= 50, "entities": 1000 + CACHES, "audits": positive, "audit_failures": 0, "audit_findings": []})
        expect(not (self.saves / "paced/run.json").exists(), "run.json must be gone when the world has ended")

        again = self.world("paced", "--http", "off", "--npcs", 1000, "--ticks", 20, "--report", "json")
        out, err = finish(again, 0)
        expect("goes on" in err, f"the world must go on where it was:\n{err}")
        agree(one_json_line(out), {"entities": 1000 + CACHES})

    def a_terminal_is_drawn_on_and_given_back(self, shard: str) -> None:
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (24, 100))
        before = termios.tcgetattr(theirs)
        command = [str(self.examples / "terminal"), "--server", shard, "--player", "ida", "--seconds", "3"]
        print("  $ terminal", *command[1:], flush=True)
        drawing = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
        STARTED.append(drawing)
        drawn, until = b"", time.monotonic() + STEP_S_MAX
        while drawing.poll() is None:
            expect(time.monotonic() < until, "the terminal example did not end")
            if select.select([ours], [], [], 0.1)[0]:
                drawn += os.read(ours, 65536)
        while select.select([ours], [], [], 0.1)[0]:
            drawn += os.read(ours, 65536)
        text = drawn.decode(errors="replace")
        expect(drawing.returncode == 0, f"exit code {drawing.returncode}\n{text}")
        expect("@ida" in text and " in view" in text, f"the player was expected in the middle:\n{text}")
        expect(text.count("\x1b[?1049h") == 1 and text.endswith("\x1b[?1049l\x1b[?25h"), f"it is left as it was:\n{text!r}")
        expect(termios.tcgetattr(theirs) == before, "the terminal has its settings back")
        os.close(ours)
        os.close(theirs)

    def operators(self, http: str) -> None:
        def ask(path: str, token: str | None = None) -> tuple[int, str]:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            request = urllib.request.Request(f"http://{http}{path}", headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as refused:
                return refused.code, refused.read().decode()

        for path in ["/", "/healthz", "/readyz", "/metrics", "/api/status"]:
            status, text = ask(path)
            expect(status == 200, f"{path} answers {status}: {text[:200]}")
        metrics = ask("/metrics")[1]
        expect("terrane_tick_seconds" in metrics, "/metrics tells the length of ticks")
        for kind in ["HELP", "TYPE"]:
            names = re.findall(rf"^# {kind} (\S+)", metrics, re.MULTILINE)
            twice = {name for name in names if names.count(name) > 1}
            expect(len(names) > 30 and not twice, f"/metrics declares {kind} of {twice} more than once")
        expect(ask("/api/config")[0] in (401, 403), "/api/config needs the token")
        token = (self.saves / "paced/admin.token").read_text().strip()
        expect(ask("/api/config", token)[0] == 200, "/api/config with the token")

    def what_is_wrong_is_told_before_anything_is_done(self) -> None:
        bad = self.saves / "bad.toml"
        bad.write_text('name = "bad"\n\n[space]\nenter_radius_m = -3\n')
        _, err = finish(start(self.terrane, "config", "check", bad), 2)
        expect(f"{bad}:4" in err and "enter_radius_m" in err, f"file, line and key were expected:\n{err}")
        finish(start(self.terrane, "config", "check", ROOT / "assets/config/world.toml"), 0)
        finish(start(self.terrane, "--no-such-flag"), 2)
        _, err = finish(self.world("reference", "--http", "off", "--ticks", 1, "--seed", 9), 2)
        expect("--seed" in err, f"the flag was expected:\n{err}")
        finish(start(self.terrane, "--saves", self.saves, "--listen", "0.0.0.0:0", "--http", "off", "--ticks", 1), 2)
        expect(not (self.saves / "world").exists(), "a refused start must leave no save")


def main() -> int:
    programs = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    programs = programs.resolve()
    for program in ["terrane", "swarm", "examples/watch", "examples/terminal"]:
        if not (programs / program).exists():
            build = "cargo build --release --workspace --bins --examples"
            print(f"error: {programs / program} is missing: {build}", file=sys.stderr)
            return 1
    saves = Path(tempfile.mkdtemp(prefix="terrane-smoke-"))
    smoke = Smoke(programs, saves)
    try:
        for step in [
            smoke.the_same_outcome_on_any_threads_cells_and_over_a_restart,
            smoke.what_is_wrong_is_told_before_anything_is_done,
            smoke.bots_hold_what_they_should,
            smoke.a_paced_world_serves_players_and_operators_and_goes_on_after_a_drain,
        ]:
            name, begin = step.__name__.replace("_", " "), time.monotonic()
            print(f"smoke: {name}", flush=True)
            try:
                step()
            except Broken as broken:
                print(f"error: {name}: {broken}", file=sys.stderr)
                return 1
            print(f"  holds, {time.monotonic() - begin:.1f} s", flush=True)
    finally:
        for process in STARTED:
            if process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(saves, ignore_errors=True)
    print("smoke: all hold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
