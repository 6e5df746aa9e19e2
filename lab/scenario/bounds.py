"""What single numbers and texts of a scenario may be, whoever wrote them: a file, `--set`, a marker, Python. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from lab.chaos.guard import BlastRadius
from lab.chaos.schedule import Calendar, MonkeySettings
from lab.model import Front, Value
from lab.scenario.spec import ClusterSpec, PaceSpec, Promises, Repeat, Scenario, Settle, UsersSpec
from lab.scenario.target_spec import AnswerSource, CommandSpec, ReleaseSource, TargetSpec
from lab.users.steps import HttpStep

LARGEST = 1e8
"""No number may be larger where nothing else is said: of seconds it is three years."""
MOST_SLOTS = 100
"""Replicas, over all zones: what one engine and a /24 network can hold beside the rest."""
MOST_IN_RECORD = 2**63 - 1
"""The largest whole number that any reader of a record must know."""


class Bounds(Value, kw_only=False):
    """What a number may be, both ends included."""

    least: float = 0
    most: float = LARGEST

    def holds(self, number: float) -> bool:
        """Whether it is within; what is not a number is nowhere."""
        return self.least <= number <= self.most

    @property
    def text(self) -> str:
        """For a person."""
        return f"from {_short(self.least)} to {_short(self.most)}"


_USUAL = Bounds()
_TIME = Bounds(0.001)
"""Seconds that must pass."""

BOUNDS: Mapping[tuple[type, str], Bounds] = {
    (ClusterSpec, "zones"): Bounds(0, MOST_SLOTS),
    (ClusterSpec, "begin_with"): Bounds(1, MOST_SLOTS),
    (ClusterSpec, "port"): Bounds(1, 65535),
    (ClusterSpec, "answer_timeout"): _TIME,
    (ClusterSpec, "ready_within"): _TIME,
    (Front, "port"): Bounds(1, 65535),
    (UsersSpec, "count"): Bounds(1, 10_000),
    (UsersSpec, "on_two_devices"): Bounds(0, 10_000),
    (UsersSpec, "think"): _TIME,
    (UsersSpec, "tries"): Bounds(1, 100),
    (UsersSpec, "answer_timeout"): _TIME,
    (PaceSpec, "think"): _TIME,
    (TargetSpec, "rate"): Bounds(0.1, 100_000),
    (CommandSpec, "within"): _TIME,
    (HttpStep, "expect"): Bounds(100, 599),
    (MonkeySettings, "at_least"): Bounds(0, 10_000),
    (MonkeySettings, "at_most"): Bounds(0, 10_000),
    (MonkeySettings, "least_serving"): Bounds(0, MOST_SLOTS),
    (Calendar, "days"): Bounds(1, 3660),
    (Calendar, "most_a_day"): Bounds(1, 100),
    (Calendar, "day_lasts"): _TIME,
    (BlastRadius, "least_serving"): Bounds(0, MOST_SLOTS),
    (Promises, "serving_at_least"): Bounds(0, MOST_SLOTS),
    (Promises, "available"): Bounds(0, 1),
    (Settle, "until"): Bounds(0, 1),
    (Repeat, "seconds"): _TIME,
    (Repeat, "until"): Bounds(0, 1),
    (Scenario, "lab"): Bounds(1, 1),
    (Scenario, "deployers"): Bounds(0, 20),
    (Scenario, "seed"): Bounds(0, MOST_IN_RECORD),
    (Scenario, "time_limit"): _TIME,
}
"""Of the numbers under a key, where they may not be all that `_USUAL` says."""

LONGEST_TEXT = 10_000
LONGEST: Mapping[tuple[type, str], int] = {
    (ClusterSpec, "release"): 255,
    (ClusterSpec, "zones"): 30,
    (ClusterSpec, "service"): 200,
    (ClusterSpec, "ready"): 1000,
    (ClusterSpec, "largest_body"): 20,
    (Front, "service"): 200,
    (AnswerSource, "header"): 100,
    (ReleaseSource, "header"): 100,
    (ReleaseSource, "get"): 1000,
    (TargetSpec, "token_header"): 100,
    (TargetSpec, "urls"): 300,
    (Scenario, "name"): 100,
    (Scenario, "title"): 500,
}
"""Characters of the texts under a key, where it may not be LONGEST_TEXT."""

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What would reach a terminal, a file name or a header as something else than text; tabs and line ends may be."""
_SURROGATE = re.compile("[\ud800-\udfff]")

Refuse = Callable[[str, str, str], None]
"""Takes the key, what is wrong there, and what would be right; raises."""


class _Leaf(Value):
    """One number or text of a scenario, with the class and the field that it stands in."""

    key: str
    found: int | float | str
    place: tuple[type, str]


def check_bounds(value: msgspec.Struct, refuse: Refuse) -> None:
    """Refuse the first number that is out of its bounds, and the first text that is too long or no text at all."""
    for leaf in _leaves(value, "", (type(value), "")):
        if isinstance(leaf.found, str):
            _check_text(leaf, refuse)
        else:
            _check_number(leaf, refuse)


def _check_number(leaf: _Leaf, refuse: Refuse) -> None:
    assert not isinstance(leaf.found, str)  # noqa: S101 -- the caller looked
    shape, field = leaf.place
    is_free = shape is object  # somebody's own JSON
    bounds = Bounds(-MOST_IN_RECORD, MOST_IN_RECORD) if is_free else BOUNDS.get(leaf.place, _USUAL)
    if not bounds.holds(leaf.found):
        name = leaf.key.rpartition(".")[2].partition("[")[0]
        refuse(leaf.key, f"must be {bounds.text}, not {_short(leaf.found)}", f"{name}: {_good(shape, field, bounds)}")


def _check_text(leaf: _Leaf, refuse: Refuse) -> None:
    text = str(leaf.found)
    if found := _SURROGATE.search(text):
        refuse(leaf.key, f"holds half a character ({found[0]!a}), which no file can hold", "write the whole character")
    if found := _CONTROL.search(text):
        refuse(leaf.key, f"holds the control character {found[0]!a}", "leave it out")
    most = LONGEST.get(leaf.place, LONGEST_TEXT)
    if len(text) > most:
        refuse(leaf.key, f"is {len(text)} characters long, at most {most} are allowed", "a shorter one")


def _leaves(value: Any, key: str, place: tuple[type, str]) -> Iterator[_Leaf]:
    if isinstance(value, bool) or value is None:
        return
    if isinstance(value, int | float | str):
        yield _Leaf(key=key, found=str(value) if isinstance(value, str) else value, place=place)
    elif isinstance(value, msgspec.Struct):
        for field in msgspec.structs.fields(value):
            shape = object if field.type is Any else type(value)
            inner = f"{key}.{field.encode_name}".lstrip(".")
            yield from _leaves(getattr(value, field.name), inner, (shape, field.name))
    elif isinstance(value, Mapping):
        for name, one in value.items():
            yield _Leaf(key=key, found=str(name), place=place)
            yield from _leaves(one, f"{key}.{name}", place)
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            yield from _leaves(one, f"{key}[{number}]", place)


def _good(shape: type, field: str, bounds: Bounds) -> str:
    """A value that may stand there: the default if it is one."""
    fields = msgspec.structs.fields(shape) if issubclass(shape, msgspec.Struct) else ()
    default = next((one.default for one in fields if one.name == field), None)
    if isinstance(default, int | float) and not isinstance(default, bool) and bounds.holds(default):
        return _short(default)
    return _short(max(bounds.least, 1))


def _short(number: Any) -> str:
    """A number in a message: one of ten thousand digits is no help to anybody."""
    if isinstance(number, int) and abs(number) <= MOST_IN_RECORD:
        return str(number)
    try:
        return f"{float(number):g}"
    except OverflowError:
        return "a number of that size"
