"""What any durable state promises to deployers: the same suite for the file and for a real Redis."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.errors import Fenced, Stale
from lab.retry import wait_until
from lab.state.file import FileState
from lab.state.protocol import State
from lab.state.redis import RedisState

LONG, SHORT = 60.0, 0.2


@pytest.fixture(params=["file", pytest.param("redis", marks=pytest.mark.e2e)])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[State]:
    if request.param == "file":
        with FileState(tmp_path / "state.db") as state:
            yield state
    else:
        with RedisState(request.getfixturevalue("redis_url"), prefix=secrets.token_hex(4)) as state:
            yield state


def test_a_document_is_read_as_it_was_written(state: State) -> None:
    """Any bytes, with a version that counts up."""
    assert state.read("a/desired") is None
    assert state.write("a/desired", b"\x00\xff{}", version=0) == 1
    assert state.write("a/desired", b"two", version=1) == 2
    found = state.read("a/desired")
    assert found is not None
    assert (found.version, found.body) == (2, b"two")


def test_a_writer_who_read_something_older_is_refused(state: State) -> None:
    """Nothing that somebody else wrote meanwhile is lost."""
    state.write("k", b"one", version=0)
    for version in (0, 2, 7):
        with pytest.raises(Stale):
            state.write("k", b"other", version=version)
    found = state.read("k")
    assert found is not None
    assert found.body == b"one"


def test_a_lease_excludes_everybody_else_while_it_runs(state: State) -> None:
    """A second one is given neither to another holder nor to the same."""
    lease = state.acquire("c", "me", LONG)
    assert lease is not None
    assert state.acquire("c", "you", LONG) is None
    assert state.acquire("c", "me", LONG) is None
    assert state.acquire("another cluster", "you", LONG) is not None
    now = state.lease("c")
    assert now is not None
    assert (now.holder, now.token) == ("me", lease.token)


def test_tokens_count_up_and_are_never_given_twice(state: State) -> None:
    """Over releases, ends and holders that are gone."""
    tokens = []
    for number in range(5):
        lease = state.acquire("c", f"holder {number}", LONG)
        assert lease is not None
        tokens.append(lease.token)
        state.release(lease)
        assert state.lease("c") is None
    assert tokens == sorted(set(tokens))


def test_a_lease_that_is_over_may_be_taken(state: State) -> None:
    """After its seconds it protects nobody, and its holder is fenced."""
    first = state.acquire("c", "slow", SHORT)
    assert first is not None
    second = wait_until("the lease is over", lambda: state.acquire("c", "next", LONG), within=5, every=0.05)
    assert second.token > first.token
    with pytest.raises(Fenced):
        state.renew(first, LONG)
    with pytest.raises(Fenced):
        state.write("k", b"too late", version=0, lease=first)
    state.release(first)  # which must not end the other's
    assert state.lease("c") == second
    assert state.write("k", b"in time", version=0, lease=second) == 1


def test_an_ended_lease_guards_nothing_even_if_nobody_took_it(state: State) -> None:
    """A holder that was stopped for too long is refused before anybody else shows up."""
    lease = state.acquire("c", "slow", SHORT)
    assert lease is not None
    wait_until("the lease is over", lambda: state.lease("c") is None, within=5, every=0.05)
    with pytest.raises(Fenced):
        state.write("k", b"too late", version=0, lease=lease)
    with pytest.raises(Fenced):
        state.renew(lease, LONG)


def test_a_renewed_lease_lasts_longer_under_the_same_token(state: State) -> None:
    """Who keeps renewing keeps leading."""
    lease = state.acquire("c", "me", LONG)
    assert lease is not None
    renewed = state.renew(lease, 2 * LONG)
    assert renewed.token == lease.token
    assert renewed.until > lease.until
    assert state.write("k", b"still mine", version=0, lease=lease) == 1


def test_a_holder_that_is_surely_gone_holds_nothing(state: State) -> None:
    """A killed deployer's lease is taken at once; one that may live is left alone."""
    first = state.acquire("c", "dead", LONG)
    assert first is not None
    assert state.acquire("c", "next", LONG, is_gone=lambda holder: holder == "somebody else") is None
    second = state.acquire("c", "next", LONG, is_gone=lambda holder: holder == "dead")
    assert second is not None
    assert second.token > first.token


def test_a_right_version_does_not_help_whoever_was_fenced(state: State) -> None:
    """The token is compared first: an old deployer never writes, even where nobody wrote since."""
    old = state.acquire("c", "old", LONG)
    assert old is not None
    new = state.acquire("c", "new", LONG, is_gone=lambda _: True)
    assert new is not None
    with pytest.raises(Fenced):
        state.write("k", b"old", version=0, lease=old)
    assert state.read("k") is None


def test_what_is_forgotten_is_gone_and_nothing_else(state: State) -> None:
    """A cluster's documents go with it; a cluster whose name begins alike keeps its own."""
    for key in ("c/desired", "c/status", "c", "cd/desired", "x/c/desired"):
        state.write(key, b"1", version=0)
    lease = state.acquire("c", "me", LONG)
    assert lease is not None
    state.forget("c")
    left = [key for key in ("c/desired", "c/status", "c", "cd/desired", "x/c/desired") if state.read(key) is not None]
    assert left == ["cd/desired", "x/c/desired"]
    state.release(lease)
    again = state.acquire("c", "me", LONG)
    assert again is not None
    assert again.token > lease.token


@pytest.mark.parametrize("name", ["p-*", "?-a", "[p]-a", "p\\-a"])
def test_a_name_is_no_pattern(state: State, name: str) -> None:
    """Whatever is in it, only what bears it is forgotten."""
    keys = ("p-a/desired", "p-b/desired", f"{name}/desired")
    for key in keys:
        found = state.read(key)
        state.write(key, b"1", version=0 if found is None else found.version)
    state.forget(name)
    assert [key for key in keys if state.read(key) is not None] == ["p-a/desired", "p-b/desired"]
