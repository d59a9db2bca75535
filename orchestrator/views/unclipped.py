"""The matrices of decoder blocks that no role covers, so that nobody takes the modules for all of a block."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clipsweep.trials.models.matrices import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclipped:
    """Parameters of a block that no clip touches, alike but for the number of an expert.

    Attributes:
        layer: Decoder block, counted from 0.
        parameter: Name in the model; ``{expert}`` stands for the number of an expert with a parameter of its own.
        shape: As stored.
        count: How many parameters.
        values: How many values of them all lie in no matrix that can be clipped: fewer than all where only a part is.
    """

    layer: int
    parameter: str
    shape: tuple[int, ...]
    count: int
    values: int

    @property
    def is_part(self) -> bool:
        """Whether the rest of the parameter can be clipped."""
        return self.values < self.count * prod(self.shape)


def find_unclipped(model: Any, layout: Layout) -> tuple[Unclipped, ...]:
    """The matrices of a model's blocks that no role covers, by layer: whatever has two axes or more.

    Norms and biases are no matrices, whatever their shape: some models keep one of each head, or of each expert.
    """
    covered: dict[str, int] = {}
    for matrices in layout.matrices.values():
        for matrix in matrices:
            covered[matrix.parameter] = covered.get(matrix.parameter, 0) + matrix.rows * matrix.cols
    found: dict[tuple[int, str, tuple[int, ...]], list[int]] = {}
    for name, parameter in model.named_parameters():
        left = parameter.numel() - covered.get(name, 0)
        if name.startswith(f"{layout.blocks}.") and parameter.ndim > 1 and left and not _is_norm_or_bias(name):
            layer, _, inside = name.removeprefix(f"{layout.blocks}.").partition(".")
            alike = f"{layout.blocks}.{layer}.{name_of_experts(inside)}"
            found.setdefault((int(layer), alike, tuple(parameter.shape)), []).append(left)
    return tuple(
        Unclipped(layer=layer, parameter=name, shape=shape, count=len(left), values=sum(left))
        for (layer, name, shape), left in found.items()
    )


def describe_gate(model: Any, layout: Layout) -> str:
    """What is said of a query matrix that holds the attention's gate too, as Qwen3-Next's; empty where none does."""
    config = model.config.get_text_config(decoder=True)
    heads = getattr(config, "num_attention_heads", None)
    if not isinstance(heads, int):  # some models have another number in each layer
        return ""
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    outputs = 2 * heads * size
    if outputs not in [found[0].rows for (_, role), found in layout.matrices.items() if role == "q"]:
        return ""
    return f"q holds the attention's gate too, which is clipped with it: {outputs} outputs for {heads} heads of {size}"


def name_of_experts(inside: str) -> str:
    """The name of a parameter in its block, with ``{expert}`` for the number of an expert."""
    return re.sub(r"\.\d+\.", ".{expert}.", inside)


def describe_unclipped(entry: Unclipped) -> str:
    """Such parameters in words: name, shape as stored, how many, and how much of them where that is not all."""
    words = f"{entry.parameter}, {' × '.join(map(str, entry.shape))}"
    if entry.count > 1:
        words += f", {entry.count} of them"
    return words + (f", {entry.values:,} of its values" if entry.is_part else "")


def describe_share(entries: tuple[Unclipped, ...], clipped: int) -> str:
    """How much of the blocks' matrices no module covers, and what it is, by the last names of the parameters.

    Args:
        entries: As found.
        clipped: Values of all matrices that can be clipped.
    """
    left = sum(entry.values for entry in entries)
    by_name: dict[str, int] = {}
    for entry in entries:
        name = ".".join(entry.parameter.removesuffix(".weight").split(".")[-2:])
        by_name[name] = by_name.get(name, 0) + entry.values
    named = ", ".join(sorted(by_name, key=lambda name: -by_name[name]))
    return f"not clipped: {100 * left / (left + clipped):.3g} % of the values in the blocks' matrices: {named}"


def _is_norm_or_bias(name: str) -> bool:
    parts = name.split(".")
    return parts[-1].endswith("bias") or any("norm" in part or part.startswith("ln_") for part in parts)
