#!/usr/bin/env python3
"""Starts the release build as a person would and checks what it says. Ends only processes that it started."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
TERRANE = ROOT / "target/release/terrane"
SWARM = ROOT / "target/release/swarm"
STARTED = []


def check(holds, what):
    if not holds:
        raise SystemExit(f"smoke: {what}")
    print(f"ok: {what}")


def run(*args, expect=0, timeout=120):
    done = subprocess.run(
        [str(arg) for arg in args], cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )
    if done.returncode != expect:
        raise SystemExit(f"smoke: {args} ended with {done.returncode}, not {expect}:\n{done.stdout}{done.stderr}")
    return done


def report_of(*args):
    lines = run(TERRANE, "--listen", "127.0.0.1:0", "--http", "off", "--report", "json", *args).stdout.splitlines()
    check(len(lines) == 1, "exactly one line of JSON on stdout")
    return json.loads(lines[0])


class World:
    """A world on real sockets, on ports that were free."""

    def __init__(self, saves, *args):
        command = [TERRANE, "--saves", saves, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", *args]
        self.process = subprocess.Popen([str(arg) for arg in command], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        STARTED.append(self.process)
        run_file = pathlib.Path(saves) / "world/run.json"
        for _ in range(200):
            if run_file.exists():
                break
            time.sleep(0.05)
        self.run_file = run_file
        self.info = json.loads(run_file.read_text())

    def get(self, path):
        try:
            with urllib.request.urlopen(f"http://{self.info['http']}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def end(self):
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=60)
        return self.process.returncode, out


def lockstep(saves):
    same = ["--npcs", "2000", "--fast", "--log", "warn"]
    whole = report_of("--saves", f"{saves}/whole", "--ticks", "200", "--threads", "1", *same)
    check(whole["ticks"] == 200 and whole["entities"] == 2000, "200 ticks with 2,000 caravans")
    first = report_of("--saves", f"{saves}/halves", "--ticks", "120", "--threads", "2", *same)
    second = report_of("--saves", f"{saves}/halves", "--ticks", "80", *same)
    check(first["fingerprint"] != whole["fingerprint"], "a world changes")
    check(second["fingerprint"] == whole["fingerprint"], "a resumed world goes on as if it had never stopped")
    other = report_of("--saves", f"{saves}/other", "--ticks", "200", "--seed", "2", *same)
    check(other["fingerprint"] != whole["fingerprint"], "another seed is another world")
    bots = report_of("--saves", f"{saves}/bots", "--ticks", "200", "--bots", "50", "--audit-every", "5", *same)
    check(bots["clients_max"] == 50 and bots["audit_failures"] == 0, "50 players inside the process")
    check(bots["audit_fields"] > bots["audit_fields_skipped"] > -1, "most fields were compared")


def paced(saves):
    world = World(saves, "--npcs", "1000", "--audit-every", "5", "--report", "json", "--log", "warn")
    check(world.get("/healthz")[0] == 200 and world.get("/readyz")[0] == 200, "healthy and ready")
    check("terrane_tick_seconds" in world.get("/metrics")[1], "metrics")
    check(world.get("/api/config")[0] in (401, 403), "the configuration needs the token")
    swarm = run(SWARM, "--server", world.info["shards"][0], "--clients", 50, "--seconds", 5, "--profile", "walk", "--json")
    played = json.loads(swarm.stdout)
    check(played["connected"] == 50 and played["lost"] == 0, "50 real clients, none lost")
    check(played["audit_failures"] == 0 and played["decode_errors"] == 0 and played["audits"] > 0, "audits pass")
    code, out = world.end()
    check(code == 0, "SIGINT drains and exits 0")
    check(json.loads(out)["clients_max"] == 50, "the report is one line of JSON")
    check(not world.run_file.exists(), "run.json is gone")


def wrong(saves):
    bad = pathlib.Path(saves) / "bad.toml"
    bad.write_text('name = "x"\nhz = 0\n')
    done = run(TERRANE, "config", "check", bad, expect=2)
    check(f"{bad}:2:" in done.stderr and "hz" in done.stderr, "a wrong file is told by line and key")
    run(TERRANE, "--no-such-flag", expect=2)
    run(TERRANE, "--listen", "0.0.0.0:0", "--http", "off", "--saves", f"{saves}/open", expect=2)
    check(True, "wrong flags and open addresses without a key are exit 2")


def main():
    with tempfile.TemporaryDirectory() as folder:
        try:
            lockstep(f"{folder}/lockstep")
            paced(f"{folder}/paced")
            wrong(folder)
        finally:
            for process in STARTED:
                if process.poll() is None:
                    os.kill(process.pid, signal.SIGKILL)
    print("smoke: all fine")


if __name__ == "__main__":
    sys.exit(main())
