"""A check that judges time says "could not tell" where the machine was late, and else says what it says."""

from __future__ import annotations

from functools import partial
from typing import Literal

import pytest

from tests.machine import PER_CORE, could_not_tell, in_short

pytest_plugins = ("pytester",)


def report(outcome: Literal["passed", "failed", "skipped"] = "failed", told: str = "assert 3 < 2") -> pytest.TestReport:
    return pytest.TestReport(
        nodeid="a", location=("a", 1, "a"), keywords={}, outcome=outcome, longrepr=told, when="call"
    )


@pytest.mark.parametrize(
    ("one", "judges_time", "load", "is_told"),
    [
        (report(), True, 12.0, False),
        (report(), True, 2 * PER_CORE, True),
        (report(), False, 12.0, True),
        (report("passed"), True, 12.0, True),
        (report(told="Traceback (most recent call last): ..."), True, 12.0, True),
        (report(told="internal error: KeyError"), True, 12.0, True),
    ],
    ids=["late", "in time", "judges no time", "passed", "a traceback", "an internal error"],
)
def test_only_a_late_machine_excuses_what_judges_time(
    one: pytest.TestReport, judges_time: bool, load: float, is_told: bool
) -> None:
    """No load excuses anything else."""
    said = could_not_tell(one, judges_time=judges_time, load=load, cores=2)
    assert said == "" if is_told else "load average 12.0 on 2 cores" in said


def test_a_mistake_in_a_test_is_never_laid_at_the_machine() -> None:
    """A file that is not there is not there on a quiet machine either."""
    busy = partial(could_not_tell, report(), judges_time=True, load=12.0, cores=2)
    assert busy(error=AssertionError("too late"))
    assert not busy(error=FileNotFoundError("lab.yaml"))


@pytest.mark.parametrize(
    ("failure", "may_be_late"),
    [
        ("A title\nBROKEN serving_floor: 1 served at 3 s\nreport", True),
        ("✕  6 broken   seed 1: broke serving_floor too", True),
        ("A lesson\n  COULD NOT TELL   the machine was too busy\nassert 4 == 0", True),
        ("sweep rolling: 1 saved by retry\nassert {'ready': 'saved 1'} == {'ready': 'held'}", True),
        ("assert 3 < 2\n +  where 3 = len(x)", True),
        ("lab: the balancer answers: not so after 30 s", True),
        ("A title\nBROKEN state_kept: 20 of 20 users lost state; also tries", False),
        ("✕  7 broken   seed 1: broke applied_once too", False),
        ("assert 70 == 0\n +  where 70 = count()", False),
        ("assert 'cut from store to a1' in 'cut from store: a1-1'", False),
    ],
)
def test_no_load_explains_a_text_or_a_lost_state(failure: str, may_be_late: bool) -> None:
    """A machine that is late lets a wait, an order of moments or a promise of service fail, and nothing else."""
    said = could_not_tell(report(), judges_time=True, load=12.0, cores=2, error=AssertionError(failure))
    assert bool(said) == may_be_late


def test_of_a_runs_output_its_verdict_is_told() -> None:
    """Of anything else the first line."""
    assert in_short("A title\n1 s\nBROKEN tries at 3 s\nreport") == "BROKEN tries at 3 s"
    assert in_short("assert 3 < 2\n +  where") == "assert 3 < 2"
    assert in_short("") == ""


def test_a_failure_on_a_late_machine_is_reported_as_skipped(pytester: pytest.Pytester) -> None:
    """With the load and the first line of what failed; beside it one that judges no time stays failed."""
    pytester.makeconftest("from tests.conftest import pytest_runtest_makereport")
    pytester.makepyfile(
        """
        import os, pytest

        @pytest.fixture(autouse=True)
        def busy(monkeypatch):
            monkeypatch.setattr("tests.conftest.load_now", lambda: (99.0, 2))

        @pytest.mark.judges_time
        def test_late():
            assert False, "too late"

        def test_wrong():
            assert False, "wrong"
        """
    )
    done = pytester.runpytest_inprocess("-rs", "-p", "no:cacheprovider", "-W", "ignore")
    done.assert_outcomes(skipped=1, failed=1)
    done.stdout.fnmatch_lines(["*could not tell: the machine was late (load average 99.0 on 2 cores)*too late*"])
