"""Whose data an answer shows: ids name their owner, and an answer names the account it is for."""

from __future__ import annotations

from collections.abc import Iterable

from lab.model import Operation
from lab.oracle.breach import Breach, breach
from lab.oracle.promises import OWN_DATA, Anomaly
from lab.oracle.words import ACCOUNT, CART, CHECKOUT, HISTORY, INTRUDE, OK, ORDERS

SHOWING = frozenset({HISTORY, CART, CHECKOUT, ORDERS, ACCOUNT})


def owner_of(identifier: str) -> str | None:
    """The account that wrote `<account>.<device>.<counter>`, or None where it is no such id."""
    parts = identifier.rsplit(".", 2)
    return parts[0] if len(parts) == 3 else None


def says_whose(operation: Operation) -> bool:
    """Can this operation's answer be checked for its owner?"""
    if (
        operation.answered_as is not None
        or operation.foreign is not None
        or (operation.kind is INTRUDE and operation.final.answered)
    ):
        return True
    return operation.outcome is OK and operation.kind in SHOWING


def judge(operation: Operation) -> Breach | None:
    """One answer by itself. Exact: each id and each answer names one account, whatever the timing was."""
    user = operation.user
    if operation.kind is INTRUDE:
        if operation.outcome is not OK:
            return None
        why = f"somebody who does not know the password was let in as {user}"
        return breach(OWN_DATA, Anomaly.LET_IN, why, operation)
    if operation.answered_as is not None and operation.answered_as != user:
        why = f"a request of {user} was answered as {operation.answered_as}"
        return breach(OWN_DATA, Anomaly.SWAP, why, operation)
    prefix = user + "."
    for identifier in _shown(operation):
        if not identifier.startswith(prefix):
            owner = owner_of(identifier)
            if owner is not None and owner != user:
                why = f"{identifier} belongs to {owner}, and is shown to {user}"
                return breach(OWN_DATA, Anomaly.LEAK, why, operation)
    if operation.foreign is not None:
        why = f"an answer to {user} holds something of {operation.foreign}"
        return breach(OWN_DATA, Anomaly.LEAK, why, operation)
    return None


def _shown(operation: Operation) -> Iterable[str]:
    answer, kind = operation.answer, operation.kind
    if operation.outcome is not OK or kind not in SHOWING:
        return []
    if kind is HISTORY:
        return list(answer[1])
    if kind is ACCOUNT:
        return [] if answer is None else [str(answer)]
    if kind is ORDERS:
        return [identifier for key, lines in answer for identifier in (key, *lines)]
    return list(answer)
