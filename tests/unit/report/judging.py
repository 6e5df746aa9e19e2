"""Verdicts as they come out of judging, for what tells them."""

from __future__ import annotations

from typing import Any

from lab.clock import NS
from lab.errors import ExitCode
from lab.model import Finding, PromiseResult, Verdict
from lab.oracle.latency import Latency
from lab.oracle.recovery import Recovery
from lab.oracle.service import FirstTries, ServiceReport
from lab.oracle.verdict import Evidence, Judgement
from tests.unit.report.making import read

HOSTILE = "</script><img src=x onerror=alert(1)> \u2028 \x00\x1b[31m | ` ~~~ & \" ' <!-- ]]> **x** @someone"
"""What an answer of somebody's app could hold."""


def result(promise: str, verdict: Verdict, broken: int = 0, **changes: str) -> PromiseResult:
    given: dict[str, Any] = {"title": f"title of {promise}", "checks": "reads compared", "note": "", **changes}
    return PromiseResult(promise=promise, verdict=verdict, count=40, broken=broken, **given)


def judged(verdict: Verdict, promises: tuple[PromiseResult, ...], why: str = "one is missing") -> Judgement:
    witness = (read(NS, 1, answer={"held": why}),)
    found = Finding(promise="state_kept", anomaly="lost write", user="user-001", at=NS, why=why, witness=witness)
    is_broken = verdict is Verdict.BROKEN
    codes = {Verdict.HELD: ExitCode.HELD, Verdict.BROKEN: ExitCode.BROKEN}
    return Judgement(
        verdict=verdict,
        exit_code=codes.get(verdict, ExitCode.COULD_NOT_TELL),
        promises=promises,
        findings=(found,) * 12 if is_broken else (),
        reasons=() if verdict in codes else (why,),
        evidence=Evidence(operations=3, users=3, users_hurt=1 if is_broken else 0, checks={}),
        likely=why if is_broken else "",
        not_checked=(why,),
    )


SERVICE = ServiceReport(
    first_tries=FirstTries(actions=3, clean=2, saved=1),
    checks={},
    broken={},
    findings=(),
    requests_by_release={"v1": 2, "v2": 2},
    users_by_release={"v1": 3, "v2": 1},
    latency=Latency(half=0.02, p95=0.1, p99=0.2, slowest=0.3),
    available=1.0,
    strikes=1,
    strikes_that_hit=1,
    planned_stops=1,
    unknown=0,
    recoveries=(Recovery(strike=1, fault="SIGKILL", victim="a1-1", at=2 * NS, capacity=0.7, users=0.1),),
    troubles=(),
)
HELD = judged(Verdict.HELD, (result("state_kept", Verdict.HELD), result("tries", Verdict.HELD)))
BROKEN = judged(Verdict.BROKEN, (result("tries", Verdict.HELD), result("state_kept", Verdict.BROKEN, 12)))
UNSURE = judged(Verdict.COULD_NOT_TELL, (result("state_kept", Verdict.COULD_NOT_TELL, note="nothing was checked"),))
HURTFUL = judged(Verdict.BROKEN, (result("state_kept", Verdict.BROKEN, 1, title=HOSTILE, note=HOSTILE),), HOSTILE)
