"""Keys that were called otherwise once: old scenario files and records go on being read, with a notice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lab.errors import UsageError

RENAMED: Mapping[tuple[str, str], str] = {
    ("", "longer_than"): "time_limit",
}
"""From the key that a mapping stands under ("" for the file itself, "roll" for any `roll` step's) and an old key in it
to the new key."""
_THEIRS = frozenset({"json", "form", "headers", "keep", "zones"})
"""Keys under which names are anybody's own."""

Notice = Callable[[str], None]


def with_new_keys(document: Any, notice: Notice = lambda _: None, *, under: str = "") -> Any:
    """The document with every old key under its new name; `notice` takes a line for each, once.

    Raises UsageError where both names are there.
    """
    notices: set[str] = set()
    renamed = _renamed(document, under, notices)
    for one in sorted(notices):
        notice(one)
    return renamed


def new_path(key_path: str, notice: Notice = lambda _: None) -> str:
    """A key path ("steps[0].roll.batch") with its last key under its new name."""
    before, dot, last = key_path.rpartition(".")
    parent = before.rpartition(".")[2].partition("[")[0]
    new = RENAMED.get((parent, last))
    if new is None:
        return key_path
    notice(_words(last, new))
    return f"{before}{dot}{new}"


def _renamed(value: Any, under: str, notices: set[str]) -> Any:
    if isinstance(value, list):
        return [_renamed(one, under, notices) for one in value]
    if not isinstance(value, Mapping) or under in _THEIRS:
        return value
    made: dict[Any, Any] = {}
    for key, one in value.items():
        new = RENAMED.get((under, key)) if isinstance(key, str) else None
        if new is not None:
            notices.add(_words(key, new))
            if new in value:
                raise UsageError(f"{key} is the old name of {new}, and both are given", at=new, hint=f"only {new}")
        made[new or key] = _renamed(one, str(key), notices)
    return made


def _words(old: str, new: str) -> str:
    return f"the key {old} is now called {new}; the old name still works"
