"""The JSON Schema of the scenario file, made from the classes that read it: for editors and for other tools."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import msgspec

from lab.scenario.bounds import BOUNDS, Bounds
from lab.scenario.keys import docs_of, structs_in
from lab.scenario.renames import RENAMED
from lab.scenario.spec import Scenario, StepSpec

SHIPPED = Path(__file__).resolve().parents[1] / "scenario.schema.json"
"""Comes with the package: `lab schema >lab/scenario.schema.json` makes it anew."""


def schema_text() -> str:
    """The schema as it is shipped."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def schema() -> dict[str, Any]:
    """The schema, each key described by what stands under it in the code."""
    made = msgspec.json.schema(Scenario)
    shapes = {shape.__name__: shape for shape in shapes_of(Scenario)}
    for name, definition in made["$defs"].items():
        shape = shapes.get(name)
        if shape is not None:
            _describe(definition, shape)
    for (under, old), new in RENAMED.items():
        if not under:  # others would need the class that stands under such a key
            now = made["$defs"][Scenario.__name__]["properties"]
            now[old] = {**now[new], "deprecated": True, "description": f"The old name of {new}."}
    whole = made["$defs"][Scenario.__name__]
    del whole["properties"]["cluster"]["default"]  # of no cluster at all, for there is a target
    whole["oneOf"] = [{"required": ["cluster"]}, {"required": ["target"]}]
    made["$defs"][StepSpec.__name__] |= {"minProperties": 1, "maxProperties": 1}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A scenario of the lab", **made}


def shapes_of(shape: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    """A class and every class that may stand somewhere in it, each once, from the outside in."""
    seen: list[type[msgspec.Struct]] = []
    todo = [shape]
    while todo:
        one = todo.pop(0)
        if one not in seen:
            seen.append(one)
            yield one
            hints = get_type_hints(one)
            todo += [inner for field in one.__struct_fields__ for inner in structs_in(hints[field])]


def _describe(definition: dict[str, Any], shape: type[msgspec.Struct]) -> None:
    definition.pop("title", None)
    definition["description"] = " ".join(str(definition.get("description", "")).split())
    docs = docs_of(shape)
    properties = definition["properties"]
    for field in msgspec.structs.fields(shape):
        shown = _bounded(properties[field.encode_name], BOUNDS.get((shape, field.name)))
        properties[field.encode_name] = {**shown, "description": docs[field.name]} if docs.get(field.name) else shown


def _bounded(shown: dict[str, Any], bounds: Bounds | None) -> dict[str, Any]:
    """What a key may be, with the bounds of its numbers."""
    if bounds is None:
        return shown
    if shown.get("type") in {"integer", "number"}:
        return {**shown, "minimum": bounds.least, "maximum": bounds.most}
    inner = shown.get("additionalProperties")
    made = {**shown, "additionalProperties": _bounded(inner, bounds)} if isinstance(inner, dict) else dict(shown)
    if "anyOf" in shown:
        made["anyOf"] = [_bounded(one, bounds) for one in shown["anyOf"]]
    return made
