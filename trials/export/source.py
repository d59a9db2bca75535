"""The checkpoint that a clipped one is made from: which tensor of its files becomes which parameter of the model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.checkpoint.header import StoredTensor
from clipsweep.trials.checkpoint.read import AGAIN, reading
from clipsweep.trials.checkpoint.weight_files import stored_tensors
from clipsweep.trials.models.dry_load import dry_load
from clipsweep.trials.models.find_layout import find_layout
from clipsweep.trials.models.load import empty_model, settings_of
from clipsweep.trials.models.matrices import Layout

TORCH_DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
STORED_DTYPES = {dtype: name for name, dtype in TORCH_DTYPES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A checkpoint's files beside the model that they are loaded into.

    Attributes:
        folder: Of the checkpoint.
        model: On the meta device, each parameter in the dtype that it has when loaded.
        layout: Where it keeps its matrices.
        stored: The tensors of the files, by their names there.
        places: For each of them its parameter, and whether others there become a part of it too.
        repeated: Names of tensors that the files hold although the model ties them to others there.
    """

    folder: Path
    model: PreTrainedModel
    layout: Layout
    stored: Mapping[str, StoredTensor]
    places: Mapping[str, tuple[str, bool]]
    repeated: frozenset[str]

    def names_of(self, parameter: str) -> tuple[str, ...]:
        """The tensors that a parameter is loaded from, in the order of the files."""
        return tuple(name for name, (place, _) in self.places.items() if place == parameter)

    def is_converted(self, parameter: str) -> bool:
        """Whether its tensors are put together, turned or permuted while they are loaded."""
        return any(converted for place, converted in self.places.values() if place == parameter)


def open_source(folder: Path, dtype: str) -> Source:
    """Read the headers of a checkpoint's files, and find out what becomes of each tensor; none is read.

    Args:
        folder: Of the checkpoint.
        dtype: That the model is run in, ``"float32"``, ``"bfloat16"`` or ``"float16"``.

    Raises:
        ModelError: A file is damaged, or files and config do not fit.
    """
    stored = stored_tensors(folder)
    model = empty_model(folder)
    tried = dry_load(model, stored)
    tried.misfit.check(folder, settings_of(model))
    kinds = dtypes_of(model, dtype)
    for name, parameter in model.named_parameters():
        parameter.data = parameter.data.to(kinds[name])
    return Source(
        folder=folder,
        model=model,
        layout=find_layout(model),
        stored=stored,
        places=tried.places,
        repeated=frozenset(name for name, _ in tried.tied),
    )


def dtypes_of(model: PreTrainedModel, dtype: str) -> dict[str, torch.dtype]:
    """The dtype of each float parameter and stored buffer of a model that is loaded in ``dtype``.

    transformers keeps some modules of a few architectures in float32.
    """
    wanted = getattr(torch, dtype)
    plan: dict[str, torch.dtype] = model._get_dtype_plan(wanted)
    kept = {re.compile(rf"(^|\.){name.replace('.', '[.]').replace('*', '.*')}([.]|$)"): plan[name] for name in plan}
    return {
        name: next((each for pattern, each in kept.items() if pattern.search(name)), wanted)
        for name, tensor in model.state_dict().items()
        if tensor.is_floating_point()
    }


def read_tensor(stored: StoredTensor) -> Tensor:
    """Read one tensor of floats out of its file: shape and dtype as stored.

    Raises:
        ModelError: The file cannot be read, or was cut short since its header was read.
    """
    raw = torch.empty(stored.stop - stored.start, dtype=torch.uint8)
    with reading(stored.path), stored.path.open("rb") as opened:
        opened.seek(stored.start)
        if opened.readinto(raw.numpy().data) != len(raw):
            raise ModelError(f"{stored.path} was cut short while it was read. {AGAIN}")
    return raw.view(TORCH_DTYPES[stored.dtype]).reshape(stored.shape)
