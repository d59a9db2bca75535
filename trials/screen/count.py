"""What a screen costs, in the operations of the engine's cost model."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.engine.cost import CostModel, Extent
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.clip import Clip

Screened = Mapping[int, Sequence[tuple[int, int]]]  # rows and columns of the matrices that are screened, by layer


def matrices_of(clips: Iterable[Clip], card: ModelCard) -> dict[int, list[tuple[int, int]]]:
    """The matrices that clips change, by the shapes of a model, which need not be loaded."""
    edits = {
        (edit.layer, edit.role, edit.shape, number): edit.shape
        for clip in clips
        for edit in resolve([clip], card).edits
        for number in range(edit.shape.count)
    }
    found: dict[int, list[tuple[int, int]]] = {}
    for (layer, *_), shape in edits.items():
        found.setdefault(layer, []).append((shape.rows, shape.cols))
    return found


def count_operations(cost: CostModel, extents: Sequence[Extent], matrices: Screened, waves: int) -> int:
    """Operations of a screen: one pass forwards, and from the first screened layer on a second one and one backwards.

    Backwards a matrix costs as much as forwards, for no weight has a gradient; a product inside the attention twice as
    much. For each screened matrix inputs and gradients are projected on its singular vectors. Of the prefix, gradients
    go back for each group apart.

    Args:
        cost: Of the model.
        extents: Of the prefix, where there is one, and of the groups of rows.
        matrices: Those that are screened.
        waves: How often the prefix is run again.
    """
    groups = [extent for extent in extents if extent.answers]
    screened = range(min(matrices, default=cost.card.n_layers), cost.card.n_layers)
    total = sum(_forward(cost, range(cost.card.n_layers), extent) + 2 * cost.head(extent) for extent in groups)
    total += sum(_forward(cost, screened, extent) + _back(cost, screened, extent, matrices) for extent in groups)
    for prefix in (extent for extent in extents if not extent.answers):
        total += _forward(cost, range(cost.card.n_layers), prefix) + waves * _forward(cost, screened, prefix)
        total += len(groups) * _back(cost, screened, prefix, matrices)
    return total


def _forward(cost: CostModel, layers: Collection[int], extent: Extent) -> int:
    return sum(sum(cost.block(layer, extent)) for layer in layers)


def _back(cost: CostModel, layers: Collection[int], extent: Extent, matrices: Screened) -> int:
    total = 0
    for layer in layers:
        weights, attention = cost.block(layer, extent)
        total += weights + 2 * attention
        for rows, cols in matrices.get(layer, ()):
            total += 2 * extent.sequences * extent.tokens * min(rows, cols) * (rows + cols)
    return total
