"""A head that is known already is read as the parser read it, and nothing else is taken for it."""

from __future__ import annotations

import pytest

from lab.users.head import Head, KnownHeads, read_head

RAW = b"HTTP/1.1 200 OK\r\nX-Replica: a1-7\r\nContent-Length: 2"
PLAIN = {b"x-replica": b"a1-7", b"content-length": b"2"}


def learnt(piece: bytes, head: Head) -> KnownHeads:
    known = KnownHeads()
    known.learn(piece, head)
    return known


def test_a_known_head_is_found_again_with_another_body() -> None:
    """The same head before another body of the same length is known, and says who answered."""
    head = read_head(200, PLAIN)
    known = learnt(RAW + b"\r\n\r\n{}", head)
    assert known.split(RAW + b"\r\n\r\n[]") == (head, b"[]")
    assert (head.result, head.replica, head.release, head.edge) == ("200", "a1-7", None, ())


@pytest.mark.parametrize("rest", [b"", b"\r\n", b"\r\n\r\n", b"\r\n\r\n{", b"\r\n\r\n{}{", b"\r\n\r\n{}" + RAW])
def test_a_part_or_more_than_an_answer_is_for_the_parser(rest: bytes) -> None:
    """Where the body is not all there, or something follows it, the head alone says nothing."""
    assert learnt(RAW + b"\r\n\r\n{}", read_head(200, PLAIN)).split(RAW + rest)[0] is None


@pytest.mark.parametrize(
    ("headers", "cookies", "body"),
    [
        ({}, (), b"{}"),
        ({b"content-length": b"3"}, (), b"{}"),
        ({**PLAIN, b"transfer-encoding": b"chunked"}, (), b"{}"),
        (PLAIN, (b"a=b",), b"{}"),
    ],
)
def test_what_may_mean_something_else_is_not_learnt(
    headers: dict[bytes, bytes], cookies: tuple[bytes, ...], body: bytes
) -> None:
    """Without a length, with another one, in chunks, or with cookies of somebody's own an answer is read each time."""
    piece = RAW + b"\r\n\r\n" + body
    assert learnt(piece, read_head(200, headers, cookies)).split(piece)[0] is None


def test_heads_that_never_come_back_are_forgotten() -> None:
    """What is kept is bounded, whatever an app puts into its heads."""
    known = KnownHeads()
    pieces = [b"HTTP/1.1 200 OK\r\nDate: %d\r\n\r\n{}" % number for number in range(KnownHeads.MOST + 1)]
    for piece in pieces:
        known.learn(piece, read_head(200, PLAIN))
    assert known.split(pieces[0])[0] is None
    assert known.split(pieces[-1])[0] is not None
