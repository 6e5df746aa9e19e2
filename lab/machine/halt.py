"""The safety lever: one mark on an engine, which every lab there sees, and by which all of them stop striking.

Labs that watch what others deploy need no engine: they see a mark in a file of their own folder.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from docker import APIClient

from lab.errors import LabFault
from lab.machine.engine import engine_errors

MARK, NAME = "lab.halt", "lab-halt"
"""A volume's label, which tells who and when; and its name. A volume outlives every lab and every process."""


def halted_by(engine: APIClient) -> str:
    """Who has halted all strikes on this engine, and when; "" if nobody has."""
    with engine_errors("check whether strikes are halted"):
        found = engine.volumes(filters={"label": MARK})["Volumes"] or ()
    return next((str(one["Labels"][MARK]) for one in found), "")


def halt(engine: APIClient, who: str) -> str:
    """No lab on this engine strikes from now on, until `lift`; who halted them first."""
    with engine_errors("halt all strikes"):
        engine.create_volume(NAME, labels={MARK: who})
    return halted_by(engine)


def lift(engine: APIClient) -> bool:
    """Let labs strike again; False where strikes were not halted."""
    with engine_errors("lift the halt"):
        found = engine.volumes(filters={"label": MARK})["Volumes"] or ()
        for one in found:
            engine.remove_volume(one["Name"])
    return bool(found)


def halted_in(own: Path) -> str:
    """Who has halted the labs of this folder, and when; "" if nobody has."""
    with suppress(FileNotFoundError):
        return (own / NAME).read_text(encoding="utf-8")
    return ""


def halt_in(own: Path, who: str) -> bool:
    """No lab of this folder goes on with what it watches, until `lift_in`; always True.

    Raises LabFault where that can't be written down.
    """
    try:
        own.mkdir(parents=True, exist_ok=True)
        with (own / NAME).open("x", encoding="utf-8") as mark:
            mark.write(who)
    except FileExistsError:  # somebody halted them before
        pass
    except OSError as exc:
        raise LabFault(f"can't halt what is watched: {exc.strerror}", at=str(own / NAME), hint="ls -ld .lab") from exc
    return True


def lift_in(own: Path) -> bool:
    """Let them go on; False where they were not halted."""
    try:
        (own / NAME).unlink()
    except FileNotFoundError:
        return False
    return True
