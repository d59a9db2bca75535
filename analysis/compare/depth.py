"""Which layer of one model answers to a layer of another that is deeper or shallower."""

from __future__ import annotations

SAME, FROM_START, FROM_END = "same depth", "from the start", "from the end"


def answering_layer(layer: int, n_layers: int, other_n_layers: int) -> tuple[int, str] | None:
    """The layer of another model that a layer is compared with.

    Models of one depth are compared layer by layer. Else a layer of the first half is compared with the layer as far
    from the start, and one of the second half with the layer as far from the end. The paper's figures show layers 0, 1,
    -2 and -1.

    Args:
        layer: From 0.
        n_layers: Decoder blocks of its model.
        other_n_layers: Decoder blocks of the other model.

    Returns:
        The other layer, from 0, and how it was found; None where the other model has no such layer in that half.
    """
    if n_layers == other_n_layers:
        return layer, SAME
    if 2 * layer < n_layers:
        return (layer, FROM_START) if 2 * layer < other_n_layers else None
    from_end = n_layers - layer
    return (other_n_layers - from_end, FROM_END) if 2 * from_end <= other_n_layers else None
