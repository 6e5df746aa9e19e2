"""The live page: a run's record, followed and sent to browsers on this machine."""

from lab.web.feed import Feed
from lab.web.follow import Follower
from lab.web.server import Controls, PageServer

__all__ = ["Controls", "Feed", "Follower", "PageServer"]
