"""Finds somebody's own journey, and makes a user of it for each device."""

from __future__ import annotations

import importlib.util
import inspect
import random
from collections.abc import Callable
from pathlib import Path

from lab.clock import SYSTEM_CLOCK
from lab.errors import LabError, UsageError, blame, is_from_outside
from lab.users.account_model import AccountModel
from lab.users.device import Device
from lab.users.driven import Driven, broken_by
from lab.users.fiber import Fibers
from lab.users.own import Browser, UserJourney
from lab.users.own_code import own_code

PARTS = ("begin", "log_in", "act", "state", "log_out")
_NOT_RUN = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
MakeUser = Callable[[str, int, str, random.Random], UserJourney]
"""From a name, a number, a password and chance."""


def load_journey(named: str) -> type[UserJourney]:
    """The class that "file.py:Class" names. Raises UsageError where it can't be loaded or is no journey."""
    file, _, name = named.rpartition(":")
    spec = importlib.util.spec_from_file_location(Path(file).stem, file)
    if spec is None or spec.loader is None:
        raise UsageError("is not a Python file", at=file)
    module = importlib.util.module_from_spec(spec)
    try:
        with own_code():
            spec.loader.exec_module(module)
    except BaseException as exc:
        if is_from_outside(exc):
            raise
        what, at = blame(exc, file)
        raise UsageError(f"can't be loaded: {what}", at=at, hint=f"python3 {file}") from exc
    found = getattr(module, name, None)
    if not (isinstance(found, type) and issubclass(found, UserJourney)):
        raise UsageError(f"{name} is no journey", at=file, hint=f"class {name}(lab.Journey): ...")
    if found.__abstractmethods__:
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise UsageError(f"{name} lacks {missing}", at=file, hint="def log_in, def act, def state")
    for part in PARTS:
        if any(would_not_run(getattr(found, part)) for would_not_run in _NOT_RUN):
            what = f"{name}.{part} is a coroutine or a generator, of which a call does nothing"
            raise UsageError(what, at=file, hint=f"def {part}(...): a plain function without async and yield")
    return found


class OwnUsers:
    """Makes each device's user, numbered from 1 as in the accounts' names. Devices of an account share its model."""

    def __init__(
        self, kind: MakeUser, *origins: str, through: Callable[[Browser], Browser] = lambda browser: browser
    ) -> None:
        """`origins` are those of the one app, such as "http://127.0.0.1:8080". Requests go `through` what that makes of
        each device's browser."""
        self._kind, self._origins, self._through = kind, origins, through
        self._accounts: dict[str, AccountModel] = {}
        self._fibers = Fibers(SYSTEM_CLOCK)

    def __call__(self, device: Device) -> Driven:
        user = device.user
        number = int(user.name.rpartition("-")[2])
        chance = random.Random(device.chance.random())
        try:
            with own_code():
                mine = self._kind(user.name, number, user.password, chance)
        except LabError:
            raise
        except BaseException as exc:
            if is_from_outside(exc):
                raise
            raise broken_by(getattr(self._kind, "__name__", "the journey"), exc) from exc
        mine.device = device.number
        account = self._accounts.setdefault(user.name, AccountModel(mine.model))
        return Driven(device, mine, account, *self._origins, fibers=self._fibers, through=self._through)
