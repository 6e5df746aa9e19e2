"""The reference: every key of a scenario, every promise, fault, strategy, verb and option, told from the code."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from lab.cluster.stores import TIERS
from lab.deploy.rollout import Strategy
from lab.model import Value
from lab.oracle.promises import PROMISES
from lab.scenario.keys import Key, docs_of, said_of, structs_in
from lab.scenario.pin_spec import PinnedFault
from lab.scenario.schema import shapes_of
from lab.scenario.spec import Scenario, StepSpec

SHIPPED = Path(__file__).resolve().parents[1] / "REFERENCE.md"
"""Comes with the package: `lab reference >lab/REFERENCE.md` makes it anew."""

HEAD = """\
# Reference

Made from the code by `lab reference`; a test fails where this file and the code differ. Times are in seconds.
The same keys as a JSON Schema: `lab schema`.
"""


class ArgumentDoc(Value):
    """An argument or an option of a verb."""

    spelled: str
    """As a person types it: "-p, --project PROJECT", "RUN"."""
    about: str
    variable: str = ""
    """What may be set instead; empty for an argument, and for consent, which is given by hand alone."""


class VerbDoc(Value):
    """A verb of the command line."""

    name: str
    """With its acts by theirs: "lesson check"."""
    about: str
    arguments: tuple[ArgumentDoc, ...]


def reference_text(verbs: Sequence[VerbDoc], exit_codes: str) -> str:
    """The whole reference as Markdown."""
    parts = [HEAD]
    for shape in shapes_of(Scenario):
        if shape is not StepSpec:
            parts.append(_table_of_keys(shape))
        else:
            parts.append(_table_of_steps())
    parts += [_table_of_strategies(), _table_of_faults(), _table_of_stores(), _table_of_promises(), *_verbs(verbs)]
    parts.append(f"## Exit codes\n\n```\n{exit_codes}```\n")
    return "\n".join(parts)


def keys_of_shape(shape: type[msgspec.Struct]) -> Iterator[Key]:
    """The keys that may stand in a part of the file."""
    docs, hints = docs_of(shape), get_type_hints(shape)
    for field in msgspec.structs.fields(shape):
        kind = hints[field.name]
        # Never the words of its type instead: those of a number are Python's own, which differ between its versions.
        said = docs.get(field.name, "")
        yield Key(name=field.encode_name, kind=_kind(kind), default=_default(field), said=said)


def _table_of_keys(shape: type[msgspec.Struct]) -> str:
    rows = [f"| `{key.name}` | {key.kind} | {key.default} | {_cell(key.said)} |" for key in keys_of_shape(shape)]
    head = f"## {_title(shape)}\n\n{said_of(shape)}\n\n| key | | default | |\n|---|---|---|---|\n"
    return head + "\n".join(rows) + "\n"


def _table_of_steps() -> str:
    hints = get_type_hints(StepSpec)
    rows = [f"| `{name}` | {_kind(hints[name])} | {_cell(_said_of_step(name, hints[name]))} |" for name in hints]
    return f"## {_title(StepSpec)}\n\n{said_of(StepSpec)}\n\n| step | | |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _said_of_step(name: str, kind: Any) -> str:
    written = docs_of(StepSpec).get(name)
    return written or next((said_of(one) for one in structs_in(kind)), "")


def _table_of_strategies() -> str:
    shapes = list(structs_in(Strategy))
    rows = [f"| `{shape.__struct_config__.tag}` | {_cell(said_of(shape))} |" for shape in shapes]
    return "## Strategies of `roll`\n\n| strategy | |\n|---|---|\n" + "\n".join(rows) + "\n"


def _table_of_faults() -> str:
    rows = [f"| `{fault.value}` |" for fault in PinnedFault]
    return "## Faults\n\nWhat `fault.do` may name.\n\n| fault |\n|---|\n" + "\n".join(rows) + "\n"


def _table_of_stores() -> str:
    rows = [f"| `{one.name}` | {one.about} | {one.bound} |" for one in TIERS.values()]
    head = "| store | what it is | what may be lost |\n|---|---|---|\n"
    return "## Stores\n\nWhat `cluster.store` may name, and what each may lose.\n\n" + head + "\n".join(rows) + "\n"


def _table_of_promises() -> str:
    rows = [f"| `{one.name}` | {one.title} | {one.rule} | {one.checks} | {one.ask} |" for one in PROMISES.values()]
    head = "| promise | | it is broken if | what its count counts | asked for by |\n|---|---|---|---|---|\n"
    return "## Promises\n\n" + head + "\n".join(rows) + "\n\n" + _table_of_occasions()


def _table_of_occasions() -> str:
    said = (
        "What puts a promise to the test, and how many of each must come up: with fewer it was not put to the test"
        " (**bold**), or only in part, and that stands under *not checked*. `enough.occasions` may ask for more.\n\n"
    )
    rows = [
        f"| `{promise.name}` | `{one.name}` | {one.what} | {f'**{one.least}**' if one.gates else one.least} |"
        for promise in PROMISES.values()
        for one in promise.occasions
    ]
    return f"### Occasions\n\n{said}| promise | occasion | | least |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"


def _verbs(verbs: Sequence[VerbDoc]) -> Iterator[str]:
    yield "## Verbs\n\nEach option may be given as the variable beside it instead, where there is one.\n"
    for verb in verbs:
        rows = [f"| {_argument(one)} | {_cell(one.about)} |" for one in verb.arguments]
        table = "\n| | |\n|---|---|\n" + "\n".join(rows) + "\n" if rows else ""
        yield f"### `lab {verb.name}`\n\n{_sentence(verb.about)}\n{table}"


def _argument(argument: ArgumentDoc) -> str:
    return f"`{argument.spelled}`" + (f" `{argument.variable}`" if argument.variable else "")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("." if text and text[-1] not in ".!?" else "")


def _title(shape: type[Any]) -> str:
    return "The file" if shape is Scenario else f"`{shape.__name__}`"


_PLAIN = {str: "text", int: "integer", float: "number", bool: "yes or no", Any: "anything"}


def _kind(kind: Any) -> str:
    """A type as a person writes it."""
    if isinstance(kind, type) and not get_args(kind):
        if issubclass(kind, Enum):
            return _either(one.value for one in kind)
        return f"`{kind.__name__}`" if issubclass(kind, msgspec.Struct) else _PLAIN.get(kind, kind.__name__)
    inside = [one for one in get_args(kind) if one is not NoneType]
    told = {
        Literal: lambda: _either(inside),
        tuple: lambda: f"list of {_kind(inside[0])}",
        dict: lambda: f"{_kind(inside[0])} to {_kind(inside[1])}",
        Mapping: lambda: f"{_kind(inside[0])} to {_kind(inside[1])}",
    }.get(get_origin(kind))
    if told is not None:
        return told()
    return " or ".join(_kind(one) for one in inside) if inside else _PLAIN.get(kind, str(kind))


def _either(values: Iterable[object]) -> str:
    return " \\| ".join(f"`{one}`" for one in values)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "needed"
    default = field.default
    if field.default_factory is not msgspec.NODEFAULT:
        default = field.default_factory()
    if default is None or default in ("", ()) or isinstance(default, msgspec.Struct):
        return ""
    return f"`{msgspec.json.encode(default).decode()}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
