"""Where in a YAML text something stands, and what somebody may have meant: for errors that people can act on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import msgspec
import yaml

from lab.errors import UsageError

_TOKEN = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")
_STEP = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")
LARGEST_TREE = 100_000
"""Values that a document may hold, each alias counted as often as it stands for something."""
DEEPEST = 60
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<field>[^`]*)`")


class DuplicateKey(yaml.MarkedYAMLError):
    """A mapping has the same key twice, of which YAML itself says nothing and every reader takes another one."""


class _Loader(yaml.SafeLoader):
    """Plain data alone, and no key twice."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: dict[tuple[str, str], yaml.ScalarNode] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                first = seen.setdefault((key.tag, key.value), key)
                if first is not key:
                    lines = f"{first.start_mark.line + 1} and {key.start_mark.line + 1}"
                    raise DuplicateKey(None, None, f"the key {key.value!r} stands here twice, in lines {lines}", None)
        return node


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+$"), list("-+0123456789")
)
"""1e-4 is a number, as for everybody else; YAML 1.1 wants a point in it."""


def load_yaml(text: str) -> Any:
    """A YAML document as plain data that is a tree of a size that can be walked.

    Raises YAMLError for what is not YAML and for a key that stands twice; ValueError for a value that is none, and
    for a document that is too large, too deep or holds itself.
    """
    document = yaml.load(text, Loader=_Loader)  # noqa: S506 -- a SafeLoader that refuses more
    _weigh(document, {}, 0)
    return document


def _weigh(value: Any, known: dict[int, int], depth: int) -> int:
    """How many values it is with all aliases written out. Raises ValueError where that is too much."""
    if not isinstance(value, dict | list):
        return 1
    if depth > DEEPEST:
        raise ValueError(f"it goes more than {DEEPEST} levels deep, as where an alias (*name) holds itself")
    if id(value) not in known:
        inside = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_weigh(one, known, depth + 1) for one in inside)
    if known[id(value)] > LARGEST_TREE:
        raise ValueError(f"it stands for more than {LARGEST_TREE} values, as where aliases (*name) hold aliases")
    return known[id(value)]


def line_of(text: str, key_path: str) -> int | None:
    """The line, from 1, of what `key_path` ("steps[0].roll.to") names, or of its nearest ancestor that is there.

    None where the text is no YAML mapping.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        return None
    if node is None:
        return None
    line = node.start_mark.line
    for name, index in _TOKEN.findall(key_path):
        if isinstance(node, yaml.MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == name), None)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, yaml.SequenceNode) and index and int(index) < len(node.value):
            node = node.value[int(index)]
            line = node.start_mark.line
        else:
            break
    return int(line) + 1


def unknown_field(message: str) -> str | None:
    """The key that a msgspec message calls unknown."""
    found = _UNKNOWN_FIELD.search(message)
    return found["field"] if found else None


def keys_at(shape: type[Any], key_path: str) -> set[str]:
    """Every key that may stand in the mapping at a key path, as msgspec tells it: `act[0].keep[...]`."""
    schema = msgspec.json.schema(shape)
    defs = schema.get("$defs", {})
    here = _shapes(defs, schema)
    for place, name in _STEP.findall(key_path):
        inside = "additionalProperties" if place == "..." else "items"  # names of the user's own, or a list
        within = [one.get("properties", {}).get(name) if name else one.get(inside) for one in here]
        here = [one for more in within if isinstance(more, dict) for one in _shapes(defs, more)]
    return {key for one in here for key in one.get("properties", {})}


def _shapes(defs: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What a part of a schema may be, each without a reference."""
    if "anyOf" in schema:
        return [one for part in schema["anyOf"] for one in _shapes(defs, part)]
    if "$ref" in schema:
        return _shapes(defs, defs[schema["$ref"].rpartition("/")[2]])
    return [schema]


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """The known word that is nearest to what was given, or ""."""
    near = get_close_matches(given, sorted(known), n=1, cutoff=0.6)
    return near[0] if near else ""


def put_at(document: Any, key_path: str, value: Any) -> Any:
    """The document with `value` at a key path; mappings that are missing on the way are made.

    Raises UsageError for a path that leads through something that is no mapping or to a place that a list hasn't.
    """
    return _put(document, [name or int(index) for name, index in _TOKEN.findall(key_path)], value, key_path)


def _put(here: Any, path: Sequence[str | int], value: Any, key_path: str) -> Any:
    if not path:
        return value
    first, *rest = path
    if isinstance(first, int):
        if not isinstance(here, list) or first >= len(here):
            what = f"there is no [{first}] in " + (
                f"a list of {len(here)}" if isinstance(here, list) else "what is no list"
            )
            raise UsageError(what, at=f"--set {key_path}", hint="counted from [0]")
        return [_put(one, rest, value, key_path) if place == first else one for place, one in enumerate(here)]
    if here is not None and not isinstance(here, Mapping):
        raise UsageError(f"{first!r} would stand inside {here!r}", at=f"--set {key_path}", hint="--set users.count=20")
    return {**(here or {}), first: _put((here or {}).get(first), rest, value, key_path)}
