"""Tells a lab what it sees of a project's replicas, a line of JSON each: by `docker ps` alone, every half second.

`python evidence.py LABEL=VALUE`. As somebody's own evidence command would be: it knows nothing of the lab.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time

LISTED = '{{.ID}}\t{{.Label "lab.replica"}}\t{{.Label "lab.release"}}\t{{.State}}'


def say(who: str, what: str, release: str) -> None:
    sys.stdout.write(json.dumps({"who": who, "what": what, "release": release}) + "\n")
    sys.stdout.flush()


def look(label: str) -> dict[str, tuple[str, str]]:
    argv = ["docker", "ps", "--no-trunc", "--filter", f"label={label}", "--filter", "label=lab.role=app"]
    out = subprocess.run([*argv, "--format", LISTED], check=True, stdout=subprocess.PIPE, text=True).stdout
    rows = [line.split("\t") for line in out.splitlines()]
    return {row[0]: (row[1], row[2]) for row in rows if row[3] == "running"}


def main() -> None:
    there: dict[str, tuple[str, str]] = {}
    while True:
        now = look(sys.argv[1])
        for container, (name, release) in now.items():
            if container not in there:
                say(name, "started", release)
        for container, (name, release) in there.items():
            if container not in now:
                say(name, "ended", release)
        there = now
        time.sleep(0.5)


if __name__ == "__main__":
    main()
