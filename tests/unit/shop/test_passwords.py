"""Password records."""

from __future__ import annotations

import asyncio

import pytest
from shop.passwords import Passwords, Proof
from shop.refusals import Busy

CHEAP = 4


def prove(password: str, record: str | None, *, log2_n: int = CHEAP) -> Proof | None:
    return asyncio.run(Passwords(log2_n=log2_n).prove(password, record))


def made(password: str) -> tuple[str, bytes]:
    proof = prove(password, None)
    assert proof is not None
    assert proof.record is not None
    return proof.record, proof.secret


def test_only_the_right_password_is_proven() -> None:
    """The right one yields the secret of the account's first login; any other yields nothing."""
    record, secret = made("correct horse")
    proof = prove("correct horse", record)
    assert proof == Proof(secret=secret, record=None)
    assert prove("correct horse ", record) is None


def test_a_record_holds_neither_password_nor_secret_and_is_salted() -> None:
    """Two accounts with one password have nothing in common."""
    (one, one_secret), (other, other_secret) = made("same"), made("same")
    assert one != other
    assert one_secret != other_secret
    assert "same" not in one


def test_a_record_keeps_its_own_cost() -> None:
    """Raising the cost does not lock out who came before."""
    record, _ = made("x")
    assert prove("x", record, log2_n=CHEAP + 1) is not None


def test_a_crowd_is_sent_away_rather_than_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who can't be served in time is told so, and the next one is served again."""
    monkeypatch.setattr("shop.passwords.LONGEST_WAIT_SECONDS", 0.01)

    async def crowd() -> None:
        passwords = Passwords(log2_n=CHEAP)
        async with passwords.turn():
            with pytest.raises(Busy):
                async with passwords.turn():
                    pass
        async with passwords.turn():
            pass

    asyncio.run(crowd())
