"""Drivers: which trial runs next. A new driver is an entry of ``DRIVERS``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module

from analysis.table import Row
from orchestrator.space import Proposal, Space
from orchestrator.study import ALGORITHM1
from trials.errors import StudyError, unknown_name

DRIVERS = {
    ALGORITHM1: "orchestrator.drivers.algorithm1:Algorithm1Driver",
    "grid": "orchestrator.drivers.grid:GridDriver",
}


class Driver(ABC):
    """Asked for trials and told their rows; it never sees a replica.

    Attributes:
        adaptive: Whether what it asks for depends on what it was told, so that it is asked only for what can run now.
    """

    adaptive: bool = False

    @abstractmethod
    def ask(self, count: int) -> list[Proposal]:
        """Up to ``count`` trials to run now; fewer, or none, while it waits for rows or has no more."""

    @abstractmethod
    def tell(self, proposal: Proposal, row: Row) -> None:
        """Hear a stored row: of a trial just run, or known from before."""

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether it will never ask for another trial."""


def check_driver(name: str) -> None:
    """Refuse a driver that is not in the table.

    Raises:
        StudyError: Unknown name.
    """
    if name not in DRIVERS:
        raise StudyError(f"search.driver: {unknown_name('driver', name, DRIVERS)}")


def make_driver(name: str, space: Space) -> Driver:
    """Build the driver of a study."""
    check_driver(name)
    module, _, attribute = DRIVERS[name].partition(":")
    driver: Driver = getattr(import_module(module), attribute)(space)
    return driver
