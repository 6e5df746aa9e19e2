"""What a seat says to its class, if it has joined one: its name and how far it is, and nothing else."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import msgspec

from lab.errors import UsageError
from lab.lessons.seats import SeatWord, check_seat_name
from lab.model import Value

FILE = ".lab-class"
WITHIN = 2.0
"""Seconds that a class may take to answer: no lesson waits for it."""


class Joined(Value):
    """A seat in a class."""

    address: str
    name: str


def join_class(folder: Path, address: str, name: str, *, say: Callable[[str], None]) -> None:
    """Take a seat; from now on each lesson's progress is told. Raises UsageError where there is no such class."""
    check_seat_name(name)
    joined = Joined(address=address.rstrip("/"), name=name)
    why = _tell(joined, SeatWord(name=name))
    if why:
        raise UsageError(f"can't join: {why}", at=address, hint="the address that the trainer's lab class printed")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(msgspec.json.encode(joined) + b"\n")
    say(f"{name} has a seat. The trainer sees: your name, lesson, checks, hints, broken promises, and if you wait.")
    say("  help: lab lesson help    leave: lab lesson leave")


def leave_class(folder: Path) -> bool:
    """Whether there was one to leave."""
    there = (folder / FILE).exists()
    (folder / FILE).unlink(missing_ok=True)
    return there


def tell_class(folder: Path, make: Callable[[str], SeatWord]) -> str:
    """Tell the class, if there is one, what `make` makes of the seat's name; why it did not hear it, "" if it did."""
    try:
        joined = msgspec.json.decode((folder / FILE).read_bytes(), type=Joined)
    except (OSError, msgspec.DecodeError):
        return ""
    return _tell(joined, make(joined.name))


def has_joined(folder: Path) -> bool:
    return (folder / FILE).exists()


def _tell(joined: Joined, word: SeatWord) -> str:
    try:
        there = urlsplit(joined.address)
        connection = _connection(there)
    except ValueError as exc:
        return str(exc)
    try:
        connection.request("POST", f"{there.path}/seat", msgspec.json.encode(word))
        answer = connection.getresponse()
        body = answer.read(4096)
        return "" if answer.status == 200 else str(msgspec.json.decode(body, type=dict[str, str]).get("said"))
    except (OSError, http.client.HTTPException, msgspec.DecodeError) as exc:
        return str(exc) or type(exc).__name__
    finally:
        connection.close()


def _connection(there: SplitResult) -> http.client.HTTPConnection:
    """Raises ValueError for what is no address of a class."""
    if there.scheme != "http" or not there.hostname or not there.path.strip("/"):
        raise ValueError("is not the address of a class, such as http://10.0.0.5:8600/x7Kp2A")
    return http.client.HTTPConnection(there.hostname, there.port, timeout=WITHIN)
