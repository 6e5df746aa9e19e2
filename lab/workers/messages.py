"""What a conductor and a worker of its crowd say to each other, and how that is cut out of a stream of bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from lab.errors import LabError, LabFault, SetupError, UsageError, WaitTimeout
from lab.model import Operation, Value
from lab.users.accounts import CrowdSize
from lab.users.tries import Tries

HEADER = struct.Struct(">cI")
LONGEST = 1 << 26
"""Bytes of one frame: what says that it is longer was never written by a worker."""
MESSAGE, OPERATIONS = b"m", b"o"
"""What a frame holds: one message, or operations as the record has them, a line each."""


class Message(Value, tag_field="kind"):
    """One thing that is said."""


class Begin(Message, tag="begin"):
    """To a worker: which users it has, and where they go. Nobody sends anything yet."""

    size: CrowdSize
    tries: Tries
    doors: tuple[tuple[str, int], ...]
    seed: int


class Ping(Message, tag="ping"):
    """To a worker: what does your clock say?"""

    number: int


class CrowdAct(StrEnum):
    """What a conductor lets a crowd do."""

    LOG_IN = "log in"
    SHOP = "shop"
    HURRY = "hurry"
    SETTLE = "settle"
    READ_BACK = "read back"
    STOP = "stop"


class Do(Message, tag="do"):
    """To a worker: one of these, of which `Done` or `Failed` tells the end; of STOP it is `WorkerOver`."""

    number: int
    act: CrowdAct
    value: float = 0.0
    """The seconds that it may take, or what HURRY sets."""


class Began(Message, tag="began"):
    """From a worker: its users are there, and nobody has done anything."""

    users: int
    devices: int


class Pong(Message, tag="pong"):
    """From a worker: its clock, as it was when it heard the ping of this number."""

    number: int
    now: int


class CrowdLook(Message, tag="counted"):
    """From a worker: how its users are. All operations that ended until `now` were sent before."""

    now: int
    logged_in: int = 0
    in_flight: int = 0
    worst_lag: float = 0.0


class Done(Message, tag="done"):
    """From a worker: it was done; `text` is what there is to tell of it."""

    number: int
    text: str = ""


class Failed(Message, tag="failed"):
    """From a worker: it could not be done, or, without a number, something went wrong inside the crowd."""

    sort: str
    what: str
    at: str = ""
    hint: str = ""
    number: int | None = None

    @property
    def error(self) -> LabError:
        """The same error here."""
        sort = _SORTS.get(self.sort, LabFault)
        return sort(self.what, at=self.at, hint=self.hint)


class WorkerOver(Message, tag="ended"):
    """From a worker, its last word: so many operations were sent in all."""

    operations: int
    stuck: str = ""
    """Where somebody's own code is that never returned."""


_SORTS: dict[str, type[LabError]] = {one.__name__: one for one in (WaitTimeout, SetupError, UsageError, LabFault)}
ToWorker = Begin | Ping | Do
FromWorker = Began | Pong | CrowdLook | Done | Failed | WorkerOver
_encoder = msgspec.json.Encoder()
_to_worker: msgspec.json.Decoder[ToWorker] = msgspec.json.Decoder(ToWorker)
_from_worker: msgspec.json.Decoder[FromWorker] = msgspec.json.Decoder(FromWorker)
_operations = msgspec.json.Decoder(Operation)


def failed(exc: Exception, number: int | None = None) -> Failed:
    """An error as it is told."""
    if isinstance(exc, LabError):
        return Failed(sort=type(exc).__name__, what=exc.what, at=exc.at, hint=exc.hint, number=number)
    return Failed(sort="", what=f"internal error: {type(exc).__name__}: {exc}", number=number)


def packed(message: Message) -> bytes:
    """A message as a frame."""
    return _frame(MESSAGE, _encoder.encode(message))


def packed_operations(operations: Sequence[Operation]) -> bytes:
    """Operations as a frame."""
    return _frame(OPERATIONS, _encoder.encode_lines(operations))


def _frame(sort: bytes, content: bytes) -> bytes:
    return HEADER.pack(sort, len(content)) + content


def for_worker(sort: bytes, content: bytes) -> ToWorker:
    """What a conductor said. Raises LabFault for anything else."""
    if sort != MESSAGE:
        raise LabFault("a worker is told what is no message")
    said: ToWorker = _decoded(_to_worker, content)
    return said


def from_worker(sort: bytes, content: bytes) -> FromWorker | list[Operation]:
    """What a worker said, or what its users did. Raises LabFault for anything else."""
    if sort == OPERATIONS:
        try:
            return _operations.decode_lines(content)
        except _UNREADABLE as exc:
            raise LabFault(f"its operations can't be read: {exc}") from exc
    said: FromWorker = _decoded(_from_worker, content)
    return said


_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def _decoded(decoder: msgspec.json.Decoder[Any], content: bytes) -> Any:
    try:
        return decoder.decode(content)
    except _UNREADABLE as exc:
        raise LabFault(f"what it says can't be read: {exc}") from exc


class Frames:
    """Cuts a stream into frames. Memory is bounded by the longest of them."""

    def __init__(self) -> None:
        self._left = bytearray()

    @property
    def is_between(self) -> bool:
        """Whether the stream may end here: no frame was begun."""
        return not self._left

    def take(self, chunk: bytes) -> Iterator[tuple[bytes, bytes]]:
        """The frames that are whole now, each with its sort. Raises LabFault for what is none."""
        left = self._left
        left += chunk
        while len(left) >= HEADER.size:
            sort, length = HEADER.unpack_from(left)
            if sort not in {MESSAGE, OPERATIONS} or length > LONGEST:
                raise LabFault("its stream is torn: what comes is no frame")
            if len(left) < HEADER.size + length:
                return
            content = bytes(left[HEADER.size : HEADER.size + length])
            del left[: HEADER.size + length]
            yield sort, content
