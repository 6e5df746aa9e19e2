"""The variables that a compose file takes from its environment: recorded with a run, so that it can be done again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import UsageError
from lab.model import Value

_USED = re.compile(r"(?<!\$)(?:\$\$)*\$(?:\{(\w+)|(\w+))")
_SECRET = re.compile(r"secret|passw|token|key|credential|auth|dsn|_url$", re.IGNORECASE)
_DIGEST = "sha256:"


class Changes(Value):
    """What the environment must be given, and lose, to be what it was."""

    sets: Mapping[str, str] = {}
    drops: tuple[str, ...] = ()


def interpolated(compose: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """The values of the variables that compose files name, from the environment or from the `.env` beside the first.

    What looks like a secret by its name is told by its digest alone. Unset ones are left out.
    """
    files = [file for file in map(Path, compose) if file.is_file()]
    if not files:
        return {}
    texts = (file.read_text(encoding="utf-8", errors="replace") for file in files)
    names = {name for text in texts for found in _USED.findall(text) for name in found if name}
    values = {**_dotenv(files[0].parent / ".env"), **environment}
    return {name: _told(name, values[name]) for name in sorted(names) if name in values}


def changes_to(then: Mapping[str, str], now: Mapping[str, str], environment: Mapping[str, str]) -> Changes:
    """What makes the variables what they were. Raises UsageError for one that only its owner can set again."""
    sets: dict[str, str] = {}
    drops: list[str] = []
    for name in sorted({*then, *now}):
        if then.get(name) == now.get(name):
            continue
        if name not in then:
            if name not in environment:
                raise UsageError("is set now, and was not then", at=f"variable {name} in .env", hint="take it out")
            drops.append(name)
        elif then[name].startswith(_DIGEST):
            what = "is not what it was, and only its digest was recorded"
            raise UsageError(what, at=f"variable {name}", hint=f"{name}=... lab repeat")
        else:
            sets[name] = then[name]
    return Changes(sets=sets, drops=tuple(drops))


def _told(name: str, value: str) -> str:
    return _DIGEST + hashlib.sha256(value.encode()).hexdigest() if _SECRET.search(name) else value


def _dotenv(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    found: dict[str, str] = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            value = value.strip()
            quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
            found[name.strip()] = value[1:-1] if quoted else value.partition(" #")[0].rstrip()
    return found
