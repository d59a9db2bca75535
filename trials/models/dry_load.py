"""What becomes of a checkpoint's tensors when transformers loads them, tried on the meta device from headers alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import (
    WeightConverter,
    WeightRenaming,
    convert_and_load_state_dict_in_model,
    rename_source_key,
)
from transformers.modeling_utils import LoadStateDictConfig

from clipsweep.trials.checkpoint.header import StoredTensor
from clipsweep.trials.checkpoint.misfit import Misfit

# what older versions of transformers stored, and every model computes for itself
COMPUTED = re.compile(r"(^|\.)(rotary_emb\.(inv_freq|cos_cached|sin_cached)|position_ids)$")
MASK = re.compile(r"\.(attn|attention|self_attn|self_attention)\.(masked_)?bias$")


@dataclass(frozen=True, slots=True, kw_only=True)
class DryLoad:
    """What became of a checkpoint's tensors.

    Attributes:
        misfit: What does not fit.
        tied: Pairs of tensors in the files that the model takes for one; it is tied to the second.
        places: For each tensor of the files, the name that transformers gives it in the model, and whether it becomes
            a part of a parameter together with others there.
    """

    misfit: Misfit
    tied: tuple[tuple[str, str], ...]
    places: Mapping[str, tuple[str, bool]]


def dry_load(model: PreTrainedModel, stored: Mapping[str, StoredTensor]) -> DryLoad:
    """Load tensors without bytes into a model on the meta device, whose parameters they replace.

    The functions of transformers are those that its ``from_pretrained`` calls, which itself would want accelerate to
    load on the meta device; the lowest version that we admit has them too.

    Args:
        model: As its config alone makes it, on the meta device.
        stored: The tensors of its files.
    """
    config = LoadStateDictConfig(
        device_map={"": torch.device("meta")},
        dtype=model.dtype,
        weight_mapping=get_model_conversion_mapping(model),
    )
    empty = {name: torch.empty(tensor.shape, dtype=model.dtype, device="meta") for name, tensor in stored.items()}
    report, _ = convert_and_load_state_dict_in_model(model, empty, config)
    report.missing_keys -= _tied_to_what_is_there(model, report.missing_keys)
    model._adjust_missing_and_unexpected_keys(report)
    places = {name: (place, is_converted) for name, place, is_converted in _places(model, stored)}
    files = {place: name for name, (place, _) in places.items()}
    tied = tuple((files[one], files[other]) for one, other in _ties(model) if one in files and other in files)
    return DryLoad(misfit=find_misfit(model, report.to_dict(), stored), tied=tied, places=places)


def find_misfit(model: PreTrainedModel, report: Mapping[str, Any], stored: Mapping[str, StoredTensor]) -> Misfit:
    """What of files and model does not fit, after a load.

    Args:
        model: As loaded.
        report: The ``output_loading_info`` of transformers, less what it knows to be harmless.
        stored: The tensors of the files.
    """
    state = model.state_dict()
    places = list(_places(model, stored))
    computed = {name for name, _ in model.named_buffers()} - state.keys()
    unplaced = [
        name
        for name, place, _ in places
        if place in report["unexpected_keys"] and place not in computed and not _is_computed(name, stored[name].shape)
    ]
    first: dict[str, str] = {}
    doubled = [
        (first[place], name)
        for name, place, is_converted in places
        if place in state and not is_converted and first.setdefault(place, name) != name
    ]
    return Misfit(
        unplaced=tuple(unplaced),
        lacking=tuple(sorted(report["missing_keys"])),
        shapes=tuple((name, tuple(one), tuple(other)) for name, one, other in sorted(report["mismatched_keys"])),
        doubled=tuple(doubled),
        not_floats=tuple(
            (name, stored[name].dtype)
            for name, place, _ in places
            if place in state and state[place].is_floating_point() and not stored[name].is_floating
        ),
    )


def _places(model: PreTrainedModel, stored: Mapping[str, StoredTensor]) -> Iterator[tuple[str, str, bool]]:
    """By the name of a tensor, where transformers puts it, and whether that takes other tensors beside it."""
    state = model.state_dict()
    mapping = get_model_conversion_mapping(model)
    renamings = [each for each in mapping if isinstance(each, WeightRenaming)]
    converters = [each for each in mapping if isinstance(each, WeightConverter)]
    for name in stored:
        place, pattern = rename_source_key(name, renamings, converters, model.base_model_prefix, state)
        if place not in state and name in state:
            place, pattern = rename_source_key(name, [], [], model.base_model_prefix, state)
        yield name, place, pattern is not None


def _ties(model: PreTrainedModel) -> list[tuple[str, str]]:
    """Pairs of parameters that are one in the model."""
    return list(model.all_tied_weights_keys.items())


def _tied_to_what_is_there(model: PreTrainedModel, lacking: set[str]) -> set[str]:
    """Those of the lacking parameters that are one with a parameter that the files hold."""
    there: set[str] = set()
    for target, source in _ties(model):
        fellows = {target, source} | {other for other, its_source in _ties(model) if its_source == source}
        if fellows - lacking:
            there |= fellows
    return there & lacking


def _is_computed(name: str, shape: tuple[int, ...]) -> bool:
    """Whether it is a rotary table or a mask, by the name of its buffer and for masks by the shape as well."""
    is_mask = (len(shape) == 4 and shape[:2] == (1, 1)) or shape in {(), (1,)}
    return COMPUTED.search(name) is not None or (is_mask and MASK.search(name) is not None)
