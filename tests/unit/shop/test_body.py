"""What a request's body may say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shop.body import FORM, JSON, LONGEST_BODY, parse_fields
from shop.refusals import Refused


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (JSON, b'{"sku": "mug", "quantity": 2, "gift": true}'),
        (JSON + "; charset=utf-8", b'{"sku":"mug","quantity":"2","gift":"true"}'),
        (FORM, b"sku=mug&quantity=2&gift=true"),
    ],
)
def test_json_and_a_form_say_the_same(kind: str, raw: bytes) -> None:
    """The same fields come out, so that a repeat is known as one in whichever form it is sent."""
    assert parse_fields(kind, raw) == {"sku": "mug", "quantity": "2", "gift": "true"}


def test_no_body_has_no_fields() -> None:
    """An empty body needs no type."""
    assert parse_fields("", b"") == {}


def test_text_beyond_ascii_arrives_whole() -> None:
    """Names are text of any script."""
    assert parse_fields(FORM, b"name=Zo%C3%AB+%E2%98%83") == {"name": "Zoë ☃"}
    assert parse_fields(JSON, '{"name": "Zoë ☃"}'.encode()) == {"name": "Zoë ☃"}


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        (JSON, b"[]"),
        (JSON, b'"text"'),
        (JSON, b'{"a": {"b": 1}}'),
        (JSON, b'{"a": null}'),
        (JSON, b'{"a": 1.5}'),
        (JSON, b'{"a": NaN}'),
        (JSON, b'{"a": "\\ud800"}'),
        (JSON, b"\xff\xfe{}"),
        (JSON, b"[" * 10_000),
        (JSON, b'{"a": ' + b"9" * 10_000 + b"}"),
        (FORM, b"a=%ff"),
        (FORM, b"a=1&a=2"),
        (FORM, "a=é".encode()),
        (FORM, b"&".join(b"f%d=1" % n for n in range(40))),
        ("text/plain", b"a=1"),
        ("multipart/form-data; boundary=x", b"--x"),
    ],
)
def test_what_is_not_a_few_flat_fields_is_refused(kind: str, raw: bytes) -> None:
    """Anything else is the sender's fault, and never the shop's failure."""
    with pytest.raises(Refused) as refused:
        parse_fields(kind, raw)
    assert refused.value.status == 400


def test_a_long_body_is_refused_as_such() -> None:
    """One byte more than is allowed is too many."""
    form = b"a=" + b"x" * (LONGEST_BODY - 2)
    assert len(parse_fields(FORM, form)["a"]) == LONGEST_BODY - 2
    with pytest.raises(Refused) as refused:
        parse_fields(FORM, form + b"x")
    assert refused.value.status == 413


@given(kind=st.sampled_from([JSON, FORM, ""]), raw=st.binary(max_size=300))
def test_no_body_is_an_error_of_ours(kind: str, raw: bytes) -> None:
    """Whatever bytes come, they are fields of clean text or refused."""
    try:
        fields = parse_fields(kind, raw)
    except Refused as refused:
        assert refused.status in {400, 413}
    else:
        assert all(text.encode().decode() == text for pair in fields.items() for text in pair)
