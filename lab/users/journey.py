"""What one user does on one device: the class to subclass for an app of one's own."""

from __future__ import annotations

from abc import ABC, abstractmethod

from lab.users.device import Device


class Journey(ABC):
    """Drives `self.device`; what it learns from answers it keeps in itself.

    Every method does its operations one after another through `device.do`. None may raise because of what the app
    answered: an exception ends the whole crowd as the lab's own fault. Chance is `device.chance` alone; an `act`
    that always draws the same number of times repeats its plan exactly under one seed, whatever goes wrong.
    """

    __slots__ = ("device",)

    def __init__(self, device: Device) -> None:
        self.device = device
        device.log_in = self.log_in

    @abstractmethod
    async def log_in(self) -> None:
        """Log in once, by an operation of kind LOGIN; whether that worked is `device.is_logged_in`."""

    @abstractmethod
    async def act(self) -> None:
        """Do the next thing; the device was logged in just before."""

    @abstractmethod
    async def read_back(self) -> bool:
        """Read all that the app keeps for this account, and say whether all of it was shown.

        Nothing else is under way on the account.
        """
