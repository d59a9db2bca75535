"""Find the decoder blocks of a model and the matrices in them, from the names and shapes of its weights alone.

Routers of mixtures, norms, biases and cross-attention are no matrices to clip.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.models.matrices import Layout, Matrix
from clipsweep.trials.models.roles import RoleMatrices, Weight, cannot_be_clipped, name_roles
from clipsweep.trials.spec.modules import ATTENTION_ROLES, MLP_ROLES

PASSED_OVER = {"gate", "router", "cross_attn", "crossattention", "encoder_attn"}
FoundBlock = Mapping[str, RoleMatrices]  # the matrices of one block, by the path of the module that holds them


def find_layout(model: nn.Module) -> Layout:
    """Find the blocks of a causal language model of transformers, and the matrices in them.

    The blocks are the outermost module list that is as long as the config has hidden layers and that holds attention
    and feed-forward matrices. Only names and shapes are read, so the model may be on the meta device.

    Raises:
        ModelError: There is no such list, there are several, or a fused weight is laid out in a way not known here.
    """
    config = _text_config(model)
    lists = _module_lists(model)
    fitting = [path for path, blocks in lists.items() if len(blocks) == _n_layers(config)]
    for depth in sorted({path.count(".") for path in fitting}):
        searched = {path: _search(model, path, config) for path in fitting if path.count(".") == depth}
        whole = [path for path, found in searched.items() if _is_decoder(found)]
        if len(whole) > 1:
            raise ModelError(
                f"{cannot_be_clipped(config)}: {' and '.join(whole)} both hold decoder blocks; expected one list."
            )
        for path in whole:
            return _layout(path, lists[path], searched[path])
    raise ModelError(_nothing_found(model, fitting, config))


def _text_config(model: Any) -> Any:
    """The config of the decoder; of a model that takes images as well, a part of its own."""
    return model.config.get_text_config(decoder=True)


def _n_layers(config: Any) -> int | None:
    """How many blocks the config states; None where it states none."""
    count: int | None = getattr(config, "num_hidden_layers", None)
    return count


def _module_lists(model: nn.Module) -> dict[str, nn.ModuleList]:
    """Every module list of a model, by its path."""
    return {path: module for path, module in model.named_modules() if isinstance(module, nn.ModuleList)}


def _search(model: nn.Module, path: str, config: Any) -> list[FoundBlock]:
    """The matrices of every block of a module list.

    Raises:
        ModelError: A block has two attention modules, or a fused weight is laid out in a way not known here.
    """
    found: list[FoundBlock] = []
    for layer, weights in enumerate(_weights_of(model, path, config.num_hidden_layers)):
        block = {parent: name_roles(named, config) for parent, named in weights.items()}
        found.append(block)
        attentions = [parent for parent, matrices in block.items() if "q" in matrices]
        if len(attentions) > 1:
            raise ModelError(
                f"{cannot_be_clipped(config)}: {path}.{layer} has attention matrices in {' and in '.join(attentions)}; "
                f"expected one attention module in a block."
            )
    return found


def _weights_of(model: nn.Module, path: str, n_layers: int) -> list[dict[str, dict[str, Weight]]]:
    """For each block of a module list, its weights: by the path of their module in the block, then by name."""
    blocks: list[dict[str, dict[str, Weight]]] = [{} for _ in range(n_layers)]
    for parameter_name, parameter in model.named_parameters():
        if not parameter_name.startswith(f"{path}."):
            continue
        layer, _, inside = parameter_name.removeprefix(f"{path}.").partition(".")
        parent, _, name = inside.removesuffix(".weight").rpartition(".")
        owner = model.get_submodule(parameter_name.rpartition(".")[0])
        weight = _describe(owner, parameter_name, parameter)
        if weight is not None and not PASSED_OVER & {*parent.split(".")}:
            blocks[int(layer)].setdefault(parent, {})[name] = weight
    return blocks


def _describe(owner: nn.Module, name: str, parameter: Tensor) -> Weight | None:
    """Describe a parameter if it is the weight of a linear map or of experts; None for anything else."""
    conv1d = type(owner).__name__ == "Conv1D" and parameter.ndim == 2  # transformers' own; torch's is Conv1d
    linear = isinstance(owner, nn.Linear) and parameter.ndim == 2
    experts = parameter.ndim == 3
    if not (conv1d or linear or experts):
        return None
    return Weight(
        parameter=name,
        shape=tuple(parameter.shape),
        transposed=conv1d,
        interleaved=not getattr(owner, "is_concatenated", True),  # transformers sets it on modules of experts
    )


def _is_decoder(found: Iterable[FoundBlock]) -> bool:
    """Whether blocks hold attention and feed-forward matrices, each in one block at least."""
    roles = {role for block in found for matrices in block.values() for role in matrices}
    return "q" in roles and bool(roles & {*MLP_ROLES})


def _layout(path: str, blocks: nn.ModuleList, found: Sequence[FoundBlock]) -> Layout:
    attention = _holder(blocks, found, ATTENTION_ROLES)
    mlp = _holder(blocks, found, MLP_ROLES)
    if attention and mlp and (_is_inside(attention, mlp) or _is_inside(mlp, attention)):
        attention = mlp = None
    return Layout(blocks=path, attention=attention, mlp=mlp, matrices=_by_place(found))


def _by_place(found: Iterable[FoundBlock]) -> dict[tuple[int, str], tuple[Matrix, ...]]:
    """Matrices by layer and role, whichever module of the block holds them."""
    matrices: dict[tuple[int, str], tuple[Matrix, ...]] = {}
    for layer, block in enumerate(found):
        for role in ATTENTION_ROLES + MLP_ROLES:
            held = tuple(matrix for module in block.values() for matrix in module.get(role, ()))
            if held:
                matrices[layer, role] = held
    return matrices


def _is_inside(path: str, other: str) -> bool:
    return f"{path}.".startswith(f"{other}.")


def _holder(blocks: nn.ModuleList, found: Sequence[FoundBlock], roles: Sequence[str]) -> str | None:
    """Path of the one submodule that holds all matrices of ``roles``, if it is the same in every block."""
    paths = {_holder_in(block, modules, roles) for block, modules in zip(blocks, found, strict=True)}
    return paths.pop() or None if len(paths) == 1 else None


def _holder_in(block: nn.Module, modules: FoundBlock, roles: Sequence[str]) -> str:
    """Path of the innermost submodule of a block that holds all its matrices of ``roles``; empty for the block."""
    holders: list[list[str]] = []
    for parent, found in modules.items():
        matrices = [matrix for role in roles for matrix in found.get(role, ())]
        if not matrices:
            continue
        path = parent.split(".")
        if matrices[0].expert is not None:  # experts are called with the router's choice; the hidden state goes above
            path = path[:-1]
        holders.append(path)
    common = _common_start(holders)
    if common and isinstance(block.get_submodule(".".join(common)), nn.ModuleList):
        common = common[:-1]
    return ".".join(common)


def _common_start(paths: Sequence[Sequence[str]]) -> list[str]:
    """What all paths begin with."""
    common: list[str] = []
    for names in zip(*paths, strict=False):
        if len({*names}) > 1:
            break
        common.append(names[0])
    return common


def _nothing_found(model: nn.Module, fitting: Sequence[str], config: Any) -> str:
    """The refusal of a model without blocks that can be clipped: what was expected, and what there is."""
    lists = _module_lists(model)
    shown = {path: len(blocks) for path, blocks in lists.items() if not fitting or path in fitting}
    found = ", ".join(f"{path} ({length})" for path, length in shown.items()) or "no module list"
    names = _matrix_names(model, fitting)
    if names:
        found += f" with {', '.join(names)}"
    return (
        f"{cannot_be_clipped(config)}: expected a module list of num_hidden_layers ({_n_layers(config)}) blocks with "
        f"attention matrices, such as q_proj, k_proj, v_proj and o_proj, and feed-forward matrices, such as fc_in and "
        f"fc_out; found {found}. Choose a model whose weights are so named."
    )


def _matrix_names(model: nn.Module, lists: Sequence[str]) -> list[str]:
    """Last names of whatever has two or more axes in these module lists, each once."""
    inside = [
        name.removesuffix(".weight").rpartition(".")[2]
        for name, parameter in model.named_parameters()
        if parameter.ndim > 1 and any(name.startswith(f"{path}.") for path in lists)
    ]
    return list(dict.fromkeys(inside))
