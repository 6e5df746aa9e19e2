"""Bad input is refused before anything is started, with its key path, whoever wrote it and wherever it stands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lab.errors import ExitCode, LabError, ScenarioError, UsageError
from lab.model import is_image_name
from lab.scenario.overrides import Overrides, parse_change, read_changed
from lab.scenario.plan import plan_lines
from lab.scenario.read import LARGEST_FILE, LIBRARY, find_scenario, read_scenario
from lab.scenario.renames import new_path, with_new_keys
from lab.session import cluster_of, traffic_of

WHOLE = """\
lab: 1
name: x
title: x
cluster: {{release: "shop:v1", zones: {{a: 2, b: 1}}{cluster}}}
steps:
  - {step}
{rest}
"""
OWN = """\
lab: 1
name: x
title: x
cluster: {release: "web:v1", zones: {a: 1, b: 1}, compose: compose.yaml, service: web, port: 80}
users:
  http:
    log_in: [{post: /login, form: {u: "{name}"}}]
    act: [{post: /items, json: {item: "{new}"}, adds: "{new}"}]
    state: {get: /items}
steps: [{settle: {for: 1}}]
"""


def refused(path: Path, text: str | bytes, **more: Any) -> str:
    """What it is refused with: always with a place and something to do, and exit code 2."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ScenarioError) as raised:
        read_scenario(path, **more)
    assert raised.value.exit_code is ExitCode.USAGE
    assert raised.value.at
    assert raised.value.hint
    return str(raised.value)


@pytest.mark.parametrize(
    ("part", "text", "told"),
    [
        ("rest", "deployers: -1", "deployers: must be from 0 to 20, not -1"),
        ("rest", "enough: {operations: -1}", "enough.operations: must be from 0 to 1e+08, not -1"),
        ("rest", "promises: {serving_at_least: -1}", "promises.serving_at_least: must be from 0 to 100, not -1"),
        ("rest", "promises: {serving_at_least: 4}", "promises.serving_at_least: there are only 3 slots"),
        ("rest", "users: {count: 100000000000000000000}", "users.count: must be from 1 to 10000, not 1e+20"),
        ("rest", "users: {tries: 0}", "users.tries: must be from 1 to 100, not 0"),
        ("rest", "stop_when: {users_lost: -1}", "stop_when.users_lost: must be from 0"),
        ("rest", "blast_radius: {replicas: -1}", "blast_radius.replicas: must be from 0"),
        ("rest", "seed: -5", "seed: must be from 0"),
        ("rest", "lab: 1", "the key 'lab' stands here twice, in lines 1 and 7"),
        ("rest", "time_limit: 9\nlonger_than: 9", "time_limit: longer_than is the old name of time_limit"),
        ("cluster", ", port: 0", "cluster.port: must be from 1 to 65535, not 0"),
        ("cluster", ", port: 65536", "cluster.port: must be from 1 to 65535, not 65536"),
        ("cluster", ", largest_body: 999999999999g", "cluster.largest_body: '999999999999g' is not a valid size"),
        ("cluster", ', ready: "/he althz"', "cluster.ready: '/he althz' is not a valid path"),
        ("cluster", ', ready: "/%zz"', "cluster.ready: '/%zz' is not a valid path"),
        ("step", "monkey: {at_most: 1000000000}", "steps[0].monkey.at_most: must be from 0 to 10000"),
        ("step", 'roll: {to: "-v"}', "steps[0].roll.to: '-v' is not a valid image name"),
        ("step", 'roll: {to: ""}', "steps[0].roll.to: '' is not a valid image name"),
        ("step", 'roll: {to: "x; id"}', "steps[0].roll.to: 'x; id' is not a valid image name"),
        ("step", 'roll: {to: "Upper:V1"}', "steps[0].roll.to: 'Upper:V1' is not a valid image name"),
        ("step", 'roll: {to: "shop:v1"}', "steps[0].roll.to: shop:v1 serves already"),
        (
            "step",
            "repeat: {for: 9, steps: [{roll: {to: 'shop:v2'}}]}",
            "steps[0].repeat.steps[0].roll.to: shop:v2 serves",
        ),
        ("step", 'monkey: {least_serving: 1, calendar: {begins: "9999-12-30"}}', "steps[0].monkey.calendar"),
        ("step", 'monkey: {least_serving: 1, calendar: {opens: "09:00+01:00"}}', "steps[0].monkey.calendar"),
        ("step", "roll: {to: 'shop:v2', batch: '%s%%'}" % ("9" * 400), "steps[0].roll.batch"),
        ("step", "settle: {for: 1, for: 2}", "the key 'for' stands here twice, in lines 6 and 6"),
        ("step", "together: []", "steps[0].together: needs at least one step"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_its_key(tmp_path: Path, part: str, text: str, told: str) -> None:
    """Numbers out of bounds, names that no engine takes, keys that stand twice, upgrades to nowhere."""
    parts = {"cluster": "", "step": "settle: {for: 1}", "rest": "", part: text}
    assert told in refused(tmp_path / "x.yaml", WHOLE.format(**parts))


@pytest.mark.parametrize("zones", ["{a: 1000000000}", "{a: -1, b: 3}", "{a: 60, b: 60}", "{a: 1, a: 5}", "{no: 1}"])
def test_zones_that_no_engine_holds_are_refused_at_once(tmp_path: Path, zones: str) -> None:
    """A dry run used to make a list of a billion slots first."""
    said = refused(
        tmp_path / "x.yaml", WHOLE.format(cluster="", step="settle: {for: 1}", rest="").replace("{a: 2, b: 1}", zones)
    )
    assert "cluster.zones" in said or "the key 'a' stands here twice, in lines 4 and 4" in said


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("post: /items", "post: items", "users.http.act[0].post: 'items' is not a valid path"),
        ("post: /items", "post: '/my items'", "users.http.act[0].post: '/my items' is not a valid path"),
        ("post: /items", "post: '{n}/items'", "users.http.act[0].post: '{n}/items' is not a valid path"),
        ("post: /items", "post: '{any: /a|b}'", "users.http.act[0].post: '{any: /a|b}' is not a valid path"),
        ("post: /items", "post: '/items#top'", "users.http.act[0].post: '/items#top' is not a valid path"),
        ("post: /items,", "post: /items, form: {a: b},", "users.http.act[0]: a request has one body"),
        ("get: /items", "get: 'items'", "users.http.state.get: 'items' is not a valid path"),
        ("post: /items,", 'post: /items, headers: {X-A: "b\\r\\nX-C: d"},', "users.http.act[0].headers"),
        ("post: /items,", 'post: /items, headers: {"X A": b},', "users.http.act[0].headers"),
        ("post: /items,", "post: /items, expect: 99,", "users.http.act[0].expect: must be from 100 to 599, not 99"),
        ('json: {item: "{new}"}', "json: &a {item: *a}", "levels deep"),
        ('json: {item: "{new}"}', "json: {item: .nan}", "users.http.act[0].json"),
        ('json: {item: "{new}"}', "json: {item: 99999999999999999999}", "users.http.act[0].json"),
        ('json: {item: "{new}"}', 'json: {"\\ud800": 1}', "users.http.act[0].json: holds half a character"),
        ("service: web", 'service: "../web"', "cluster.service: '../web' is not a valid service name"),
        ("compose: compose.yaml", 'compose: "a\\0b"', "cluster.compose: holds the control character '\\x00'"),
        ("compose: compose.yaml", f"compose: {'c' * 300}.yaml", "cluster.compose: is not the name of a file"),
        ("title: x", 'title: "\\ud800"', "title: holds half a character"),
        ("title: x", 'title: "\\e[2J"', "title: holds the control character '\\x1b'"),
        ("name: x", f"name: {'x' * 101}", "name: is 101 characters long, at most 100 are allowed"),
    ],
)
def test_what_no_request_and_no_file_name_can_hold_is_refused(
    tmp_path: Path, before: str, after: str, told: str
) -> None:
    """With the key path, before the app is brought up."""
    assert before in OWN
    assert told in refused(tmp_path / "x.yaml", OWN.replace(before, after, 1))


def test_a_document_that_is_a_bomb_is_refused_in_no_time(tmp_path: Path) -> None:
    """Aliases of aliases, a file without an end, and one that is merely too large."""
    rows = "\n".join(f"  b{n + 1}: &b{n + 1} [{', '.join([f'*b{n}'] * 9)}]" for n in range(9))
    assert "more than 100000 values" in refused(tmp_path / "x.yaml", f"about:\n  b0: &b0 [x, x]\n{rows}\n")
    assert str(LARGEST_FILE) in refused(tmp_path / "y.yaml", b"#" * (LARGEST_FILE + 1))
    with pytest.raises(ScenarioError, match="is larger than"):
        read_scenario(Path("/dev/zero"))


@pytest.mark.parametrize("named", ["x" * 300, "x" * 300 + ".yaml", "a\0b", "a\0b.yaml", "\udcff.yaml"])
def test_a_name_that_no_file_can_have_is_told(named: str) -> None:
    """Never as a fault of the lab."""
    with pytest.raises(ScenarioError):
        read_scenario(find_scenario(named))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("cluster={release: 'shop:v1', release: 'shop:v2'}", "twice"),
        ("users.count=[" * 200, "users.count"),
        ("users=&u [*u]", "levels deep"),
    ],
)
def test_what_a_change_holds_is_read_as_carefully_as_a_file(change: str, told: str) -> None:
    """A key that stands twice, what holds itself."""
    with pytest.raises(UsageError, match=told):
        parse_change(change)


def test_a_change_is_bounded_as_the_file_is() -> None:
    """And told as what it is."""
    for change, told in (("deployers=-1", "--set deployers: must be from 0"), ("cluster.zones.a=1000000000", "--set")):
        with pytest.raises(ScenarioError, match=told):
            read_changed(LIBRARY / "demo.yaml", Overrides(changes=(parse_change(change),)))


def test_an_old_key_still_works_and_is_told_of_once(tmp_path: Path) -> None:
    """In the file and with --set, for users and for whoever changes the duration."""
    path, said = tmp_path / "x.yaml", list[str]()
    path.write_text(
        WHOLE.format(cluster="", step="repeat: {for: 5, steps: [{settle: {for: 1}}]}", rest="longer_than: 77")
    )
    assert read_scenario(path, notice=said.append).time_limit == 77
    assert said == [f"{path}: the key longer_than is now called time_limit; the old name still works"]
    said.clear()
    assert read_changed(path, Overrides(duration=15), notice=said.append).time_limit == 87
    assert len(said) == 1
    said.clear()
    demo = read_scenario(LIBRARY / "demo.yaml", [("longer_than", 5)], notice=said.append)
    assert demo.time_limit == 5
    assert said == ["--set: the key longer_than is now called time_limit; the old name still works"]
    assert new_path("users.count") == "users.count"
    theirs = {"form": {"longer_than": 1}, "steps": [{"roll": {"longer_than": 1}}]}
    assert with_new_keys(theirs) == theirs


@pytest.mark.parametrize(
    ("zones", "more", "floor"),
    [
        ("{a: 1, b: 1, c: 1}", "", 2),
        ("{a: 3, b: 3, c: 3}", "", 8),
        ("{a: 1}", "", 1),
        ("{a: 3, b: 3}", ", begin_with: 4", 3),
        ("{a: 3, b: 3}", "}\npromises: {serving_at_least: 6", 6),
    ],
)
def test_one_slot_may_be_away_where_nothing_else_is_promised(tmp_path: Path, zones: str, more: str, floor: int) -> None:
    """A scenario with three replicas and no promises used to ask for five, and ended in 5 after a whole run."""
    path = tmp_path / "x.yaml"
    path.write_text(WHOLE.format(cluster=more, step="settle: {for: 1}", rest="").replace("{a: 2, b: 1}", zones))
    assert read_scenario(path).serving_floor == floor


@pytest.mark.parametrize(
    "named",
    [
        "shop:v1",
        "a",
        "ghcr.io/x/y:1.2-rc",
        "localhost:5000/x/y",
        "x@sha256:" + "a" * 64,
        "sha256:" + "a" * 64,
        "a_b/c--d:X",
    ],
)
def test_what_an_engine_takes_for_an_image_is_one(named: str) -> None:
    """By the grammar of references."""
    assert is_image_name(named)


@pytest.mark.parametrize(
    "named",
    [
        "",
        "-v",
        "x; id",
        "Upper:V1",
        "a:" + "b" * 129,
        "a:",
        ":b",
        "a//b",
        "a:b:c",
        "a b",
        "a\n",
        "é",
        "a:\u00b2",
        "x" * 256,
    ],
)
def test_what_no_engine_takes_for_an_image_is_none(named: str) -> None:
    """It would fail when everything is up."""
    assert not is_image_name(named)


def read_nothing(_: Path) -> Mapping[str, Any]:
    return {"services": {"web": {"image": "web:dev"}}}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"ready": "/healthz; } location /evil { return 200 x"}, "marker lab: ready"),
        ({"zones": {"A b": 1}}, "marker lab: zones.A b"),
        ({"zones": {"a": "x"}}, "marker lab: zones"),
        ({"zones": {"a": 10**9}}, "marker lab: zones.a"),
        ({"zones": {1: 1}}, "marker lab: zones"),
        ({"zones": {"a": 1}, "replicas": 7}, "marker lab: replicas"),
        ({"zones": 1, "replicas": 10**9}, "marker lab: zones.a"),
        ({"image": "x; id"}, "marker lab: image"),
        ({"compose": "c.yaml", "service": "web", "port": 0}, "marker lab: port"),
        ({"compose": "c.yaml", "service": "web", "port": "80"}, "marker lab: port"),
        ({"compose": "c.yaml", "service": "web"}, "marker lab"),
        ({"port": 80}, "marker lab: compose"),
    ],
)
def test_a_marker_is_checked_as_a_file_is(asked: dict[str, Any], told: str) -> None:
    """What it says goes into the same configuration; it is told by the marker's name and its argument's."""
    with pytest.raises(UsageError) as raised:
        cluster_of(asked, read_nothing)
    assert str(raised.value).startswith(told)


@pytest.mark.parametrize(
    ("users", "promises", "enough", "told"),
    [
        ({"count": 10**20}, None, None, "lab.traffic: count"),
        ({"count": 0}, None, None, "lab.traffic: count"),
        ({"think": "x"}, None, None, "lab.traffic: think"),
        ({}, {"available": 2.0}, None, "lab.traffic: available"),
        ({}, None, {"operations": -1}, "lab.traffic: operations"),
    ],
)
def test_traffic_of_a_test_is_checked_as_a_file_is(
    users: dict[str, Any], promises: dict[str, Any] | None, enough: dict[str, Any] | None, told: str
) -> None:
    """Before any user is made."""
    standing: Any = None
    with pytest.raises(LabError) as raised:
        traffic_of(standing, None, "test", users, promises, enough, "")
    assert str(raised.value).startswith(told)
    assert raised.value.exit_code is ExitCode.USAGE


def test_whatever_is_read_can_be_planned_and_recorded() -> None:
    """The largest that is allowed, quickly."""
    changes = [("cluster.zones", {"a": 50, "b": 50}), ("steps[1].together[1].monkey.at_most", 10_000)]
    scenario = read_scenario(LIBRARY / "demo.yaml", changes)
    assert list(plan_lines(scenario, runs=Path("runs"), seed=1))
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(scenario)), type(scenario)) == scenario
