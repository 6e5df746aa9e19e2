"""Which of several reads showed what differs in a state: it is that one's replica that is to be asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from lab.users.page import Page, Unexpected

SHORTEST = 3
"""Characters of a value from which on a page that holds it is taken to show it."""

T = TypeVar("T")


def shown_by(reads: Sequence[tuple[T, Page]], seen: Any, other: Any) -> T:
    """Of the reads that a state was made from, the first that shows where it differs from `other`; else the last.

    That is the one that holds a value which only `seen` has; where there is none, one beside the place where it lacks
    something. Of what every page holds nothing is told.
    """
    if len(reads) > 1:
        only, beside = _differences(seen, other)
        for values in (only, beside):
            holding = [read for read, page in reads if _holds(page, values)]
            if holding and len(holding) < len(reads):
                return holding[0]
    return reads[-1][0]


def _differences(seen: Any, other: Any) -> tuple[list[str], list[str]]:
    """The values that only `seen` has, and those beside the places where it lacks one of the other's."""
    if seen == other:
        return [], []
    if isinstance(seen, dict) and isinstance(other, dict):
        only, beside = list[str](), list[str]()
        for key in seen.keys() | other.keys():
            more, near = _differences(seen.get(key), other.get(key))
            only += more
            beside += near
        return only, beside
    if isinstance(seen, list) and isinstance(other, list):
        only = [text for one in seen if one not in other for text in _texts(one)]
        return only, [text for one in seen for text in _texts(one)]
    return _texts(seen), []


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for one in value.values() for text in _texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    text = "" if value is None or isinstance(value, bool) else str(value)
    return [text] if len(text) >= SHORTEST else []


def _holds(page: Page, values: Sequence[str]) -> bool:
    try:
        text = page.text
    except Unexpected:
        return False
    return any(value in text for value in values)
