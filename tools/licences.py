#!/usr/bin/env python3
"""Holds the licences of all dependencies against the list in deny.toml.

`cargo deny check` does this and more; this needs nothing but cargo, and no network.
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def allows(expression: str, allowed: set[str]) -> bool:
    """Whether an SPDX expression can be met with the allowed licences."""
    tokens = re.findall(r"\(|\)|[^\s()/]+|/", expression)
    place = 0

    def peek() -> str | None:
        return tokens[place] if place < len(tokens) else None

    def take() -> str:
        nonlocal place
        place += 1
        return tokens[place - 1]

    def one() -> bool:
        token = take()
        if token == "(":
            inner = either()
            assert take() == ")", f"unbalanced: {expression}"
            return inner
        if peek() == "WITH":
            take()
            return f"{token} WITH {take()}" in allowed
        return token in allowed

    def both() -> bool:
        met = one()
        while peek() == "AND":
            take()
            met = one() and met
        return met

    def either() -> bool:
        met = both()
        # An old way to write OR is a slash.
        while peek() in ("OR", "/"):
            take()
            met = both() or met
        return met

    met = either()
    assert peek() is None, f"cannot be read: {expression}"
    return met


def main() -> int:
    policy = tomllib.loads((ROOT / "deny.toml").read_text())
    allowed = set(policy["licenses"]["allow"])
    bare = [entry for entry in policy["advisories"]["ignore"] if not entry.get("reason")]
    metadata = subprocess.run(
        ["cargo", "metadata", "--format-version", "1", "--locked"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )
    packages = json.loads(metadata.stdout)["packages"]
    problems = [f"deny.toml ignores {entry['id']} without a reason" for entry in bare]
    for package in packages:
        source = package["source"]
        licence = package["license"]
        name = f"{package['name']} {package['version']}"
        if source is not None and not source.startswith("registry+https://github.com/rust-lang/crates.io-index"):
            problems.append(f"{name} comes from {source}: only crates.io is allowed")
        if licence is None or not allows(licence, allowed):
            problems.append(f"{name} is under {licence}: not in the list of deny.toml")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    print(f"licences: {len(packages)} packages, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
