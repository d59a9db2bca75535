"""Names that a study file may use for what other folders do: drivers with the keys that each uses, races, rules.

A new driver is an entry of ``DRIVERS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

ALGORITHM1, BAYES, COMPOSE, GRID = "algorithm1", "bayes", "compose", "grid"
HALVING, NEIGHBOURS, SEQUENTIAL_TEST = "halving", "neighbours", "test"
STOPPING_RULES = ("n_trials", "max_hours", "max_gpu_hours", "patience")


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverEntry:
    """A driver that a study can name.

    Attributes:
        location: Its class, as ``module:attribute``; loaded when it is first used.
        keys: Keys of the section ``search`` that it uses besides those that all drivers use.
    """

    location: str
    keys: frozenset[str] = frozenset()


EVERY_DRIVER = frozenset({"driver", "guard", "race", "screen", "winner", *STOPPING_RULES})
OF_SEQUENTIAL_TEST = frozenset({"indifference", "error_rate"})  # used where the race is a test
DRIVERS: Mapping[str, DriverEntry] = {
    GRID: DriverEntry(location="clipsweep.orchestrator.drivers.grid:GridDriver"),
    ALGORITHM1: DriverEntry(
        location="clipsweep.orchestrator.drivers.algorithm1:Algorithm1Driver",
        keys=frozenset({"top_k", "module_condition"}),
    ),
    BAYES: DriverEntry(
        location="clipsweep.orchestrator.drivers.bayes.driver:BayesDriver",
        keys=frozenset({"sampler", "seed", "objectives", "warm_start", "storage"}),
    ),
    COMPOSE: DriverEntry(
        location="clipsweep.orchestrator.drivers.compose:ComposeDriver",
        keys=frozenset({"min_gain", "max_clips"}),
    ),
}
