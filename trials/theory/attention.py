"""Which blocks of a model have an attention whose implicit update can be measured, and how their matrices are cut."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn
from transformers import PreTrainedModel

from clipsweep.trials.models.matrices import Layout, Matrix
from clipsweep.trials.spec.modules import ATTENTION_ROLES

ENTRIES_AT_ONCE = 2**22  # of what is formed in float32 some rows at a time: 16 MiB
UNSCALED = {"gpt_neo"}  # model types whose attention does not divide its scores by anything


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockAttention:
    """The attention of one block.

    Attributes:
        q: Rows are ``heads`` times ``key_size``, head after head.
        k: Rows are ``groups`` times ``key_size``.
        v: Rows are ``groups`` times ``value_size``.
        o: Columns are ``heads`` times ``value_size``.
        heads: Of queries.
        groups: Heads of keys and values; each serves ``heads / groups`` heads of queries that follow each other.
        scale: What the product of a query and a key is multiplied by.
    """

    q: Matrix
    k: Matrix
    v: Matrix
    o: Matrix
    heads: int
    groups: int
    scale: float

    @property
    def key_size(self) -> int:
        """Entries of a key of one head."""
        return self.q.rows // self.heads

    @property
    def value_size(self) -> int:
        """Entries of a value of one head."""
        return self.v.rows // self.groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Projections:
    """The four matrices of an attention under the weights that a model holds now, in the dtype of these.

    Attributes:
        q: Shape ``(heads * key_size, width)``.
        k: Shape ``(groups * key_size, width)``.
        v: Shape ``(groups * value_size, width)``.
        o: Shape ``(width, heads * value_size)``.
        heads: Of queries.
        groups: Of keys and values.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    o: Tensor
    heads: int
    groups: int


def read_projections(parameters: Mapping[str, Tensor], attention: BlockAttention) -> Projections:
    """The matrices of an attention under the weights that the model holds now; views where they can be."""
    q, k, v, o = (read_matrix(parameters, matrix) for matrix in (attention.q, attention.k, attention.v, attention.o))
    return Projections(q=q, k=k, v=v, o=o, heads=attention.heads, groups=attention.groups)


def read_matrix(parameters: Mapping[str, Tensor], matrix: Matrix) -> Tensor:
    """A matrix out of a model's parameters, by name: ``(rows, cols)``, in their dtype; a view where it can be."""
    return matrix.read(parameters[matrix.parameter])


def in_float32(matrix: Tensor) -> Iterator[Tensor]:
    """A matrix from its first rows to its last, some at a time, in float32: so no whole copy of it is in memory."""
    step = max(1, ENTRIES_AT_ONCE // matrix.shape[1])
    for first in range(0, len(matrix), step):
        yield matrix[first : first + step].float()


def find_attentions(model: PreTrainedModel, layout: Layout) -> tuple[BlockAttention | None, ...]:
    """The attention of each block.

    Returns:
        In the order of the blocks; None for a block without one matrix for each of query, key, value and output, as
        those of hybrids, of mixtures of attentions and of attention through a latent space are; or whose matrices do
        not go together head by head, as where a gate is fused with the queries.
    """
    config = model.config.get_text_config(decoder=True)
    heads = getattr(config, "num_attention_heads", None)
    layers = range(len(list(model.get_submodule(layout.blocks))))
    if not isinstance(heads, int):  # some models have another number in each block
        return tuple(None for _ in layers)
    return tuple(_find(model, layout, layer, heads, config.model_type) for layer in layers)


def _find(model: nn.Module, layout: Layout, layer: int, heads: int, model_type: str) -> BlockAttention | None:
    """The attention of one block, as of ``find_attentions``."""
    held = [layout.matrices.get((layer, role), ()) for role in ATTENTION_ROLES]
    if any(len(matrices) != 1 for matrices in held):
        return None
    q, k, v, o = (matrix for (matrix,) in held)
    if q.rows % heads or k.rows % (q.rows // heads):
        return None
    size = q.rows // heads
    groups = k.rows // size
    if heads % groups or v.rows % groups or o.cols != heads * (v.rows // groups):
        return None
    if not q.cols == k.cols == v.cols == o.rows or k.expert is not None or not k.parameter.endswith(".weight"):
        return None
    scale = 1.0 if model_type in UNSCALED else size**-0.5
    stated = getattr(model.get_submodule(k.owner.rpartition(".")[0]), "scaling", None)
    return BlockAttention(
        q=q, k=k, v=v, o=o, heads=heads, groups=groups, scale=stated if isinstance(stated, float) else scale
    )
