"""Lesson 11's capacity is a replica's own, not the machine's: so many at once, each for so long, the others in turn."""

from __future__ import annotations

import asyncio
import importlib.util
import selectors
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from lab.lessons.lesson import LIBRARY

PARTS = LIBRARY / "11-zone-goes-dark" / "given" / "shop" / "parts.py"
SECONDS = 0.05


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The lesson's parts, with a participant's `turn` and a quicker warehouse."""
    turn = types.ModuleType("shop.turn")
    turn.__dict__["LONGEST_SECONDS"] = 10.0
    monkeypatch.setitem(sys.modules, "shop.turn", turn)
    monkeypatch.setattr("shop.turn", turn, raising=False)
    spec = importlib.util.spec_from_file_location("parts_of_lesson_11", Path(PARTS))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "SECONDS", SECONDS)
    return module


class PromptLoop(asyncio.SelectorEventLoop):
    """Whose time passes only while it waits, and then at once: no machine is late on it."""

    def __init__(self) -> None:
        self._passed = 0.0
        selector = selectors.DefaultSelector()
        super().__init__(selector)
        select = selector.select

        def skip(timeout: float | None = None) -> Any:
            self._passed += timeout or 0.0
            return select(0)

        selector.select = skip  # type: ignore[method-assign]

    def time(self) -> float:
        """Seconds that were waited for."""
        return self._passed


def ask(parts: Any, count: int, path: str = "/", method: str = "GET") -> tuple[list[int], float]:
    """The statuses of so many requests at once, and the seconds until all were answered."""
    statuses: list[int] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def all_of_them() -> float:
        loop = asyncio.get_running_loop()
        replica, began = parts.Warehouse(app), loop.time()
        await asyncio.gather(*(replica({"path": path, "method": method}, None, send) for _ in range(count)))
        return loop.time() - began

    with asyncio.Runner(loop_factory=PromptLoop) as runner:
        return statuses, runner.run(all_of_them())


def test_a_replica_can_do_so_much_and_no_more(parts: Any) -> None:
    """Whatever the machine can."""
    statuses, took = ask(parts, 10)
    assert statuses == [200] * 10
    assert took == pytest.approx(10 / parts.PLACES * SECONDS)


def test_who_would_wait_too_long_is_refused_in_time(parts: Any) -> None:
    """With a 503; those in the queue before are served, and nobody's place is lost by it."""
    sys.modules["shop.turn"].__dict__["LONGEST_SECONDS"] = 1.5 * SECONDS
    statuses, took = ask(parts, 10)
    assert sorted(statuses) == [200] * 4 + [503] * 6
    assert took < 10 / parts.PLACES * SECONDS


@pytest.mark.parametrize(
    ("path", "method", "asks"),
    [
        ("/", "GET", True),
        ("/items/tea", "GET", True),
        ("/items/tea/view", "POST", True),
        ("/cart", "POST", True),
        ("/cart", "GET", False),
        ("/login", "POST", False),
        ("/orders", "GET", False),
        ("/readyz", "GET", False),
    ],
)
def test_only_pages_with_goods_on_them_ask(parts: Any, path: str, method: str, asks: bool) -> None:
    """Else logging in and reading back would be a matter of capacity, too."""
    assert parts.asks_warehouse({"path": path, "method": method}) is asks
