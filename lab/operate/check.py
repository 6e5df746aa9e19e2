"""`lab check`: a recorded run judged again, and told: no engine, no network, nothing but the record."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from lab.console.reports import folder_of, short
from lab.model import Verdict
from lab.oracle.service import ServiceReport
from lab.oracle.telling import story
from lab.record import ReadRecord
from lab.run.judge import judge_run, run_seconds

STORIES = 5
Say = Callable[[str], None]


def check_run(named: str, *, as_json: bool, processes: int = 1, parts: int = 0, say: Say) -> int:
    """Judge a recorded run again, without any engine; print promises, counts and the first stories."""
    folder = folder_of(named)
    seen = ReadRecord(folder)
    judged = judge_run(seen, processes=processes, parts=parts)
    if as_json:
        say(msgspec.json.encode(judged.judgement).decode())
        return judged.judgement.exit_code
    for one in judged.judgement.promises:
        mark = {Verdict.HELD: "✓", Verdict.BROKEN: "✕", Verdict.COULD_NOT_TELL: "?"}[one.verdict]
        broken = f", broken {one.broken} times" if one.broken else ""
        note = f" ({one.note})" if one.note else ""
        say(f"{mark} {one.promise:<14} {one.title:<44} {one.count:>7} {one.checks}{broken}{note}")
    for line in _informing(judged.service):
        say(f"  {line}")
    for finding in judged.judgement.findings[:STORIES]:
        for line in story(finding, began=judged.began):
            say(f"  {line}")
    more = len(judged.judgement.findings) - STORIES
    if more > 0:
        say(f"  and {more} more in {short(folder)}/verdict.json")
    if judged.judgement.tested:
        say("what was tested, and what was not:")
    for part in judged.judgement.tested:
        say(f"  {part.text}")
    say("not checked:")
    for line in judged.judgement.not_checked:
        say(f"  {line}")
    for line in judged.closing(seconds=run_seconds(seen), report=short(folder), repeat=""):
        say(line)
    return judged.judgement.exit_code


def _informing(service: ServiceReport) -> Iterator[str]:
    """What is told and, unless the scenario asks for it, not judged."""
    latency, tries = service.latency, service.first_tries
    share = 100 * service.available
    yield f"first tries answered: {share:.3f} % of {tries.actions}"
    yield (
        f"seconds until answered, from when it was due: p50 {latency.half:.3f}, p95 {latency.p95:.3f},"
        f" p99 {latency.p99:.3f}, slowest {latency.slowest:.3f}"
    )
    for one in service.recoveries:
        back = "capacity not back by the end" if one.capacity is None else f"capacity back in {one.capacity:.1f} s"
        users = f"users' tries failed for {one.users:.1f} s" if one.users else "no user's try failed"
        yield f"strike {one.strike} on {one.victim} ({one.fault}): {back}, {users}"
