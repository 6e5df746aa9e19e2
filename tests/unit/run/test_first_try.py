"""A run of somebody's own app stops at a mistake that everybody would make, and at nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import ExitCode
from lab.operate.runs import ChosenRun, run_one
from lab.record import PhaseBegan, ReadRecord
from lab.run.judge import JudgedRun
from lab.scenario.read import read_scenario
from lab.state.file import FileState
from lab.testing.in_process import InProcessBackend
from tests.notes import NOTES_APPS, NOTES_SCENARIO, Notes

pytestmark = pytest.mark.slow


def ran(tmp_path: Path, text: str) -> tuple[JudgedRun, list[str]]:
    backend = InProcessBackend(tmp_path / "runs", NOTES_APPS, Notes, lambda: FileState(tmp_path / "state.db"))
    path = tmp_path / "lab.yaml"
    path.write_text(text)
    judged, folder = run_one(
        ChosenRun(scenario=read_scenario(path), seed=1), backend, say=lambda _: None, is_shown=False
    )
    return judged, [one.name for one in ReadRecord(folder).events() if isinstance(one, PhaseBegan)]


def test_a_journey_that_works_runs_to_its_end(tmp_path: Path) -> None:
    """Nobody is told of the trial, and nothing of it is judged."""
    judged, _ = ran(tmp_path, NOTES_SCENARIO)
    assert judged.judgement.exit_code == ExitCode.HELD, judged.judgement.reasons
    assert judged.judgement.evidence.users == 6


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("{name}", "nobody-{name}", "log_in[0]: nobody gets in: POST /login answered 403"),
        ("post: /notes", "post: /note", "act[0]: every act() ends early: POST /note answered 404, not 303"),
        ("get: /notes.json", "get: /notes.jsn", "state: state() can't be read: GET /notes.jsn answered 404"),
        ('expect: 303, adds: "{new}"', 'expect: 303, adds: "x{new}"', "and the journey's model holds"),
    ],
)
def test_a_mistake_of_everybody_ends_the_run_at_once(tmp_path: Path, right: str, wrong: str, says: str) -> None:
    """With the request, the answer, and the place in the journey: not after a minute, and not as a broken promise of
    the app's."""
    patient = NOTES_SCENARIO.replace("for: 1}", "for: 30}")
    judged, _ = ran(tmp_path, patient.replace(right, wrong))
    nobody_gets_in = "nobody gets in" in says
    assert judged.judgement.exit_code == (ExitCode.COULD_NOT_TELL if nobody_gets_in else ExitCode.TOO_LITTLE_CHECKED)
    assert not judged.judgement.findings
    assert any("every user makes the same mistake" in one and says in one for one in judged.judgement.reasons), (
        judged.judgement.reasons,
        judged.judgement.findings,
    )


PYTHON = """
from lab import Journey


class Writer(Journey):
    def begin(self):
        return {"notes": []}

    def log_in(self, http):
        http.post("/login", form={"user": self.name, "password": self.password})

    def write(self, http, path="/notes", **how):
        note = self.unique()
        http.post(path, form={"note": note}, **how)
        self.model["notes"].append(note)

    def read(self, http):
        return http.get("/notes.json").json()

    def act(self, http):
        self.write(http)

    def state(self, http):
        return self.read(http)
"""
ACT, STATE = "        self.write(http)\n", "        return self.read(http)\n"


@pytest.mark.parametrize(
    ("part", "instead"),
    [
        (ACT, "        pass\n"),
        (ACT, "        self.read(http)\n"),
        (ACT, "        self.write(http, form=http.get('/').field('csrf'))\n"),
        (ACT, "        http.post('/nowhere', form={'note': 'x'}, expect=404)\n"),
        (STATE, "        return {'notes': []}\n"),
        (STATE, "        self.read(http)\n        return {'notes': []}\n"),
        (STATE, "        return self.model\n"),
        (STATE, "        self.read(http)\n        return self.model\n"),
        (STATE, "        return {'notes': str(type(self.read(http)))}\n"),
    ],
    ids=[
        "does nothing",
        "only reads",
        "a field that is not there",
        "refused as expected",
        "a constant",
        "asks and ignores",
        "its own model",
        "asks, and says its own model",
        "only a type",
    ],
)
def test_a_journey_that_could_not_show_a_loss_is_never_green(tmp_path: Path, part: str, instead: str) -> None:
    """Too little was checked, whatever it is that it leaves out, and the first line says what."""
    (tmp_path / "mine.py").write_text(PYTHON.replace(part, instead))
    steps = NOTES_SCENARIO[NOTES_SCENARIO.index("  http:") : NOTES_SCENARIO.index("promises:")]
    judged, _ = ran(tmp_path, NOTES_SCENARIO.replace(steps, f"  journey: {tmp_path / 'mine.py'}:Writer\n"))
    assert judged.judgement.exit_code == ExitCode.TOO_LITTLE_CHECKED, judged.judgement.reasons
    assert judged.judgement.reasons


def test_the_journey_of_these_tests_shows_a_loss(tmp_path: Path) -> None:
    """As it stands, before anything of it is left out."""
    (tmp_path / "mine.py").write_text(PYTHON)
    steps = NOTES_SCENARIO[NOTES_SCENARIO.index("  http:") : NOTES_SCENARIO.index("promises:")]
    judged, _ = ran(tmp_path, NOTES_SCENARIO.replace(steps, f"  journey: {tmp_path / 'mine.py'}:Writer\n"))
    assert judged.judgement.exit_code == ExitCode.HELD, judged.judgement.reasons


def test_an_app_whose_sessions_are_each_replicas_own_is_no_mistake_of_the_journey(tmp_path: Path) -> None:
    """It works alone on one replica: the run goes on, and finds the app's fault."""
    judged, phases = ran(tmp_path, NOTES_SCENARIO.replace("notes:v1", "notes:v1-memory"))
    assert judged.judgement.exit_code == ExitCode.BROKEN
    assert "read back" in phases


def test_an_app_that_shows_users_what_is_others_is_no_mistake_of_the_journey(tmp_path: Path) -> None:
    """Though one user alone gets something wrong already, and so does everybody."""
    judged, phases = ran(tmp_path, NOTES_SCENARIO.replace("notes:v1", "notes:v1-one-behind"))
    assert judged.judgement.exit_code == ExitCode.BROKEN, judged.judgement.reasons
    assert "own_data" in {one.promise for one in judged.judgement.promises if one.broken}
    assert "read back" in phases
