"""Scenario documents drawn from the classes that read them: mostly right, with every kind of wrong in between."""

from __future__ import annotations

import os
import types
from collections.abc import Mapping
from enum import Enum
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from lab.scenario.spec import Scenario, StepSpec

SELDOM = 150
EXAMPLES = 5000 if os.environ.get("LAB_PROVE") else 150
"""LAB_PROVE=1 looks for longer."""
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture],
)


@st.composite
def _mostly(draw: st.DrawFn, usual: st.SearchStrategy[Any], other: st.SearchStrategy[Any]) -> Any:
    """Now and then the other, so that a document of fifty values may be right as a whole."""
    return draw(other if draw(st.integers(0, SELDOM)) == SELDOM else usual)


IMAGES = st.sampled_from([*["shop:v1", "shop:v2", "web:next"] * 10, "-v", "", "x; id", "Upper:V1"])
KNOWN: Mapping[str, st.SearchStrategy[Any]] = {
    "lab": st.just(1),
    "release": IMAGES,
    "to": st.one_of(IMAGES, st.sampled_from(["a1", "any", "balancer", "a", "store"])),
    "slot": st.sampled_from(["a1", "b1", "store/a", "balancer", "nowhere"]),
    "zone": st.sampled_from(["a", "b", "d"]),
    "zones": _mostly(
        st.dictionaries(st.sampled_from(["a", "b", "c", "eu-1"]), st.integers(1, 4), min_size=1),
        st.dictionaries(st.sampled_from(["A b", "x;", "a"]), st.integers(), max_size=3),
    ),
    "ready": st.sampled_from(
        [*["/healthz"] * 9, "/healthz", "/a?b=%20&c~", "/%zz", "/a b", "/x; } server {", "healthz", "/$host", "/ä"]
    ),
    "largest_body": st.sampled_from(
        [*["8m"] * 9, "8m", "0", "1g", "16G", "17g", "64k", "8mk", "-1", "1m; x", "999999999999g"]
    ),
    "time_zone": st.sampled_from(["UTC", "Europe/Berlin", "Nowhere", "Europe", "../x", "\0"]),
    "begins": st.sampled_from(["2026-01-01", "9999-12-31", "2026-02-30", "x"]),
    "opens": st.sampled_from(["09:00", "09:00+02:00", "25:00", "x"]),
    "urls": st.sampled_from(
        [["http://127.0.0.1:8080"], ["http://[::1]"], ["http://10.0.0.1"], ["https://x"], [], ["http://["], ["//"]]
    ),
    "header": st.sampled_from(["X-Release", "X Release", ""]),
    "get": st.sampled_from(["/", "/a/{n}", "a", "/a b", "/{any: tea pot|cup}", "/\r\n", "/{"]),
    "post": st.sampled_from(["/", "/a/{new}", "cart", "/ä"]),
}
"""What is more likely to be right, or wrong in a way of its own, than what a type alone says."""

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from(["", "\0", "\ud800", "x" * 11_000, 10**30, -(10**30), 10**400, [], {}]),
)
"""Anything at all."""
JSON = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner), max_leaves=6
)


def _of(kind: Any, depth: int) -> st.SearchStrategy[Any]:  # noqa: PLR0911 -- one for each kind of type
    origin, given = get_origin(kind), get_args(kind)
    if kind is Any:
        return JSON
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return struct_of(kind, depth - 1) if depth else st.just({})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from([one.value for one in kind])
    if origin is Literal:
        return st.sampled_from(given)
    if origin in {Union, types.UnionType}:
        return st.one_of([_of(one, depth) for one in given if one is not type(None)])
    if origin is tuple:
        return st.lists(_of(given[0], depth), max_size=3)
    if origin in {dict, Mapping} or getattr(origin, "__name__", "") == "Mapping":
        return st.dictionaries(st.sampled_from(["a", "b", "n x", "X-A"]), _of(given[1], depth), max_size=2)
    plain: Mapping[Any, st.SearchStrategy[Any]] = {
        bool: st.booleans(),
        int: _mostly(st.integers(1, 5), st.integers()),
        float: _mostly(st.floats(0.01, 1), st.floats()),
        str: st.sampled_from(["a", "shop:v1", "x.py:X", "25%", "../x", "{new}", "store"]) | st.text(max_size=8),
    }
    return plain[kind]


def struct_of(shape: type[msgspec.Struct], depth: int = 5) -> st.SearchStrategy[dict[str, Any]]:
    """Documents for a class: what it requires, some of what it allows, now and then something odd."""
    hints = get_type_hints(shape)
    needed: dict[str, st.SearchStrategy[Any]] = {}
    free: dict[str, st.SearchStrategy[Any]] = {}
    for field in msgspec.structs.fields(shape):
        drawn = KNOWN[field.name] if field.name in KNOWN else _of(hints[field.name], depth)
        value = _mostly(drawn, ODD)
        (needed if field.required else free)[field.encode_name] = value
    if shape is StepSpec:
        return st.sampled_from(sorted(free)).flatmap(lambda name: st.fixed_dictionaries({name: free[name]}))
    if shape is Scenario:
        place = {name: free.pop(name) for name in ("cluster", "target")}
        either = st.sampled_from(["cluster"] * 9 + ["target"])
        return either.flatmap(lambda name: _few({**needed, name: place[name]}, free))
    return _few(needed, free)


@st.composite
def _few(
    draw: st.DrawFn, needed: Mapping[str, st.SearchStrategy[Any]], free: Mapping[str, st.SearchStrategy[Any]]
) -> dict[str, Any]:
    """Every key that must be there, and at most three of the others."""
    names = draw(st.lists(st.sampled_from(sorted(free)), max_size=3, unique=True)) if free else []
    return {name: draw(one) for name, one in {**needed, **{name: free[name] for name in names}}.items()}


DOCUMENTS = struct_of(Scenario)
"""Whole scenario files, as plain data."""
