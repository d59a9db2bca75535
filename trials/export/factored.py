"""Load a folder with thin factors: the model as transformers builds it, with small modules in place of large ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AutoConfig, GenerationConfig, PreTrainedModel
from transformers.utils import GENERATION_CONFIG_NAME

from clipsweep.trials.base.errors import ModelError, in_one_line
from clipsweep.trials.checkpoint.header import read_header
from clipsweep.trials.checkpoint.read import AGAIN
from clipsweep.trials.export.manifest import Manifest, read_manifest
from clipsweep.trials.models.load import CONFIG_ERRORS


class FactoredLinear(nn.Module):
    """A linear map of low rank, as two: ``y = up(down(x)) + bias``.

    Attributes:
        down: From the inputs to ``rank`` numbers, no bias.
        up: From those to the outputs, no bias.
        bias: Of the map that it stands for, shape ``(rows,)``; None where that has none.
    """

    def __init__(self, rows: int, cols: int, rank: int, *, bias: bool) -> None:
        """Make room for the weights.

        Args:
            rows: Outputs.
            cols: Inputs.
            rank: Of the product.
            bias: Whether there is one.
        """
        super().__init__()
        self.down = nn.Linear(cols, rank, bias=False)
        self.up = nn.Linear(rank, rows, bias=False)
        self.bias = nn.Parameter(torch.empty(rows)) if bias else None

    @property
    def weight(self) -> Tensor:
        """One of the two: for code of transformers that asks a layer for its dtype, or for what is not loaded yet."""
        return self.up.weight

    def forward(self, inputs: Tensor) -> Tensor:
        """Shape ``(…, cols)`` to ``(…, rows)``."""
        return functional.linear(self.down(inputs), self.up.weight, self.bias)


def load_factored(path: str | Path, *, device: str | torch.device = "cpu") -> PreTrainedModel:
    """Load what ``clipsweep apply --format factored`` wrote, for inference.

    Args:
        path: The folder.
        device: A torch device.

    Returns:
        The model of transformers that the folder was made from, in the dtype of its files, with a ``FactoredLinear``
        in place of each factored ``Linear`` or ``Conv1D``, and with the folder's generation config. In evaluation mode,
        without gradients.

    Raises:
        ModelError: There is no such folder, it is damaged, of a version that this clipsweep does not know, or of an
            architecture that this transformers does not know.
    """
    folder = Path(path).expanduser()
    manifest = read_manifest(folder)
    tensors = _read(folder, manifest)
    try:
        config = type(AutoConfig.for_model(manifest.config["model_type"])).from_dict(manifest.config)
        architecture = _replacing(MODEL_FOR_CAUSAL_LM_MAPPING[type(config)], manifest.ranks)
        model, report = architecture.from_pretrained(
            None, config=config, state_dict=tensors, dtype=config.dtype, output_loading_info=True
        )
        if (folder / GENERATION_CONFIG_NAME).is_file():
            model.generation_config = GenerationConfig.from_pretrained(folder)
    except CONFIG_ERRORS as error:
        raise ModelError(f"{folder} does not load: {in_one_line(error)}. {AGAIN}") from error
    if wrong := [*report["missing_keys"], *report["unexpected_keys"], *map(str, report["mismatched_keys"])]:
        raise ModelError(f"{folder} does not fit its model: {', '.join(sorted(wrong)[:3])}. {AGAIN}")
    model.__class__ = architecture.__base__
    loaded: PreTrainedModel = model.eval().requires_grad_(False)
    return loaded.to(device)


def _read(folder: Path, manifest: Manifest) -> dict[str, Tensor]:
    """All tensors, mapped into memory.

    Raises:
        ModelError: A file is damaged, or they are not those of the manifest.
    """
    tensors: dict[str, Tensor] = {}
    for name in manifest.files:
        read_header(folder / name)
        try:
            tensors |= load_file(folder / name)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{folder / name} cannot be read ({in_one_line(error)}). {AGAIN}") from error
    if tensors.keys() != manifest.tensors:
        strange = sorted(tensors.keys() ^ manifest.tensors)
        raise ModelError(f"the files of {folder} are not those that it lists: {strange[0]} is amiss. {AGAIN}")
    return tensors


def _replacing(architecture: Any, ranks: Mapping[str, int]) -> Any:
    """An architecture of transformers that replaces modules as soon as it is built, before weights are loaded."""

    def build(self: Any, config: Any) -> None:
        architecture.__init__(self, config)
        for module, rank in ranks.items():
            self.set_submodule(module, _factored(self.get_submodule(module), rank))

    return type(architecture.__name__, (architecture,), {"__init__": build, "__module__": architecture.__module__})


def _factored(module: Any, rank: int) -> FactoredLinear:
    """The module that takes the place of a ``Linear`` or of transformers' ``Conv1D``, which holds (inputs, outputs)."""
    rows, cols = module.weight.shape if isinstance(module, nn.Linear) else reversed(module.weight.shape)
    return FactoredLinear(rows, cols, rank, bias=module.bias is not None)
