"""The JSON document that every benchmark prints."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trials.versions import recorded_versions


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One measured figure.

    Attributes:
        name: What was measured.
        value: The figure.
        unit: Its unit, ``""`` for a count or ratio.
        target: What was asked for; None where nothing was.
        met: Whether the figure reaches it; None without a target.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    met: bool | None = None


def at_most(name: str, value: float, unit: str, target: float) -> Line:
    """A figure that must not be above its target."""
    return Line(name=name, value=value, unit=unit, target=target, met=value <= target)


def at_least(name: str, value: float, unit: str, target: float) -> Line:
    """A figure that must not be below its target."""
    return Line(name=name, value=value, unit=unit, target=target, met=value >= target)


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "versions": recorded_versions(),
    }


def print_document(measure: Callable[[], Sequence[Line]]) -> None:
    """Measure and print."""
    print(json.dumps({"machine": machine(), "lines": [asdict(line) for line in measure()]}, indent=1))
