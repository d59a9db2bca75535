"""Whether a model has a place for every tensor of its files, and a tensor for every place; and the words where not."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.checkpoint.config_file import LAYER_KEYS

NAMED, QUOTED = 3, 5  # tensors and keys that a message names
LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks|block)\.(\d+)\.")
SWITCHES = {".bias": "bias", "norm": "norm", "lm_head": "tie_word", "expert": "experts"}  # parts of names, and of keys
WRAPPERS = ("base_model.model.", "module.", "_orig_mod.", "_forward_module.", "_fsdp_wrapped_module.")
ADAPTED = re.compile(r"\.(lora_|ia3_|hada_|oft_|lokr_|vera_|modules_to_save|base_layer\.|original_module\.)")
QUANTISED = re.compile(r"(scales?|scale_inv|zeros?|zero_point|absmax|quant_map|quant_state.*|g_idx|SCB|qweight)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """What does not fit: tensors of the files, by the files' names, and of the model, by the model's.

    Attributes:
        unplaced: Tensors that the model has no place for.
        lacking: Parameters of the model that no tensor fills.
        shapes: Parameters with the shape stored and the model's.
        doubled: Pairs of tensors for one place.
        not_floats: Tensors with their dtypes, where the model has floats.
    """

    unplaced: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    shapes: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()
    doubled: tuple[tuple[str, str], ...] = ()
    not_floats: tuple[tuple[str, str], ...] = ()

    def check(self, folder: Path, config: Mapping[str, Any]) -> None:
        """Refuse what does not fit.

        Args:
            folder: Of the checkpoint.
            config: The model's settings, with the defaults of what config.json leaves out.

        Raises:
            ModelError: Which tensors, what the config says of them, and how to mend it.
        """
        faults = self._faults(config)
        if faults:
            raise ModelError(f"{folder}: {'; '.join(faults)}. Expected files and config of one model. {self._mend()}")

    def _faults(self, config: Mapping[str, Any]) -> list[str]:
        faults = []
        if self.unplaced:
            said = _said_of_names(_beyond(self.unplaced, config) or self.unplaced, config)
            faults.append(f"the model has no place for {_count(self.unplaced)}, which would be dropped{said}")
        if self.lacking:
            said = _said_of_names(self.lacking, config) or _said_of_layers(self.lacking, config)
            faults.append(f"the files lack {_count(self.lacking)}, which would be random{said}")
        if self.shapes:
            name, stored, wanted = self.shapes[0]
            names = _count([each[0] for each in self.shapes])
            said = _said_of_sizes(stored, wanted, config)
            faults.append(
                f"the shapes differ of {names}: {name} is {_shape(stored)} in the files and {_shape(wanted)} "
                f"in the model{said}"
            )
        if self.doubled:
            one, other = self.doubled[0]
            faults.append(f"{one} and {other} are for one place, and only one of them would be read")
        if self.not_floats:
            name, dtype = self.not_floats[0]
            names = _count([each[0] for each in self.not_floats])
            faults.append(f"the model has floats where the files have none in {names}: {name} is {dtype}")
        return faults

    def _mend(self) -> str:
        """How to mend it, by the first sign of what went wrong."""
        names = self.unplaced
        wrapper = next((each for each in WRAPPERS if any(name.startswith(each) for name in names)), None)
        if any(ADAPTED.search(f".{name}") for name in names):
            return "An adapter was never merged: merge it with peft's merge_and_unload, and save the result."
        if wrapper is not None:
            return f"The names begin with {wrapper!r}, of a wrapper: save the model inside it with save_pretrained."
        if self.not_floats or any(QUANTISED.search(name) for name in names):
            return "They look quantised: set model.path to the checkpoint that they were made from."
        return "Mend config.json so that it describes these files, or save the model again with save_pretrained."


def _count(names: Collection[str]) -> str:
    """How many tensors, and the first of them by name: ``2 tensors (a, b)``."""
    shown = ", ".join(sorted(names)[:NAMED])
    return f"{len(names)} tensor{'s' if len(names) > 1 else ''} ({shown}{', …' if len(names) > NAMED else ''})"


def _beyond(names: Collection[str], config: Mapping[str, Any]) -> list[str]:
    """Those of layers that the config does not have."""
    layers = next((config[key] for key in LAYER_KEYS if type(config.get(key)) is int), None)
    found = ((name, LAYER.search(name)) for name in names)
    return [name for name, match in found if layers is not None and match is not None and int(match[1]) >= layers]


def _said_of_names(names: Collection[str], config: Mapping[str, Any]) -> str:
    """What the config says that bears on tensors: `` (its config says attention_bias: false)``, or nothing."""
    if _beyond(names, config):
        return _said_of_layers(names, config)
    keys: list[str] = []
    for part, switch in SWITCHES.items():
        if any(part in name for name in names):
            keys += [key for key, value in config.items() if switch in key and isinstance(value, bool | int)]
    return _quoted(keys, config)


def _said_of_layers(names: Collection[str], config: Mapping[str, Any]) -> str:
    """How many layers the config has, where tensors of layers are concerned."""
    concerned = any(LAYER.search(name) for name in names)
    return _quoted([key for key in LAYER_KEYS if concerned and key in config], config)


def _said_of_sizes(stored: tuple[int, ...], wanted: tuple[int, ...], config: Mapping[str, Any]) -> str:
    """The keys of the config that have the model's sizes, where the files have others."""
    sizes = {size for number, size in enumerate(wanted) if stored[number : number + 1] != (size,)}
    of_sizes = [key for key, value in config.items() if type(value) is int and not key.endswith("_token_id")]
    return _quoted([key for key in of_sizes if config[key] in sizes], config)


def _quoted(keys: Collection[str], config: Mapping[str, Any]) -> str:
    said = ", ".join(f"{key}: {str(config[key]).lower()}" for key in list(dict.fromkeys(keys))[:QUOTED])
    return f" (its config says {said})" if said else ""


def _shape(sizes: tuple[int, ...]) -> str:
    return " by ".join(map(str, sizes)) or "a single number"
