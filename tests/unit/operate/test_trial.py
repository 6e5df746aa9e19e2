"""`lab try` on a cluster in this process: what it says, its exit code, and that nothing is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import ExitCode, UsageError
from lab.operate.trial import TrialRequest, try_scenario
from lab.state.file import FileState
from lab.testing.in_process import InProcessBackend
from tests.notes import NOTES_APPS, NOTES_SCENARIO, Notes


@pytest.fixture
def backend(tmp_path: Path) -> InProcessBackend:
    return InProcessBackend(tmp_path / "runs", NOTES_APPS, Notes, lambda: FileState(tmp_path / "state.db"))


def tried(tmp_path: Path, backend: InProcessBackend, text: str = NOTES_SCENARIO) -> tuple[int, str]:
    path = tmp_path / "lab.yaml"
    path.write_text(text)
    said: list[str] = []
    code = try_scenario(TrialRequest(scenario=str(path)), said.append, backend)
    return code, "\n".join(said)


def test_a_journey_that_works_is_shown_and_would_be_checked(tmp_path: Path, backend: InProcessBackend) -> None:
    """Each request with its place in the file, where it was sent, who answered, and what is compared."""
    code, said = tried(tmp_path, backend)
    assert code == ExitCode.HELD, said
    assert "✓ log_in log_in[0]              POST /login  302 -> /  a1-1" in said
    assert "✓ act    act[0]                 POST /notes  303" in said
    assert "the app shows {'acknowledged': ['user-001.1']} = acknowledged: {'acknowledged': ['user-001.1']}" in said
    assert "this would be checked" in said
    assert not backend._worlds


def test_state_in_a_replicas_memory_is_no_mistake_of_the_journey(tmp_path: Path, backend: InProcessBackend) -> None:
    """On one replica it works: the run is there to find out what happens on several."""
    code, said = tried(tmp_path, backend, NOTES_SCENARIO.replace("notes:v1", "notes:v1-memory"))
    assert code == ExitCode.HELD, said


@pytest.mark.parametrize(
    ("right", "wrong", "says"),
    [
        ("{name}", "nobody-{name}", "log_in[0]: nobody gets in: POST /login answered 403, not 2xx [POST /login -> 403"),
        ("post: /notes", "post: /note", "act[0]: every act() ends early: POST /note answered 404, not 303"),
        ("get: /notes.json", "get: /notes.jsn", "state: state() can't be read: GET /notes.jsn answered 404, not 2xx"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_the_app_said(
    tmp_path: Path, backend: InProcessBackend, right: str, wrong: str, says: str
) -> None:
    """Exit code 5: nothing would be checked."""
    code, said = tried(tmp_path, backend, NOTES_SCENARIO.replace(right, wrong))
    assert code == ExitCode.TOO_LITTLE_CHECKED
    assert f"nothing would be checked, because {says}" in said
    assert "it says: " in said
    assert not backend._worlds


def test_the_labs_own_shop_has_nothing_to_try() -> None:
    """Its users are the lab's."""
    with pytest.raises(UsageError, match="has no journey of your own to try"):
        try_scenario(TrialRequest(scenario="demo"), print)
