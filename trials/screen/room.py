"""How many rows go back through a block at once, and how many are under way together: as memory allows."""

from __future__ import annotations

from dataclasses import dataclass

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.engine.cost import Extent, measure_extents
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.modules import MODULES
from clipsweep.trials.tasks.prompts import Prompts

STATES = 8  # of the residual stream's width, held by a block's graph: what enters it, norms, sums, and their gradients


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What a screen holds, by the shapes of the model.

    Attributes:
        card: Of the model.
        heads: Of its attention.
        item_bytes: Of one number in the model's dtype.
        limit: Bytes that a block's graph may take, and what entered the blocks as many again.
    """

    card: ModelCard
    heads: int
    item_bytes: int
    limit: int

    @classmethod
    def of(cls, engine: Engine) -> Room:
        """The room that an engine has on its device."""
        config = engine.loaded.model.config.get_text_config(decoder=True)
        return cls(
            card=engine.card,
            heads=config.num_attention_heads,
            item_bytes=engine.loaded.model.dtype.itemsize,
            limit=engine.budget.device_bytes // 2,
        )

    def graph_bytes(self, extent: Extent) -> int:
        """A block's graph with the gradients by its parts: an estimate from shapes, of its widest layer.

        Counted are the residual stream, inputs and outputs of every matrix with their gradients, and the attention's
        probabilities with theirs.
        """
        tokens = extent.sequences * extent.tokens
        widest = max(self._widths(layer) for layer in range(self.card.n_layers))
        states = tokens * (STATES * self.card.hidden_size + 2 * widest)
        return self.item_bytes * (states + 2 * tokens * extent.keys * self.heads)

    def passage_bytes(self, extent: Extent) -> int:
        """What entered each block, and what left the last."""
        states = extent.sequences * extent.tokens * self.card.hidden_size * (self.card.n_layers + 1)
        return self.item_bytes * states

    def fitting_size(self, prompts: Prompts, size: int) -> int:
        """Rows of a group, so many or fewer, whose way back through one block has room.

        Raises:
            EvaluationError: Not even one row has, or the prefix has not.
        """
        while True:
            needed = max(map(self.graph_bytes, measure_extents(prompts, size)))
            if needed <= self.limit:
                return size
            if size == 1:
                raise no_room(f"{needed / 2**20:,.1f} MiB, and it may take {self.limit / 2**20:,.1f} MiB")
            size //= 2

    def _widths(self, layer: int) -> int:
        """Inputs and outputs of all matrices of a layer that a token meets."""
        return sum(
            min(shape.count, self.card.experts_per_token) * (shape.rows + shape.cols)
            for role in MODULES["all"]
            for shape in self.card.shapes.get((layer, role), ())
        )


def no_room(reason: str) -> EvaluationError:
    """What is said where the backward pass of one block over one row does not fit."""
    return EvaluationError(
        f"the backward pass of one block over one row does not fit in memory ({reason}); a screen needs that much. "
        f"Use fewer shots, raise cluster.activation_budget, give the replica a larger device, or switch the screen off."
    )
