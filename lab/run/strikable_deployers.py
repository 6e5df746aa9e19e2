"""Deployers as something that may be struck: processes of the lab's own, killed and stopped by signals."""

from __future__ import annotations

from collections.abc import Sequence

from lab.cluster.harm import AnyHarm, Pause, Send, Strikable, Unpause, Victim
from lab.deploy.desk import Desk
from lab.model import Role
from lab.run.deployer_processes import Crew, DeployerProcess


class StrikableDeployers:
    """The deployers of one run; the one that leads comes first. What the system says of a process stands for events."""

    def __init__(self, crew: Crew, desk: Desk) -> None:
        self._crew, self._desk = crew, desk
        self._struck: dict[str, DeployerProcess] = {}

    def victims(self) -> list[Victim]:
        lease = self._desk.lease()
        leads = [member for member in self._crew.members if lease is not None and f":{member.pid}:" in lease.holder]
        others = [member for member in self._crew.members if member not in leads]
        return [self._victim(member) for member in (*leads, *others)]

    def read(self, container: str) -> Victim | None:
        member = self._find(container)
        return None if member is None else self._victim(member)

    def do(self, container: str, harm: AnyHarm) -> bool:
        member = self._find(container)
        if member is None or member.has_ended:
            return False
        self._struck[container] = member
        match harm:
            case Send():
                return self._crew.kill(member)
            case Pause():
                member.freeze()
            case Unpause():
                member.thaw()
            case _:
                return False
        return True

    def mark(self) -> str:
        return ""

    def said(self, container: str, since: str) -> Sequence[str]:  # noqa: ARG002 -- a process is struck once
        member = self._struck.get(container)
        if member is None:
            return ()
        return ("kill",) if member.has_ended else ("pause",) if member.is_frozen else ()

    def _find(self, container: str) -> DeployerProcess | None:
        return next((one for one in self._crew.members if _name(one) == container), None)

    def _victim(self, member: DeployerProcess) -> Victim:
        return Victim(container=_name(member), name=_name(member), role=Role.DEPLOYER, is_running=not member.has_ended)


class StrikableUnion:
    """Two kinds of things that may be struck, as one. Containers and processes never have the same id."""

    def __init__(self, first: Strikable, second: Strikable) -> None:
        self._both = (first, second)

    def victims(self) -> list[Victim]:
        return [victim for one in self._both for victim in one.victims()]

    def read(self, container: str) -> Victim | None:
        return next((found for one in self._both if (found := one.read(container)) is not None), None)

    def do(self, container: str, harm: AnyHarm) -> bool:
        return any(one.do(container, harm) for one in self._both if one.read(container) is not None)

    def mark(self) -> str:
        return max(one.mark() for one in self._both)

    def said(self, container: str, since: str) -> Sequence[str]:
        return [word for one in self._both for word in one.said(container, since)]


def _name(member: DeployerProcess) -> str:
    return f"deployer {member.pid}"
