"""Short ways to write down operations by hand."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

from msgspec.structs import replace

from lab.model import Kind, Operation, Outcome, Try

_ids = count()

DEFAULT_RESULT = {Outcome.OK: "200", Outcome.REFUSED: "unsent", Outcome.UNKNOWN: "cut"}


def op(
    kind: Kind,
    begin: int,
    end: int,
    key: str | None = None,
    *,
    answer: Any = None,
    argument: str | int | None = None,
    outcome: Outcome = Outcome.OK,
    user: str = "u",
    device: str = "u.1",
    session: str | None = None,
    answered_as: str | None = None,
    result: str | None = None,
    tries: tuple[Try, ...] | None = None,
    replica: str | None = None,
    release: str | None = None,
) -> Operation:
    """One operation of one try, unless `tries` are given."""
    one = Try(
        begin=begin,
        end=end,
        result=result or DEFAULT_RESULT[outcome],
        sent=outcome is not Outcome.REFUSED or result is not None,
        replica=replica,
        release=release,
    )
    return Operation(
        id=next(_ids),
        user=user,
        device=device,
        kind=kind,
        begin=begin,
        end=end,
        outcome=outcome,
        tries=tries or (one,),
        key=key,
        argument=argument,
        answer=answer,
        session=session,
        answered_as=answered_as,
    )


def with_quiet_points(history: Iterable[Operation]) -> list[Operation]:
    """The same in the order of the ends, each operation saying whether its user was quiet then, as a crowd records."""
    ordered = sorted(history, key=lambda one: (one.end, one.id))
    next_begin: dict[str, int] = {}
    said = []
    for one in reversed(ordered):
        later = next_begin.get(one.user)
        said.append(replace(one, quiet=later is None or later > one.end))
        next_begin[one.user] = one.begin if later is None else min(later, one.begin)
    return said[::-1]
