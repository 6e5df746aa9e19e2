"""A rollout by somebody's own script: what it forgets is done again, what it holds on to stops everybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import record
from lab.clock import SYSTEM_CLOCK
from lab.deploy.rollout import Ending, Rolling
from lab.deploy.script import ScriptedDeployer, load_script
from lab.errors import UsageError
from lab.state.file import FileState
from tests.unit.deploy.ground import SLOTS, V2, Ground, Killed

pytestmark = pytest.mark.usefixtures("in_a_hurry")

LESSON = Path(__file__).resolve().parents[3] / "lab" / "lessons" / "13-deployer-dies"
REMEMBERS, LOOKS = LESSON / "broken" / "rollout.py", LESSON / "solution" / "rollout.py"


@pytest.fixture
def ground(tmp_path: Path) -> object:
    with FileState(tmp_path / "state.db") as state:
        yield Ground(state)


def deployer(ground: Ground, file: Path, holder: str, *, dies_at: str = "", seconds: float = 2.0) -> ScriptedDeployer:
    """One process: it has read the file afresh."""
    script = load_script(str(file))

    def boundary(moment: str, step: record.Step) -> None:
        if (moment, step.action, step.slot, step.why) == ("after", "enter", dies_at, "upgrade"):
            raise Killed

    made = ScriptedDeployer(
        script,
        ground.cluster,
        ground.balancer,
        ground.state,
        "c",
        ground.events.append,
        holder=holder,
        is_gone=lambda other: other in ground.gone,
        boundary=boundary,
        clock=SYSTEM_CLOCK,
    )
    made._lease_seconds = seconds  # as if the lock of the one that was killed had ended by now
    return made


def made_of_v2(ground: Ground) -> list[str]:
    """The slots in which a replica of the new release was made, in order."""
    return [
        event.slot
        for event in ground.events
        if isinstance(event, record.Step) and (event.action, event.release) == ("create", "v2")
    ]


def killed_in_the_middle(ground: Ground, file: Path) -> None:
    ground.settle(deployer(ground, file, "first"))
    ground.desk.roll(V2, Rolling(), id="r1", by="test")
    with pytest.raises(Killed):
        deployer(ground, file, "second", dies_at="b1").run_until(ground.desk.is_settled)
    ground.gone = {"second"}


@pytest.mark.parametrize("file", [REMEMBERS, LOOKS], ids=["remembers", "looks"])
def test_a_script_that_is_left_alone_moves_every_slot_once(ground: Ground, file: Path) -> None:
    """Both do; that is why nobody finds the mistake."""
    one = deployer(ground, file, "first")
    ground.settle(one)
    ground.desk.roll(V2, Rolling(), id="r1", by="test")
    ground.settle(one)
    assert ground.ending() is Ending.DONE
    assert made_of_v2(ground) == [slot.name for slot in SLOTS]
    assert ground.releases() == ["v2"] * len(SLOTS)


def test_what_a_dead_process_remembered_is_done_again(ground: Ground) -> None:
    """By the next one, from the first slot on."""
    killed_in_the_middle(ground, REMEMBERS)
    ground.settle(deployer(ground, REMEMBERS, "third"))
    assert made_of_v2(ground) == ["a1", "b1", "a1", "b1", "c1"]


def test_who_looks_goes_on_where_the_dead_one_was(ground: Ground) -> None:
    """With the slot that was half done, too: its old replica leaves."""
    killed_in_the_middle(ground, LOOKS)
    ground.settle(deployer(ground, LOOKS, "third"))
    assert made_of_v2(ground) == ["a1", "b1", "c1"]
    assert ground.releases() == ["v2"] * len(SLOTS)


def test_a_lock_that_outlives_its_owner_stops_everybody(ground: Ground) -> None:
    """Nobody who looks at a lock alone can tell that its owner is dead."""
    ground.settle(deployer(ground, LOOKS, "first"))
    ground.state.acquire("c", "dead", 3600.0)
    ground.desk.roll(V2, Rolling(), id="r1", by="test")
    looks = iter(range(20))
    deployer(ground, LOOKS, "second").run_until(lambda: next(looks, None) is None)
    assert made_of_v2(ground) == []


def test_a_script_that_says_nothing_is_left_does_not_end_the_rollout(ground: Ground, tmp_path: Path) -> None:
    """What is so decides."""
    lazy = tmp_path / "lazy.py"
    lazy.write_text("LOCK_SECONDS = 3\ndef todo(slots, serving, to): return []\ndef moved(slot): pass\n")
    ground.settle(deployer(ground, LOOKS, "first"))
    ground.desk.roll(V2, Rolling(), id="r1", by="test")
    looks = iter(range(50))
    deployer(ground, lazy, "second").run_until(lambda: next(looks, None) is None)
    assert ground.ending() is None
    assert ground.releases() == ["v1"] * len(SLOTS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def f(:", r"x\.py:1: can't be loaded: SyntaxError"),
        ("\nimport sys; sys.exit(0)", r"x\.py:2: can't be loaded: ended the process: sys\.exit\(0\)"),
        ("nobody_knows_this", "NameError"),
        ("", "LOCK_SECONDS"),
        ("LOCK_SECONDS = 'long'", "LOCK_SECONDS"),
        ("LOCK_SECONDS = 0.1", "at least 2"),
        ("LOCK_SECONDS = float('nan')", "LOCK_SECONDS"),
        ("LOCK_SECONDS = 3\ntodo = print", "no function moved"),
    ],
)
def test_a_file_that_is_no_script_is_told(tmp_path: Path, text: str, told: str) -> None:
    """Before anything is started."""
    (tmp_path / "x.py").write_text(text)
    with pytest.raises(UsageError, match=told):
        load_script(str(tmp_path / "x.py"))


@pytest.mark.parametrize("said", ["None", "'a1'", "['z9']", "[1]", "serving['z9']", "exit(0)"])
def test_an_answer_that_names_no_slot_is_told(ground: Ground, tmp_path: Path, said: str) -> None:
    """With the file, not as a traceback from within."""
    (tmp_path / "x.py").write_text(
        f"LOCK_SECONDS = 3\ndef todo(slots, serving, to): return {said}\ndef moved(slot): pass\n"
    )
    ground.settle(deployer(ground, LOOKS, "first"))
    ground.desk.roll(V2, Rolling(), id="r1", by="test")
    with pytest.raises(UsageError, match=r"todo\(\) (must give|failed)"):
        deployer(ground, tmp_path / "x.py", "second").run_until(ground.desk.is_settled)
