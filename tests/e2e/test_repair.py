"""A cluster mended by hand: a fault stays as long as nobody mends it, and the command that is said does."""

from __future__ import annotations

import re
import shlex

import pytest

from lab.errors import ExitCode
from lab.lessons.repair import FAULTS, RepairFault
from lab.machine.setup import Toolbox
from tests.e2e.runs import lab, start, wait

pytestmark = [pytest.mark.e2e, pytest.mark.prove]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
def test_a_fault_stays_until_it_is_mended(toolbox: Toolbox, fault: RepairFault) -> None:
    """Exit 1 and what would have mended it, said only then."""
    ended = lab("lesson", "repair", fault.name, "--within", "25")
    assert ended.code == ExitCode.BROKEN, ended.out + ended.err
    assert "✕ not mended within 25 s" in ended.out
    assert fault.mends[0] in ended.out.rpartition("not mended")[2]
    assert fault.told not in ended.out.partition("not mended")[0]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda one: one.name)
def test_what_is_said_to_mend_it_does(toolbox: Toolbox, fault: RepairFault) -> None:
    """From another terminal, while users are at work."""
    with start("lesson", "repair", fault.name, "--within", "240") as process:
        assert process.stdout is not None
        said = ""
        while "something is wrong" not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        project = re.search(r"-p (lab-repair-\w+)", said + process.stdout.readline())
        assert project is not None, said
        for command in fault.mends:
            mended = lab(*shlex.split(command)[1:], "-p", project[1])
            assert mended.code == ExitCode.HELD, mended.out + mended.err
        ended = wait(process)
    assert ended.code == ExitCode.HELD, ended.out + ended.err
    assert "✓ mended after" in ended.out
