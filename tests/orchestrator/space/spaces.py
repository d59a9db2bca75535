"""Spaces and subjects for tests."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

from clipsweep.orchestrator.space.site import Site
from clipsweep.orchestrator.space.space import Space
from clipsweep.orchestrator.space.subject import Subject, TaskFacts
from clipsweep.trials.models.card import ModelCard
from tests.trials.models.test_card import CARD


def space_over(layers: Iterable[int], modules: tuple[str, ...], **axes: Any) -> Space:
    """A space in which every module of every one of these layers may be clipped; 4 shots, one seed, and one rate."""
    defaults: dict[str, Any] = {"model": "m", "task": "t", "shots": (4,), "demo_seeds": (0,), "clip_rates": (0.5,)}
    sites = tuple(Site((layer,), module) for layer, module in product(layers, modules))
    return Space(**({"sites": sites, "modules": modules} | defaults | axes))


def make_subject(card: ModelCard = CARD, *, tested: bool = True, n_rows: int = 20) -> Subject:
    """A model and its task with so many validation rows, which has a test split or not."""
    sizes = {"validation": n_rows, "test": 10} if tested else {"validation": n_rows}
    return Subject(card=card, first=TaskFacts(task_fingerprint="t", split_sizes=sizes, dropped={}))
