"""A backend in this process: whole runs in seconds, without an engine, held to the contracts of the real one.

Replicas are asyncio tasks with an app of the test's own, behind an HTTP/1.1 balancer that listens on loopback. What a
real cluster does to its users when a part of it dies, freezes or drains is done here too; how an engine, nginx or a
store behaves beyond that is not, and is proven on the real ones.
"""

from lab.testing.in_process.app import AppAnswer, AppRequest, InProcessApp, MakeApp
from lab.testing.in_process.backend import InProcessBackend

__all__ = ["AppAnswer", "AppRequest", "InProcessApp", "InProcessBackend", "MakeApp"]
