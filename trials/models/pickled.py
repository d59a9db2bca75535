"""Pickled checkpoints: converted once to safetensors, and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import uuid
from pathlib import Path

from filelock import FileLock

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.base.files import file_hash
from clipsweep.trials.models.checkpoint_files import IDENTIFYING_FILES, TEXT_FILES, WEIGHT_INDEX, WEIGHTS


def converted(folder: Path, pickles: list[Path], cache: Path) -> Path:
    """Keep one safetensors copy of a pickled checkpoint in the cache, put into place whole."""
    texts = [folder / name for name in IDENTIFYING_FILES if (folder / name).is_file()]
    key = hashlib.sha256("".join(file_hash(path, cache) for path in [*pickles, *texts]).encode()).hexdigest()[:32]
    target = cache / "checkpoints" / key
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"):
        if not target.exists():
            draft = target.parent / f".draft-{uuid.uuid4().hex}"
            draft.mkdir()
            try:
                _convert(folder, pickles, draft)
                draft.rename(target)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    return target


def _convert(folder: Path, pickles: list[Path], target: Path) -> None:
    import torch  # here, as finding a checkpoint seldom converts one, and torch takes seconds to load
    from safetensors.torch import save_file

    weight_map: dict[str, str] = {}
    for number, path in enumerate(pickles, start=1):
        try:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise ModelError(f"{path} cannot be read by torch's weights-only loader: {error}") from error
        if not isinstance(loaded, dict) or not all(isinstance(each, torch.Tensor) for each in loaded.values()):
            raise ModelError(f"{path} does not hold a plain map of names to tensors; expected a state dict.")
        name = f"model-{number:05}-of-{len(pickles):05}.safetensors" if len(pickles) > 1 else WEIGHTS
        tensors = {key: tensor.clone().contiguous() for key, tensor in loaded.items()}
        save_file(tensors, target / name, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(tensors, name)
    if len(pickles) > 1:
        index = {"metadata": {}, "weight_map": weight_map}
        (target / WEIGHT_INDEX).write_text(json.dumps(index), encoding="utf-8")
    for pattern in TEXT_FILES:
        for path in folder.glob(pattern):
            if not path.name.startswith("pytorch_model"):
                shutil.copy(path, target / path.name)
