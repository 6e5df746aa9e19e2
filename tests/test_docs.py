"""What the documents say is so: commands, options, tables and examples can't drift from the code."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab.chaos.faults import FAULTS
from lab.cluster.stores import TIERS
from lab.errors import ExitCode
from lab.machine.host import DIFFERENCES
from lab.model import Operation
from lab.oracle.promises import PROMISES
from lab.record import AnyEvent
from lab.scenario.read import LIBRARY, read_scenario
from lab.scenario.spec import Scenario, StepSpec
from lab.users.loading import load_journey
from tests.documents import (
    DOCS,
    PAGES,
    README,
    REFERENCE,
    ROOT,
    TUTORIAL,
    Block,
    all_blocks,
    blocks_of,
    commands_of,
    shown_file,
)
from tests.prove.nested.rows import ROWS

TRAINER = ROOT / "lab" / "lessons" / "TRAINER.md"
WITH_COMMANDS = {"sh", "", "groovy", "make"}
"""Languages of blocks whose lines are typed; CI's YAML files have theirs by name."""
LONGEST_README = 180

OWN_APP = """
lab: 1
name: own-app
title: "A rolling upgrade of web"
cluster:
  compose: compose.yaml
  service: web
  port: 8000
  release: "web:v1"
  zones: {a: 1, b: 1, c: 1}
users: {count: 20, journey: "journey.py:Visitor"}
promises: {serving_at_least: 2}
steps: [{settle: {for: 3}}]
"""
"""A scenario of which the documents' parts take the place of its own."""


def page_names(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# ---------------------------------------------------------------- commands


def options_by_command() -> dict[str, set[str]]:
    """Every command and act with its options, as the generated reference has them (which a test holds to the code)."""
    sections = re.split(r"^### `lab ", REFERENCE.read_text(), flags=re.MULTILINE)[1:]
    found = {}
    for section in sections:
        name, _, rest = section.partition("`")
        table = "\n".join(line.split(" | ")[0] for line in rest.splitlines() if line.startswith("| `"))
        found[name] = set(re.findall(r"(?<![\w-])--[a-z-]+", table))
    return found


COMMANDS = options_by_command()


def uses_of(text: str) -> Iterator[str]:
    """Calls of `lab` in lines that are typed: what follows the word, up to the end of the command."""
    for found in re.finditer(r"(?:^|[\s'\"/(`])lab ([a-z][^\n|&;`]*)", text):
        yield found[1]


def wrong_in(use: str) -> str:
    """What of a call does not exist; "" if all does."""
    words = use.split()
    name = next((name for name in (" ".join(words[:2]), words[0]) if name in COMMANDS), None)
    if name is None:
        return f"there is no command {words[0]!r}"
    known = COMMANDS[name] | COMMANDS[words[0]] | {"--help", "--version"}
    used = re.findall(r"(?<![\w-])--[a-z-]+", re.sub(r"'[^']*'|\"[^\"]*\"", "", use))
    return ", ".join(f"lab {name} has no {one}" for one in used if one not in known)


def typed_blocks() -> list[Block]:
    ci = {".github/workflows/lab.yml", ".gitlab-ci.yml"}
    return [one for one in all_blocks() if one.language in WITH_COMMANDS or one.name in ci]


def test_a_call_that_does_not_exist_is_found() -> None:
    """The checks below can fail."""
    assert wrong_in("run demo --ui") == ""
    assert wrong_in("lesson check --ui") == ""
    assert "no command 'rnu'" in wrong_in("rnu demo")
    assert "lab run has no --sede" in wrong_in("run demo --sede 7")


def test_what_is_typed_exists() -> None:
    """Commands with their options, and targets, in every block that a person or a CI would type."""
    known = targets()
    for block, line in [(one, line) for one in typed_blocks() for line in commands_of(one)]:
        for use in uses_of(line):
            assert wrong_in(use) == "", f"{block.at}: {line}"
        for target in re.findall(r"(?:^|[\s'])make ([a-z-]+)", line if block.name != "Makefile" else ""):
            assert target in known, f"{block.at}: {line}"


def test_what_is_called_in_running_text_exists() -> None:
    """`lab run --ui` and `make test` between words."""
    known = targets()
    for page in (*PAGES, TRAINER):
        prose = re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
        for words in (" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)):
            if words.startswith("lab ") and words[4].islower():
                assert wrong_in(words[4:]) == "", f"{page.name}: {words}"
            if words.startswith("make "):
                assert words.split()[1] in known, f"{page.name}: {words}"


def test_every_command_has_a_row() -> None:
    """No command without a line for people."""
    rows = re.findall(r"^\| (`lab .*?) \|", (DOCS / "reference" / "commands.md").read_text(), re.MULTILINE)
    told = set(re.findall(r"`lab ([a-z-]+)[ `]", "\n".join(rows)))
    assert told == {name.split()[0] for name in COMMANDS}


@pytest.mark.parametrize("page", [README, TUTORIAL, TRAINER, DOCS / "how-to" / "workshop.md"], ids=page_names)
def test_where_lab_is_found_is_said_before_it_is_called(page: Path) -> None:
    """After `make setup` it is on nobody's PATH."""
    text = page.read_text()
    called = re.search(r"(?:^|`)lab [a-z]", text, re.MULTILINE)
    assert called
    assert -1 < text.find(". .venv/bin/activate") < called.start()


def test_what_a_shell_would_read_itself_is_in_quotes() -> None:
    """zsh, which macOS has, refuses a line with a bare [1] in it: no file is called so."""
    for page in (*PAGES, *(ROOT / "lab").rglob("*.md")):
        for block in blocks_of(page):
            for line in block.text.splitlines():
                bare = re.sub(r"'[^']*'|\"[^\"]*\"|#.*", "", line)
                assert not re.match(r" *lab .*[][*?]", bare), f"{block.at}: {line}"


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_every_target_has_a_line_of_help() -> None:
    """`make help` lists each target that a person may call."""
    phony = set(re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)[1].split())  # type: ignore[index]
    assert phony == targets()
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in targets():
        assert f"make {target}" in shown


def test_every_scenario_is_named_in_help_and_commands() -> None:
    """What comes with the lab can be found, each by its whole name, and nothing else is named."""
    library = {path.stem for path in LIBRARY.glob("*.yaml")}
    [row] = re.findall(
        r"^\| `lab run demo` \| (.*) \|$", (DOCS / "reference" / "commands.md").read_text(), re.MULTILINE
    )
    assert set(re.findall(r"`([a-z-]+)`", row)) == library
    argv = [sys.executable, "-m", "lab", "run", "--help"]
    said = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    joined = re.sub(r"-\n\s+", "-", said)  # help breaks lines at hyphens
    for name in library:
        assert re.search(rf"(?<![\w-]){name}(?![\w-])", joined), name


# ---------------------------------------------------------------- tables


def rows_of(page: str, under: str = "") -> list[list[str]]:
    """The cells of every row of a page's tables, below a heading if one is named."""
    text = (DOCS / page).read_text()
    text = text[text.index(under) :].split("\n## ")[0] if under else text
    rows = re.findall(r"^\| (.*) \|$", text, re.MULTILINE)
    return [re.split(r" \| ", row) for row in rows if not set(row) <= set("-:| ")]


def named(rows: list[list[str]]) -> list[str]:
    """What the first cells call themselves, if they are code."""
    return [cell[1:-1] for cell, *_ in rows if re.fullmatch(r"`[^`]+`", cell)]


def test_the_exit_codes_are_those_of_the_code() -> None:
    """A contract."""
    told = {int(one) for code, *_ in rows_of("reference/exit-codes.md")[1:] for one in code.split(", ")}
    assert told == {int(code) for code in ExitCode}


def test_the_table_of_faults_is_the_codes() -> None:
    """Each row: name, victims, what it does, how it is undone, what proves it; and no other row."""
    table = rows_of("reference/faults.md")[1:]
    assert table == [
        [f"`{fault.name}`", ", ".join(fault.hits), fault.about, fault.undone, f"`{fault.proof}`"]
        for fault in FAULTS.values()
    ]


def test_the_table_of_stores_is_the_codes() -> None:
    """Each row: name, what it is made of, what it may lose."""
    assert rows_of("reference/stores.md")[1:] == [[f"`{one.name}`", one.about, one.bound] for one in TIERS.values()]


def test_the_table_of_promises_is_the_codes() -> None:
    """Name, title and what is counted; when it is asked for and what breaks it are said beside."""
    table = rows_of("reference/promises.md")[1:]
    assert [row[:3] for row in table] == [[f"`{one.name}`", one.title, one.checks] for one in PROMISES.values()]
    assert all(len(row) == 5 and all(row) for row in table)


def test_the_tables_of_engines_are_the_codes() -> None:
    """Every row of the matrix, and everything that differs between systems."""
    page = "how-to/engines.md"
    tried = rows_of(page, "What was tried")[1:]
    assert [row[0].strip("`") for row in tried] == list(ROWS)
    assert all(len(row) == 4 and all(row) for row in tried)
    differ = rows_of(page, "Processors and systems")[1:]
    assert differ == [[one.what, one.linux, one.macos] for one in DIFFERENCES]


def test_the_table_of_strategies_has_all_of_them() -> None:
    """As the generated reference has."""
    section = REFERENCE.read_text().split("## Strategies of `roll`")[1].split("\n## ")[0]
    known = re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)
    assert named(rows_of("reference/rollouts.md")) == known


def test_the_events_of_a_record_are_the_codes() -> None:
    """Every kind has a row, and no row is of another."""
    kinds = [event.__struct_config__.tag for event in typing.get_args(AnyEvent)]
    told = named(rows_of("reference/record.md", under="## Events"))
    assert sorted(told) == sorted(kinds)


def test_the_fields_of_an_operation_exist() -> None:
    """Whoever reads a record with a program of their own goes by these."""
    cells = [cell for cell, *_ in rows_of("reference/record.md", under="## Operations")]
    fields = {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}
    assert fields <= set(Operation.__struct_fields__)
    assert len(fields) > 10


def test_every_variable_that_is_read_is_documented() -> None:
    """What the code takes from the environment, and nothing that it does not."""
    sources = [*(ROOT / "lab").glob("**/*.py"), *(ROOT / "lab").glob("*.sh"), *(ROOT / "tests").glob("**/*.py")]
    sources = [path for path in sources if not re.search(r"lessons/\d\d-|shipped/", path.as_posix())]
    text = "\n".join(path.read_text() for path in (*sources, ROOT / "Makefile"))
    code = "\n".join(path.read_text() for path in sources if path.is_relative_to(ROOT / "lab"))
    read = set(re.findall(r"environ(?:\.get\(|\[)\"([A-Z_]+)\"", code))
    read |= set(re.findall(r"\$\{([A-Z][A-Z_]+):-", code))
    told = set(named(rows_of("reference/environment.md", under="## Others")))
    assert read <= told, read - told
    assert {name for name in told if name not in text} == set()


def test_the_options_of_the_pytest_plugin_are_the_codes() -> None:
    """Each has a row."""
    known = set(re.findall(r'"(--lab-[a-z]+)"', (ROOT / "lab" / "pytest_plugin.py").read_text()))
    told = {name.split()[0] for name in named(rows_of("how-to/pytest.md"))}
    assert {name for name in told if name.startswith("--")} == known


def test_the_map_of_rooms_has_every_room() -> None:
    """And none that is not there."""
    lab = ROOT / "lab"
    rooms = {path.relative_to(lab).parts[0].removesuffix(".py") for path in lab.rglob("*.py")} - {"__init__", "shipped"}
    cells = [row[1] for row in rows_of("CONTRIBUTING.md", under="## The map of rooms")[1:]]
    told = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert len(told) == len(set(told))
    assert set(told) == rooms


def test_files_that_contributors_are_sent_to_exist() -> None:
    """But for the place of a lesson that is yet to be written."""
    text = (DOCS / "CONTRIBUTING.md").read_text()
    for path in re.findall(r"`((?:lab|tests|images|compose)/[\w./-]+)`", text):
        if not path.startswith("lab/lessons/NN"):
            assert (ROOT / path).exists(), path


def test_the_glossary_is_in_order_and_has_the_usual_words() -> None:
    """One page, one meaning for each."""
    terms = re.findall(r"^\*\*([\w ]+)\*\*", (DOCS / "glossary.md").read_text(), re.MULTILINE)
    assert terms == sorted(terms)
    usual = "slot, edge, strike, promise, evidence, tenure, leader, settle, gate, replica, release, blast radius"
    assert set(usual.split(", ")) <= set(terms)


# ---------------------------------------------------------------- links and pages


def anchors_of(page: Path) -> set[str]:
    """What headings are called in links, as GitHub makes it of them."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def links_of(page: Path) -> list[str]:
    """Relative links and pictures, wherever they break a line."""
    prose = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return [one for one in re.findall(r"\]\(([^)\s]+)\)", prose) if not re.match(r"[a-z]+:", one)]


def test_every_relative_link_leads_somewhere() -> None:
    """Files, folders, pictures, and headings in them."""
    for page, link in [(one, link) for one in (*PAGES, ROOT / "CHANGELOG.md") for link in links_of(one)]:
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.is_relative_to(ROOT), link
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors_of(target), f"{page.name}: {link}"


def test_every_page_can_be_reached_from_the_first() -> None:
    """From README.md, by links alone; the package's description is for those who have no files."""
    seen, waiting = set[Path](), [README]
    while waiting:
        page = waiting.pop()
        if page not in seen and page.suffix == ".md":
            seen.add(page)
            waiting += [(page.parent / link.partition("#")[0]).resolve() for link in links_of(page) if link[0] != "#"]
    assert set(PAGES) - seen == set() or set(PAGES) - seen == {DOCS / "package.md"}


def test_the_readme_is_a_page() -> None:
    """What is longer belongs into docs/."""
    assert len(README.read_text().splitlines()) <= LONGEST_README


def test_the_packages_description_has_no_link_that_leads_nowhere() -> None:
    """What pip and an index show has no files beside it: no relative link, no picture."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    description = ROOT / project["readme"]
    assert links_of(description) == []
    assert "![" not in description.read_text()
    first = description.read_text().split("\n\n")[1]
    assert " ".join(first.split()) in " ".join(README.read_text().replace("**", "").split())  # one fact, two places


# ---------------------------------------------------------------- examples


def examples(*names: str) -> list[Block]:
    return [block for block in all_blocks() if block.name in names]


def lay_out(folder: Path, block: Block) -> Path:
    """What a page's scenario lies beside: its own journey, else any; and a compose file."""
    own = [one for one in blocks_of(block.page) if one.name == "journey.py"]
    journey = own[-1].text if own else shown_file(TUTORIAL, "journey.py")
    (folder / "journey.py").write_text(journey)
    (folder / "compose.yaml").write_text(shown_file(TUTORIAL, "compose.yaml"))
    return folder / "lab.yaml"


@pytest.mark.parametrize("block", examples("lab.yaml", "kills.yaml"), ids=lambda block: block.at)
def test_every_scenario_that_is_shown_can_be_read(block: Block, tmp_path: Path) -> None:
    """With the journey of the same page."""
    path = lay_out(tmp_path, block)
    path.write_text(block.text)
    scenario = read_scenario(path)
    assert scenario.users.are_of_own_app
    if scenario.users.journey is not None:
        load_journey(scenario.users.journey)


@pytest.mark.parametrize("block", examples("in lab.yaml"), ids=lambda block: block.at)
def test_every_part_of_a_scenario_that_is_shown_can_be_read(block: Block, tmp_path: Path) -> None:
    """In the place of the same keys of a whole one."""
    path = lay_out(tmp_path, block)
    part = yaml.safe_load(block.text)
    assert set(part) <= set(Scenario.__struct_fields__), part
    path.write_text(yaml.safe_dump(yaml.safe_load(OWN_APP) | part))
    scenario = read_scenario(path)
    assert scenario.steps


RUNS = ("lab run lab.yaml", "lab watch --url ")
"""How a CI's file begins the line that gives the verdict."""


def test_every_yaml_block_says_which_file_it_is() -> None:
    """So that it is read as that file: none is left unread."""
    for block in (one for one in all_blocks() if one.language == "yaml"):
        read = yaml.safe_load(block.text)
        if block.name.startswith("compose"):
            assert read["services"]["web"]["image"], block.at
        elif block.name == ".github/workflows/lab.yml":
            steps = read["jobs"]["users-keep-their-state"]["steps"]
            own = [step for step in steps if "/cluster-lab@" in step.get("uses", "")]
            inputs = yaml.safe_load((DOCS.parent / "action.yml").read_text())["inputs"]
            assert all(step["with"].keys() <= inputs.keys() for step in own), block.at
            assert own or [step for step in steps if step.get("run", "").startswith(RUNS)], block.at
            assert all(len({"run", "uses"} & set(step)) == 1 for step in steps), block.at
        elif block.name == ".gitlab-ci.yml":
            assert [one for one in read["users-keep-their-state"]["script"] if one.startswith(RUNS)], block.at
        else:
            assert block.name in {"lab.yaml", "kills.yaml", "in lab.yaml"}, block.at


def test_every_python_block_is_a_file_that_can_be_loaded(tmp_path: Path) -> None:
    """Journeys are loaded; apps and tests, which are run on real containers elsewhere, are read."""
    for block in (one for one in all_blocks() if one.language == "python"):
        assert block.name.endswith(".py"), block.at
        tree = ast.parse(block.text)
        if block.name.endswith("journey.py"):
            (tmp_path / "journey.py").write_text(block.text)
            [name] = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
            load_journey(f"{tmp_path / 'journey.py'}:{name}")


def test_the_makefile_that_is_shown_runs_the_lab(tmp_path: Path) -> None:
    """As make reads it."""
    (tmp_path / "Makefile").write_text(shown_file(DOCS / "how-to" / "ci.md", "Makefile"))
    said = subprocess.run(["make", "-n", "lab"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert ".venv/bin/lab run lab.yaml" in said.splitlines()  # a make that is run by make says more


def test_the_library_uses_every_key_of_a_scenario() -> None:
    """The scenarios that come with the lab are examples of the format: each key stands in one, or in a lesson's."""
    lessons = (ROOT / "lab" / "lessons").glob("*/broken/scenario.yaml")  # a script lies beside its scenario
    text = "\n".join(path.read_text() for path in (*LIBRARY.glob("*.yaml"), *lessons))
    own = "\n".join(block.text for block in all_blocks())  # a command and a target are somebody's, shown by a page
    for key in set(Scenario.__struct_fields__) - {"seed"}:
        assert re.search(rf"^{key}:", own if key == "target" else text, re.MULTILINE), key
    text += own
    for key in StepSpec.__struct_fields__:
        assert re.search(rf"- {{?{key}:", text), key
