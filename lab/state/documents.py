"""What is kept under the state's keys: values in an envelope that says their format and which lab wrote them."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from lab.errors import StateError
from lab.record import written_by

T = TypeVar("T")

FORMAT = 1
"""Counts up when what is kept can't be read by the labs of before any more."""


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    """No document of before there were envelopes has all of these fields."""

    format: int
    lab: str
    value: msgspec.Raw


def encode(value: msgspec.Struct) -> bytes:
    """The document of a value."""
    made = _Envelope(format=FORMAT, lab=str(written_by()["lab"]), value=msgspec.Raw(msgspec.json.encode(value)))
    return msgspec.json.encode(made)


def decode(body: bytes, kind: type[T], *, at: str) -> T:
    """The value of a document, also of one from before there were envelopes; `at` is its key.

    Raises StateError, with the version that is needed, for one that a later lab wrote, and for what is no such value.
    """
    try:
        envelope = msgspec.json.decode(body, type=_Envelope)
    except msgspec.ValidationError:
        return _value(body, kind, at=at, lab="")
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise _unreadable(exc, at=at, lab="") from exc
    if envelope.format > FORMAT:
        what = f"is of format {envelope.format}; this lab reads up to format {FORMAT}"
        raise StateError(what, at=at, hint=_needed(envelope.lab))
    return _value(bytes(envelope.value), kind, at=at, lab=envelope.lab)


def _value(body: bytes, kind: type[T], *, at: str, lab: str) -> T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise _unreadable(exc, at=at, lab=lab) from exc


def _unreadable(exc: Exception, *, at: str, lab: str) -> StateError:
    return StateError(f"can't be read by this lab: {exc}", at=at, hint=_needed(lab))


def _needed(lab: str) -> str:
    return f"use the lab that wrote it{f', cluster-lab {lab}' if lab else ''} or later; nothing has been changed"
