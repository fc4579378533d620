"""What drills of a whole world share: a world that is started, asked, killed and ended, and the swarm that plays in it."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request


class World:
    """A world of the programs in `binaries`, with its save, `world`, and its log in `folder`."""

    def __init__(self, binaries, folder, config, *flags, saves=None):
        self.binaries, self.folder, self.flags = binaries, folder, flags
        self.save = (saves or folder) / "world"
        self.log = folder / "world.log"
        self.process = self.shard = self.http = None
        (folder / "world.toml").write_text(config)

    def start(self):
        """Starts it, where it ran before if it did, and waits until it says where it runs."""
        command = [
            self.binaries / "terrane", "run", "--config", self.folder / "world.toml", "--saves", self.save.parent, "--name",
            self.save.name, "--listen", self.shard or "127.0.0.1:0", "--http", self.http or "127.0.0.1:0", "--report", "json",
            *self.flags,
        ]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=log)
        for _ in range(600):
            try:
                info = json.loads((self.save / "run.json").read_text())
                if info["pid"] == self.process.pid:
                    self.shard, self.http = info["shards"][0], info["http"]
                    return self
            except (OSError, ValueError):
                pass
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        sys.exit(f"the world does not start:\n{self.log.read_text()}")

    def metrics(self):
        """All that it counts, in Prometheus' words."""
        with urllib.request.urlopen(f"http://{self.http}/metrics", timeout=30) as answer:
            return answer.read().decode()

    def metric(self, name):
        """One number of those."""
        return float(re.search(rf"^terrane_{name} (\S+)$", self.metrics(), re.MULTILINE)[1])

    def terrane(self, *arguments):
        """A command of `terrane`, ended: its exit code and what it said."""
        command = [str(part) for part in (self.binaries / "terrane", *arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def kill(self):
        """Ends it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def end(self):
        """Ends it in order; gives its report."""
        self.process.send_signal(signal.SIGTERM)
        out, _ = self.process.communicate(timeout=60)
        if self.process.returncode != 0:
            sys.exit(f"the world ended with {self.process.returncode}:\n{self.log.read_text()}")
        return json.loads(out.splitlines()[-1])

    def swarm(self, *flags, before=()):
        """Clients of it, at once; `before` is what the command is run by."""
        command = [*before, self.binaries / "swarm", "--server", self.shard, "--json", *flags]
        command = [str(part) for part in command]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def told(swarm, what, seconds):
    """What a swarm says at its end, which is at most a minute after its time."""
    out, err = swarm.communicate(timeout=seconds + 60)
    print(f"{what}, exit {swarm.returncode}:\n{err}", file=sys.stderr)
    return json.loads(out.splitlines()[-1]) if out else {}


class Acts:
    """Lets things happen at their time, and says so."""

    def __init__(self):
        self.begun = time.monotonic()

    def after(self, seconds, what):
        """Waits for so many seconds from now."""
        self.at(time.monotonic() - self.begun + seconds, what)

    def at(self, second, what):
        """Waits for that second of the drill."""
        time.sleep(max(0, self.begun + second - time.monotonic()))
        print(f"{time.monotonic() - self.begun:5.1f} s: {what}", file=sys.stderr, flush=True)


def verdict(wanted, *exits):
    """Ends with what is not as it should be, if anything is."""
    wrong = [key for key, is_right in wanted.items() if not is_right]
    if wrong or any(exits):
        sys.exit(f"not as it should be: {', '.join(wrong) or 'an exit code'} (exit {', '.join(map(str, exits)) or 0})")
