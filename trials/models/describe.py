"""Describe a checkpoint without loading a tensor: its card."""

from __future__ import annotations

from pathlib import Path

from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.checkpoint_files import check_headers, check_not_quantised, fingerprint_of
from clipsweep.trials.models.facts import model_facts
from clipsweep.trials.models.settings import DTYPE_BYTES


def describe_checkpoint(folder: Path, dtype: str, cache: Path) -> ModelCard:
    """Read shapes from the config, check the weight files' headers, and hash the files for the fingerprint.

    Raises:
        ModelError: The model cannot be built or clipped, it is quantised, or a file is missing or damaged.
    """
    check_not_quantised(folder)
    check_headers(folder)
    facts = model_facts(folder, cache)
    return ModelCard(
        fingerprint=fingerprint_of(folder, cache),
        dtype=dtype,
        weight_bytes=facts["parameters_total"] * DTYPE_BYTES[dtype],
        **facts,
    )
