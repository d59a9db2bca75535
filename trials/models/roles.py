"""The roles of weights by their names, and the matrices that fused weights are cut into.

No architecture is listed: the weights of a module are looked up in ``NAMINGS``, and how a fused one is laid out follows
from shapes and from facts of the config. A model whose weights bear names not seen yet needs an entry of ``NAMINGS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.models.matrices import Matrix

QKV, GATE_UP = ("q", "k", "v"), ("gate", "up")  # roles of what one fused weight holds
NAMINGS: tuple[dict[str, tuple[str, ...]], ...] = (
    {"q_proj": ("q",), "k_proj": ("k",), "v_proj": ("v",), "o_proj": ("o",)},
    {"q_proj": ("q",), "k_proj": ("k",), "v_proj": ("v",), "out_proj": ("o",)},
    {"q_proj": ("q",), "k_proj": ("k",), "v_proj": ("v",), "dense": ("o",)},
    {"qkv_proj": QKV, "o_proj": ("o",)},  # with out_proj it is CodeGen's, in an order that no rule here knows: refused
    {"query_key_value": QKV, "dense": ("o",)},
    {"c_attn": QKV, "c_proj": ("o",)},
    {"Wqkv": QKV, "out_proj": ("o",)},
    {"gate_proj": ("gate",), "up_proj": ("up",), "down_proj": ("down",)},
    {"gate_up_proj": GATE_UP, "down_proj": ("down",)},
    {"input_linear": GATE_UP, "output_linear": ("down",)},
    {"w1": ("gate",), "w3": ("up",), "w2": ("down",)},
    {"up_proj": ("up",), "down_proj": ("down",)},  # after the gated ones, which have these names too
    {"fc_in": ("fc_in",), "fc_out": ("fc_out",)},
    {"fc1": ("fc_in",), "fc2": ("fc_out",)},
    {"c_fc": ("fc_in",), "c_proj": ("fc_out",)},
    {"dense_h_to_4h": ("fc_in",), "dense_4h_to_h": ("fc_out",)},
)

RoleMatrices = dict[str, list[Matrix]]  # by role; several for the experts of a mixture


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """The weight of a linear map, or the weights of all experts, as stored.

    Attributes:
        parameter: Its name in the model.
        shape: As stored; of experts with an axis for them in front.
        transposed: Whether it is stored ``(inputs, outputs)``.
        interleaved: Whether a fused gate and up alternate row by row.
    """

    parameter: str
    shape: tuple[int, ...]
    transposed: bool
    interleaved: bool

    @property
    def rows(self) -> int:
        """Outputs."""
        return self.shape[-1] if self.transposed else self.shape[-2]

    @property
    def cols(self) -> int:
        """Inputs."""
        return self.shape[-2] if self.transposed else self.shape[-1]

    @property
    def experts(self) -> range | tuple[None]:
        """The number of each expert; a single None where there are none."""
        return range(self.shape[0]) if len(self.shape) == 3 else (None,)

    def cut(self, start: int, stop: int, groups: int = 1) -> list[Matrix]:
        """Rows from ``start`` to before ``stop`` of every group: one matrix, or one for each expert."""
        return [
            Matrix(
                parameter=self.parameter,
                rows=groups * (stop - start),
                cols=self.cols,
                transposed=self.transposed,
                expert=expert,
                groups=groups,
                start=start,
                stop=stop,
            )
            for expert in self.experts
        ]


def name_roles(named: Mapping[str, Weight], config: Any) -> RoleMatrices:
    """Give the weights of one module their roles, by the first namings that fit.

    Args:
        named: The module's weights by their own names, e.g. ``"q_proj"``.
        config: Of the model.

    Raises:
        ModelError: A fused weight is laid out in a way that is not known here.
    """
    found: RoleMatrices = {}
    for naming in NAMINGS:
        fits = naming.keys() <= named.keys()
        taken = any(role in found for roles in naming.values() for role in roles)
        if not fits or taken:
            continue
        weights = {name: named[name] for name in naming}
        if GATE_UP in naming.values():
            fused, down = weights.values()
            weights = dict(zip(naming, _with_outputs_first(fused, down, config), strict=True))
        for name, roles in naming.items():
            found |= _cut(name, weights[name], roles, config)
    return found


def cannot_be_clipped(config: Any) -> str:
    """How a refusal of a model begins."""
    return f"a {config.model_type} model cannot be clipped"


def _with_outputs_first(fused: Weight, down: Weight, config: Any) -> tuple[Weight, Weight]:
    """A fused gate and up, and the down that belongs to it, turned so that their rows are outputs.

    Llama 4 and GPT-OSS store experts as ``(experts, inputs, outputs)``; only the shapes tell.

    Raises:
        ModelError: The first has not twice the outputs that the second has inputs, so it is no fused gate and up.
    """
    if len(fused.shape) == 3 and fused.shape[-1] == 2 * down.shape[-2]:
        fused, down = replace(fused, transposed=True), replace(down, transposed=True)
    if fused.rows != 2 * down.cols:
        raise ModelError(
            f"{cannot_be_clipped(config)}: {fused.parameter} has {fused.rows} outputs; expected gate and up, twice the "
            f"{down.cols} inputs of {down.parameter}."
        )
    return fused, down


def _cut(name: str, weight: Weight, roles: tuple[str, ...], config: Any) -> RoleMatrices:
    """The matrices of one weight."""
    if roles == QKV:
        return _cut_qkv(name, weight, config)
    if roles == GATE_UP:
        return _cut_gate_up(weight)
    return {role: weight.cut(0, weight.rows) for role in roles}


def _cut_gate_up(weight: Weight) -> RoleMatrices:
    """Gate, then up: each as a whole, or row by row in turn."""
    half = weight.rows // 2
    groups, size = (half, 1) if weight.interleaved else (1, half)
    return {"gate": weight.cut(0, size, groups), "up": weight.cut(size, 2 * size, groups)}


def _cut_qkv(name: str, weight: Weight, config: Any) -> RoleMatrices:
    """Queries, then keys, then values: once for all heads, or once for each head, or for each group of heads.

    Raises:
        ModelError: The rows do not divide so.
    """
    heads = config.num_attention_heads
    groups = _qkv_groups(name, config)
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    total = weight.rows // groups
    queries = heads * size // groups
    keys = (total - queries) // 2
    divides = groups * (queries + 2 * keys) == weight.rows and groups * queries == heads * size
    if keys < 1 or not divides:
        raise ModelError(
            f"{cannot_be_clipped(config)}: {weight.parameter} has {weight.rows} outputs; expected {groups} times "
            f"queries, keys and values, with {heads} query heads of {size} in all."
        )
    ends = pairwise((0, queries, queries + keys, total))
    return {role: weight.cut(start, stop, groups) for role, (start, stop) in zip(QKV, ends, strict=True)}


def _qkv_groups(name: str, config: Any) -> int:
    """How often queries, keys and values follow each other along the rows of a fused weight.

    Falcon's and GPT-BigCode's configs say it. Else ``query_key_value`` goes head by head (GPT-NeoX, Bloom, Persimmon),
    and ``c_attn``, ``qkv_proj`` and ``Wqkv`` do not (GPT-2, Phi-3, MPT).
    """
    if getattr(config, "new_decoder_architecture", False):
        return int(config.num_kv_heads)
    together = getattr(config, "multi_query", None)
    if together is None:
        together = name != "query_key_value"
    return 1 if together else int(config.num_attention_heads)
