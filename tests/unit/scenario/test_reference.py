"""Schema and reference are made from the code, shipped as files, and can't drift from it."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

import jsonschema
import pytest
import yaml

from lab.cli import EXIT_CODES, root
from lab.cli.verb_docs import docs_of_verbs
from lab.cluster.own_files import ReadCompose
from lab.oracle.promises import PROMISES
from lab.scenario import reference, schema
from lab.scenario.guess import guess
from lab.scenario.init import SCHEMA, scenario_text
from lab.scenario.pin_spec import PinnedFault
from lab.scenario.read import LIBRARY
from lab.scenario.reference import keys_of_shape, reference_text
from lab.scenario.schema import schema_text, shapes_of
from lab.scenario.spec import Scenario, StepSpec

REFERENCE = reference_text(docs_of_verbs(root), EXIT_CODES)


def validator() -> jsonschema.Draft202012Validator:
    document = json.loads(schema.SHIPPED.read_text())
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


def test_the_shipped_schema_is_the_codes() -> None:
    """`make fix` writes it anew."""
    assert schema.SHIPPED.read_text() == schema_text()


def test_the_shipped_reference_is_the_codes() -> None:
    """`make fix` writes it anew."""
    assert reference.SHIPPED.read_text() == REFERENCE


def test_every_scenario_of_the_library_fits_the_schema() -> None:
    """An editor shows no error in any of them."""
    known, paths = validator(), sorted(LIBRARY.glob("*.yaml"))
    assert paths
    errors = {path.stem: [one.message for one in known.iter_errors(yaml.safe_load(path.read_text()))] for path in paths}
    assert {name: found for name, found in errors.items() if found} == {}


def test_what_init_writes_fits_the_schema_that_it_names() -> None:
    """The first line tells editors where the schema lies."""
    config = {
        "name": "mine",
        "services": {"web": {"image": "web:1", "ports": [{"target": 80}]}, "db": {"image": "redis"}},
    }
    text = scenario_text(ReadCompose(config=config, files=()), guess(config, "web"), ["compose.yaml", "more.yaml"])
    assert text.startswith(f"# yaml-language-server: $schema={SCHEMA}\n")
    validator().validate(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"usres": {}}, "usres"),
        ({"users": {"cuont": 3}}, "cuont"),
        ({"users": {"count": "many"}}, "many"),
        ({"steps": [{"roll": {"to": "shop:v2", "strategy": "blue"}}]}, "blue"),
        ({"steps": [{"settle": {"for": 1}, "pace": {"think": 1}}]}, "has too many properties"),
        ({"title": None}, "None"),
    ],
)
def test_the_schema_refuses_what_the_lab_refuses(change: dict[str, Any], key: str) -> None:
    """Unknown keys, wrong types, two steps in one."""
    document = yaml.safe_load((LIBRARY / "demo.yaml").read_text()) | change
    with pytest.raises(jsonschema.ValidationError) as refused:
        validator().validate(document)
    assert key in str(refused.value)


def test_every_key_has_a_sentence() -> None:
    """Under its field in the code, from where schema and reference take it."""
    keys = [(shape, key) for shape in shapes_of(Scenario) if shape is not StepSpec for key in keys_of_shape(shape)]
    assert keys
    assert [f"{shape.__name__}.{key.name}" for shape, key in keys if not key.said] == []
    assert [f"{shape.__name__}.{key.name}" for shape, key in keys if f"| `{key.name}` |" not in REFERENCE] == []
    assert REFERENCE.count("| `together` |") == 1


def test_no_row_ends_in_an_empty_cell() -> None:
    """Whatever has a row of its own is told, be it a key, an option or a fault."""
    rows = re.sub(r"^\|.*\n\|---.*$", "", REFERENCE, flags=re.MULTILINE)
    assert re.findall(r"^\| .*\|\s*\|$", rows, re.MULTILINE) == []


@pytest.mark.parametrize("plain", [str, int, float, bool, Mapping], ids=lambda kind: kind.__name__)
def test_pythons_own_words_are_in_no_row(plain: type[Any]) -> None:
    """They speak of no scenario, and differ from one Python to the next."""
    assert (inspect.getdoc(plain) or "").partition("\n")[0] not in REFERENCE


def test_a_key_that_holds_more_is_told_as_what_leads_to_what() -> None:
    """Bounds are given by the names of zones: a zone's name alone is none."""
    assert "| `zones` | text to `ZoneBounds` |" in REFERENCE


def test_everything_that_can_be_named_is_in_the_reference() -> None:
    """Steps, promises, faults, verbs and every option with its variable."""
    for name in (*StepSpec.__struct_fields__, *PROMISES, *(fault.value for fault in PinnedFault)):
        assert f"| `{name}` |" in REFERENCE, name
    for verb in docs_of_verbs(root):
        part = REFERENCE.partition(f"### `lab {verb.name}`\n")[2].partition("\n### ")[0]
        assert verb.about, verb.name
        assert part.startswith(f"\n{verb.about[0].upper()}")
        for one in verb.arguments:
            assert f"| `{one.spelled}`" in part, f"{verb.name} {one.spelled}"
            assert not one.variable or f" `{one.variable}` |" in part
    assert "`LAB_DRY_RUN`" in REFERENCE


def test_consent_has_no_variable_in_the_reference() -> None:
    """What can't be undone is asked for by hand, and the reference names no other way."""
    part = REFERENCE.partition("### `lab clean`\n")[2].partition("\n## ")[0]
    assert "| `--all` |" in part
    assert "| `-y, --yes` |" in part
    assert "LAB_" not in part
