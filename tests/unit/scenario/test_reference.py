"""Schema and reference are made from the code, shipped as files, and can't drift from it."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from lab.cli import EXIT_CODES, abouts_of, build_parser
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

REFERENCE = reference_text(abouts_of(build_parser()), EXIT_CODES)


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


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_scenario_of_the_library_fits_the_schema(path: Path) -> None:
    """An editor shows no error in any of them."""
    validator().validate(yaml.safe_load(path.read_text()))


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


@pytest.mark.parametrize("shape", list(shapes_of(Scenario)), ids=lambda shape: shape.__name__)
def test_every_key_has_a_sentence(shape: type[Any]) -> None:
    """Under its field in the code, from where schema and reference take it."""
    if shape is StepSpec:
        assert REFERENCE.count("| `together` |") == 1
        return
    for key in keys_of_shape(shape):
        assert key.said, f"{shape.__name__}.{key.name}"
        assert f"| `{key.name}` |" in REFERENCE


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
    for name, (about, parser) in abouts_of(build_parser()).items():
        assert f"### `lab {name}`" in REFERENCE
        assert about, name
        for option in (one for action in parser._actions for one in action.option_strings):
            assert option in {"-h", "--help"} or f"{option}" in REFERENCE
    assert "`LAB_DRY_RUN`" in REFERENCE
