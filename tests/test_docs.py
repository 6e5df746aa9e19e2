"""What the documents say is so: verbs, exit codes, targets, scenarios and promises can't drift from the code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import click
import pytest

from lab.chaos.faults import FAULTS, Fault
from lab.cli import EXIT_CODES, SCENARIOS, root
from lab.cluster.stores import TIERS, Tier
from lab.errors import ExitCode
from lab.oracle.promises import PROMISES
from lab.scenario.read import LIBRARY
from lab.scenario.spec import Scenario, StepSpec

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def verbs() -> dict[str, click.Command]:
    return dict(root.commands)


@pytest.mark.parametrize("verb", sorted(verbs()))
def test_every_verb_is_in_the_readme(verb: str) -> None:
    """No verb without a line for people."""
    assert f"`lab {verb}" in README or f"`lab {verb}`" in README


def test_every_verb_in_the_readme_exists() -> None:
    """No line about a verb that is not there."""
    named = set(re.findall(r"`lab ([a-z-]+)", README))
    assert named <= set(verbs())


@pytest.mark.parametrize("told", ["README.md", "lab/lessons/TRAINER.md"])
def test_where_lab_is_found_is_told_before_it_is_called(told: str) -> None:
    """After `make setup` it is on nobody's PATH."""
    text = (ROOT / told).read_text()
    assert -1 < text.find(". .venv/bin/activate") < text.index("`lab ")


def test_what_a_shell_would_read_itself_is_in_quotes() -> None:
    """zsh, which macOS has, refuses a line with a bare [1] in it: no file is called so."""
    for path in (ROOT / "README.md", *(ROOT / "lab").rglob("*.md")):
        for block in re.findall(r"^ *```\n(.*?)^ *```$", path.read_text(), re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                bare = re.sub(r"'[^']*'|\"[^\"]*\"|#.*", "", line)
                assert not re.match(r" *lab .*[][*?]", bare), f"{path.name}: {line}"


@pytest.mark.parametrize("code", list(ExitCode), ids=lambda code: code.name)
def test_every_exit_code_is_documented(code: ExitCode) -> None:
    """In the README and in the help."""
    assert re.search(rf"^\| [0-9, ]*\b{code.value}\b", README, re.MULTILINE)
    assert re.search(rf"\b{code.value}\b", EXIT_CODES)


def test_every_target_has_a_line_of_help() -> None:
    """`make help` lists each target that a person may call, and the README names only those that are there."""
    makefile = (ROOT / "Makefile").read_text()
    phony = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())  # type: ignore[index]
    helped = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert phony == helped
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in helped:
        assert f"make {target}" in shown
    assert set(re.findall(r"(?:^|`)make ([a-z-]+)", README, re.MULTILINE)) <= helped


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_scenario_is_named_in_help_and_readme(path: Path) -> None:
    """What comes with the lab can be found."""
    assert path.stem in README
    run = verbs()["run"]
    told = run.get_help(click.Context(run))
    assert path.stem in re.sub(r"-\n\s+", "-", told)  # which breaks lines at hyphens


def test_the_help_names_every_scenario_and_no_other() -> None:
    """Each by its whole name: one may be part of another."""
    *named, own = SCENARIOS.split(", ")
    assert own == "or a YAML file"
    assert sorted(named) == sorted(path.stem for path in LIBRARY.glob("*.yaml"))


def test_the_library_uses_every_key_of_a_scenario() -> None:
    """The scenarios that come with the lab are examples of the format: each key stands in one, or in a lesson's."""
    lessons = (ROOT / "lab" / "lessons").glob("*/broken/scenario.yaml")  # a script lies beside its scenario
    text = "\n".join(path.read_text() for path in (*LIBRARY.glob("*.yaml"), *lessons))
    for key in set(Scenario.__struct_fields__) - {"seed"}:
        assert re.search(rf"^{key}:", text, re.MULTILINE), key
    for key in StepSpec.__struct_fields__:
        assert re.search(rf"- {{?{key}:", text), key


def test_the_readme_speaks_of_every_promise() -> None:
    """As many promises are told as there are."""
    told = README[README.index("**Promises.**") :].split("\n\n")[0].count("·") + 1
    assert told == len(PROMISES)


def test_every_picture_of_the_readme_is_there() -> None:
    """No broken picture, no broken link inside the repository."""
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


@pytest.mark.parametrize("fault", FAULTS.values(), ids=lambda fault: fault.name)
def test_the_readme_has_the_whole_table_of_faults(fault: Fault) -> None:
    """Each row as the code has it: name, victims, what it does, how it is undone, what proves it."""
    row = [f"`{fault.name}`", ", ".join(fault.hits), fault.about, fault.undone, f"`{fault.proof}`"]
    assert f"| {' | '.join(row)} |" in README


@pytest.mark.parametrize("tier", TIERS.values(), ids=lambda tier: tier.name)
def test_the_readme_says_of_every_store_what_it_may_lose(tier: Tier) -> None:
    """Each row as the code has it: name, what it is made of, its bound."""
    assert f"| `{tier.name}` | {tier.about} | {tier.bound} |" in README


def test_the_readme_has_no_other_fault() -> None:
    """No row for what is not there."""
    table = README[README.index("## Faults") : README.index("A scenario strikes with")]
    assert re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE) == list(FAULTS)
