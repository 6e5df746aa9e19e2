"""Reports in every format: true to what was judged, readable by who reads such files, safe whatever is in them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.clock import NS, FakeClock
from lab.model import Finding, Verdict
from lab.oracle.verdict import Judgement
from lab.record import ContainerEvent, PhaseBegan, ReadRecord, RunRecord, StrikeProved, keep_log, kept_log
from lab.report.document import Environment, Report, build_report
from lab.report.markdown import markdown
from lab.report.plan import RunPlan
from lab.report.write import FILES, Format, RunReports, tell_run
from tests.unit.report.judging import BROKEN, HELD, HOSTILE, HURTFUL, SERVICE, UNSURE, judged, result
from tests.unit.report.making import read, step, strike

Tell = Callable[..., RunReports]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small record on disk."""
    folder = tmp_path_factory.mktemp("runs") / "20260101-000000-abcd"
    with RunRecord(folder, clock=FakeClock()) as record:
        record.event(PhaseBegan(at=0, name="settle", text=HOSTILE))
        for event in (
            step(0, "enter", "a1-1", why="first"),
            strike(2 * NS, "a1-1"),
            StrikeProved(at=2 * NS, strike=1, hit=True, why=HOSTILE),
            ContainerEvent(at=2 * NS, action="die", container="c1", name="a1-1", role="app", slot="a1"),
            step(3 * NS, "ready", "a1-3", "v2"),
            step(3 * NS, "enter", "a1-3", "v2"),
            PhaseBegan(at=4 * NS, name="down"),
        ):
            record.event(event)
        for number in range(3):
            record.operation(read((number + 1) * NS, number, number))
        environment = {"run": folder.name, "began": "2026-01-01T00:00:00+00:00", "seed": 7, "host": HOSTILE}
        record.write("environment.json", {**environment, "images": {"shop:v1": "sha256:abcd"}})
    keep_log(folder, "a1-1", lambda: f"a1-1 begins\n{HOSTILE}\n")
    return folder


@pytest.fixture(scope="session")
def tell(folder: Path, plan: RunPlan) -> Tell:
    def told(judgement: Judgement, *closing: str) -> RunReports:
        lines = closing or (f"{judgement.verdict.upper()}   as judged", "       much", "       repeat")
        changed = msgspec.structs.replace(plan, repeat="lab run small --seed 7", title=HOSTILE)
        return tell_run(ReadRecord(folder), changed, judgement, SERVICE, lines, lambda _: HOSTILE)

    return told


# ---------------------------------------------------------------- the document


def test_a_report_says_what_strikes_and_steps_cost(folder: Path, plan: RunPlan) -> None:
    """Each strike with its proof and recovery, each replica with the one whose place it took."""
    report = build_report(ReadRecord(folder), plan, HELD, SERVICE, ("HELD", "", ""))
    [one] = report.strikes
    assert (one.at, one.hit, one.capacity, one.users) == (2.0, True, 0.7, 0.1)
    [came] = report.steps
    assert (came.new, came.release, came.old, came.before) == ("a1-3", "v2", "a1-1", "v1")
    assert [(one.name, one.operations) for one in report.phases] == [("settle", 3), ("down", 0)]
    assert report.tries == {1: 3}
    assert report.environment.images == {"shop:v1": "sha256:abcd"}


def test_each_broken_promise_gets_its_story_first(folder: Path, plan: RunPlan) -> None:
    """However many findings one promise has, the first of every other is told."""
    late = Finding(promise="tries", anomaly="not answered", user="", at=9 * NS, why="late")
    judgement = msgspec.structs.replace(BROKEN, findings=(*BROKEN.findings, late))
    report = build_report(ReadRecord(folder), plan, judgement, SERVICE, ("BROKEN", "", ""))
    assert [one.promise for one in report.stories][:2] == ["state_kept", "tries"]
    assert report.findings == 13


# ---------------------------------------------------------------- JUnit


def check_junit(text: str) -> ET.Element:
    """As those who read it do: names, counts and times as the schema of Jenkins' xUnit plugin and pytest have them."""
    root = ET.fromstring(text)  # noqa: S314 -- our own
    assert root.tag == "testsuites"
    [suite] = root
    assert suite.tag == "testsuite"
    cases = suite.findall("testcase")
    for one in (root, suite):
        assert int(one.attrib["tests"]) == len(cases)
        assert int(one.attrib["failures"]) == len(suite.findall("testcase/failure"))
        assert int(one.attrib["errors"]) == len(suite.findall("testcase/error"))
        assert re.fullmatch(r"\d+\.\d{3}", one.attrib["time"])
    datetime.fromisoformat(suite.attrib["timestamp"])
    assert [one.tag for one in suite if one.tag != "testcase"] == ["properties", "system-out"]
    for one in suite.iter("property"):
        assert set(one.attrib) == {"name", "value"}
    assert len({(one.attrib["classname"], one.attrib["name"]) for one in cases}) == len(cases)
    for case in cases:
        assert set(case.attrib) == {"classname", "name", "time"}
        assert [one.tag for one in case] in (["system-out"], ["failure"], ["error"])
        for one in [*case.findall("failure"), *case.findall("error")]:
            assert set(one.attrib) == {"message", "type"}
            assert one.attrib["message"]
    return suite


def outcome(suite: ET.Element, name: str) -> str:
    return next(case[0].tag for case in suite.findall("testcase") if case.attrib["name"] == name)


def test_junit_has_a_case_for_each_promise(tell: Tell) -> None:
    """Held passes, broken fails with the story, could not tell is an error: never a pass."""
    held = check_junit(tell(HELD).text(Format.JUNIT))
    assert {outcome(held, name) for name in ("state_kept", "tries")} == {"system-out"}
    broken = check_junit(tell(BROKEN).text(Format.JUNIT))
    assert (outcome(broken, "state_kept"), outcome(broken, "tries")) == ("failure", "system-out")
    told = broken.findtext("testcase/failure")
    assert told is not None
    assert "user-001: one is missing" in told
    unsure = check_junit(tell(UNSURE).text(Format.JUNIT))
    assert (outcome(unsure, "state_kept"), outcome(unsure, "the run as a whole")) == ("error", "error")


def test_a_run_without_any_promise_is_an_error(tell: Tell) -> None:
    """An empty file would be green."""
    nothing = msgspec.structs.replace(UNSURE, promises=(), reasons=())
    assert outcome(check_junit(tell(nothing).text(Format.JUNIT)), "the run as a whole") == "error"


def test_a_broken_run_is_never_called_one_of_which_nothing_can_be_told(tell: Tell) -> None:
    """What was too little beside a broken promise is told as that, in every format."""
    both = tell(msgspec.structs.replace(BROKEN, reasons=("3 strikes, at least 4 are needed",)))
    assert "<h2>Also not shown</h2>" in both.text(Format.HTML)
    assert "- also not shown: 3 strikes, at least 4 are needed" in both.text(Format.MARKDOWN)
    suite = check_junit(both.text(Format.JUNIT))
    assert (outcome(suite, "state_kept"), outcome(suite, "also not shown")) == ("failure", "error")
    for wanted in (Format.HTML, Format.MARKDOWN, Format.JUNIT):
        assert "the run as a whole" not in both.text(wanted)
        assert "could not tell" not in both.text(wanted).partition("<script")[0].lower()
        assert "nothing can be told" not in both.text(wanted)
    unsure = tell(UNSURE)
    assert "<h2>Why nothing can be told</h2>" in unsure.text(Format.HTML)
    assert "- could not tell: one is missing" in unsure.text(Format.MARKDOWN)


@given(text=st.text(max_size=80))
def test_junit_is_well_formed_whatever_is_in_it(tell: Tell, text: str) -> None:
    """Control characters, markup and the rest of Unicode."""
    check_junit(
        tell(judged(Verdict.BROKEN, (result("state_kept", Verdict.BROKEN, 1),), text or "-")).text(Format.JUNIT)
    )


# ---------------------------------------------------------------- Markdown


def test_markdown_begins_with_the_verdict(tell: Tell) -> None:
    """What a CI's summary shows first is what matters."""
    text = tell(BROKEN).text(Format.MARKDOWN)
    assert text.startswith("## BROKEN as judged")
    assert "✕ broken" in text
    assert "user-001: one is missing" in text
    assert "lab run small --seed 7" in text


def test_markdown_keeps_hostile_text_as_text(tell: Tell) -> None:
    """No HTML, no mention, no table cell and no fence comes out of what an app answered."""
    text = tell(HURTFUL).text(Format.MARKDOWN)
    outside = "".join(part for number, part in enumerate(text.split("\n~~~")) if number % 2 == 0)
    assert not re.search(r"(?<!\\)<(?!/?(details|summary)>)", outside)
    assert not re.search(r"(?<!\\)@someone", outside)
    rows = [line for line in outside.splitlines() if line.startswith("| title") or "reads compared" in line]
    assert rows
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 5 for line in rows)
    assert text.count("\n~~~") == 2
    assert "\x1b" not in text  # of a title, a note and a story


@given(most=st.integers(200, 4000))
def test_markdown_is_cut_to_size(tell: Tell, most: int) -> None:
    """A summary that is too long is refused as a whole: it is cut, says so, and closes what it opened."""
    report: Report = tell(HURTFUL).report
    text = markdown(report, most=most)
    assert len(text.encode()) <= most + 5
    assert text.count("\n~~~") % 2 == 0
    if len(markdown(report).encode()) > most:
        assert text.endswith("the record holds it all.\n")


# ---------------------------------------------------------------- HTML


class Elements(HTMLParser):
    """Every element with its attributes, and the text within each kind."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._open.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open[-1]][-1] += data


def test_html_holds_nothing_but_its_own(tell: Tell) -> None:
    """No element, attribute or script comes out of hostile text, and nothing is loaded from anywhere."""
    page = Elements(tell(HURTFUL).text(Format.HTML))
    tags = [tag for tag, _ in page.found]
    assert "img" not in tags
    assert tags.count("script") == 4
    for tag, attributes in page.found:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        for name in ("src", "href"):
            led_to = attributes.get(name) or "data:,"
            own = {"data:,", *FILES.values(), "events.jsonl", "history.jsonl", "environment.json"}
            assert led_to in own or led_to.startswith("#")
    config, requests, tape, _ = page.texts["script"]
    assert json.loads(config) == {"control": None, "run": "20260101-000000-abcd"}
    assert json.loads(requests)["total"] == 3
    events = json.loads(tape)
    assert (events[0]["k"], events[-1]["k"]) == ("plan", "verdict")
    assert events[0]["title"] == HOSTILE


def test_html_names_its_script_and_style_by_hash(tell: Tell) -> None:
    """The policy allows exactly what the file holds; one changed byte and a browser refuses it."""
    import base64
    import hashlib

    page = Elements(tell(HELD).text(Format.HTML))
    policy = next(one["content"] for tag, one in page.found if one.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        made = base64.b64encode(hashlib.sha256(page.texts[tag][-1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{made}'" in policy


def test_html_says_all_of_it_without_its_script(tell: Tell) -> None:
    """Verdict, promises, story, strikes, what was not checked, digests and how to repeat it are plain markup."""
    text = tell(BROKEN).text(Format.HTML)
    article = text[text.index("<article") : text.index("</article>")]
    for said in ("BROKEN", "state_kept", "user-001: one is missing", "Likely", "SIGKILL", "0.7 s", "sha256:abcd"):
        assert said in article, said
    assert "lab run small --seed 7" in article


def test_html_links_to_the_record_only_where_it_lies_beside_it(tell: Tell, folder: Path, tmp_path: Path) -> None:
    """A link that leads nowhere is none."""
    told = tell(HELD)
    [beside] = told.write([Format.HTML], folder)
    assert '<a href="events.jsonl">' in beside.read_text()
    assert "which this file lay beside" in beside.read_text()
    beside.unlink()
    [elsewhere] = told.write([Format.HTML], tmp_path / "reports")
    assert not re.search(r'<a href="[^#]', elsewhere.read_text())
    assert "events.jsonl" in elsewhere.read_text()
    assert "lay beside" not in elsewhere.read_text()


def test_html_says_nothing_of_a_machine_that_the_record_does_not_name(tell: Tell) -> None:
    """A record may have lost its environment, or have come from a lab that wrote less."""
    told = tell(HELD)

    def environment(**known: object) -> str:
        report = msgspec.structs.replace(told.report, environment=Environment(**known))  # type: ignore[arg-type]
        text = msgspec.structs.replace(told, report=report).text(Format.HTML)
        return text[text.index("<h2>Environment</h2>") : text.index("<h2>The record</h2>")]

    assert "The record does not say." in environment()
    assert "None" not in environment()
    assert "<table" not in environment()
    assert "<dd>1 core</dd>" in environment(cores=1)
    assert "<dd>Linux, 2 cores</dd>" in environment(system="Linux", cores=2)


# ---------------------------------------------------------------- JSON and the Chaos Toolkit's journal


def test_json_is_the_whole_report(tell: Tell) -> None:
    """A program reads back what was told."""
    told = tell(BROKEN)
    assert msgspec.json.decode(told.text(Format.JSON), type=Report) == told.report


@pytest.mark.parametrize(
    ("judgement", "status", "deviated"),
    [(HELD, "completed", False), (BROKEN, "failed", True), (UNSURE, "aborted", False)],
)
def test_the_journal_is_as_the_toolkit_writes_it(tell: Tell, judgement: Judgement, status: str, deviated: bool) -> None:
    """Every property that its specification demands, of the demanded kind."""
    journal = json.loads(tell(judgement).text(Format.CHAOSTOOLKIT))
    assert (journal["status"], journal["deviated"]) == (status, deviated)
    assert journal["steady_states"]["after"]["steady_state_met"] is (judgement is HELD)
    assert {"experiment", "status", "start", "end", "duration", "run", "rollbacks", "platform", "node"} <= set(journal)
    experiment = journal["experiment"]
    assert {"version", "title", "description", "method", "steady-state-hypothesis"} <= set(experiment)
    probes = journal["steady_states"]["after"]["probes"]
    assert [one["activity"] for one in probes] == experiment["steady-state-hypothesis"]["probes"]
    assert [one["activity"] for one in journal["run"]] == experiment["method"]
    assert [one["activity"]["type"] for one in journal["run"]] == ["action", "action"]
    for one in (journal, *journal["run"], *probes):
        begin, end = datetime.fromisoformat(one["start"]), datetime.fromisoformat(one["end"])
        assert (end - begin).total_seconds() == pytest.approx(one["duration"], abs=0.002)
    for one in (*journal["run"], *probes):
        assert one["status"] in {"succeeded", "failed"}
        assert isinstance(one["output"], str)
    assert all(isinstance(one["tolerance_met"], bool) for one in probes)


def test_a_run_that_did_not_hold_shows_what_the_dead_wrote_last(tell: Tell) -> None:
    """With when they died; one that held has nothing to explain."""
    [log] = tell(BROKEN).report.logs
    assert (log.replica, log.died) == ("a1-1", 2.0)
    assert log.lines[0] == "a1-1 begins"
    assert "a1-1 begins" in tell(BROKEN).text(Format.HTML)
    assert tell(HELD).report.logs == ()


def test_a_log_is_kept_by_names_of_replicas_alone(tmp_path: Path) -> None:
    """The end of it, of what can be read; nothing is ever written elsewhere."""
    keep_log(tmp_path, "a1-1", lambda: "\n".join(map(str, range(100_000))))
    assert kept_log(tmp_path, "a1-1", last=2) == ("99998", "99999")
    keep_log(tmp_path, "a1-2", lambda: "  ")
    keep_log(tmp_path, "../a1-3", lambda: "text")
    assert [one.name for one in (tmp_path / "logs").iterdir()] == ["a1-1.log"]
    assert kept_log(tmp_path, "../a1-3", last=1) == kept_log(tmp_path, "a1-9", last=1) == ()


def test_the_kinds_of_request_are_a_table_for_programs(tell: Tell) -> None:
    """A row each, with its unit in the head."""
    head, row = tell(HELD).text(Format.CSV).strip().splitlines()
    assert head == "request,requests,failed,repeated,p50_ms,p95_ms,p99_ms,slowest_ms"
    assert row.startswith("cart,3,0,0,")
