"""Simulated logged-in users over HTTP: what they do, and exactly what became of everything they tried."""

from lab.users.accounts import CrowdSize
from lab.users.controls import CrowdControls
from lab.users.counts import CrowdCounts
from lab.users.crowd import Crowd
from lab.users.device import Device, User
from lab.users.journey import Journey
from lab.users.shop import Shopper
from lab.users.tries import Tries
from lab.users.wire import Door

__all__ = [
    "Crowd",
    "CrowdSize",
    "CrowdControls",
    "CrowdCounts",
    "Journey",
    "Shopper",
    "Device",
    "User",
    "Tries",
    "Door",
]
