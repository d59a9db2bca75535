"""How many rows go back through a block at once, and how many are under way together: as memory allows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.engine.cost import Extent, measure_extents
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.screen.count import Screened
from clipsweep.trials.screen.sites import Sites, shapes_of
from clipsweep.trials.spec.modules import MODULES

FLOAT_BYTES = 4  # of a number in float32, which factors are kept in
STATES = 8  # of the residual stream's width, held by a block's graph: what enters it, norms, sums, and their gradients


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a screen holds, by the shapes of the model.

    Attributes:
        card: Of the model.
        heads: Of its attention.
        item_bytes: Of one number in the model's dtype.
        limit: Bytes that a block's graph may take with the factors that are used, and what entered the blocks as many
            again, the prefix's included.
        prefix: Tokens of the prefix.
        matrices: Those that are screened, by layer.
    """

    card: ModelCard
    heads: int
    item_bytes: int
    limit: int
    prefix: int
    matrices: Screened

    @classmethod
    def of(cls, engine: Engine, sites: Sites, prefix: int) -> Room:
        """The room that an engine has on its device for these matrices, after a prefix of so many tokens."""
        config = engine.loaded.model.config.get_text_config(decoder=True)
        return cls(
            card=engine.card,
            heads=config.num_attention_heads,
            item_bytes=engine.loaded.model.dtype.itemsize,
            limit=engine.budget.device_bytes // 2,
            prefix=prefix,
            matrices=shapes_of(sites),
        )

    def graph_bytes(self, extent: Extent) -> int:
        """A block's graph with the gradients by its parts: an estimate from shapes, of its widest layer.

        Counted are the residual stream, inputs and outputs of every matrix with their gradients, the attention's
        probabilities with theirs, and what one matrix's inputs and gradients are in the bases of its factors.
        """
        tokens = extent.sequences * extent.tokens
        widest = max(self._widths(layer) for layer in range(self.card.n_layers))
        states = tokens * (STATES * self.card.hidden_size + 2 * widest)
        projected = max(self._projected(), default=0) * FLOAT_BYTES * tokens
        return self.item_bytes * (states + 2 * tokens * extent.keys * self.heads) + projected

    def passage_bytes(self, extent: Extent) -> int:
        """What entered each block, and what left the last, with the gradients by one block of the prefix."""
        states = extent.sequences * extent.tokens * self.card.hidden_size * (self.card.n_layers + 1)
        return self.item_bytes * (states + self.prefix * (self.card.hidden_size + 2 * max(self._keys())))

    @property
    def passages_limit(self) -> int:
        """What the groups that are under way together may take."""
        return self.limit - self.prefix_bytes

    @property
    def prefix_bytes(self) -> int:
        """What entered each block of the prefix and left the last, and its keys and values."""
        states = self.card.hidden_size * (self.card.n_layers + 1) + 2 * sum(self._keys())
        return self.item_bytes * self.prefix * states

    def holds_factors(self, layer: int, graph_bytes: int) -> bool:
        """Whether factors of all screened matrices of a layer have room at once, beside a graph."""
        return graph_bytes + sum(map(_factor_bytes, self.matrices.get(layer, ()))) <= self.limit

    def fitting_size(self, prompts: Prompts, size: int) -> int:
        """Rows of a group, so many or fewer, whose way back through one block has room.

        Raises:
            EvaluationError: Not even one row has, or the prefix has not.
        """
        factor = max((_factor_bytes(shape) for shapes in self.matrices.values() for shape in shapes), default=0)
        while True:
            extents = measure_extents(prompts, size)
            graph, passage = max(map(self.graph_bytes, extents)), max(map(self.passage_bytes, extents))
            if graph + factor <= self.limit and passage <= self.passages_limit:
                return size
            if size == 1:
                raise no_room(
                    f"{_mib(graph)} for its graph and {_mib(factor)} for the factors of one matrix, and "
                    f"{_mib(passage)} for what enters the blocks and {_mib(self.prefix_bytes)} for that of the "
                    f"demonstrations; each two may take {_mib(self.limit)}"
                )
            size //= 2

    def _projected(self) -> Iterator[int]:
        """Numbers for a token of each screened matrix: inputs and gradients as they are, in its bases, multiplied."""
        for shapes in self.matrices.values():
            yield from (rows + cols + 3 * min(rows, cols) for rows, cols in shapes)

    def _keys(self) -> list[int]:
        """Widths of a token's keys, by layer; its values are as wide."""
        return [
            sum(shape.rows for shape in self.card.shapes.get((layer, "k"), ())) for layer in range(self.card.n_layers)
        ]

    def _widths(self, layer: int) -> int:
        """Inputs and outputs of all matrices of a layer that a token meets."""
        return sum(
            min(shape.count, self.card.experts_per_token) * (shape.rows + shape.cols)
            for role in MODULES["all"]
            for shape in self.card.shapes.get((layer, role), ())
        )


def _factor_bytes(shape: tuple[int, int]) -> int:
    """Bytes of ``u``, ``s`` and ``vh`` in float32."""
    rows, cols = shape
    return FLOAT_BYTES * min(rows, cols) * (rows + 1 + cols)


def _mib(n_bytes: int) -> str:
    return f"{n_bytes / 2**20:,.1f} MiB"


def no_room(reason: str) -> EvaluationError:
    """What is said where the backward pass of one block over one row does not fit."""
    return EvaluationError(
        f"the backward pass of one block over one row does not fit in memory ({reason}); a screen needs that much. "
        f"Use fewer shots, raise cluster.activation_budget, give the replica a larger device, or switch the screen off."
    )
