"""Make the race that a study asks for."""

from __future__ import annotations

from clipsweep.orchestrator.drivers.race.entry import Race
from clipsweep.orchestrator.drivers.race.halving import Halving
from clipsweep.orchestrator.drivers.race.sequential_test import SequentialTest
from clipsweep.orchestrator.study.names import HALVING, NEIGHBOURS
from clipsweep.orchestrator.study.schema import SearchSection


def make_race(search: SearchSection, *, waits: bool, rungs: tuple[int, ...]) -> Race | None:
    """The race that a study asks for; None where it asks for none, or for one over its space (``neighbours.py``).

    Args:
        search: Of the study.
        waits: Whether all of a rung arrive before it must be decided: the driver's proposals do not depend on results.
        rungs: Rows of each rung, ascending to all rows.
    """
    if search.race in {None, NEIGHBOURS}:
        return None
    if search.race == HALVING:
        return Halving(waits=waits)
    return SequentialTest(indifference=search.indifference, error_rate=search.error_rate, rungs=rungs, waits=waits)
