"""While the engine itself was away nobody could serve: what users met then is told, and laid at nobody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lab.clock import NS
from lab.model import Finding
from lab.oracle.promises import PROMISES
from lab.record import AnyEvent, EngineBack, EngineGone, Serving

STOPS_FOR = 20.0
"""Seconds before it is gone in which an engine stops what runs on it."""
SERVES_WITHIN = 60.0
"""Seconds after it is back in which as many must serve as before: from then on it explains nothing."""


class EngineAwaySpan(NamedTuple):
    """When the engine was away, with all that comes of it; monotonic nanoseconds."""

    begin: int
    end: int
    gone: int
    back: int


def away_spans(events: Sequence[AnyEvent]) -> list[EngineAwaySpan]:
    """From when it began to stop things until as many served as before; `events` are in order of time."""
    serving = [one for one in events if isinstance(one, Serving)]
    spans: list[EngineAwaySpan] = []
    gone: int | None = None
    for event in events:
        if isinstance(event, EngineGone) and gone is None:
            gone = event.at
        elif isinstance(event, EngineBack) and gone is not None:
            spans.append(_span(gone, event.at, serving))
            gone = None
    return spans if gone is None else [*spans, _span(gone, gone, serving)]


def _span(gone: int, back: int, serving: Sequence[Serving]) -> EngineAwaySpan:
    begin, latest = gone - int(STOPS_FOR * NS), back + int(SERVES_WITHIN * NS)
    earlier = [one.total for one in serving if one.at < begin][-1:]
    before = max([*earlier, *(one.total for one in serving if begin <= one.at <= gone)], default=0)
    again = (one.at for one in serving if one.at > back and one.total >= before)
    return EngineAwaySpan(begin, min(next(again, latest), latest), gone, back)


def is_engines(finding: Finding, spans: Sequence[EngineAwaySpan]) -> bool:
    """Whether it is about how users were served while the engine was away; what was lost is nobody else's."""
    return PROMISES[finding.promise].judges_time and any(
        span.begin <= one <= span.end for span in spans for one in (finding.at, *_begins(finding))
    )


def _begins(finding: Finding) -> list[int]:
    return [operation.begin for operation in finding.witness]


def away_text(spans: Sequence[EngineAwaySpan], promises: Iterable[str]) -> str:
    """For a person."""
    seconds = sum(span.back - span.gone for span in spans) / NS
    return f"how users were served while the engine was away for {seconds:.1f} s ({', '.join(promises)})"
