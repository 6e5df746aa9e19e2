"""The yard: three engines in containers, brought up, looked at and taken down."""

from __future__ import annotations

from collections.abc import Callable

from lab.backends.docker import take_down
from lab.errors import ExitCode, UsageError
from lab.machine.engine import connect
from lab.machine.images import NODE
from lab.machine.labels import this_process
from lab.machine.places import find_places
from lab.machine.projects import default_project, kept_identity
from lab.machine.setup import make_ready
from lab.machine.yard import find_yard, is_whole, look_at_yard, make_yard, yard_name

Say = Callable[[str], None]


def bring_yard_up(*, say: Say) -> int:
    """Three engines in one swarm, left running. Doing it again changes nothing; what fails half-way is removed."""
    places = find_places()
    name = yard_name(default_project(places))
    toolbox = make_ready(places, say, [NODE])
    if find_yard(toolbox.engine, name):
        if not is_whole(toolbox.engine, name):
            raise UsageError("a yard was begun and is not whole", at=name, hint="lab yard down, then lab yard up")
        say(f"{name} is up")
        return show_yard(say=say)
    is_up = False
    try:
        make_yard(toolbox, kept_identity(name), places.cluster(name), say, by=this_process())
        is_up = True
    finally:
        if not is_up:
            take_down(toolbox.engine, places, name)
    say(f"{name} is up: lab up --on swarm, or lab run SCENARIO --on swarm")
    say("  status: lab yard status    remove: lab yard down")
    return ExitCode.HELD


def take_yard_down(*, say: Say) -> int:
    """Remove the yard's engines with all that is on them. One that is not there is no error."""
    places = find_places()
    name = yard_name(default_project(places))
    removed = take_down(connect(), places, name)
    say("\n".join(f"removed {what}" for what in removed) or f"{name}: nothing to remove")
    return ExitCode.HELD


def show_yard(*, say: Say) -> int:
    """Each node, whether its engine answers, and what the swarm says of it; exit 0 only if all are ready."""
    places = find_places()
    name, engine = yard_name(default_project(places)), connect()
    nodes = find_yard(engine, name)
    if not nodes:
        say(f"{name}: not up\n  try: lab yard up")
        return ExitCode.COULD_NOT_TELL
    said = look_at_yard(nodes)
    say(f"{'node':<8}{'zone':<6}{'swarm':<24}users' doors")
    for node in nodes:
        doors = " ".join(f"{host}:{port}" for host, port in node.doors.values())
        say(f"{node.name:<8}{node.zone:<6}{said[node.name]:<24}{doors}")
    say(f"docker's own commands: DOCKER_HOST={nodes[0].address}")
    is_well = is_whole(engine, name) and all(one.startswith("ready") for one in said.values())
    return ExitCode.HELD if is_well else ExitCode.COULD_NOT_TELL
