"""Short ways to write down operations by hand."""

from __future__ import annotations

from itertools import count
from typing import Any

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
