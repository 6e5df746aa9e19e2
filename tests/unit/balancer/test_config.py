"""The balancer's text: every slot is in it, and writes are repeated only where that is safe."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

from lab.balancer.config import MAINTENANCE_STYLE, Affinity, BalancerSettings, render
from lab.model import Slot

SLOTS = (Slot(name="a1", zone="a"), Slot(name="b1", zone="b"))


def test_every_slot_is_an_upstream_server() -> None:
    """A static upstream: a slot's socket is there from the first to the last moment."""
    text = render(SLOTS, BalancerSettings())
    for slot in SLOTS:
        assert f"server unix:/run/slots/{slot.name}.sock max_fails=1" in text


def test_every_slot_is_asked_in_the_last_resort() -> None:
    """However many slots have just failed, there is always somebody to ask."""
    text = render(SLOTS, BalancerSettings())
    for slot in SLOTS:
        assert f"server unix:/run/slots/{slot.name}.sock max_fails=0 backup;" in text
    assert "backup" not in render(SLOTS, BalancerSettings(affinity=Affinity.COOKIE))


def test_writes_are_repeated_only_where_they_carry_keys() -> None:
    """`non_idempotent` appears only on request."""
    assert "non_idempotent" in render(SLOTS, BalancerSettings(repeats_writes=True))
    assert "non_idempotent" not in render(SLOTS, BalancerSettings(repeats_writes=False))


def test_a_replica_that_says_503_is_passed_over_only_where_writes_may_be_repeated() -> None:
    """One that is cut off from the store is there and of no use; without keys nobody knows what it did."""
    assert "http_503" in render(SLOTS, BalancerSettings(repeats_writes=True))
    assert "http_503" not in render(SLOTS, BalancerSettings(repeats_writes=False))


def test_affinity_sends_a_browser_back_by_its_cookie() -> None:
    """With affinity there is a hash and a route cookie, without it neither."""
    sticky = render(SLOTS, BalancerSettings(affinity=Affinity.COOKIE))
    assert "hash $route consistent;" in sticky
    assert "Set-Cookie" in sticky
    free = render(SLOTS, BalancerSettings())
    assert "hash" not in free
    assert "Set-Cookie" not in free


def test_affinity_by_account_trusts_the_cookie_of_the_app() -> None:
    """The balancer hands out no cookie of its own then, and whoever has none yet goes anywhere."""
    sticky = render(SLOTS, BalancerSettings(affinity=Affinity.ACCOUNT))
    assert "map $cookie_bucket $route { default $cookie_bucket; '' $request_id; }" in sticky
    assert "hash $route consistent;" in sticky
    assert "Set-Cookie" not in sticky


def test_braces_balance() -> None:
    """The text is whole: nginx itself reads it in the tests on real containers."""
    for affinity in Affinity:
        text = render(SLOTS, BalancerSettings(affinity=affinity))
        assert text.count("{") == text.count("}")


def test_the_maintenance_page_may_wear_its_own_style_and_nothing_else() -> None:
    """The policy names the style that the page has; a page that was changed without it would stand naked."""
    page = (Path(__file__).parents[3] / "images" / "nginx" / "maintenance.html").read_text()
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert "sha256-" + b64encode(sha256(style.encode()).digest()).decode() == MAINTENANCE_STYLE
    assert f"style-src '{MAINTENANCE_STYLE}'; default-src 'none'" in render(SLOTS, BalancerSettings())
    assert not re.search(r"<script|\sstyle=|\son\w+=|src=|url\(", page)


def test_only_the_lab_asks_gates_how_their_apps_are() -> None:
    """What it asks by is taken from whoever else says it; before the shop there is no gate."""
    told = render(SLOTS, BalancerSettings(gated=True, ready="/up"))
    users, _, door = told.partition("listen 8081;")
    assert 'proxy_set_header X-Lab-Question "";' in users
    assert 'proxy_set_header X-Lab-Passed-On "";' in users
    asked = [part for part in door.split("location ") if ":/up;" in part]
    assert len(asked) == 2
    for part, of in zip(asked, ("slot", "replica"), strict=True):
        assert f"proxy_set_header X-Lab-Question {of};" in part
    assert "X-Lab" not in render(SLOTS, BalancerSettings())
