"""Where a decoder keeps the matrices that can be clipped, read from its config alone and put into words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipsweep.orchestrator.views.unclipped import (
    Unclipped,
    describe_gate,
    describe_share,
    describe_unclipped,
    find_unclipped,
    name_of_experts,
)
from clipsweep.trials.base.errors import counted
from clipsweep.trials.spec.modules import MODULES

if TYPE_CHECKING:
    from clipsweep.trials.models.matrices import Matrix

GROUPS = ("attn", "mlp")


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixEntry:
    """Where the matrices of a role lie: in one parameter, or, for experts that have their own, in one of each.

    Attributes:
        layer: Decoder block, counted from 0.
        role: E.g. ``"q"``.
        parameter: Name in the model; ``{expert}`` stands for the number of an expert with a parameter of its own.
        stored_shape: The parameter's own shape; a mixture's may have an axis of experts first.
        transposed: Whether it is stored ``(inputs, outputs)``.
        groups: Its outputs are ``groups`` times as many …
        start: … of which the matrix is those from ``start`` …
        stop: … to before ``stop`` of every group.
        rows: Outputs of the matrix.
        cols: Its inputs.
        count: How many matrices; more than one for the experts of a mixture.
    """

    layer: int
    role: str
    parameter: str
    stored_shape: tuple[int, ...]
    transposed: bool
    groups: int
    start: int
    stop: int
    rows: int
    cols: int
    count: int

    @property
    def outputs(self) -> int:
        """Outputs of the parameter: of this matrix and of those that it is fused with."""
        return self.stored_shape[-1 if self.transposed else -2]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelMap:
    """A decoder's facts, and where each of its matrices lies.

    Attributes:
        facts: ``model_type``, ``n_layers``, ``parameters_total``, ``context_length`` and ``experts_per_token``.
        modules: Roles of each module that can be clipped, by its name.
        blocks: Path of the list of blocks.
        entries: By layer, in the order of the roles.
        unclipped: By layer, the matrices of blocks that no role covers.
        gate: What is to be said of a gate that is fused with the queries; empty where there is none.
    """

    facts: dict[str, Any]
    modules: dict[str, tuple[str, ...]]
    blocks: str
    entries: tuple[MatrixEntry, ...]
    unclipped: tuple[Unclipped, ...]
    gate: str


def read_map(folder: Path) -> ModelMap:
    """Read a map from a folder's config.json; no weights are loaded, and none need be there.

    Raises:
        ModelError: transformers cannot build the model, or it has no matrices that can be clipped.
    """
    from clipsweep.trials.models.load import empty_model

    return map_of(empty_model(folder))


def map_of(model: Any) -> ModelMap:
    """The map of a model at hand, which may be on the meta device.

    Raises:
        ModelError: It has no matrices that can be clipped.
    """
    from clipsweep.trials.models.facts import facts_of
    from clipsweep.trials.models.find_layout import find_layout

    layout, facts = find_layout(model), facts_of(model)
    present = {role for _, role in layout.matrices}
    modules = {name: tuple(filter(present.__contains__, roles)) for name, roles in MODULES.items()}
    names = ("model_type", "n_layers", "parameters_total", "context_length", "experts_per_token")
    return ModelMap(
        facts={name: facts[name] for name in names},
        modules={name: roles for name, roles in modules.items() if roles},
        blocks=layout.blocks,
        entries=tuple(
            entry
            for (layer, role), matrices in layout.matrices.items()
            for entry in _entries(layer, role, matrices, layout.blocks, model)
        ),
        unclipped=find_unclipped(model, layout),
        gate=describe_gate(model, layout),
    )


def _entries(layer: int, role: str, matrices: Sequence[Matrix], blocks: str, model: Any) -> list[MatrixEntry]:
    """The entries of a role in a layer: experts that are alike have one together."""
    path = f"{blocks}.{layer}."
    found = [
        MatrixEntry(
            layer=layer,
            role=role,
            parameter=path + name_of_experts(matrix.parameter.removeprefix(path)),
            stored_shape=tuple(model.get_parameter(matrix.parameter).shape),
            transposed=matrix.transposed,
            groups=matrix.groups,
            start=matrix.start,
            stop=matrix.stop,
            rows=matrix.rows,
            cols=matrix.cols,
            count=1,
        )
        for matrix in matrices
    ]
    return [replace(entry, count=found.count(entry)) for entry in dict.fromkeys(found)]


def map_document(model_map: ModelMap) -> dict[str, Any]:
    """The map as JSON holds it, with every layer and role."""
    return {
        **model_map.facts,
        "blocks": model_map.blocks,
        "modules": {name: list(roles) for name, roles in model_map.modules.items()},
        "matrices": [asdict(entry) for entry in model_map.entries],
        "gate": model_map.gate or None,
        "not_clipped": [asdict(entry) for entry in model_map.unclipped],
    }


def describe_map(model_map: ModelMap) -> str:
    """The map in words: layers that differ in their number only are one paragraph."""
    facts, modules = model_map.facts, model_map.modules
    groups = [f"{name} ({' '.join(modules[name])})" for name in GROUPS if name in modules]
    single = [name for name in modules if name not in (*GROUPS, "all")]
    lines = [
        f"{facts['model_type']}: {counted(facts['n_layers'], 'layer')} in {model_map.blocks}, "
        f"{facts['parameters_total']:,} parameters, context of {facts['context_length']:,} tokens",
        f"modules to clip: {', '.join(groups)}, all; or one of {' '.join(single)}",
    ]
    if facts["experts_per_token"] > 1:
        lines.append(f"a mixture: {facts['experts_per_token']} experts read each token")
    if model_map.gate:
        lines.append(model_map.gate)
    if model_map.unclipped:
        clipped = sum(entry.rows * entry.cols * entry.count for entry in model_map.entries)
        lines.append(describe_share(model_map.unclipped, clipped))
    for layers, described in _alike(model_map):
        lines += ["", f"layer{'s' * (len(layers) > 1)} {_ranges(layers)}", *described]
    return "\n".join(lines)


def _alike(model_map: ModelMap) -> list[tuple[list[int], tuple[str, ...]]]:
    """Layers that are told in the same lines but for the layer's number, and these, with ``{layer}`` for it."""
    found: dict[tuple[str, ...], list[int]] = {}
    for layer in range(model_map.facts["n_layers"]):
        path = f"{model_map.blocks}.{layer}."
        clipped = [f"  {each.role:6} {_describe(each)}" for each in model_map.entries if each.layer == layer]
        left = [f"  not clipped: {describe_unclipped(each)}" for each in model_map.unclipped if each.layer == layer]
        lines = (clipped or ["  nothing to clip"]) + left
        alike = tuple(line.replace(path, f"{model_map.blocks}.{{layer}}.") for line in lines)
        found.setdefault(alike, []).append(layer)
    return [(layers, lines) for lines, layers in found.items()]


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers in words: ``0-3, 5``."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _describe(entry: MatrixEntry) -> str:
    """A parameter, which of its rows (columns, where it is stored transposed), the matrix's shape."""
    words = entry.parameter
    size = entry.outputs // entry.groups
    if entry.stop - entry.start < size:
        axis = "columns" if entry.transposed else "rows"
        words += f" {axis} {entry.start}:{entry.stop} of {'every ' if entry.groups > 1 else ''}{size}"
    words += f", {entry.rows} × {entry.cols}"
    if entry.transposed:
        words += ", stored transposed"
    return words + (f", {entry.count} experts" if entry.count > 1 else "")
