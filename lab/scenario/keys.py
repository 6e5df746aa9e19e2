"""Every key that a scenario file may have, with what its class says of it: the source of schema and reference."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any, get_args

import msgspec

from lab.model import Value


class Key(Value):
    """One key: `said` is what stands under it in the code, `kind` its type as a person writes it."""

    name: str
    kind: str
    default: str
    said: str


@cache
def docs_of(shape: type[Any]) -> dict[str, str]:
    """What is written under each field of a class and its bases: a string, or a comment at the end of the line."""
    found: dict[str, str] = {}
    for one in reversed(shape.__mro__):
        if one.__module__.startswith("lab."):
            found |= _written_in(one)
    return found


def _written_in(shape: type[Any]) -> dict[str, str]:
    source = inspect.getsource(sys.modules[shape.__module__])
    lines = source.splitlines()
    node = next(
        one for one in ast.walk(ast.parse(source)) if isinstance(one, ast.ClassDef) and one.name == shape.__name__
    )
    found: dict[str, str] = {}
    for field, after in zip(node.body, [*node.body[1:], None], strict=True):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        comment = lines[(field.end_lineno or field.lineno) - 1][field.end_col_offset or 0 :].partition("# ")[2]
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str):
            comment = after.value.value
        if comment:
            found[field.target.id] = _one_line(comment)
    return found


def said_of(shape: type[Any]) -> str:
    """A class's docstring in one line."""
    return _one_line(inspect.getdoc(shape) or "")


def structs_in(kind: Any) -> Iterator[type[msgspec.Struct]]:
    """The values that a type is made of, in the order in which they stand there."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    for one in get_args(kind):
        yield from structs_in(one)


def _one_line(text: str) -> str:
    return " ".join(text.split())
