"""What a screen costs, in the operations of the engine's cost model."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from clipsweep.trials.engine.cost import CostModel, Extent
from clipsweep.trials.screen.sites import Sites


def count_operations(cost: CostModel, extents: Sequence[Extent], sites: Sites, waves: int) -> int:
    """Operations of a screen: one pass forwards, and from the first screened layer on a second one and one backwards.

    Backwards a matrix costs as much as forwards, for no weight has a gradient; a product inside the attention twice as
    much. For each screened matrix inputs and gradients are projected on its singular vectors. Of the prefix, gradients
    go back for each group apart.

    Args:
        cost: Of the model.
        extents: Of the prefix, where there is one, and of the groups of rows.
        sites: Matrices screened, by layer.
        waves: How often the prefix is run again.
    """
    groups = [extent for extent in extents if extent.answers]
    screened = range(min(sites, default=cost.card.n_layers), cost.card.n_layers)
    total = sum(_forward(cost, range(cost.card.n_layers), extent) + 2 * cost.head(extent) for extent in groups)
    total += sum(_forward(cost, screened, extent) + _back(cost, screened, extent, sites) for extent in groups)
    for prefix in (extent for extent in extents if not extent.answers):
        total += _forward(cost, range(cost.card.n_layers), prefix) + waves * _forward(cost, screened, prefix)
        total += len(groups) * _back(cost, screened, prefix, sites)
    return total


def _forward(cost: CostModel, layers: Collection[int], extent: Extent) -> int:
    return sum(sum(cost.block(layer, extent)) for layer in layers)


def _back(cost: CostModel, layers: Collection[int], extent: Extent, sites: Sites) -> int:
    total = 0
    for layer in layers:
        matrices, attention = cost.block(layer, extent)
        total += matrices + 2 * attention
        for site in sites.get(layer, ()):
            rows, cols = site.matrix.rows, site.matrix.cols
            total += 2 * extent.sequences * extent.tokens * min(rows, cols) * (rows + cols)
    return total
