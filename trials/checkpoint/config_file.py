"""A checkpoint's config.json: read, and refused where the weights would be no floats, or of another place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.checkpoint.read import AGAIN, is_file, read_mapping

CONFIG, ADAPTER_CONFIG = "config.json", "adapter_config.json"
QUANTISED = ("quantization_config", "compression_config")  # keys of a config; the second is an older name
LAYER_KEYS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
MOST_LAYERS = 10_000  # building a model of so many takes a minute, without a tensor
ELSEWHERE = "transformers_weights"  # the key by which transformers reads other weight files than those it finds


def check_config_file(folder: Path) -> None:
    """Refuse a folder without a config, or whose config is damaged.

    Raises:
        ModelError: It has none, or it is no JSON mapping, or has more layers than could be built.
    """
    if not is_file(folder / CONFIG) and is_file(folder / ADAPTER_CONFIG):
        raise ModelError(
            f"{folder} is an adapter and no model; expected a folder with config.json and all weights. Merge it "
            f"into its model with peft's merge_and_unload, and save the result."
        )
    if not is_file(folder / CONFIG):
        raise ModelError(f"{folder} has no config.json; expected a folder that save_pretrained wrote.")
    config = read_config(folder)
    for key in LAYER_KEYS:
        layers = config.get(key)
        if isinstance(layers, int) and layers > MOST_LAYERS:
            raise ModelError(f"{folder / CONFIG} has {key}: {layers}; expected at most {MOST_LAYERS}. {AGAIN}")


def check_not_quantised(folder: Path) -> None:
    """Refuse a quantised model: its integers have no singular values of use.

    Raises:
        ModelError: Its config says that it is quantised, or is not JSON.
    """
    config = read_config(folder)
    quantised = next((config[key] for key in QUANTISED if config.get(key)), None)
    if quantised is None:
        return
    named = quantised.get("quant_method") if isinstance(quantised, dict) else None
    raise ModelError(
        f"{folder} is quantised ({named or 'by a method that it does not name'}); expected float weights, whose "
        f"singular values can be taken. Set model.path to the checkpoint that it was made from."
    )


def check_weights_are_here(folder: Path) -> None:
    """Refuse a config that sends transformers to other weight files than those that we read and hash.

    Raises:
        ModelError: It does.
    """
    named = read_config(folder).get(ELSEWHERE)
    if named is not None:
        raise ModelError(
            f"{folder / CONFIG} has {ELSEWHERE}: {named!r}; expected no such key, as the weights are those of "
            f"model.safetensors or its shards. Rename the file to that, and remove the key."
        )


def read_config(folder: Path) -> dict[str, Any]:
    """The config as it is written.

    Raises:
        ModelError: It cannot be read, or is no JSON mapping.
    """
    return read_mapping(folder / CONFIG, "a config")
