"""All that differs between kinds of machines on which the lab runs: Linux, macOS, processors, containers.

Whatever asks what system or processor this is, or reads the kernel's own files, is here; a test sees to that. What the
engine runs is Linux everywhere, on the engine's own processor unless another is asked for (base_image.py): images are
built there, from Debian's packages of that architecture. docs/how-to/engines.md says of each row below what was tried
where.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from lab.model import Value

PROC = Path("/proc")
IN_CONTAINER = (Path("/.dockerenv"), Path("/run/.containerenv"))
"""Docker's and Podman's own marks."""
_OWN_ID = re.compile(r"/containers/([0-9a-f]{64})/|[/-]([0-9a-f]{64})(?:\.scope)?$", re.MULTILINE)
_SET_CHILD_SUBREAPER = 36


class Difference(Value):
    """One thing that is not the same everywhere."""

    what: str
    linux: str
    macos: str


DIFFERENCES = (
    Difference(what="an engine where there is none", linux="installed on Debian and Ubuntu, as root", macos="never"),
    Difference(
        what="whether a cluster's owner is gone",
        linux="by process, boot and namespace",
        macos="by process and host name alone",
    ),
    Difference(
        what="what a command of a scenario left behind", linux="orphans are adopted and ended", macos="children"
    ),
    Difference(what="free address space", linux="beside this machine's routes", macos="beside the engine's networks"),
    Difference(what="this job's own container", linux="found, where the engine has it", macos="there is none"),
    Difference(what="whether an engine sees our files", linux="tried", macos="tried: a virtual machine may share some"),
    Difference(what="the base of images", linux="pulled, or made with mmdebstrap", macos="pulled"),
    Difference(what="Compose's wheel", linux="x86-64 and arm64", macos="x86-64 and arm64"),
)
"""In docs/how-to/engines.md, too."""


def system() -> str:
    """Linux, Darwin, Windows."""
    return platform.system()


def describe_system() -> str:
    """System, its version, processor and C library in one line."""
    return platform.platform()


def python_version() -> str:
    """This Python's: 3.13.5."""
    return platform.python_version()


def is_root() -> bool:
    """Whether this process may do anything here."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def boot_and_namespace() -> tuple[str, str] | None:
    """Within what the numbers of processes mean the same: this boot, and this namespace of them. None elsewhere."""
    try:
        namespace = os.readlink(PROC / "self/ns/pid")  # noqa: PTH115 -- "pid:[4026531836]" is no path
        return (PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii"), namespace
    except (OSError, ValueError):
        return None


def seconds_from_boot(began: Callable[[], float]) -> float:
    """When a process began that says so itself, the same however often it is asked.

    Linux counts from boot, to which psutil adds the time of day at boot: that moves whenever a clock is set, and
    would turn every process into another. Elsewhere the time of day is kept as it was.
    """
    booted = psutil.boot_time() if psutil.LINUX else 0.0  # asked first: a psutil may keep what it found last
    return began() - booted


def routes() -> list[str]:
    """The destinations that this machine routes, but the default; none where that is not known."""
    return [route for route, _ in _routes() if not route.endswith("/0")]


def default_gateway() -> str:
    """Where everything else goes; "" for nowhere, or where that is not known."""
    return next((gateway for route, gateway in _routes() if route.endswith("/0")), "")


def _routes() -> Iterator[tuple[str, str]]:
    """Addresses stand there backwards, as hex."""
    with suppress(OSError, ValueError, IndexError):
        for line in (PROC / "net/route").read_text().splitlines()[1:]:
            parts = line.split()
            destination, gateway, mask = (
                str(ipaddress.IPv4Address(bytes.fromhex(parts[at])[::-1])) for at in (1, 2, 7)
            )
            yield str(ipaddress.ip_network(f"{destination}/{mask}", strict=False)), gateway


def is_in_container() -> bool:
    """Whether this process is in one, by the engines' own marks."""
    return any(mark.exists() for mark in IN_CONTAINER)


def container_ids() -> Iterator[str]:
    """What may be the id of the container that this process is in, by the kernel's own files."""
    for source in ("self/mountinfo", "self/cgroup"):
        with suppress(OSError):
            found = _OWN_ID.findall((PROC / source).read_text())
            yield from dict.fromkeys(one or other for one, other in found)


def adopt_orphans() -> None:
    """Let orphans of what this process starts become children of it, so that they are found; on Linux alone."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
