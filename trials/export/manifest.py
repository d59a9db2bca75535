"""The file that makes a folder with thin factors a model: which modules have which rank, and what the config was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.checkpoint.config_file import read_config
from clipsweep.trials.checkpoint.read import AGAIN, describe, is_file, read_mapping
from clipsweep.trials.checkpoint.weight_files import FACTORED_MANIFEST
from clipsweep.trials.export.changes import Change
from clipsweep.trials.export.plan import Plan
from clipsweep.trials.export.recipe import Recipe
from clipsweep.trials.export.source import Source

FORMAT_VERSION = 1
STAND_IN = "clipsweep_factored"  # a model_type that transformers does not know, so that it refuses the folder
REPLACED = ("model_type", "architectures")  # of the config
Kind = TypeVar("Kind")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A folder with thin factors.

    Attributes:
        config: What the config says of the model that it stands for.
        ranks: By the module that two thin factors take the place of.
        files: Names of the files of weights.
        tensors: Names of all tensors in them.
    """

    config: dict[str, Any]
    ranks: dict[str, int]
    files: tuple[str, ...]
    tensors: frozenset[str]


def stand_in() -> dict[str, Any]:
    """What the config says in place of the model's own type."""
    return {"model_type": STAND_IN, "architectures": ["Load it with clipsweep.load_factored"]}


def manifest_of(source: Source, plan: Plan, recipe: Recipe, changes: Sequence[Change]) -> dict[str, Any]:
    """The manifest of a folder to come, as JSON has it."""
    config = read_config(source.folder)
    return {
        "format_version": FORMAT_VERSION,
        "config": {key: config[key] for key in REPLACED if key in config},
        "modules": {change.module: change.rank for change in changes if change.rank is not None},
        "weight_map": plan.weight_map,
        "recipe": recipe.document(),
    }


def read_manifest(folder: Path) -> Manifest:
    """Read it back.

    Raises:
        ModelError: There is none, it is damaged, or of a version that this clipsweep does not know.
    """
    path = folder / FACTORED_MANIFEST
    if not is_file(path):
        raise ModelError(
            f"{folder} has no {FACTORED_MANIFEST}; expected a folder that 'clipsweep apply --format factored' wrote. "
            f"Load other folders with transformers' AutoModelForCausalLM."
        )
    content = read_mapping(path, "a list of factored modules")
    version = content.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelError(
            f"{path} has format_version {describe(version)}; this clipsweep knows {FORMAT_VERSION}. Upgrade clipsweep, "
            f"or write the folder again with this one."
        )
    replaced, modules, weight_map = (content.get(key) for key in ("config", "modules", "weight_map"))
    if not _maps_to(replaced, object) or not _maps_to(modules, int) or not _maps_to(weight_map, str):
        raise ModelError(f"{path} is damaged: it lacks its config, modules or weight_map. {AGAIN}")
    own = {key: value for key, value in read_config(folder).items() if key not in REPLACED}
    files = tuple(dict.fromkeys(weight_map.values()))
    if strange := [name for name in files if Path(name).name != name]:
        raise ModelError(f"{path} names {strange[0]!r}; expected files of its own folder. {AGAIN}")
    return Manifest(config=own | replaced, ranks=modules, files=files, tensors=frozenset(weight_map))


def _maps_to(value: Any, kind: type[Kind]) -> TypeGuard[dict[str, Kind]]:
    """Whether it is a mapping whose values are all of a kind."""
    return isinstance(value, dict) and all(isinstance(each, kind) for each in value.values())
