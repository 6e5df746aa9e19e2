"""Sessions as text: what is written is read back, by both releases, and nothing else is a session."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop.features import RELEASES
from shop.names import IDLE_SECONDS, LONGEST_SECONDS
from shop.session_text import LONGEST_TEXT, decode, encode
from shop.sessions import Session, prolonged

NOW = 1_700_000_000.0
ANNA = Session(account="anna", created=int(NOW) - 60)


@pytest.mark.parametrize("release", RELEASES)
def test_what_a_release_writes_is_read_back(release: str) -> None:
    """Both releases share one reader, so either reads what the other wrote."""
    features = RELEASES[release]
    label = "Firefox on Linux" if features.device_labels else None
    session = Session(account="anna", created=int(NOW), label=label)
    assert decode(encode(session, session_format=features.session_format).encode(), now=NOW) == session


def test_fields_of_a_later_release_do_no_harm() -> None:
    """A session with fields that this release does not know is a session all the same."""
    fields = {**json.loads(encode(ANNA, session_format=2)), "theme": "dark", "tags": [1, {"a": None}]}
    assert decode(json.dumps(fields).encode(), now=NOW) == ANNA


@pytest.mark.parametrize(
    "change",
    [
        {"format": 3},
        {"format": True},
        {"format": "1"},
        {"account": ""},
        {"account": 7},
        {"account": 'anna","admin":"1'},
        {"account": None},
        {"created": "now"},
        {"created": 1e300},
        {"created": True},
        {"created": 2**60},
    ],
)
def test_a_wrong_field_makes_it_no_session(change: dict[str, object]) -> None:
    """Types and values are checked; a session is never guessed."""
    fields = {**json.loads(encode(ANNA, session_format=1)), **change}
    assert decode(json.dumps(fields).encode(), now=NOW) is None


@pytest.mark.parametrize("missing", ["format", "account", "created"])
def test_a_missing_field_makes_it_no_session(missing: str) -> None:
    """Each of the three fields is needed."""
    fields = json.loads(encode(ANNA, session_format=1))
    del fields[missing]
    assert decode(json.dumps(fields).encode(), now=NOW) is None


@given(st.binary(max_size=200))
def test_garbage_is_no_session(raw: bytes) -> None:
    """Whatever bytes lie in the store, they are no session, and no exception either."""
    assert decode(raw, now=NOW) is None


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5))
def test_other_json_is_no_session(value: object) -> None:
    """JSON that is not a session's object is no session."""
    assert decode(json.dumps(value).encode(), now=NOW) is None


@given(position=st.integers(0, 40), byte=st.integers(0, 255))
def test_a_damaged_byte_is_never_an_exception(position: int, byte: int) -> None:
    """A session with one byte changed is some session or none."""
    raw = bytearray(encode(ANNA, session_format=1).encode())
    raw[position] = byte
    found = decode(bytes(raw), now=NOW)
    assert found is None or isinstance(found, Session)


@pytest.mark.parametrize("raw", [b"[" * 4000, b"{}" + b" " * LONGEST_TEXT, b"", b"null"])
def test_deep_and_long_texts_are_no_session(raw: bytes) -> None:
    """Neither depth nor length gets through."""
    assert decode(raw, now=NOW) is None


def test_a_session_too_long_to_read_is_not_written() -> None:
    """The cap holds on both sides."""
    with pytest.raises(ValueError, match="longer than"):
        encode(Session(account="anna", created=1, label="x" * LONGEST_TEXT), session_format=2)


def test_a_session_ends_twelve_hours_after_its_login() -> None:
    """However busy it is kept, it is over at the very second."""
    raw = encode(ANNA, session_format=1).encode()
    assert decode(raw, now=ANNA.created + LONGEST_SECONDS - 1) == ANNA
    assert decode(raw, now=ANNA.created + LONGEST_SECONDS) is None


def test_a_session_in_use_is_prolonged_only_in_its_second_half() -> None:
    """Looking at a session seldom writes to the store."""
    assert prolonged(ANNA, seconds_left=IDLE_SECONDS, now=NOW) is None
    assert prolonged(ANNA, seconds_left=IDLE_SECONDS // 2, now=NOW) is None
    assert prolonged(ANNA, seconds_left=IDLE_SECONDS // 2 - 1, now=NOW) == IDLE_SECONDS


def test_a_session_is_never_prolonged_past_its_absolute_end() -> None:
    """Near the end it gets what is left of its twelve hours, and after that nothing."""
    end = ANNA.created + LONGEST_SECONDS
    assert prolonged(ANNA, seconds_left=100, now=end - 500) == 500
    assert prolonged(ANNA, seconds_left=100, now=end - 50) is None


def test_a_session_without_an_expiry_gets_one() -> None:
    """The store says -1 for a key that never expires: using such a session gives it an end."""
    assert prolonged(ANNA, seconds_left=-1, now=NOW) == IDLE_SECONDS
