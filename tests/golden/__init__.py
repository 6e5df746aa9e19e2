"""Recorded runs on real containers, with the verdict that each is known to deserve."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import msgspec

from lab.model import Value
from lab.oracle.verdict import Judgement

FOLDER = Path(__file__).parent
PARTS = ("scenario.json", "events.jsonl", "history.jsonl")
"""What of a record is judged: neither what was found nor what machine it was."""


class Deserved(Value):
    """What a record must be judged to be."""

    about: str
    verdict: str
    broken: dict[str, int]
    """Breaches by promise."""
    checks: dict[str, int]
    """What was counted, by promise."""
    likely: str = ""


def names() -> list[str]:
    """All recorded runs."""
    return sorted(path.parent.name for path in FOLDER.glob("*/deserved.json"))


def deserved(name: str) -> Deserved:
    """What a recorded run deserves."""
    return msgspec.json.decode((FOLDER / name / "deserved.json").read_bytes(), type=Deserved)


def unpack(name: str, into: Path) -> Path:
    """A recorded run as a folder that can be judged."""
    folder = into / name
    folder.mkdir()
    for part in PARTS:
        with gzip.open(FOLDER / name / f"{part}.gz") as packed, (folder / part).open("wb") as plain:
            shutil.copyfileobj(packed, plain)
    return folder


def pack(run: Path, name: str, what: Deserved) -> None:
    """Keep a run under a name; the same run gives the same bytes."""
    folder = FOLDER / name
    folder.mkdir(exist_ok=True)
    for part in PARTS:
        (folder / f"{part}.gz").write_bytes(gzip.compress((run / part).read_bytes(), 9, mtime=0))
    (folder / "deserved.json").write_bytes(msgspec.json.format(msgspec.json.encode(what), indent=2) + b"\n")


def told(judgement: Judgement, about: str) -> Deserved:
    """What a judgement says, in the words that are compared."""
    return Deserved(
        about=about,
        verdict=str(judgement.verdict),
        broken={one.promise: one.broken for one in judgement.promises if one.broken},
        checks={one.promise: one.count for one in judgement.promises},
        likely=judgement.likely,
    )
