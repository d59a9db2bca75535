"""Find each clippable matrix of a decoder by its role, from the names of its weights and facts of its config.

No architecture is listed: a block is searched for modules whose weights bear one of the sets of names in ``NAMINGS``.
Routers of mixtures, norms, biases and cross-attention are no matrices to clip.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from torch import Tensor, nn

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.spec.modules import ATTENTION_ROLES, MLP_ROLES

QKV, GATE_UP = ("q", "k", "v"), ("gate", "up")
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
PASSED_OVER = {"gate", "router", "cross_attn", "crossattention", "encoder_attn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """One weight matrix of shape ``(rows, cols)``, rows being outputs as in ``nn.Linear``, by its place in a parameter.

    Attributes:
        parameter: Name among ``model.named_parameters()``.
        rows: Outputs.
        cols: Inputs.
        transposed: Whether it is stored ``(inputs, outputs)``, as GPT-2's ``Conv1D`` does.
        expert: Index along the first axis of a 3-D parameter of a mixture of experts.
        groups: The parameter's output rows are viewed as ``(groups, rows_per_group)`` …
        start: … and the matrix is the rows from ``start`` …
        stop: … to before ``stop`` of every group.
    """

    parameter: str
    rows: int
    cols: int
    transposed: bool = False
    expert: int | None = None
    groups: int = 1
    start: int = 0
    stop: int

    def name_at(self, layer: int, role: str) -> str:
        """What messages call it: ``layer 3 fc_in (transformer.h.3.mlp.fc_in.weight)``, with its expert if any."""
        expert = "" if self.expert is None else f" expert {self.expert}"
        return f"layer {layer} {role} ({self.parameter}{expert})"

    def read(self, stored: Tensor) -> Tensor:
        """The matrix out of its parameter's tensor: shape ``(rows, cols)``; a view of ``stored`` where one can be."""
        return self._view(stored).reshape(self.rows, self.cols)

    def write(self, stored: Tensor, values: Tensor) -> None:
        """Put ``values`` ``(rows, cols)`` in place, rounded once to the dtype of ``stored``; nothing else changes."""
        view = self._view(stored)
        view.copy_(values.reshape(view.shape))

    def _view(self, stored: Tensor) -> Tensor:
        """The matrix's own entries: shape ``(groups, rows / groups, cols)``."""
        plain = stored.detach() if self.expert is None else stored.detach()[self.expert]
        outputs_first = plain.T if self.transposed else plain
        return outputs_first.view(self.groups, -1, self.cols)[:, self.start : self.stop]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where a decoder keeps its blocks and matrices.

    Attributes:
        blocks: Path of the ``nn.ModuleList`` of decoder blocks in the causal language model, e.g. ``"model.layers"``.
        attention: Path, inside every block, of the submodule that takes the hidden state and holds all attention
            matrices, e.g. ``"self_attn"``; None where that is no less than the block, or not the same in all blocks.
        mlp: The same for the feed-forward matrices. A mixture's is that of its router and experts.
        matrices: By ``(layer, role)``; several for the experts of a mixture.
    """

    blocks: str
    attention: str | None
    mlp: str | None
    matrices: Mapping[tuple[int, str], tuple[Matrix, ...]]


Found = Mapping[str, Mapping[str, list[Matrix]]]  # matrices of one block, by module and role


def find_layout(model: nn.Module) -> Layout:
    """Find the blocks of a causal language model of transformers, and the matrices in them.

    The blocks are the outermost module list that is as long as the config has hidden layers and that holds attention
    and feed-forward matrices. Only names and shapes are read, so the model may be on the meta device.

    Raises:
        ModelError: There is no such list, there are several, or a fused weight is laid out in a way not known here.
    """
    owner: Any = model
    config = owner.config.get_text_config(decoder=True)
    count = getattr(config, "num_hidden_layers", None)
    lists = {path: module for path, module in model.named_modules() if isinstance(module, nn.ModuleList)}
    fitting = [path for path, module in lists.items() if len(module) == count]
    for depth in sorted({path.count(".") for path in fitting}):
        searched = {path: _search(model, path, config) for path in fitting if path.count(".") == depth}
        whole = {path: blocks for path, blocks in searched.items() if _has(blocks, "q") and _has(blocks, *MLP_ROLES)}
        if len(whole) > 1:
            raise ModelError(f"{_cannot(config)}: {' and '.join(whole)} both hold decoder blocks; expected one list.")
        for path, blocks in whole.items():
            return _layout(path, lists[path], blocks)
    seen = {path: len(module) for path, module in lists.items() if not fitting or path in fitting}
    inside = {name.rpartition(".")[2]: None for name in _matrix_names(model, fitting)}
    raise ModelError(
        f"{_cannot(config)}: expected a module list of num_hidden_layers ({count}) blocks with attention matrices, "
        f"such as q_proj, k_proj, v_proj and o_proj, and feed-forward matrices, such as fc_in and fc_out; found "
        f"{', '.join(f'{path} ({length})' for path, length in seen.items()) or 'no module list'}"
        f"{' with ' + ', '.join(inside) if inside else ''}. Choose a model whose weights are so named."
    )


def _cannot(config: Any) -> str:
    return f"a {config.model_type} model cannot be clipped"


def _matrix_names(model: nn.Module, lists: Sequence[str]) -> Iterator[str]:
    """Names of whatever has two or more axes in these module lists, for a message."""
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1 and any(name.startswith(f"{path}.") for path in lists):
            yield name.removesuffix(".weight")


def _has(blocks: Sequence[Found], *roles: str) -> bool:
    return any(role in held for found in blocks for held in found.values() for role in roles)


def _layout(path: str, blocks: nn.ModuleList, found: Sequence[Found]) -> Layout:
    attention, mlp = (_holder(blocks, found, roles) for roles in (ATTENTION_ROLES, MLP_ROLES))
    if attention and mlp and (f"{attention}.".startswith(f"{mlp}.") or f"{mlp}.".startswith(f"{attention}.")):
        attention = mlp = None
    return Layout(
        blocks=path,
        attention=attention,
        mlp=mlp,
        matrices={
            (layer, role): tuple(matrix for held in modules.values() for matrix in held.get(role, ()))
            for layer, modules in enumerate(found)
            for role in ATTENTION_ROLES + MLP_ROLES
            if _has([modules], role)
        },
    )


def _holder(blocks: nn.ModuleList, found: Sequence[Found], roles: Sequence[str]) -> str | None:
    """Path of the one submodule that holds all matrices of ``roles``, if it is the same in every block."""
    paths = set()
    for block, modules in zip(blocks, found, strict=True):
        holders = []
        for parent, held in modules.items():
            matrices = [matrix for role in roles for matrix in held.get(role, ())]
            if matrices:  # a module of experts is called with the router's choice: the hidden state goes to its parent
                holders.append(parent.split(".")[: -1 if matrices[0].expert is not None else None])
        common = [parts[0] for parts in takewhile(lambda parts: len(set(parts)) == 1, zip(*holders, strict=False))]
        if common and isinstance(block.get_submodule(".".join(common)), nn.ModuleList):
            common = common[:-1]
        paths.add(".".join(common))
    return paths.pop() or None if len(paths) == 1 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weight:
    """The weight of a linear map, or the weights of all experts, as stored.

    Attributes:
        parameter: Its name in the model.
        shape: As stored.
        transposed: Whether it is stored ``(inputs, outputs)``.
        interleaved: Whether a fused gate and up alternate row by row.
    """

    parameter: str
    shape: tuple[int, ...]
    transposed: bool
    interleaved: bool

    @property
    def rows(self) -> int:
        return self.shape[-1] if self.transposed else self.shape[-2]

    @property
    def cols(self) -> int:
        return self.shape[-2] if self.transposed else self.shape[-1]

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
            for expert in (range(self.shape[0]) if len(self.shape) == 3 else (None,))
        ]


def _search(model: nn.Module, path: str, config: Any) -> list[Found]:
    """The matrices of every block of a module list."""
    blocks: list[dict[str, dict[str, _Weight]]] = [{} for _ in range(config.num_hidden_layers)]
    for name, parameter in model.named_parameters():
        if not name.startswith(f"{path}."):
            continue
        number, _, inside = name.removeprefix(f"{path}.").partition(".")
        parent, _, leaf = inside.removesuffix(".weight").rpartition(".")
        weight = _describe(model.get_submodule(name.rpartition(".")[0]), name, parameter)
        if weight is not None and not PASSED_OVER & set(parent.split(".")):
            blocks[int(number)].setdefault(parent, {})[leaf] = weight
    found: list[Found] = [{parent: _name_roles(named, config) for parent, named in each.items()} for each in blocks]
    for layer, modules in enumerate(found):
        attentions = [parent for parent, held in modules.items() if "q" in held]
        if len(attentions) > 1:
            raise ModelError(
                f"{_cannot(config)}: {path}.{layer} has attention matrices in {' and in '.join(attentions)}; "
                f"expected one attention module in a block."
            )
    return found


def _describe(owner: nn.Module, name: str, parameter: Tensor) -> _Weight | None:
    """Describe a parameter if it is the weight of a linear map or of experts; None for anything else."""
    transposed = type(owner).__name__ == "Conv1D" and parameter.ndim == 2  # transformers' own; torch's is Conv1d
    if parameter.ndim != 3 and not transposed and not (isinstance(owner, nn.Linear) and parameter.ndim == 2):
        return None
    return _Weight(
        parameter=name,
        shape=tuple(parameter.shape),
        transposed=transposed,
        interleaved=not getattr(owner, "is_concatenated", True),  # transformers sets it on modules of experts
    )


def _name_roles(named: Mapping[str, _Weight], config: Any) -> dict[str, list[Matrix]]:
    """Give the weights of one module their roles, by the first namings that fit."""
    found: dict[str, list[Matrix]] = {}
    for naming in NAMINGS:
        taken = any(role in found for roles in naming.values() for role in roles)
        if naming.keys() <= named.keys() and not taken:
            weights = {leaf: named[leaf] for leaf in naming}
            if GATE_UP in naming.values():
                gate_up, down = weights.values()
                weights = dict(zip(naming, _outputs_first(gate_up, down, config), strict=True))
            for leaf, roles in naming.items():
                found |= _cut(leaf, weights[leaf], roles, config)
    return found


def _outputs_first(gate_up: _Weight, down: _Weight, config: Any) -> tuple[_Weight, _Weight]:
    """Settle from the shapes whether experts are stored ``(experts, inputs, outputs)``, as Llama 4's and GPT-OSS's.

    Raises:
        ModelError: The first has not twice the outputs that the second has inputs, so it is no fused gate and up.
    """
    if len(gate_up.shape) == 3 and gate_up.shape[-1] == 2 * down.shape[-2]:
        gate_up, down = replace(gate_up, transposed=True), replace(down, transposed=True)
    if gate_up.rows != 2 * down.cols:
        raise ModelError(
            f"{_cannot(config)}: {gate_up.parameter} has {gate_up.rows} outputs; expected gate and up, twice the "
            f"{down.cols} inputs of {down.parameter}."
        )
    return gate_up, down


def _cut(leaf: str, weight: _Weight, roles: tuple[str, ...], config: Any) -> dict[str, list[Matrix]]:
    """The matrices of one weight, by role."""
    if roles == QKV:
        return _cut_qkv(leaf, weight, config)
    if roles == GATE_UP:
        half = weight.rows // 2
        groups, size = (half, 1) if weight.interleaved else (1, half)
        return {"gate": weight.cut(0, size, groups), "up": weight.cut(size, 2 * size, groups)}
    return {role: weight.cut(0, weight.rows) for role in roles}


def _cut_qkv(leaf: str, weight: _Weight, config: Any) -> dict[str, list[Matrix]]:
    """Queries, then keys, then values: once for all heads, or once for each head, or for each group of heads.

    Raises:
        ModelError: The rows do not divide so.
    """
    heads = config.num_attention_heads
    groups = _qkv_groups(leaf, config)
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    total, queries = weight.rows // groups, heads * size // groups
    keys = (total - queries) // 2
    if keys < 1 or groups * (queries + 2 * keys) != weight.rows or groups * queries != heads * size:
        raise ModelError(
            f"{_cannot(config)}: {weight.parameter} has {weight.rows} outputs; expected {groups} times queries, keys "
            f"and values, with {heads} query heads of {size} in all."
        )
    ends = (0, queries, queries + keys, total)
    return {role: weight.cut(start, stop, groups) for role, start, stop in zip(QKV, ends, ends[1:], strict=False)}


def _qkv_groups(leaf: str, config: Any) -> int:
    """How often queries, keys and values follow each other along the rows of a fused weight.

    Falcon's and GPT-BigCode's configs say it. Else ``query_key_value`` goes head by head (GPT-NeoX, Bloom, Persimmon),
    and ``c_attn``, ``qkv_proj`` and ``Wqkv`` do not (GPT-2, Phi-3, MPT).
    """
    if getattr(config, "new_decoder_architecture", False):
        return int(config.num_kv_heads)
    together = getattr(config, "multi_query", None)
    if together is None:
        together = leaf != "query_key_value"
    return 1 if together else int(config.num_attention_heads)
