"""Build the driver that a study names."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.drivers.driver import Driver, StudyDriver
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.study.names import DRIVERS


def make_driver(opened: OpenStudy, rows: Mapping[str, StoredRow]) -> Driver:
    """Build the driver of a study from what is known of it.

    Args:
        opened: The study, its layers known.
        rows: Latest attempt at each trial, by trial identity.
    """
    module, _, attribute = DRIVERS[opened.study.search.driver].location.partition(":")
    kind: type[StudyDriver] = getattr(import_module(module), attribute)
    return kind.of(opened, rows)
