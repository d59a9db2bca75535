"""The one place that touches transformers: load a model and a tokenizer from a folder."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from trials.errors import ModelError

transformers_logging.disable_progress_bar()


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Load a checkpoint's tokenizer; code that comes with a checkpoint is never run.

    Raises:
        ModelError: The folder has none.
    """
    try:
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder} has no tokenizer that loads ({error}). Copy the model's tokenizer files."
        ) from error


def load_model(folder: Path, dtype: str, device: str) -> PreTrainedModel:
    """Load a causal language model for inference.

    Args:
        folder: Holds config.json and safetensors weights.
        dtype: ``"float32"``, ``"bfloat16"`` or ``"float16"``; weights are converted to it.
        device: A torch device.

    Raises:
        ModelError: It does not load, or lacks weights that the architecture has, which would be random.
    """
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            folder, dtype=getattr(torch, dtype), trust_remote_code=False, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder} does not load: {error}") from error
    if report["missing_keys"]:
        missing = ", ".join(sorted(report["missing_keys"])[:3])
        raise ModelError(f"{folder} lacks {len(report['missing_keys'])} weights, {missing} among them.")
    loaded: PreTrainedModel = model.to(device).eval().requires_grad_(False)
    return loaded
