"""The JSON document that every benchmark prints."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clipsweep.trials.base.versions import recorded_versions


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
    import torch

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "versions": recorded_versions(),
    }


def _processor() -> str:
    """The processor's name, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def tell(lines: Sequence[Line]) -> Sequence[Line]:
    """Show lines on standard error as soon as they are measured, so that a run that is cut short is not lost."""
    for line in lines:
        target = "" if line.target is None else f" (target {line.target:g}{'' if line.met else ', missed'})"
        print(f"{line.name}: {line.value:.4g} {line.unit}{target}", file=sys.stderr, flush=True)
    return lines


def print_document(measure: Callable[[], Sequence[Line]]) -> None:
    """Measure and print."""
    print(json.dumps({"machine": machine(), "lines": [asdict(line) for line in measure()]}, indent=1))
