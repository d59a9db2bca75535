"""The one place that loads a model of transformers from a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel
from transformers import __version__ as transformers_version
from transformers.utils import logging as transformers_logging

from clipsweep.trials.base.errors import ModelError, in_one_line
from clipsweep.trials.checkpoint.config_file import read_config
from clipsweep.trials.checkpoint.weight_files import stored_tensors
from clipsweep.trials.models.dry_load import find_misfit
from clipsweep.trials.models.placement import spread

# a config that does not fit fails wherever the architecture first uses it
CONFIG_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    StrictDataclassError,
    TypeError,
    ValueError,
)

transformers_logging.disable_progress_bar()


def empty_model(folder: Path) -> PreTrainedModel:
    """Build a causal language model from a folder's config.json alone, on the meta device: no tensor is held.

    Raises:
        ModelError: transformers has no such architecture, or the config does not fit it.
    """
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        with torch.device("meta"):
            model: PreTrainedModel = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    except CONFIG_ERRORS as error:
        named = read_config(folder).get("model_type")
        raise ModelError(
            f"{folder / 'config.json'} has model_type {named!r}, of which transformers {transformers_version} builds "
            f"no causal language model ({in_one_line(error)}); expected a decoder whose code it has. Check the "
            f"config, or upgrade transformers; code that comes with a checkpoint is never run."
        ) from error
    return model


def settings_of(model: PreTrainedModel) -> dict[str, Any]:
    """What the config says of the decoder, with the defaults of what config.json leaves out."""
    return dict(model.config.get_text_config(decoder=True).to_dict())


def load_model(folder: Path, dtype: str, *devices: str) -> PreTrainedModel:
    """Load a causal language model for inference.

    Args:
        folder: Holds config.json and safetensors weights.
        dtype: ``"float32"``, ``"bfloat16"`` or ``"float16"``; weights are converted to it.
        devices: Torch devices: one, or several that the blocks are spread over; the first holds all else as well.

    Raises:
        ModelError: It does not load, lacks weights that the architecture has, which would be random, holds others that
            would be dropped, or cannot be spread.
    """
    stored = stored_tensors(folder)
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, dtype), trust_remote_code=False, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{folder} does not load: {error}") from error
    find_misfit(model, report, stored).check(folder, settings_of(model))
    loaded: PreTrainedModel = model.eval().requires_grad_(False)
    if len(devices) > 1:
        spread(loaded, [torch.device(device) for device in devices])
    else:
        loaded.to(*devices)
    return loaded
