"""A local container-cluster lab: do logged-in users keep their state through upgrades and kills?"""

from typing import Any


def __getattr__(name: str) -> Any:
    """`from lab import Journey`: what users of an app are made of, and what tests call and raise; loaded lazily."""
    if name == "Journey":
        from lab.users.own import UserJourney  # noqa: PLC0415 -- `lab --help` stays quick

        return UserJourney
    if name == "watch":
        from lab.operate.watching import watch  # noqa: PLC0415 -- likewise

        return watch
    if name in {"Unexpected", "LoggedOut"}:
        from lab.users import page  # noqa: PLC0415 -- likewise

        return getattr(page, name)
    if name == "File":
        from lab.users.forms import File  # noqa: PLC0415 -- likewise

        return File
    if name in {"StateLost", "NothingTold"}:
        from lab import errors  # noqa: PLC0415 -- likewise

        return getattr(errors, name)
    raise AttributeError(name)
