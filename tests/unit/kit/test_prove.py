"""A whole proof: a part that fails keeps no other from running, and nothing is called proven that was not."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import pytest

from lab.clock import SYSTEM_CLOCK
from lab.errors import LabFault
from tests.prove import __main__ as prove_main
from tests.prove import soak
from tests.prove.parts import PARTS, Part
from tests.prove.runner import PROVEN, Proofs, choose, prove, save, table


def part(name: str, code: str, within: float = 30.0) -> Part:
    return Part(name=name, proves=f"{name} is so", argv=(sys.executable, "-c", code), within=within)


GOOD = part("good", "print('12 of 12 held')")
BAD = part("bad", "import sys; print('1 of 12 held'); sys.exit(1)")


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Three parts, of which the middle one fails; where the file is written."""
    monkeypatch.setattr(prove_main, "PARTS", (GOOD, BAD, part("last", "print('done')")))
    monkeypatch.setattr(prove_main, "FILE", tmp_path / "prove.json")
    return tmp_path / "prove.json"


def test_a_part_that_fails_keeps_no_other_from_running(parts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table has all three with their last lines, the file too, and the exit code tells."""
    assert prove_main.main([]) == 1
    said = capsys.readouterr().out
    assert [line.split()[0] for line in said.splitlines() if line.startswith(("good ", "bad ", "last "))] == [
        "good",
        "bad",
        "last",
    ]
    assert "12 of 12 held" in said
    assert "failed with 1" in said
    assert "prove: 2 of 3 parts proven" in said
    told = json.loads(parts.read_text())
    assert [one["result"] for one in told["parts"]] == [PROVEN, "failed with 1", PROVEN]
    assert told["began"]


def test_a_part_can_be_chosen(parts: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its name alone, and the exit code is its own."""
    assert prove_main.main(["good"]) == 0
    assert "prove: 1 of 1 parts proven" in capsys.readouterr().out
    assert prove_main.main(["nowhere"]) == 2
    assert "there are: good, bad, last" in capsys.readouterr().err
    assert [one.name for one in choose(["last", "good"], (GOOD, BAD, part("last", "")))] == ["good", "last"]


def test_a_part_that_does_not_end_is_ended_and_not_proven(tmp_path: Path) -> None:
    """It is interrupted as by Ctrl-C, so that it may take its clusters away; that it ends well then counts nothing."""
    endless = "import signal, sys; signal.signal(2, lambda *_: sys.exit(0)); print('waits', flush=True); signal.pause()"
    done = prove(part("endless", endless, within=1.0), lambda _: None, cwd=tmp_path, clock=SYSTEM_CLOCK)
    assert (done.result, done.is_good, done.last) == ("not over after 1 s", False, "waits")


def test_nothing_done_proves_nothing(tmp_path: Path) -> None:
    """No part, no proof."""
    nothing = Proofs(began="", commit="", parts=())
    assert nothing.exit_code == 1
    save(nothing, tmp_path / "prove.json")
    assert msgspec.json.decode((tmp_path / "prove.json").read_bytes(), type=Proofs) == nothing
    assert "0 of 0 parts" in table(nothing)


def test_parts_have_names_of_their_own_and_bounds() -> None:
    """None hides another."""
    assert len({one.name for one in PARTS}) == len(PARTS)
    assert all(0 < one.within <= 14400 for one in PARTS)


def test_a_soak_may_hold_what_orders_need_and_no_more() -> None:
    """A lab that kept each line of a cart for good held 81 MB more after 6,800 orders; one that forgets them 20."""
    orders = 6800
    assert not soak.is_flat([72, 85, 96, 106, 116, 124, 130, 139, 145, 153], orders)
    assert soak.is_flat([72, 78, 82, 86, 89, 92, 95, 98, 100, 102], orders)
    assert not soak.is_flat([7, 7, 7, 8, 8, 9, 9, 9, 10, 10], 0)


def test_a_soak_that_was_hardly_looked_at_says_nothing() -> None:
    with pytest.raises(LabFault, match="too few"):
        soak.pieces([soak.Held(at=1.0, lab=1.0, balancer=1.0, store=1.0)] * 9, lambda one: one.lab)
