"""Describe a checkpoint without loading a tensor: its card."""

from __future__ import annotations

from pathlib import Path

from clipsweep.trials.checkpoint.config_file import check_not_quantised
from clipsweep.trials.checkpoint.weight_files import fingerprint_of, stored_tensors
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.facts import model_facts
from clipsweep.trials.models.fit import check_fit
from clipsweep.trials.models.settings import DTYPE_BYTES


def describe_checkpoint(folder: Path, dtype: str, cache: Path, *, verify_hashes: bool = False) -> ModelCard:
    """Read shapes from the config, check that the weight files fit it, and hash the files for the fingerprint.

    Args:
        folder: Of the checkpoint.
        dtype: It is to be run in.
        cache: Where shapes, hashes, and what fits are remembered.
        verify_hashes: Whether all files are read, whatever is remembered of their hashes.

    Raises:
        ModelError: The model cannot be built or clipped, it is quantised, a file is missing or damaged, or the files
            hold other tensors than the model has.
    """
    check_not_quantised(folder)
    stored = stored_tensors(folder)
    facts = model_facts(folder, cache)
    check_fit(folder, stored, cache)
    return ModelCard(
        fingerprint=fingerprint_of(folder, cache, verify=verify_hashes),
        dtype=dtype,
        weight_bytes=facts["parameters_total"] * DTYPE_BYTES[dtype],
        **facts,
    )
