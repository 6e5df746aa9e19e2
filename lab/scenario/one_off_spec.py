"""A command that is run once in a container of an app of one's own, such as a migration or its seed data."""

from __future__ import annotations

from collections.abc import Callable, Collection

from lab.model import Value

Refuse = Callable[[str, str, str], None]
"""Given the key, what is wrong there, and what would be right."""


class OneOffSpec(Value):
    """Run as `docker compose run` does: a container of its own in the app's networks, its lines on the timeline."""

    run: tuple[str, ...]
    """The command in place of the service's own; its entrypoint stays."""
    service: str | None = None
    """Whose container it is run in; the app's if not given, or one that has a role."""
    within: float = 120.0
    """Seconds after which it is ended and has failed."""

    @property
    def text(self) -> str:
        return " ".join(self.run)


def check_one_off(spec: OneOffSpec, services: Collection[str], refuse: Refuse) -> None:
    """It has a command, a time and a service that the scenario names."""
    if not spec.run or not spec.run[0]:
        refuse("run", "no command is given", 'run: ["./manage.py", "migrate"]')
    if spec.within <= 0:
        refuse("within", "must be over 0", "within: 120")
    if spec.service is not None and spec.service not in services:
        known = ", ".join(services) or "none"
        refuse("service", f"there is no service {spec.service!r} with a role", f"one of {known}, or leave it out")
