"""The labels by which the lab knows its own: whatever it stops, kills or removes is chosen by them alone."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from datetime import datetime

import psutil

from lab.machine.host import boot_and_namespace, seconds_from_boot
from lab.machine.places import is_project
from lab.model import Replica, ReplicaState, Role, Value

PROJECT, RUN, ROLE, OWNER, EXPIRES = "lab.project", "lab.run", "lab.role", "lab.owner", "lab.expires"
RELEASE, ZONE, SLOT, REPLICA, GENERATION = (
    "lab.release",
    "lab.zone",
    "lab.slot",
    "lab.replica",
    "lab.generation",
)
PORT, GATE, FRONT = "lab.port", "lab.gate", "lab.front"
"""On the pattern of somebody's own app: where it listens, the image of its replicas' gates, and the port of their own
balancer where users come through that."""
STOP, KEEP_ALIVE = "lab.stop", "lab.keep_alive"
"""There too: when a replica that leaves gets its stop signal, and whether gates keep their connections to it."""
ANSWER_TIMEOUT, READY_WITHIN = "lab.answer_timeout", "lab.ready_within"
"""There too: seconds that it may take to answer, and to get ready."""
STATED, POST_START, PRE_STOP = "lab.stated", "lab.post_start", "lab.pre_stop"
"""There too: what its service states itself, which no release's image changes, and its hooks."""
CUTTER, CUT, CUT_OFF = "cutter", "lab.cut", "lab.cut_off"
"""The role of what cuts a container off from others, what it does, and to which container."""
CUTTER_IMAGE = "lab.cutter"
"""On a pattern: the image of its cluster's cutters."""
ADDRESS = "lab.address"
"""On what must always have the same address in the cluster's inner network."""
CARRIED = "lab.carried"
"""On a container into which files were copied, since its engine does not see ours: their paths in it, never what they
hold. Who clones it copies them on."""
INSIDE = "lab.inside"
"""On a door that is reached inside the cluster's own network: that network's name, and the door's address in it."""
JOB = "lab.job"
"""On parts of a cluster whose lab runs in a container of the same engine: that container's full id."""
GUEST = "lab-guest"
"""The name that a lab bears which is in a cluster's network itself, to come to its doors; it is no part of it."""
IDENTIFYING = (PROJECT, RUN, ROLE, OWNER, EXPIRES)
"""All of these must be there before the lab calls something its own; half of them is a stranger's."""

_NUMBER = re.compile("[0-9]{1,15}")
KEPT = "kept"
"""The owner of a cluster that outlives the command that made it (`lab up`)."""


class Identity(Value):
    """Whose a cluster is: put on everything that is made for it."""

    project: str
    run: str
    owner: str
    expires: int
    """Seconds since the epoch; from then on `lab clean` may remove it, unless its owner surely runs."""

    def labels(self, role: str) -> dict[str, str]:
        return {
            PROJECT: self.project,
            RUN: self.run,
            ROLE: role,
            OWNER: self.owner,
            EXPIRES: str(self.expires),
        }


def identity_of(labels: Mapping[str, str] | None) -> Identity | None:
    """The identity that labels carry, or None for anything that is not wholly the lab's."""
    if not labels or any(not labels.get(name) for name in IDENTIFYING):
        return None
    expires = _number(labels[EXPIRES])
    if expires is None or not is_project(labels[PROJECT]):
        return None
    return Identity(project=labels[PROJECT], run=labels[RUN], owner=labels[OWNER], expires=expires)


def _number(text: str) -> int | None:
    """A label's whole number, as the lab writes it; None for whatever else somebody may have put there."""
    return int(text) if _NUMBER.fullmatch(text) else None


def this_process() -> str:
    """An owner: this process on this machine, told apart from a later one with the same number.

    HOST/BOOT/NAMESPACE:PID:STARTED. Two containers of one machine may have one host's name, and so may two machines: a
    number of a process means the same only within one boot and one namespace of process ids. These stand with the host:
    a lab of before, which knows nothing of them, then takes the owner for another machine's and not for one that is
    gone.
    """
    pid = os.getpid()
    return f"{_here()}:{pid}:{_started(pid):.2f}"


def _here() -> str:
    """Within what the numbers of processes mean the same."""
    host, within = socket.gethostname(), boot_and_namespace()
    if within is None:
        return host
    boot, namespace = within
    return f"{host}/{boot[:8]}/{''.join(filter(str.isdigit, namespace))}"


def is_owner_gone(owner: str) -> bool:
    """Whether the process behind an owner surely no longer runs. Another machine's owner is never surely gone."""
    return _runs(owner) is False


def surely_runs(owner: str) -> bool:
    """Whether the process behind an owner is known to run."""
    return _runs(owner) is True


def may_be_missed(identity: Identity, now: datetime) -> bool:
    """Whether somebody may still want a cluster.

    As long as its owner surely runs, however long that takes; its time only counts where nothing is known of them.
    """
    runs = _runs(identity.owner)
    return identity.expires >= now.timestamp() if runs is None else runs


def _runs(owner: str) -> bool | None:
    """Whether an owner's process runs; None where that can't be known from here."""
    if owner == KEPT:
        return None
    where, _, rest = owner.partition(":")
    pid, _, started = rest.partition(":")
    if where not in {_here(), socket.gethostname()} or _number(pid) is None:  # the host alone: a lab of before
        return None
    try:
        return f"{_started(int(pid)):.2f}" == started and psutil.Process(int(pid)).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return None


def _started(pid: int) -> float:
    """When a process began, in seconds, the same however often it is asked."""
    return seconds_from_boot(psutil.Process(pid).create_time)


_STATES = {
    "created": ReplicaState.CREATED,
    "running": ReplicaState.RUNNING,
    "restarting": ReplicaState.RUNNING,
    "paused": ReplicaState.PAUSED,
}


def replica_of(container: str, labels: Mapping[str, str], state: str) -> Replica | None:
    """The replica that a container's labels describe, or None if it is not an app replica of the lab."""
    if identity_of(labels) is None or labels[ROLE] != Role.APP:
        return None
    return Replica(
        container=container,
        name=labels.get(REPLICA, ""),
        slot=labels.get(SLOT, ""),
        zone=labels.get(ZONE, ""),
        release=labels.get(RELEASE, ""),
        generation=_number(labels.get(GENERATION, "0")) or 0,
        state=_STATES.get(state, ReplicaState.DEAD),
    )
