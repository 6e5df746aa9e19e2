"""Every error the lab raises on purpose, and the exit code each one means.

LabError
├── UsageError           2   the command line, a file or a setting is wrong; nothing was started
│   ├── ScenarioError    2   a scenario file, with the key path of what is wrong
│   └── JourneyMistake   2   a journey that keeps every user from going on; a run that it ends can't tell (4)
│       └── ProvesNothing 2  one by which no loss could be seen; a run that it ends has checked too little (5)
├── SetupError           2   this machine lacks something that the lab won't or can't install
└── LabFault             4   the lab, not the system under test, is unwell: nothing can be told
    ├── EngineError      4   Docker did not do what was asked, or went away
    ├── ClusterError     4   the cluster did not come up or did not answer
    ├── WaitTimeout      4   something was not so in time
    ├── RecordError      4   the record of the run can't be written or read
    └── StateError       4   the lab's own durable state can't be used
        ├── Stale        4   somebody else changed the same thing meanwhile
        └── Fenced       4   another deployer leads by now
AssertionError
├── StateLost            1   a test's promise was broken
└── NothingTold          4   a test's run can't tell (5: too little was checked)
KeyboardInterrupt
└── Interrupted        130   somebody pressed Ctrl-C (143: SIGTERM)
"""

from __future__ import annotations

import os
import signal
import threading
import traceback
import unicodedata
from enum import IntEnum
from pathlib import Path
from sysconfig import get_path


class ExitCode(IntEnum):
    """What the process ends with: a documented contract (README, `lab --help`)."""

    HELD = 0
    BROKEN = 1
    USAGE = 2
    ROLLED_BACK = 3
    COULD_NOT_TELL = 4
    TOO_LITTLE_CHECKED = 5
    INTERRUPTED = 130
    TERMINATED = 143


class LabError(Exception):
    """An error with a hint: what was wrong, where it was (`at`), and what to do next (`hint`)."""

    exit_code: ExitCode = ExitCode.COULD_NOT_TELL

    def __init__(self, what: str, *, at: str = "", hint: str = "") -> None:
        self.what, self.at, self.hint = what, at, hint
        super().__init__(str(self))

    def __str__(self) -> str:
        where = f"{self.at}: " if self.at else ""
        todo = "\n  try: {}".format(self.hint.replace("\n", "\n       ")) if self.hint else ""
        return f"{where}{self.what}{todo}"


class UsageError(LabError):
    """The command line, a file or a setting is wrong; nothing was started."""

    exit_code = ExitCode.USAGE


class ScenarioError(UsageError):
    """A scenario file can't be used; `at` is its path and the key path inside it."""


class JourneyMistake(UsageError):
    """Every user would fare like this, whatever is done to the app: nothing that was seen until then means anything."""


class ProvesNothing(JourneyMistake):
    """No user does or is shown anything by which a loss could be seen: too little is checked, however long it runs."""


class SetupError(LabError):
    """This machine lacks something that the lab won't or can't install; `hint` is the commands to run."""

    exit_code = ExitCode.USAGE


class LabFault(LabError):
    """The lab itself is unwell: the verdict is `could not tell`, never `broken`."""


class EngineError(LabFault):
    """Docker refused, failed or went away."""


class EngineAway(EngineError):
    """Docker does not answer: it may be restarted, and be back in a while."""


class ClusterError(LabFault):
    """The cluster did not come up, or a part of it did not answer."""


class WaitTimeout(LabFault):
    """Something was not so in time; the message says what was last seen."""


class RecordError(LabFault):
    """The record of the run can't be written or read."""


class StateError(LabFault):
    """The lab's own durable state can't be used."""


class Stale(StateError):
    """Somebody else changed the same document since it was read; read it again."""


class Fenced(StateError):
    """Another deployer leads by now; whatever this one still meant to do must not be done."""


class StateLost(AssertionError):
    """A promise was broken while a test ran; the text is the finding, which says more than any traceback."""


class NothingTold(AssertionError):
    """Nothing can be told of a test's run, or too little was checked: it may not be green."""


class Interrupted(KeyboardInterrupt):
    """Somebody asked the lab to stop. Not a LabError, so that nothing that survives errors survives this."""

    def __init__(self, exit_code: ExitCode) -> None:
        self.exit_code = exit_code
        super().__init__("interrupted; everything started has been removed")


def printable(text: str, *, keep: str = "\n") -> str:
    """Text whose control characters, those that only steer a terminal or turn its lines around, are JSON's escapes.

    Characters in `keep` stay. Whatever a record, an app or a file says goes through this before a person sees it.
    """
    if text.isprintable():
        return text
    return "".join(one if one in keep or _is_harmless(one) else _escape(one) for one in text)


def _is_harmless(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def _escape(character: str) -> str:
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    units = character.encode("utf-16-be", "surrogatepass")
    return short or "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))


def is_from_outside(exc: BaseException) -> bool:
    """Whether this passes through somebody's own code and is none of its doing: it is broken off, or was Ctrl-C.

    Python raises KeyboardInterrupt for Ctrl-C in the main thread alone, and there only as long as nobody else takes
    the signal; what takes it here raises Interrupted.
    """
    from asyncio import CancelledError  # noqa: PLC0415 -- every pytest loads this module, and hardly any needs that

    if type(exc) is KeyboardInterrupt:
        is_main = threading.current_thread() is threading.main_thread()
        return is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return isinstance(exc, (CancelledError, GeneratorExit, KeyboardInterrupt))


_INSTALLED = tuple(f"{path}{os.sep}" for name in ("stdlib", "purelib", "platlib") if (path := get_path(name)))
"""Where Python's own modules and packages are."""


def blame(exc: BaseException, file: str = "", *, caller: str = "") -> tuple[str, str]:
    """What somebody's own code did, and where: the last line of `file`, or of any, that had a part in it.

    Where code beside the file `caller`, which called it, has a part in it, the line is that before; lines of installed
    code are told only where there are no others.

    Code that ends the process is reported as just that: `sys.exit(0)` must not pass for a verdict.
    """
    if isinstance(exc, SyntaxError) and exc.filename == file and exc.lineno is not None:
        return f"SyntaxError: {exc.msg}", f"{file}:{exc.lineno}"
    what = ": ".join(filter(None, (type(exc).__name__, str(exc))))
    if isinstance(exc, SystemExit):
        what = f"ended the process: sys.exit({exc.code!r})"
    frames = [one for one in traceback.extract_tb(exc.__traceback__) if file in {"", one.filename}]
    if caller:
        frames = [one for one in frames if Path(one.filename).parent != Path(caller).parent] or frames
        frames = [one for one in frames if not one.filename.startswith(_INSTALLED)] or frames
    return what, f"{frames[-1].filename}:{frames[-1].lineno}" if frames else file
