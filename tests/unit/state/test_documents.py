"""What is kept can be read by this lab, or says which lab is needed."""

from __future__ import annotations

import msgspec
import pytest

from lab.errors import StateError
from lab.model import Release, Slot
from lab.state.documents import FORMAT, decode, encode

RELEASE = Release(name="v1", image="shop:v1")


def test_a_value_is_read_back_also_from_before_there_were_envelopes() -> None:
    """An upgrade of the lab finds the clusters of the one before."""
    assert decode(encode(RELEASE), Release, at="x/desired") == RELEASE
    assert decode(msgspec.json.encode(RELEASE), Release, at="x/desired") == RELEASE


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"format":%d,"lab":"9.1","value":{}}' % (FORMAT + 1), "cluster-lab 9.1 or later"),
        (b'{"format":1,"lab":"9.1","value":{"name":"v1","image":"i","colour":1}}', "cluster-lab 9.1 or later"),
        (b'{"name":"v1","image":"i","colour":1}', "or later"),
        (b"\xff\xfe", "x/desired: can't be read"),
        (b"[", "x/desired: can't be read"),
        (b"{}", "x/desired: can't be read"),
        (encode(Slot(name="a1", zone="a")), "x/desired: can't be read"),
    ],
)
def test_what_cannot_be_read_names_its_key_and_the_lab_that_is_needed(body: bytes, told: str) -> None:
    """Never as an internal error, and never with advice that loses it."""
    with pytest.raises(StateError) as raised:
        decode(body, Release, at="x/desired")
    assert told in str(raised.value)
    assert "mv " not in str(raised.value)
