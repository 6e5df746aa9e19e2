"""Whether other replicas show what one of them took of an app of somebody's own."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import pytest
from msgspec.structs import replace

from lab.clock import NS
from lab.model import Finding, Kind, Operation, Outcome
from lab.oracle.own_app_blame import own_app_cause
from lab.oracle.promises import STATE_KEPT, TRIES, Anomaly
from lab.record import AppStopped
from tests.unit.oracle.making import op

LOST = Finding(promise=STATE_KEPT, anomaly=str(Anomaly.LOST_WRITE), user="u", at=1, why="")
REPLICAS = ("a1-1", "b1-1", "c1-1")


def done(shows: Sequence[bool]) -> list[Operation]:
    """Each replica takes one note, and each is asked for all afterwards. Whether it shows its own, and those of
    others."""
    own, others = shows
    told: list[Operation] = []
    notes: list[str] = []
    for turn in range(6):
        taker = REPLICAS[turn % 3]
        told.append(op(Kind.ACT, turn * 10 * NS, turn * 10 * NS + 1, replica=taker, release="v1"))
        notes.append(f"{taker}/{turn}")
        for number, reader in enumerate((taker, *REPLICAS)):
            seen = [one for one in notes if (own if one.startswith(reader) else others)]
            read = op(Kind.STATE, (turn * 10 + 1 + number) * NS, (turn * 10 + 1 + number) * NS, answer=seen)
            read = replace(read, tries=(replace(read.final, replica=reader, release="v1"),), is_conclusion=True)
            told.append(replace(read, allowed=(list(notes),)))
    return told


@pytest.mark.parametrize(("own", "others", "fits"), [(True, False, True), (True, True, False), (False, False, False)])
def test_what_only_its_taker_shows_is_kept_there(own: bool, others: bool, *, fits: bool) -> None:
    """What nobody shows is lost, and what others show, too, is nowhere by itself."""
    cause = own_app_cause([LOST], [], done((own, others)))
    assert cause.startswith("what a user did is shown by the replica alone that took it") is fits


@pytest.mark.parametrize(("own", "old", "fits"), [(True, False, True), (True, True, False), (False, False, False)])
def test_what_one_release_keeps_for_itself(own: bool, old: bool, *, fits: bool) -> None:
    """It has copied what the other one had taken before, and shows that; what it takes itself the other never shows."""
    releases = {"a1-1": "v1", "a1-2": "v2", "b1-2": "v2"}
    told: list[Operation] = []
    notes: list[str] = []
    for turn in range(12):
        taker = ("a1-1", "a1-2", "b1-2")[turn % 3]
        release = releases[taker]
        told.append(op(Kind.ACT, turn * 10 * NS, turn * 10 * NS + 1, replica=taker, release=release))
        notes.append(f"{release}/{turn}")
        for number, (reader, of) in enumerate(releases.items()):
            seen = [one for one in notes if one.startswith("v1") or (own if of == "v2" else old)]
            read = state(turn * 10 + 1 + number, reader, "u", seen, list(notes))
            told.append(replace(read, tries=(replace(read.final, release=of),)))
    cause = own_app_cause([LOST], [], told)
    assert cause.startswith("what is done at v2 is not shown by v1: v2 keeps it in a place of its own") is fits, cause


NOT_READ = "v1 shows nothing once v2 has written: it does not read what that writes (formats)"


@pytest.mark.parametrize("says", [[], "no state was shown: KeyError: 'notes'", 500])
def test_what_one_release_can_not_read(says: object) -> None:
    """Whoever the new one wrote for last has no state at the old one, as a whole: shown as empty, told in words, or
    not answered."""
    assert formats_cause(says, shows_own=True) == NOT_READ
    assert formats_cause(says, shows_own=False) == ""
    assert formats_cause(says, shows_own=True, reads_own=False) == ""


def formats_cause(says: object, *, shows_own: bool, reads_own: bool = True) -> str:
    """The old release writes for each user, then the new one; both are asked. Whether that shows what it wrote, and
    whether the old one shows to the last user what only it has written."""
    told: list[Operation] = []
    for turn, writer in product(range(4), ("v1", "v2")):
        user, since = f"u{turn}", (turn * 2 + (writer == "v2")) * 10 * NS
        told.append(op(Kind.ACT, since, since, user=user, replica=f"a1-{writer}", release=writer))
        notes = ["old", "new"][: 1 + (writer == "v2")]
        for number, reader in enumerate(("v1", "v2"), 1):
            at, is_read = since + number * NS, writer == "v1" or (reader == "v2" and shows_own)
            is_read = is_read and (reads_own or turn < 3 or (writer, reader) != ("v1", "v1"))
            if says == 500 and not is_read:
                out = Outcome.UNKNOWN
                told.append(
                    op(Kind.READ, at, at, user=user, outcome=out, result="500", replica=f"a1-{reader}", release=reader)
                )
                continue
            seen = list(notes) if is_read else says
            shown = op(Kind.STATE, at, at, user=user, answer=seen, replica=f"a1-{reader}", release=reader)
            told.append(replace(shown, is_conclusion=True, allowed=(list(notes),)))
    finding = replace(LOST, promise=TRIES, anomaly=str(Anomaly.NOT_ANSWERED)) if says == 500 else LOST
    return own_app_cause([finding], [], told)


@pytest.mark.parametrize(
    ("stopped", "shows_older", "fits"), [(True, True, True), (False, True, False), (True, False, False)]
)
def test_what_was_not_written_when_its_taker_was_stopped(stopped: bool, shows_older: bool, *, fits: bool) -> None:
    """The last of what it took is nowhere, and all before is; memory that went with it would show none of it."""
    told: list[Operation] = []
    for number in range(4):
        start, user = number * 100, f"u{number}"
        old, new = [f"{user}/{one}" for one in range(3)], f"{user}/last"
        for at, notes in ((1, old), (5, [*old, new])):
            told.append(op(Kind.ACT, (start + at) * NS, (start + at) * NS, user=user, replica="a1-1", release="v1"))
            for reader in ("a1-1", "b1-1") if at == 1 else ("a1-1",):
                told.append(state(start + at + 1, reader, user, notes, notes))
        told.append(state(start + 9, "b1-1", user, old if shows_older else [], [*old, new]))
    signal = AppStopped(at=308 * NS, replica="a1-1", slot="a1", service="web", signal="SIGTERM", grace=3)
    later = [replace(one, begin=one.begin + 400 * NS) if one.begin % (100 * NS) == 9 * NS else one for one in told]
    cause = own_app_cause([LOST], [signal] if stopped else [], later)
    assert (cause.startswith("web loses at SIGTERM what it had acknowledged up to 303.0 s before")) is fits, cause


def state(at: int, reader: str, user: str, seen: list[str], allowed: list[str]) -> Operation:
    read = op(Kind.STATE, at * NS, at * NS, answer=seen, user=user, replica=reader, release="v1")
    return replace(read, is_conclusion=True, allowed=(allowed,))
