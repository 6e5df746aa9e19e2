"""Each lesson is whole, says what it must say, and its two halves differ in nothing but what there is to learn."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.deploy.script import load_script
from lab.errors import UsageError
from lab.lessons.command import to_edit
from lab.lessons.dev_check import check_lessons, what_is_wrong_with_broken
from lab.lessons.lesson import LIBRARY, Lesson, LessonFile, files_of, find_lesson, read_lessons
from lab.lessons.workplace import complete, layer_files, own_releases, read_spec
from lab.oracle.promises import PROMISES

LESSONS = read_lessons()
each_lesson = pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
ROOT = Path(__file__).resolve().parents[3]


def test_lessons_are_numbered_without_gaps() -> None:
    """A class counts on it."""
    assert [lesson.number for lesson in LESSONS] == list(range(1, len(LESSONS) + 1))


def faults_of_page(lesson: Lesson) -> Iterator[str]:
    """What is wrong with a lesson's page."""
    page = (lesson.folder / "README.md").read_text()
    if not page.startswith(f"# {lesson.number}  {lesson.title}\n"):
        yield "begins with another title"
    for part in ("What you'll see.", "Predict first.", "The idea.", "Mend it.", "Where it is real."):
        if f"**{part}**" not in page:
            yield f"lacks {part!r}"
    if page.count("\n") > 50 or max(map(len, page.splitlines())) > 120:
        yield "is more than a page"


def test_a_page_asks_for_a_prediction_and_says_where_it_is_real() -> None:
    """Whoever reads it knows what to look for before the run, and it fits on one page."""
    assert [f"{lesson.name} {fault}" for lesson in LESSONS for fault in faults_of_page(lesson)] == []


@each_lesson
def test_both_halves_can_be_read_and_the_solution_keeps_to_what_may_be_changed(lesson: Lesson, tmp_path: Path) -> None:
    """What dev-check needs containers for is not this: a solution that cheats is refused before."""
    whole = tmp_path / lesson.name
    complete(lesson, whole)
    for half in (lesson.broken, whole):
        scenario = read_spec(lesson, half)
        assert scenario.enough.operations >= 400
        assert scenario.enough.checks >= 400
        for release in own_releases(scenario):
            assert layer_files(lesson, half, release)
        if scenario.script is not None:
            assert load_script(scenario.script)
    assert [path for path in lesson.solution.rglob("*") if path.is_file()]


def test_there_is_something_to_change() -> None:
    """And whoever begins the lesson is told what."""
    for lesson in LESSONS:
        mine = set(to_edit(lesson))
        solved = {path.relative_to(lesson.solution) for path in files_of(lesson.solution)}
        assert mine and solved <= mine, lesson.name


def test_the_trainer_knows_what_to_ask_about_it() -> None:
    """Each has one row with minutes, seconds, and a question for before and after."""
    lines = (LIBRARY / "TRAINER.md").read_text().splitlines()
    wrong = []
    for lesson in LESSONS:
        [row] = [line for line in lines if line.startswith(f"| {lesson.number} ")]
        title, minutes, seconds, before, after = (cell.strip() for cell in row.split("|")[2:-1])
        is_timed = minutes.isdigit() and int(seconds) <= 40
        if title != lesson.title or not is_timed or not (before.endswith("?") and after.endswith("?")):
            wrong.append(row)
    assert wrong == []


def test_a_lesson_is_small() -> None:
    """What is broken is a patch, never a copy of the shop."""
    files = [path for lesson in LESSONS for path in files_of(lesson.folder)]
    assert files
    assert [str(path) for path in files if len(path.read_text().splitlines()) > 90] == []


def test_the_solution_is_another_text() -> None:
    """A lesson that is solved from the start teaches nothing."""
    files = [(lesson, path.relative_to(lesson.solution)) for lesson in LESSONS for path in files_of(lesson.solution)]
    assert files
    assert [
        f"{lesson.name}: {path}"
        for lesson, path in files
        if (lesson.solution / path).read_bytes() == (lesson.broken / path).read_bytes()
    ] == []


@each_lesson
def test_every_lesson_takes_the_place_of_parts_that_the_shop_has(lesson: Lesson) -> None:
    """A file under a name that the shop does not know must be asked for by another file of the lesson."""
    shop = ROOT / "images" / "shop" / "shop"
    for release in own_releases(read_spec(lesson, lesson.broken)):
        files = layer_files(lesson, lesson.broken, release)
        for path in files:
            module = Path(path).stem
            asked_for = any(module.encode() in content for other, content in files.items() if other != path)
            assert (shop / Path(path).name).exists() or asked_for, path


def spoilt(tmp_path: Path, before: str, after: str) -> Path:
    folder = tmp_path / LESSONS[0].name
    shutil.copytree(LESSONS[0].folder, folder)
    text = (folder / "lesson.yaml").read_text()
    assert before in text
    (folder / "lesson.yaml").write_text(text.replace(before, after))
    return tmp_path


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("breaks: logged_in", "breaks: logged_inn", "logged_inn"),
        ("breaks: logged_in", "breaks: applied_once", "other promises"),
        ("over:", "at_most: {cluster.zones.a: 2}\nover:", "keys that may be changed"),
        ("breaks:", "brakes:", "brakes"),
        ("title: ", "title: [", "can't be read"),
    ],
)
def test_a_lesson_that_is_not_whole_is_refused(tmp_path: Path, before: str, after: str, told: str) -> None:
    """With its file."""
    with pytest.raises(UsageError, match=told) as refused:
        read_lessons(spoilt(tmp_path, before, after))
    assert "lesson.yaml" in refused.value.at


def test_an_empty_hint_is_refused(tmp_path: Path) -> None:
    """Somebody who is stuck gets something each time."""
    folder = tmp_path / LESSONS[0].name
    shutil.copytree(LESSONS[0].folder, folder)
    head = (folder / "lesson.yaml").read_text().partition("hints:")[0]
    (folder / "lesson.yaml").write_text(head + 'hints: ["one", " ", "three"]\n')
    with pytest.raises(UsageError, match="none is empty"):
        read_lessons(tmp_path)


def test_a_solution_of_a_file_that_nobody_got_is_refused(tmp_path: Path) -> None:
    """What is to be edited must be there."""
    folder = tmp_path / LESSONS[0].name
    shutil.copytree(LESSONS[0].folder, folder)
    (folder / "solution" / "shop" / "other.py").write_text("")
    with pytest.raises(UsageError, match="never got"):
        read_lessons(tmp_path)


def test_a_lesson_is_found_by_number_and_by_name() -> None:
    """Either way people speak of it."""
    assert find_lesson(LESSONS, "1") is LESSONS[0]
    assert find_lesson(LESSONS, "01") is LESSONS[0]
    assert find_lesson(LESSONS, LESSONS[0].name) is LESSONS[0]
    assert find_lesson(LESSONS, "state-is-a-bug") is LESSONS[0]
    with pytest.raises(UsageError, match="unknown lesson 'x'"):
        find_lesson(LESSONS, "x")


TOLD = LessonFile(title="t", breaks="logged_in", may_break={"applied_once": "why"}, hints=("a", "b", "c"))


@pytest.mark.parametrize(
    ("broken", "wrong"),
    [
        ({"logged_in"}, ""),
        ({"logged_in", "applied_once"}, ""),
        ({"applied_once"}, "logged_in was not broken"),
        (set[str](), "but nothing"),
        ({"logged_in", "tries"}, "broke tries too"),
        (set(PROMISES), "has nothing to do with it"),
    ],
)
def test_what_is_broken_must_break_by_its_own_promise(broken: set[str], wrong: str) -> None:
    """And by no other, but for those that its author gave a reason for."""
    said = what_is_wrong_with_broken(TOLD, broken)
    assert (wrong in said) if wrong else not said


@pytest.mark.parametrize("seeds", [0, -1, 10**9])
def test_a_check_of_lessons_that_tries_nothing_is_refused(seeds: int) -> None:
    """It used to say "0 of 0" and end in 0."""
    with pytest.raises(UsageError, match="--seeds"):
        check_lessons([], seeds=seeds, say=lambda _: None)
