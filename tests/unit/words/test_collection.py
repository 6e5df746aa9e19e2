"""The search for cycles is made rare or left out, and is afterwards what it was."""

from __future__ import annotations

import gc

import pytest

from lab.collection import YOUNG, no_collection, rare_collection


def test_collection_is_rare_until_the_block_ends() -> None:
    """Cycles are searched for seldom, but still searched for, and the process gets its own habits back."""
    before = gc.get_threshold()
    with pytest.raises(RuntimeError), rare_collection():
        assert gc.get_threshold()[0] == YOUNG
        assert gc.isenabled()
        raise RuntimeError
    assert gc.get_threshold() == before


def test_no_collection_until_the_block_ends() -> None:
    """And only where it was on before."""
    with no_collection():
        assert not gc.isenabled()
        with no_collection():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
