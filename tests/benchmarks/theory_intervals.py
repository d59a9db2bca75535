"""How often a 95 % interval by layer leaves out 0 in made-up studies in which nothing tells the gain.

Some studies have layers of their own level, in the quantity and in the gain, which is what whole layers are drawn for;
in some trials are independent; in others all gain is in a few layers, as clips of most layers often change no answer.
Each has eight trials of a layer. All is seeded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from clipsweep.analysis.theory.correlations import interval_of
from clipsweep.analysis.theory.ranks import spearman_by_group
from clipsweep.analysis.theory.resample import RESAMPLES
from tests.benchmarks.document import Line, print_document, tell

LAYERS = (3, 6, 12, 28)
GAINING = (1, 2, 3)  # layers with any gain, of those studies in which most have none
TRIALS_OF_LAYER = 8
STUDIES = 1000  # of each kind; the standard error of a share of 10 % is 0.9 points
SPARSE_STUDIES = 300  # of those with gain in few layers; 1.7 points


def leaves_out_0(n_layers: int, effect: float, gaining: int, rng: np.random.Generator) -> bool:
    """Whether the interval of one study in which nothing tells the gain does not hold 0.

    Args:
        n_layers: That it clips.
        effect: Deviation of the levels of layers, where that of trials within a layer is 1.
        gaining: Layers in which trials gain anything, good or bad.
        rng: Draws the study and its resamples.
    """
    layers = np.repeat(np.arange(n_layers), TRIALS_OF_LAYER)
    quantity, gain = effect * rng.normal(size=(2, n_layers))[:, layers] + rng.normal(size=(2, len(layers)))
    gain[layers >= gaining] = 0.0
    draws = rng.multinomial(n_layers, np.full(n_layers, 1 / n_layers), RESAMPLES).astype(np.float64)
    low, high = interval_of(spearman_by_group(quantity[None], gain, layers, draws)[0])
    return not low <= 0 <= high


def measure() -> Iterator[Line]:
    """A line for each number of layers and kind of study: those in which all layers gain, then those with few."""
    rng = np.random.default_rng(0)
    for n_layers, (effect, named) in product(LAYERS, ((0.0, "trials independent"), (1.0, "layers of their own level"))):
        yield _line(n_layers, named, [leaves_out_0(n_layers, effect, n_layers, rng) for _ in range(STUDIES)])
    rng = np.random.default_rng(1)
    for n_layers, gaining in product(LAYERS, GAINING):
        if gaining < n_layers:
            found = [leaves_out_0(n_layers, 1.0, gaining, rng) for _ in range(SPARSE_STUDIES)]
            yield _line(n_layers, f"{gaining} of them with any gain", found)


def _line(n_layers: int, named: str, found: Sequence[bool]) -> Line:
    name = f"{n_layers} layers, {named}: intervals that leave out 0"
    return Line(name=name, value=100 * float(np.mean(found)), unit="%")


def lines() -> Sequence[Line]:
    """All lines, told as they come."""
    return [line for each in measure() for line in tell([each])]


if __name__ == "__main__":
    print_document(lines)
