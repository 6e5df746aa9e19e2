"""Ways of deploying that people use with Compose, each as a program of its own that a lab watches: knows nothing of it.

`python ways.py WAY`: the new image is what the compose file's variables say by now.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

PROJECT, REPLICAS = os.environ["PROJECT"], int(os.environ["REPLICAS"])
MINE = ("--filter", f"label=com.docker.compose.project={PROJECT}", "--filter", "label=com.docker.compose.service=app")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def compose(*arguments: str) -> None:
    argv = [*json.loads(os.environ["COMPOSE"]), "--project-name", PROJECT, "--progress", "plain", *arguments]
    subprocess.run(argv, check=True)


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def replicas() -> dict[str, str]:
    """The app's containers that run, and what the engine says of their health."""
    listed = docker("ps", "--no-trunc", *MINE, "--format", "{{.ID}} {{.Status}}")
    return dict(line.split(" ", 1) for line in listed.splitlines())


def wait_healthy(besides: set[str], many: int) -> None:
    """Until so many others than those are healthy."""
    until = time.monotonic() + float(os.environ["HEALTHY_WITHIN"])
    while time.monotonic() < until:
        fresh = [status for container, status in replicas().items() if container not in besides]
        if len(fresh) >= many and all("(healthy)" in status for status in fresh):
            return
        time.sleep(0.3)
    sys.exit(f"{many} new replicas were not healthy in time")


def recreate() -> None:
    """`docker compose up -d`: all replicas of the service are made anew."""
    compose("up", "--detach", "--wait")


def rollout() -> None:
    """docker-rollout's steps: twice as many, wait until the new ones are healthy, then stop and remove the old."""
    old = set(replicas())
    compose("up", "--detach", "--no-recreate", "--scale", f"app={2 * REPLICAS}", "app")
    wait_healthy(old, REPLICAS)
    say(f"stopping {len(old)} old replicas")
    docker("stop", *old)
    docker("rm", *old)


def stop_first() -> None:
    """One after another: stop and remove an old one, start a new one in its place, wait until it is healthy."""
    old = list(replicas())
    gone = set[str]()
    for number, container in enumerate(old, 1):
        say(f"stopping {container[:12]}, {number} of {len(old)}")
        docker("stop", container)
        docker("rm", container)
        gone.add(container)
        compose("up", "--detach", "--no-recreate", "--scale", f"app={REPLICAS}", "app")
        wait_healthy(set(old), number)


def fail_half_way() -> None:
    """Half of them as `stop_first` does; then it gives up."""
    old = list(replicas())
    for container in old[: REPLICAS // 2]:
        docker("stop", container)
        docker("rm", container)
    compose("up", "--detach", "--no-recreate", "--scale", f"app={REPLICAS}", "app")
    wait_healthy(set(old), REPLICAS // 2)
    sys.exit("half of them are new; giving up")


def heal() -> None:
    """What a platform does that replaces what dies: waits for fewer than there should be, and makes one more."""
    until = time.monotonic() + float(os.environ["HEALTHY_WITHIN"])
    while len(replicas()) == REPLICAS and time.monotonic() < until:
        time.sleep(0.1)
    say(f"{len(replicas())} of {REPLICAS} run")
    compose("up", "--detach", "--no-recreate", "--wait", "--scale", f"app={REPLICAS}", "app")


WAYS = {"recreate": recreate, "docker-rollout": rollout, "stop-first": stop_first, "fails": fail_half_way, "heal": heal}

if __name__ == "__main__":
    WAYS[sys.argv[1]]()
