"""Search spaces evaluated once in full, with the outcome of every row, for drivers to be replayed on.

    python -m tests.benchmarks.surfaces NAME ...

evaluates a surface and keeps it as ``surfaces/NAME.parquet``; started again after an interruption it evaluates what is
missing. Loading one needs neither torch nor a model.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import shapes_of_rows

FOLDER = Path(__file__).parent / "surfaces"
SHARED: Path = Path(os.environ.get("CLIPSWEEP_SHARED", "../shared"))
FORMAT, FACTS = 2, b"surface"  # version of the files, and the key of their metadata
PUBLISHED_TASKS = ("rte", "copa")

Clips = tuple[Clip, ...]
Bits = NDArray[np.bool_]
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """What the points of a surface are combinations of.

    Attributes:
        layers: 0-based.
        modules: Names of modules.
        clip_rates: Fractions; 0 is the baseline.
        max_clips: Most clips of a point: 1, or the number of layers where all are clipped jointly.
        shots: Demonstrations in the prompt.
        demo_seed: Seed that drew them.
    """

    layers: tuple[int, ...]
    modules: tuple[str, ...]
    clip_rates: tuple[float, ...]
    max_clips: int = 1
    shots: int = 0
    demo_seed: int = 0

    def points(self) -> list[Clips]:
        """The baseline, then each layer, module and, fastest, clip rate; jointly, every combination of clips.

        A rate of 0 is the baseline and no point of its own.
        """
        rates = [rate for rate in self.clip_rates if rate]
        choices: list[list[Clips]] = [
            [(Clip(layer=layer, module=module, clip_rate=rate),) for module in self.modules for rate in rates]
            for layer in self.layers
        ]
        if self.max_clips == 1:
            return [(), *[clips for each in choices for clips in each]]
        assert self.max_clips == len(self.layers), "every layer is clipped or left alone"
        return [sum(clips, start=()) for clips in product(*[[(), *each] for each in choices])]


@dataclass(frozen=True, kw_only=True)
class Surface:
    """Every point of a search space with what it gave.

    Attributes:
        name: Of the surface.
        model: As a study names it; ``"gptj-prompts-5m"`` for the one of the shared folder.
        task: Name of the task.
        axes: What the points are combinations of.
        points: Clips of each point, the baseline first.
        validation: Right or wrong, shape ``(points, validation rows)``, in the task's seeded order.
        margins: How far ahead the gold label was in each of those, in half precision: shape of ``validation``.
        held_out: Right or wrong of rows that a search never sees, shape ``(points, test rows)``.
        operations: Floating-point operations by the cost model for one validation row, shape ``(points,)``.
        parameters_kept: Parameters left in the model, shape ``(points,)``.
        parameters_total: Of the model.
        card: Of the model, for identities and ranks.
        task_fingerprint: Of the task and its rows.
        seconds: What each point took over both splits, shape ``(points,)``.
        microbatch: That it was evaluated with.
    """

    name: str
    model: str
    task: str
    axes: Axes
    points: tuple[Clips, ...]
    validation: Bits
    margins: NDArray[np.float16]
    held_out: Bits
    operations: Numbers
    parameters_kept: NDArray[np.int64]
    card: ModelCard
    task_fingerprint: str
    seconds: Numbers
    microbatch: int

    @cached_property
    def values(self) -> Numbers:
        """Held-out accuracy of each point."""
        return np.asarray(self.held_out.mean(axis=1))

    @cached_property
    def validation_scores(self) -> Numbers:
        """Accuracy of each point over all validation rows: what a full grid chooses by."""
        return np.asarray(self.validation.mean(axis=1))

    @property
    def baseline(self) -> float:
        """Held-out accuracy of the untouched model."""
        return float(self.values[0])

    @property
    def best(self) -> float:
        """Highest held-out accuracy."""
        return float(self.values.max())

    @property
    def gain_to_have(self) -> float:
        """What a perfect search would gain over the baseline."""
        return self.best - self.baseline

    @property
    def parameters_total(self) -> int:
        """Parameters of the untouched model."""
        return self.card.parameters_total

    @cached_property
    def _numbers(self) -> dict[frozenset[Clip], int]:
        return {frozenset(clips): number for number, clips in enumerate(self.points)}

    def index_of(self, clips: Sequence[Clip]) -> int:
        """Number of the point with these clips, in any order; clips at rate 0 do not count.

        Raises:
            KeyError: The surface has no such point.
        """
        return self._numbers[frozenset(clip for clip in clips if clip.clip_rate)]


def stored_names() -> list[str]:
    """Names of the surfaces that are kept here."""
    return sorted(path.stem for path in FOLDER.glob("*.parquet"))


def load_surface(name: str) -> Surface:
    """Read a stored surface.

    Raises:
        FileNotFoundError: There is none of that name; ``python -m tests.benchmarks.surfaces NAME`` makes it.
        ValueError: The file is of another format.
    """
    return read_surface(FOLDER / f"{name}.parquet")


def read_surface(path: Path) -> Surface:
    """Read a surface's file; see ``load_surface``."""
    table = pq.read_table(path)
    facts = facts_of(table)
    if facts["format"] != FORMAT:
        raise ValueError(f"{path} has format {facts['format']}; expected {FORMAT}. Make it again.")
    card = facts["card"]
    n_rows = facts["rows"]
    return Surface(
        name=facts["name"],
        model=facts["model"],
        task=facts["task"],
        axes=_axes(facts["axes"]),
        points=tuple(clips_of(row) for row in listed(table, "clips")),
        validation=_bits(table, "validation", n_rows["validation"]),
        margins=np.stack([np.frombuffer(row, dtype="<f2") for row in listed(table, "validation_margins")]),
        held_out=_bits(table, "test", n_rows["test"]),
        operations=_column(table, "validation_operations") / n_rows["validation"],
        parameters_kept=_column(table, "parameters_kept"),
        card=ModelCard(**{**card, "shapes": shapes_of_rows(card["shapes"])}),
        task_fingerprint=facts["task_fingerprint"],
        seconds=_column(table, "seconds"),
        microbatch=facts["microbatch"],
    )


def facts_of(table: pa.Table) -> dict[str, Any]:
    """What a file says of all its points."""
    facts: dict[str, Any] = json.loads((table.schema.metadata or {})[FACTS])
    return facts


def clips_of(row: Sequence[Mapping[str, Any]]) -> Clips:
    """A point as a file holds it."""
    return tuple(Clip(**clip) for clip in row)


def _bits(table: pa.Table, split: str, n_rows: int) -> Bits:
    packed = [np.frombuffer(row, dtype=np.uint8) for row in listed(table, f"{split}_outcomes")]
    return np.unpackbits(np.stack(packed), axis=1, count=n_rows).astype(bool)


def _column(table: pa.Table, name: str) -> NDArray[Any]:
    return np.array(listed(table, name))


def listed(table: pa.Table, name: str) -> list[Any]:
    """A column's values."""
    values: list[Any] = table[name].to_pylist()
    return values


def _axes(held: Mapping[str, Any]) -> Axes:
    """Axes out of JSON."""
    lists = {key: tuple(value) for key, value in held.items() if isinstance(value, list)}
    return Axes(**{**held, **lists})


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSurface:
    """Validation scores of the paper's released code: no rows.

    Attributes:
        name: ``published-MODEL-TASK``.
        axes: Two modules of four layers, eight rates.
        points: The baseline, then 64 points of one clip each, those at rate 0 among them.
        scores: Validation score of each point as published; of the baseline the median of those at rate 0, which differ
            by a row or two.
    """

    name: str
    axes: Axes
    points: tuple[Clips, ...]
    scores: Numbers

    @property
    def values(self) -> Numbers:
        """The scores: what is searched is all that there is."""
        return self.scores

    @property
    def baseline(self) -> float:
        """Score of the untouched model."""
        return float(self.scores[0])

    @property
    def best(self) -> float:
        """Highest score."""
        return float(self.scores.max())

    @property
    def gain_to_have(self) -> float:
        """What a perfect search would gain over the baseline."""
        return self.best - self.baseline


def load_published(shared: Path = SHARED) -> list[PublishedSurface]:
    """The four published surfaces of 64 points; none of the numbers is kept here.

    Raises:
        FileNotFoundError: The shared folder is elsewhere; set ``CLIPSWEEP_SHARED``.
    """
    with (shared / "data" / "published_validation_curves.csv").open(encoding="utf-8", newline="") as opened:
        rows = list(csv.DictReader(opened))
    found: dict[str, dict[Clips, float]] = {}
    for row in rows:
        if row["task"] in PUBLISHED_TASKS:
            clip = Clip(layer=int(row["layer"]), module=row["module"], clip_rate=float(row["clip_rate"]))
            name = f"published-{row['model'].lower()}-{row['task']}"
            found.setdefault(name, {})[(clip,)] = float(row["validation_score"])
    return [_published(name, scores) for name, scores in found.items()]


def _published(name: str, scores: Mapping[Clips, float]) -> PublishedSurface:
    clips = [clip for (clip,) in scores]
    untouched = [score for (clip,), score in scores.items() if not clip.clip_rate]
    return PublishedSurface(
        name=name,
        axes=Axes(
            layers=tuple(sorted({clip.layer for clip in clips})),
            modules=tuple(sorted({clip.module for clip in clips})),
            clip_rates=tuple(sorted({clip.clip_rate for clip in clips})),
            shots=10,
        ),
        points=((), *scores),
        scores=np.array([np.median(untouched), *scores.values()]),
    )


if __name__ == "__main__":
    from tests.benchmarks.surface_making import RECIPES, make

    parser = argparse.ArgumentParser(description="Evaluate surfaces that are not kept yet.")
    parser.add_argument("names", nargs="+", choices=sorted(RECIPES), metavar="NAME", help=", ".join(RECIPES))
    for each in parser.parse_args().names:
        make(RECIPES[each])
