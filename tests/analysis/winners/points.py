"""Points of a study that is made up, and rows that answer them."""

from __future__ import annotations

from dataclasses import replace

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.point import Point
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.result import TrialState
from tests.analysis.store.rows import stored_row, text_row


def make_point(
    layer: int | None, rate: float = 0.5, *, seeds: int = 1, module: str = "mlp", tested: bool = False
) -> Point:
    """A point that clips one layer, or none; its trials are named ``mlp-1-0.5-0`` or ``base-0``, with the seed last."""

    def ids(kind: str) -> tuple[str, ...]:
        return tuple(f"{kind}-{seed}" for seed in range(seeds))

    name = "base" if layer is None else f"{module}-{layer}-{rate}"
    return Point(
        clips=() if layer is None else (Clip(layer=layer, module=module, clip_rate=rate),),
        shots=4,
        trial_ids=ids(name),
        baseline_ids=ids("base"),
        test_ids=ids(f"test-{name}") if tested else (),
        baseline_test_ids=ids("test-base") if tested else (),
    )


def rows_of(**right: list[int]) -> dict[str, StoredRow]:
    """Rows by trial identity: how many of ten outcomes are right, one entry for each seed."""
    rows = {}
    for name, counts in right.items():
        for seed, count in enumerate(counts):
            key = f"{name.replace('__', '.').replace('_', '-')}-{seed}"
            rows[key] = stored_row(key, outcomes=tuple(n < count for n in range(10)))
    return rows


WINDOWS = (10, 20, 5, 40, 25)  # tokens of the windows of text that these trials score


def as_text(point: Point) -> Point:
    """The same point, judged by the likelihood of text."""
    return replace(point, metric="nll")


def text_rows_of(**nats: float) -> dict[str, StoredRow]:
    """Rows of text by trial identity, names as in ``rows_of``: the nats of a token, a little more in later windows."""
    rows = {}
    for name, each in nats.items():
        key = f"{name.replace('__', '.').replace('_', '-')}-0"
        values = [-(each + 0.1 * number) * count for number, count in enumerate(WINDOWS)]
        rows[key] = text_row(values, WINDOWS, key)
    return rows


def stopped(key: str, outcomes: tuple[bool, ...]) -> dict[str, StoredRow]:
    """The row of a trial that a race stopped after these examples."""
    return {key: stored_row(key, outcomes=outcomes, state=TrialState.PRUNED)}


BASE, GOOD, EQUAL = make_point(None), make_point(1), make_point(2)
