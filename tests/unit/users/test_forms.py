"""HTML forms: what a browser would send of them."""

from __future__ import annotations

from typing import Any

import pytest

from lab.users.forms import BOUNDARY, Controls, File, encoded, entries_of

PAGE = """
<!-- <form id="old"><input name="gone" value="1"></form> -->
<script>document.write('<input name="scripted" value="no">')</script>
<meta name="csrf-token" content="m&amp;1">
<form id=search action=/find><input name=q></form>
<form id="order" name="buy" action="/orders?x=1&amp;y=2" method="post">
  <input type="hidden" name="token" value='t"&gt;1'>
  <input name="who" value="Ann > Bob">
  <input type="checkbox" name="gift" value="yes"><input type=checkbox name=news checked>
  <input type="radio" name="size" value="s"><input type="radio" name="size" value="m" checked>
  <select name="colour"><option>red</option><option value="b" selected>blue</option></select>
  <select name="first"><option> tall
    tree </option><option value="x">x</option></select>
  <select name="many" multiple><option value="1" selected><option value="2"><option value="3" selected></select>
  <textarea name="note">
a &lt; b <b></textarea>
  <input name="off" value="1" disabled>
  <input type="file" name="photo">
  <button>Nameless</button><button name="do" value="save">Save</button><button name="do" value="drop">Drop</button>
  <button type="button" name="js" value="1">x</button>
</form>
<input name="outside" value="9" form="order">
"""
USUAL = [
    ("token", 't">1'),
    ("who", "Ann > Bob"),
    ("news", "on"),
    ("size", "m"),
    ("colour", "b"),
    ("first", "tall tree"),
    ("many", "1"),
    ("many", "3"),
    ("note", "a < b <b>"),
    ("photo", File("", b"")),
    ("outside", "9"),
]


def sent(filled: dict[str, Any], button: str | None = None) -> list[tuple[str, Any]]:
    controls = Controls(PAGE)
    place = controls.find("#order")
    assert place == 1
    return entries_of(controls.of(place), filled, button)


def test_an_untouched_form_sends_its_defaults() -> None:
    """Hidden fields, what is ticked or selected, and the button that the Enter key pushes, which has no name here."""
    assert sent({}) == USUAL


@pytest.mark.parametrize(
    ("filled", "change"),
    [
        ({"who": "Eve"}, {"who": ["Eve"]}),
        ({"gift": True, "news": False}, {"gift": ["yes"], "news": []}),
        ({"size": "s"}, {"size": ["s"]}),
        ({"many": ["2"]}, {"many": ["2"]}),
        ({"note": None}, {"note": []}),
        ({"photo": File("a.png", b"\x89")}, {"photo": [File("a.png", b"\x89")]}),
    ],
)
def test_what_is_filled_in_takes_the_place_of_the_default(filled: dict[str, Any], change: dict[str, Any]) -> None:
    """And nothing else changes."""
    got: dict[str, list[Any]] = {}
    for name, value in sent(filled):
        got.setdefault(name, []).append(value)
    usual: dict[str, list[Any]] = {}
    for name, value in USUAL:
        usual.setdefault(name, []).append(value)
    assert got == {name: value for name, value in {**usual, **change}.items() if value}


def test_a_button_is_pushed_by_name_or_value() -> None:
    """One alone, at its place."""
    assert sent({}, "drop")[-2:] == [("do", "drop"), ("outside", "9")]
    assert ("do", "save") in sent({}, "do")
    for filled, button in (({"nothing": "1"}, None), ({}, "nothing"), ({"off": "2"}, None), ({"gone": "2"}, None)):
        with pytest.raises(KeyError):
            sent(filled, button)


@pytest.mark.parametrize(
    ("which", "place"), [(None, 0), ("#search", 0), ("buy", 1), ("/orders?x=1&y=2", 1), ("#none", None), ("", None)]
)
def test_a_form_is_found_by_id_name_or_action(which: str | None, place: int | None) -> None:
    """Or it is the first; one without an id is not the one called "#"."""
    assert Controls(PAGE).find(which) == place


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("csrf-token", "m&1"),
        ("colour", "b"),
        ("size", "m"),
        ("note", "a < b <b>"),
        ("gift", "yes"),
        ("scripted", None),
        ("gone", None),
    ],
)
def test_a_field_has_the_value_that_a_user_sees(name: str, value: str | None) -> None:
    """Selects, textareas and the radio button that is chosen too; comments and scripts hold none."""
    assert Controls(PAGE).value_of(name) == value


def test_a_multipart_body_holds_files_as_they_are() -> None:
    """And any other encoding the file's name alone."""
    entries: list[tuple[str, str | File]] = [("a", "1"), ("f", File('x".txt', b"\x00\r\n", "text/plain"))]
    body, kind = encoded(entries, "multipart/form-data")
    assert kind == f"multipart/form-data; boundary={BOUNDARY}"
    line = f"--{BOUNDARY}\r\n".encode()
    assert body == (
        line + b'Content-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        + line + b'Content-Disposition: form-data; name="f"; filename="x%22.txt"\r\nContent-Type: text/plain\r\n\r\n'
        + b"\x00\r\n\r\n" + f"--{BOUNDARY}--\r\n".encode()
    )  # fmt: skip
    assert encoded(entries, "application/x-www-form-urlencoded")[0] == b"a=1&f=x%22.txt"
