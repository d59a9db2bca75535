"""Whether ``svd`` beats other kinds of clip on the embedded model: paired, over the same rows, with intervals.

The control is ``random``: a change of the same norm and rank as the clip's, in random directions.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from clipsweep.analysis.winners.gain import Paired, bootstrap
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.spec.modules import MODULES
from tests.benchmarks.document import Line, print_document, tell
from tests.orchestrator.stored import latest_rows

SVD, RANDOM = "svd", "random"
OTHERS = ("magnitude", "tail", RANDOM)
RATES = (0.5, 0.75, 0.9, 0.95)
SEEDS = (1, 2, 3)  # of random: its outcomes are their mean
Place = tuple[int, str, float]  # layer, module and rate
Outcomes = NDArray[np.float64]  # for each row the share of right answers: of one trial, or of one for each seed
Kinds = Mapping[str, Mapping[Place, Outcomes]]


def lines(quick: bool) -> Iterator[Line]:
    """Run the study and compare.

    Args:
        quick: Whether two layers, two rates and a quarter of the rows do.

    Yields:
        Differences in accuracy as percentage points, each followed by the ends of its 95 % interval over rows.
    """
    layers, rates = ((0, 5), RATES[1:3]) if quick else (tuple(range(6)), RATES)
    with tempfile.TemporaryDirectory() as folder:
        kinds, untouched = _evaluate(Path(folder), _study(layers, rates, 250 if quick else 1000))
    places = list(kinds[SVD])
    yield Line(name=f"places compared, on {len(untouched)} rows", value=len(places), unit="")
    yield Line(name="accuracy of the untouched model", value=100 * untouched.mean(), unit="%")
    for kind, found in kinds.items():
        yield from _difference(
            f"{kind} − untouched, mean of all places", [found[place] - untouched for place in places]
        )
    for other in OTHERS:
        yield from _against(kinds, other, places)
    yield from _at_each_rate(kinds, places, rates)
    yield from _best(kinds, untouched)


def _study(layers: Sequence[int], rates: Sequence[float], n_rows: int) -> dict[str, Any]:
    """The study, as a file would hold it."""
    return {
        "name": "kinds",
        "model": {"path": "embedded"},
        "task": {"name": "episodes", "validation_size": n_rows, "test_size": 0, "seed": 53},
        "space": {
            "layers": list(layers),
            "modules": ["attn", "mlp"],
            "shots": [10],
            "kinds": [SVD, *OTHERS[:-1], *({RANDOM: {"seed": seed}} for seed in SEEDS)],
            "clip_rates": list(rates),
        },
        "cluster": {"replicas": 0},
    }


def _evaluate(folder: Path, content: dict[str, Any]) -> tuple[Kinds, Outcomes]:
    """Outcomes of each kind at each place, and those of the untouched model."""
    run_study(check_study(content), folder / "study", folder / "cache", Console(quiet=True))
    untouched: list[Outcomes] = []
    drawn: dict[str, dict[Place, list[Outcomes]]] = {kind: {} for kind in (SVD, *OTHERS)}
    for row in latest_rows(folder / "study").values():
        outcomes = row.outcomes.astype(float)
        if not row.clips:
            untouched.append(outcomes)
        for clip in row.clips:
            place = clip.layer, clip.module, clip.clip_rate
            drawn[clip.kind].setdefault(place, []).append(outcomes)
    (baseline,) = untouched
    kinds = {
        kind: {place: np.mean(each, axis=0) for place, each in sorted(found.items())} for kind, found in drawn.items()
    }
    return kinds, baseline


def _against(kinds: Kinds, other: str, places: Sequence[Place]) -> Iterator[Line]:
    """How ``svd`` does against another kind at all places, and at how many of them it is ahead or behind."""
    differences = [kinds[SVD][place] - kinds[other][place] for place in places]
    yield from _difference(f"{SVD} − {other}, mean of all places", differences)
    ends = [bootstrap([Paired(differences=each)]) for each in differences]
    yield Line(name=f"places where {SVD} is better than {other}", value=sum(low > 0 for low, _ in ends), unit="")
    yield Line(name=f"places where {other} is better than {SVD}", value=sum(high < 0 for _, high in ends), unit="")


def _at_each_rate(kinds: Kinds, places: Sequence[Place], rates: Sequence[float]) -> Iterator[Line]:
    """``svd`` against ``random`` at each module and rate, all layers together."""
    for module, rate in product(MODULES, rates):
        at_it = [place for place in places if place[1:] == (module, rate)]
        if at_it:
            differences = [kinds[SVD][place] - kinds[RANDOM][place] for place in at_it]
            yield from _difference(f"{SVD} − {RANDOM}, {module} at {rate:g}, mean of the layers", differences)


def _best(kinds: Kinds, untouched: Outcomes) -> Iterator[Line]:
    """What the best place of each kind on the first half of the rows gains on the second half."""
    half = len(untouched) // 2
    for kind, found in kinds.items():
        place = max(found, key=lambda each: float(found[each][:half].mean()))
        layer, module, rate = place
        name = f"{kind}, best on half of the rows ({module} of layer {layer} at {rate:g}) − untouched, on the others"
        yield from _difference(name, [(found[place] - untouched)[half:]])


def _difference(name: str, differences: Sequence[Outcomes]) -> Iterator[Line]:
    """The mean difference, and the ends of its interval."""
    each = np.mean(differences, axis=0)
    low, high = bootstrap([Paired(differences=each)])
    for end, value in (("", float(each.mean())), (", low", low), (", high", high)):
        yield Line(name=f"{name}{end}", value=100 * value, unit="points")


if __name__ == "__main__":
    print_document(lambda: [line for each in lines("--quick" in sys.argv) for line in tell([each])])
