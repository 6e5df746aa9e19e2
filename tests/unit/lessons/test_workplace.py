"""The participant's folder: copied once, read with care, never lost."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from lab.errors import UsageError
from lab.lessons.attempt import needs_of, with_images
from lab.lessons.lesson import Lesson, find_lesson, read_lessons
from lab.lessons.workplace import lay_out, layer_files, put_aside, read_spec
from lab.scenario.spec import images_of

LESSONS = read_lessons()
STATE, STICKY, VERSIONS, PET, DEPLOYER = (find_lesson(LESSONS, number) for number in ("1", "2", "8", "12", "13"))


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """Somebody's folder of lesson 1."""
    lay_out(STATE, tmp_path / "mine")
    return tmp_path / "mine"


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


def test_what_is_there_stays_as_it_is(mine: Path) -> None:
    """Beginning a lesson again takes nothing away, and puts back what is missing."""
    (mine / "shop" / "kept.py").write_text("mine = 1\n")
    (mine / "README.md").unlink()
    assert lay_out(STATE, mine) == [mine / "README.md"]
    assert (mine / "shop" / "kept.py").read_text() == "mine = 1\n"


def test_a_reset_never_takes_a_name_that_is_taken(tmp_path: Path) -> None:
    """Not even twice in a second."""
    now, folder = datetime(2026, 1, 2, 3, 4, 5), tmp_path / "mine"
    asides = set()
    for number in range(3):
        folder.mkdir()
        (folder / "note").write_text(str(number))
        asides.add(put_aside(folder, now))
    assert put_aside(folder, now) is None
    assert sorted((path / "note").read_text() for path in asides if path) == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("before", "after", "key"),
    [
        ("count: 30", "count: 12", "users.count"),
        ("at_least: 3, at_most: 3", "at_least: 1, at_most: 1", "steps[1].monkey.at_least"),
        ("operations: 400", "operations: 1", "enough.operations"),
        ('release: "mine:v1"', 'release: "shop:v1"', "cluster.release"),
        ("  - settle: {for: 2}\n  - monkey", "  - monkey", "steps"),
        ("serving_at_least: 2", "serving_at_least: 0", "promises.serving_at_least"),
    ],
)
def test_the_scenario_is_not_the_participants(mine: Path, before: str, after: str, key: str) -> None:
    """Nobody passes by a gentler test; what was changed is told."""
    edit(mine / "scenario.yaml", before, after)
    with pytest.raises(UsageError, match="part of the test") as refused:
        read_spec(STATE, mine)
    assert key in str(refused.value)


def test_a_target_is_no_lesson(mine: Path) -> None:
    """Whatever answers there is not what the participant is to mend."""
    journey = "{log_in: [{get: /}], act: [{post: /, adds: '{new}'}], state: {get: /}}"
    target = "target: {urls: ['http://127.0.0.1:1']}"
    head = f"lab: 1\nname: state\ntitle: t\n{target}\nusers: {{http: {journey}}}\nsteps: [{{settle: {{for: 1}}}}]\n"
    (mine / "scenario.yaml").write_text(head)
    with pytest.raises(UsageError, match="not on a target") as refused:
        read_spec(STATE, mine)
    assert refused.value.at.endswith("scenario.yaml: target")


def test_what_a_lesson_leaves_to_the_participant_may_be_changed(tmp_path: Path) -> None:
    """And beside it nothing."""
    lay_out(STICKY, tmp_path)
    edit(tmp_path / "scenario.yaml", "affinity: cookie", "affinity: none")
    assert read_spec(STICKY, tmp_path).cluster.affinity == "none"
    edit(tmp_path / "scenario.yaml", "affinity: none", "affinity: none\n  repeat_writes: false")
    with pytest.raises(UsageError, match="repeat_writes"):
        read_spec(STICKY, tmp_path)


@pytest.mark.parametrize("bound", ["3", "600", "null", ".nan"])
def test_a_bound_that_promises_nothing_is_refused(tmp_path: Path, bound: str) -> None:
    """It is the participant's to state, within what anybody could live with."""
    lay_out(PET, tmp_path)
    edit(tmp_path / "scenario.yaml", "loses_at_most: 0 ", f"loses_at_most: {bound} ")
    with pytest.raises(UsageError, match=r"promises\.loses_at_most") as refused:
        read_spec(PET, tmp_path)
    assert refused.value.hint


@pytest.mark.parametrize("bound", ["0", "1", "2.0"])
def test_a_bound_within_the_limit_may_be_stated(tmp_path: Path, bound: str) -> None:
    """Together with the store that is to keep it."""
    lay_out(PET, tmp_path)
    edit(tmp_path / "scenario.yaml", "loses_at_most: 0 ", f"loses_at_most: {bound} ")
    edit(tmp_path / "scenario.yaml", "store: redis-no-disk", "store: redis-everysec")
    asked = read_spec(PET, tmp_path)
    assert (asked.promises.loses_at_most, asked.cluster.store) == (float(bound), "redis-everysec")


def test_a_script_is_the_participants_own_file_and_cant_be_left_out(tmp_path: Path) -> None:
    """Each folder has its own of that name; the lab's own way would pass without anything learnt."""
    lay_out(DEPLOYER, tmp_path)
    assert read_spec(DEPLOYER, tmp_path).script == str(tmp_path / "rollout.py")
    edit(tmp_path / "scenario.yaml", "script: rollout.py", "script: null")
    with pytest.raises(UsageError, match="script is part of the test"):
        read_spec(DEPLOYER, tmp_path)
    edit(tmp_path / "scenario.yaml", "script: null", f"script: {DEPLOYER.solution / 'rollout.py'}")
    with pytest.raises(UsageError, match="script is part of the test"):
        read_spec(DEPLOYER, tmp_path)


def test_a_file_that_is_no_python_is_told_with_its_line(mine: Path) -> None:
    """Before anything is built."""
    edit(mine / "shop" / "kept.py", "async def get(self, name: str)", "async def get(self, name: str")
    with pytest.raises(UsageError, match="is not valid Python") as refused:
        layer_files(STATE, mine, "v1")
    assert "kept.py, line 2" in refused.value.at


@pytest.mark.parametrize("content", [b"\0", b"\xff\xfe"])
def test_a_file_of_other_bytes_is_told_too(mine: Path, content: bytes) -> None:
    """Whatever an editor made of it."""
    (mine / "shop" / "kept.py").write_bytes(content)
    with pytest.raises(UsageError, match="is not valid Python"):
        layer_files(STATE, mine, "v1")


def test_a_file_that_is_gone_is_told_with_the_way_back(mine: Path) -> None:
    """`start` puts back what is missing."""
    (mine / "shop" / "kept.py").unlink()
    with pytest.raises(UsageError, match="is gone") as refused:
        layer_files(STATE, mine, "v1")
    assert refused.value.hint == "lab lesson start 1"


def test_the_participants_files_lie_over_the_lessons(mine: Path) -> None:
    """And nothing but sources of the shop gets into the image."""
    (mine / "shop" / "memory_sessions.py").write_text("mine = 2\n")
    (mine / "notes.txt").write_text("not the shop's")
    (mine / "shop" / "__pycache__").mkdir()
    (mine / "shop" / "__pycache__" / "kept.py").write_text("left behind")
    files = layer_files(STATE, mine, "v1")
    assert set(files) == {"shop/kept.py", "shop/memory_sessions.py"}
    assert files["shop/memory_sessions.py"] == b"mine = 2\n"


def test_files_of_one_release_are_in_that_one_alone() -> None:
    """What v2 changes is not in v1."""
    assert set(layer_files(VERSIONS, VERSIONS.broken, "v2")) == {"shop/session_text.py"}
    assert not layer_files(VERSIONS, VERSIONS.broken, "v1")


@pytest.mark.parametrize("lesson", [STATE, STICKY, VERSIONS], ids=lambda lesson: lesson.name)
def test_a_run_names_the_images_that_were_built(lesson: Lesson) -> None:
    """In every step, and leaves the lab's own as they are."""
    scenario = read_spec(lesson, lesson.broken)
    built = {image: image.replace("mine", "built") for image in images_of(scenario) if image.startswith("mine:")}
    run = with_images(scenario, built)
    assert not any(image.startswith("mine:") for image in images_of(run))
    assert [image.replace("built", "mine") for image in images_of(run)] == images_of(scenario)
    assert not any(image.startswith("mine:") for image in needs_of(lesson, scenario))
