"""A report as Markdown: what a CI shows beside a run, and what can be pasted into a ticket."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lab.errors import printable
from lab.model import Verdict
from lab.report.document import FindingStory, Report

MARKS = {Verdict.HELD: "✓ held", Verdict.BROKEN: "✕ broken", Verdict.COULD_NOT_TELL: "? could not tell"}
MOST_BYTES = 1_000_000
"""GitHub refuses a step's summary of more than 1 MiB."""
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#+!|~$&@])")


def markdown(report: Report, *, most: int = MOST_BYTES) -> str:
    """The report as GitHub's Markdown, cut at the end of a line where it would have more than `most` bytes."""
    text = "\n".join(_lines(report)) + "\n"
    data = text.encode()
    if len(data) <= most:
        return text
    note = "\n\nThe rest was cut: the record holds it all.\n"
    kept = data[: max(most - len(note.encode()), 0)].decode(errors="ignore")
    kept = kept.rpartition("\n")[0]
    return kept + ("\n~~~" if kept.count("\n~~~") % 2 else "") + note


def _lines(report: Report) -> Iterator[str]:
    yield f"## {_headline(report)}"
    yield ""
    yield f"**{_plain(report.title)}** · run `{_code(report.run)}` · {report.seconds:.1f} s"
    yield ""
    # A promise that was broken is shown, whatever else is not.
    what = "also not shown" if report.verdict == Verdict.BROKEN else "could not tell"
    for reason in report.reasons:
        yield f"- {what}: {_plain(reason)}"
    if report.reasons:
        yield ""
    yield from _table(
        ("promise", "verdict", "checked", "broken"),
        (
            (
                _plain(one.title),
                MARKS[Verdict(one.verdict)] + (f" ({_plain(one.note)})" if one.note else ""),
                f"{one.count} {_plain(one.checks)}",
                str(one.broken or ""),
            )
            for one in report.promises
        ),
    )
    yield from _stories(report)
    tries = report.first_tries
    yield (
        f"{report.operations} operations of {report.users} users: {tries.clean} clean on the first try, {tries.saved}"
        f" saved by a retry, {tries.lost} lost; {tries.repeated_at_the_edge} repeated by the balancer unnoticed."
        f" Latency: p50 {report.latency.half * 1000:.0f} ms, p99 {report.latency.p99 * 1000:.0f} ms."
    )
    yield ""
    yield from _strikes(report)
    if report.tested:
        rows = ((_plain(one.part), "yes" if one.is_tested else "no", _plain(one.how)) for one in report.tested)
        yield from _table(("what was tested, and what was not", "tested", "how, or why not"), rows)
    yield "<details><summary>Not checked</summary>"
    yield ""
    yield from (f"- {_plain(line)}" for line in report.not_checked)
    yield ""
    yield "</details>"
    yield ""
    if report.repeat:
        yield f"Repeat: `{_code(report.repeat)}`"


def _headline(report: Report) -> str:
    first = report.headline[0] if report.headline else report.verdict
    return _plain(" ".join(first.split()))


def _stories(report: Report) -> Iterator[str]:
    told: set[str] = set()
    for one in report.stories:
        if one.promise not in told:
            told.add(one.promise)
            yield from _story(one)
    if report.likely:
        yield f"Likely: {_plain(report.likely)}"
        yield ""


def _story(one: FindingStory) -> Iterator[str]:
    yield f"First that broke *{_plain(one.title)}*, at {one.at:.2f} s:"
    yield ""
    yield "~~~"
    yield from (printable(line.replace("~", "\u223c").replace("\n", " ").replace("\r", " ")) for line in one.lines)
    yield "~~~"
    yield ""


def _strikes(report: Report) -> Iterator[str]:
    if report.strikes:
        yield from _table(
            ("at", "strike", "on", "hit", "capacity back", "users' tries failed for"),
            (
                (
                    f"{one.at:.1f} s",
                    _plain(one.fault),
                    _plain(f"{one.victim} {one.release}"),
                    {True: "yes", False: "no", None: "not known"}[one.hit],
                    "" if one.capacity is None else f"{one.capacity:.1f} s",
                    "" if one.users is None else f"{one.users:.1f} s",
                )
                for one in report.strikes
            ),
        )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _plain(text: str) -> str:
    """Text that stays text whatever is in it: on one line, every character with a meaning escaped."""
    return _SPECIAL.sub(r"\\\1", printable(" ".join(text.split())))


def _code(text: str) -> str:
    return printable(" ".join(text.split())).replace("`", "'")
