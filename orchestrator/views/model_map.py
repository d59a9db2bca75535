"""Where a decoder keeps the matrices that can be clipped, read from its config alone and put into words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipsweep.trials.spec.modules import MODULES

if TYPE_CHECKING:
    from clipsweep.trials.models.matrices import Matrix

GROUPS = ("attn", "mlp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
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
    """A decoder's facts and places.

    Attributes:
        facts: ``model_type``, ``n_layers``, ``parameters_total``, ``context_length`` and ``experts_per_token``.
        modules: Roles of each module that can be clipped, by its name.
        blocks: Path of the list of blocks.
        places: By layer, in the order of the roles.
    """

    facts: dict[str, Any]
    modules: dict[str, tuple[str, ...]]
    blocks: str
    places: tuple[Place, ...]


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
    modules = {name: tuple(role for role in roles if role in present) for name, roles in MODULES.items()}
    names = ("model_type", "n_layers", "parameters_total", "context_length", "experts_per_token")
    return ModelMap(
        facts={name: facts[name] for name in names},
        modules={name: roles for name, roles in modules.items() if roles},
        blocks=layout.blocks,
        places=tuple(
            place
            for (layer, role), matrices in layout.matrices.items()
            for place in _places(layer, role, matrices, layout.blocks, model)
        ),
    )


def _places(layer: int, role: str, matrices: Sequence[Matrix], blocks: str, model: Any) -> list[Place]:
    """The places of a role in a layer: one for all experts alike."""
    path = f"{blocks}.{layer}."
    found = [
        Place(
            layer=layer,
            role=role,
            parameter=path + re.sub(r"\.\d+\.", ".{expert}.", matrix.parameter.removeprefix(path)),
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
    return [replace(place, count=found.count(place)) for place in dict.fromkeys(found)]


def map_document(model_map: ModelMap) -> dict[str, Any]:
    """The map as JSON holds it, with every layer and role."""
    return {
        **model_map.facts,
        "blocks": model_map.blocks,
        "modules": {name: list(roles) for name, roles in model_map.modules.items()},
        "matrices": [asdict(place) for place in model_map.places],
    }


def describe_map(model_map: ModelMap) -> str:
    """The map in words: layers that differ in their number only are one paragraph."""
    facts, modules = model_map.facts, model_map.modules
    groups = [f"{name} ({' '.join(modules[name])})" for name in GROUPS if name in modules]
    single = [name for name in modules if name not in (*GROUPS, "all")]
    lines = [
        f"{facts['model_type']}: {facts['n_layers']} layers in {model_map.blocks}, "
        f"{facts['parameters_total']:,} parameters, context of {facts['context_length']:,} tokens",
        f"modules to clip: {', '.join(groups)}, all; or one of {' '.join(single)}",
    ]
    if facts["experts_per_token"] > 1:
        lines.append(f"a mixture: {facts['experts_per_token']} experts read each token")
    for layers, places in _alike(model_map):
        lines += ["", f"layer{'s' * (len(layers) > 1)} {_ranges(layers)}"]
        lines += [f"  {place.role:6} {_describe(place)}" for place in places] or ["  nothing to clip"]
    return "\n".join(lines)


def _alike(model_map: ModelMap) -> list[tuple[list[int], list[Place]]]:
    """Layers whose places are the same but for the layer's number, and these, with ``{layer}`` for it."""
    found: dict[tuple[Place, ...], list[int]] = {}
    for layer in range(model_map.facts["n_layers"]):
        path = f"{model_map.blocks}.{layer}."
        places = tuple(
            replace(place, layer=0, parameter=f"{model_map.blocks}.{{layer}}.{place.parameter.removeprefix(path)}")
            for place in model_map.places
            if place.layer == layer
        )
        found.setdefault(places, []).append(layer)
    return [(layers, list(places)) for places, layers in found.items()]


def _ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers in words: ``0-3, 5``."""
    runs = [[n for _, n in run] for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])]
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)


def _describe(place: Place) -> str:
    """A parameter, which of its rows (columns, where it is stored transposed), the matrix's shape."""
    words = place.parameter
    size = place.outputs // place.groups
    if place.stop - place.start < size:
        axis = "columns" if place.transposed else "rows"
        words += f" {axis} {place.start}:{place.stop} of {'every ' if place.groups > 1 else ''}{size}"
    words += f", {place.rows} × {place.cols}"
    if place.transposed:
        words += ", stored transposed"
    return words + (f", {place.count} experts" if place.count > 1 else "")
