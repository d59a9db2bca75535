"""Small checkpoints in many files, and clipped ones made from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.export.recipe import DENSE, Format, Recipe
from clipsweep.trials.export.write import Order, Written, write_checkpoint
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.resolved import ResolvedClips
from tests.trials.architectures import build_model, card_of

SHARD_SIZE = "20KB"
CLIPS = (Clip(layer=0, module="all", clip_rate=0.6), Clip(layer=1, module="mlp", clip_rate=0.9))


def save_model(name: str, folder: Path, shard_size: str = SHARD_SIZE) -> PreTrainedModel:
    """A small model of one of ``ARCHITECTURES``, saved in several files."""
    model = build_model(name)
    model.save_pretrained(folder, max_shard_size=shard_size)
    return model


def resolved_for(model: PreTrainedModel, clips: tuple[Clip, ...] = CLIPS) -> ResolvedClips:
    return resolve(clips, card_of(model))


def order_of(model: PreTrainedModel, folder: Path, clips: tuple[Clip, ...] = CLIPS, **changes: Any) -> Order:
    """An order for a float32 checkpoint; keyword arguments change its recipe."""
    recipe = Recipe(model="m", model_fingerprint="f" * 32, clips=clips, dtype="float32", written_as="float32")
    return Order(
        folder=folder, clips=resolved_for(model, clips), recipe=replace(recipe, **changes), readme="# A model\n"
    )


def write(order: Order, out: Path) -> Written:
    return write_checkpoint(order, out, FactorCache(order.folder.parent / "cache"))


def written(name: str, folder: Path, form: Format = DENSE) -> tuple[PreTrainedModel, Path]:
    """A model, and the folder of its clipped checkpoint."""
    model = save_model(name, folder / "model")
    write(order_of(model, folder / "model", format=form), folder / form)
    return model, folder / form
