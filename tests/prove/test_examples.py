"""The apps of the examples' pages, built and run exactly as they stand there, and broken as the pages say."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.machine.setup import Toolbox
from lab.record import CommandSaid
from tests.building import build_image
from tests.documents import DOCS, blocks_of
from tests.e2e.runs import ROOT, Ended, first_tries_failed, is_gone, lab

pytestmark = [pytest.mark.prove, pytest.mark.judges_time]

PAGES = DOCS / "examples"
TAGS = {"express": "express-notes", "php": "php-notes", "worker": "orders"}
Change = Callable[[Path], None]


@pytest.fixture(scope="module")
def postgres(toolbox: Toolbox) -> str:
    """What stands in for the official image."""
    folder = ROOT / "tests" / "apps" / "postgres"
    build_image(toolbox.engine, "lab-examples-postgres:17", path=folder, BASE=toolbox.images.base_tag)
    return "lab-examples-postgres:17"


class Example:
    """One page's files in a folder, and its images."""

    def __init__(self, toolbox: Toolbox, folder: Path, page: str, postgres: str) -> None:
        self._toolbox, self.folder, self._tag = toolbox, folder, TAGS[page]
        self._postgres = postgres
        for block in blocks_of(PAGES / f"{page}.md"):
            if block.name and not block.name.startswith("in "):
                (folder / block.name).write_text(block.text)

    def run(self, change: Change | None = None, *, new_only: bool = False) -> Ended:
        """Both releases built, the second one changed if that is asked, or both; and the page's scenario run."""
        base = self._toolbox.images.base_tag
        named = "broken" if change is not None else "as-it-is"
        if change is not None and not new_only:
            change(self.folder)
        build_image(self._toolbox.engine, f"{self._tag}-{named}:v1", path=self.folder, BASE=base)
        if change is not None and new_only:
            change(self.folder)
        build_image(self._toolbox.engine, f"{self._tag}-{named}:next", path=self.folder, BASE=base, VERSION="next")
        for name in ("lab.yaml", "compose.yaml"):
            path = self.folder / name
            path.write_text(path.read_text().replace(f"{self._tag}:", f"{self._tag}-{named}:"))
        images = {"REDIS_IMAGE": self._toolbox.images.tag("redis"), "POSTGRES_IMAGE": self._postgres}
        ended = lab("run", str(self.folder / "lab.yaml"), "--seed", "3", **images)
        assert is_gone(self._toolbox, ended.project)
        return ended


@pytest.fixture
def example(toolbox: Toolbox, tmp_path: Path, postgres: str) -> Callable[[str], Example]:
    return lambda page: Example(toolbox, tmp_path, page, postgres)


@pytest.mark.parametrize("page", TAGS)
def test_an_example_holds_as_it_stands(example: Callable[[str], Example], page: str) -> None:
    """Through an upgrade, with no first try failed."""
    ended = example(page).run()
    assert ended.code == 0, ended.out + ended.err
    assert first_tries_failed(ended.history()) == []
    print(ended.out)


def changed(name: str, pattern: str, instead: str) -> Change:
    def change(folder: Path) -> None:
        text = (folder / name).read_text()
        assert re.search(pattern, text), pattern
        (folder / name).write_text(re.sub(pattern, lambda _: instead, text))

    return change


BROKEN: dict[str, tuple[str, Change, str]] = {
    "a logout of the browser alone": (
        "express",
        changed("app.js", r"  await redis\.del\(.*", '  response.clearCookie("sid");'),
        "a logout ends no session",
    ),
    "node without a handler": (
        "express",
        changed("app.js", r'  process\.on\("SIGTERM".*', ""),
        "SIGTERM ignored (process 1 is node)",
    ),
    "sessions in files": (
        "php",
        changed("sessions.ini", r"(?s).*", ""),
        "with a secret of its own",
    ),
    "sessions in a Map": (
        "express",
        changed(
            "app.js",
            r"const redis = createClient\(.*",
            "const redis = createClient({ url: process.env.REDIS_URL });\nconst kept = new Map();\n"
            "redis.get = async (key) => kept.get(key);\nredis.set = async (key, value) => kept.set(key, value);",
        ),
        "with a secret of its own",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_an_example_that_is_broken_as_its_page_says_is_red_by_its_cause(
    example: Callable[[str], Example], case: str
) -> None:
    """Exit code 1, with the page's words."""
    page, change, said = BROKEN[case]
    ended = example(page).run(change)
    assert ended.code == 1, ended.out + ended.err
    assert said in ended.out


def test_a_renamed_column_breaks_the_old_release_and_is_named(example: Callable[[str], Example]) -> None:
    """From the migration on, which is run before the new release starts, and which that release fits."""
    renames = "ALTER TABLE orders ADD COLUMN placed timestamptz; ALTER TABLE orders RENAME invoice TO bill"
    rename = changed("shop.py", r"ADDS = .*", f'ADDS = "{renames}"')
    asks = changed("shop.py", r"(?<=AND )invoice(?= IS)|(?<=SET )invoice|(?<=WHERE )invoice", "bill")

    def both(folder: Path) -> None:
        rename(folder)
        asks(folder)

    ended = example("worker").run(both, new_only=True)
    assert ended.code == 1, ended.out + ended.err
    assert "since next has started: next changed what both share (schema)" in ended.out


def test_a_migration_that_fails_is_exit_3_with_its_lines(example: Callable[[str], Example]) -> None:
    """And no replica of the new release was made."""
    fails = changed("shop.py", r"ADDS = .*", 'ADDS = "ALTER TABLE nowhere ADD COLUMN more text"')
    ended = example("worker").run(fails, new_only=True)
    assert ended.code == 3, ended.out + ended.err
    said = [event.line for event in ended.events() if isinstance(event, CommandSaid)]
    assert any('relation "nowhere" does not exist' in line for line in said), said
    assert r"relation \"nowhere\" does not exist" in (ended.folder / "report.html").read_text()
