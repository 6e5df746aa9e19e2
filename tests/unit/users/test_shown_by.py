"""A state made from several reads: the one that shows the difference is named."""

from __future__ import annotations

from typing import Any

import pytest

from lab.users.page import Page
from lab.users.shown_by import shown_by

READS = [
    ("cart", Page(200, {}, b'{"lines": ["tea.1", "tea.2"]}', "/cart")),
    ("name", Page(200, {}, b'{"name": "Ann"}', "/account")),
    ("orders", Page(200, {}, b'{"orders": ["o.77"]}', "/orders")),
]
SEEN = {"lines": ["tea.1", "tea.2"], "name": "Ann", "orders": ["o.77"]}


@pytest.mark.parametrize(
    ("other", "by"),
    [
        ({**SEEN, "lines": ["tea.1"]}, "cart"),  # one more than there should be, or than there was
        ({**SEEN, "lines": ["tea.1", "tea.2", "tea.3"]}, "cart"),  # one is missing
        ({**SEEN, "name": "Bob"}, "name"),
        ({**SEEN, "orders": []}, "orders"),
        ({"lines": ["tea.1", "tea.2"], "orders": ["o.77"]}, "name"),
        (SEEN, "orders"),
        ({**SEEN, "name": ["no", "text"]}, "name"),
        ([], "orders"),  # every read shows something of it
    ],
)
def test_the_read_that_shows_the_difference_is_named(other: Any, by: str) -> None:
    """Else the last one."""
    assert shown_by(READS, SEEN, other) == by
    assert shown_by(READS[:1], SEEN, other) == "cart"
