"""The safety lever: one mark on an engine, which every lab there sees, and by which all of them stop striking."""

from __future__ import annotations

from docker import APIClient

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
