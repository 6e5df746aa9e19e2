"""A duel's figures, table and picture, from operations that are made up."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from lab.backends import peer
from lab.clock import NS
from lab.errors import UsageError
from lab.experiments.duel import AMBER, RED, run_duel, svg, table
from lab.experiments.upgrades import BIN, WAYS, Bin, UpgradeFigures, UserLoad, bins_of, measure
from lab.model import Kind, Operation, Outcome, Try


def operation(begin: float, *results: str) -> Operation:
    at = int(begin * NS)
    tries = tuple(Try(begin=at, end=at + 1, result=result) for result in results)
    return Operation(
        id=1, user="u", device="u.1", kind=Kind.CART, begin=at, end=at + 1, outcome=Outcome.OK, tries=tries
    )  # fmt: skip


SEEN = [
    operation(9.9, "503"),  # before it began
    operation(10.1, "200"),
    operation(10.2, "cut", "200"),
    operation(10.7, "502", "timeout", "503"),
    operation(11.2, "404"),
    operation(12.1, "cut"),  # after it ended
]


def test_what_users_got_while_it_went_on() -> None:
    """A first try that failed was saved by a later one or is lost; what the app refuses is an answer."""
    seen = measure("rolling", SEEN, 10 * NS, 12 * NS, peak=7)
    assert (seen.requests, seen.failed, seen.saved, seen.lost, seen.seconds, seen.peak) == (4, 2, 1, 1, 2.0, 7)


def test_the_pictures_bars_are_half_seconds() -> None:
    """From two seconds before the upgrade on, each operation in the bar in which it began."""
    bins = bins_of(SEEN, 10 * NS, 12 * NS)
    assert bins == (Bin(clean=1, saved=1), Bin(lost=1), Bin(clean=1), Bin())
    assert len(bins_of([], 0, int(0.1 * NS))) == 1
    assert BIN == 0.5


def fought(way: str, *bins: Bin) -> UpgradeFigures:
    return UpgradeFigures(way=way, seconds=12.3, requests=900, failed=30, saved=20, peak=12, bins=bins)


def test_the_table_has_a_line_for_each_way() -> None:
    """With all its figures under their heads."""
    head, line = table([fought("red-black")])
    assert line.split() == ["red-black", "900", "30", "20", "10", "12.3", "12"]
    assert len(head) == len(line)


def test_the_picture_shows_who_lost_and_who_was_saved() -> None:
    """As XML that any browser reads, whatever the ways and images are called."""
    drawn = svg([fought("a<b", Bin(clean=5), Bin(saved=2, lost=1)), fought("x")], 'one "& two" <to>')
    root = ElementTree.fromstring(drawn)  # noqa: S314 -- the lab drew it
    texts = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "a<b" in texts
    assert 'one "& two" <to>' in texts
    bars = [one for one in root.iter("{http://www.w3.org/2000/svg}rect") if one.get("y") not in {None, "38"}]
    assert [one.get("fill") in {AMBER, RED} for one in bars] == [False, True, True]
    assert svg([], "nothing").endswith("</svg>\n")


def test_others_ways_and_our_own_have_their_names() -> None:
    """As the command line knows them."""
    assert WAYS == ("recreate", "docker-rollout", "rolling", "red-black", "canary")
    assert set(peer.WAYS) < set(WAYS)


@pytest.mark.parametrize(
    ("ways", "load"), [(["rollnig"], UserLoad()), ([], UserLoad(users=0)), ([], UserLoad(think=0.0))]
)
def test_a_duel_that_makes_no_sense_is_refused(ways: list[str], load: UserLoad) -> None:
    """Before any engine is looked for."""
    with pytest.raises(UsageError):
        run_duel(ways, load, before="shop:v1", to="shop:v2", picture=None, say=lambda _: None)
