"""Pickled checkpoints: converted once to safetensors, and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
import re
import shutil
import uuid
from pathlib import Path

from filelock import FileLock

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.base.files import file_hash, read_note, write_note
from clipsweep.trials.checkpoint.read import reading
from clipsweep.trials.checkpoint.weight_files import IDENTIFYING_FILES, TEXT_FILES, WEIGHT_INDEX, WEIGHTS

WHOLE = "pytorch_model.bin"
SHARD = re.compile(r"pytorch_model-(\d+)-of-(\d+)\.bin")
log = logging.getLogger(__name__)


def pickled_files(folder: Path) -> list[Path]:
    """The pickled weights of a folder: one file, or all its shards in order; none where it has none.

    Raises:
        ModelError: Both, or shards that are missing, or of several checkpoints.
    """
    with reading(folder):
        found = {path.name: path for path in sorted(folder.glob("pytorch_model*.bin"))}
    shards = [match for name in found if (match := SHARD.fullmatch(name))]
    if not shards:
        return [found[WHOLE]] if WHOLE in found else []
    totals = {int(match[2]) for match in shards}
    if WHOLE in found or [int(match[1]) for match in shards] != list(range(1, max(totals) + 1)) or len(totals) > 1:
        raise ModelError(
            f"{folder} holds {', '.join(found)}; expected {WHOLE} alone, or each of its shards once. Copy or download "
            f"what is missing, and remove the files of another checkpoint."
        )
    return [found[match[0]] for match in shards]


def converted(folder: Path, pickles: list[Path], cache: Path, *, verify: bool = False) -> Path:
    """Keep one safetensors copy of a pickled checkpoint in the cache, put into place whole.

    A copy whose files are no longer those that were written is reported, and made again.
    """
    texts = [folder / name for name in IDENTIFYING_FILES if (folder / name).is_file()]
    with reading(folder):
        hashes = "".join(file_hash(path, cache, verify=verify) for path in [*pickles, *texts])
    target = cache / "checkpoints" / hashlib.sha256(hashes.encode()).hexdigest()[:32]
    target.parent.mkdir(parents=True, exist_ok=True)
    note = target.with_name(f"{target.name}.json")
    with FileLock(f"{target}.lock"):
        if target.exists() and read_note(note) != _hashes(target, cache, verify):
            log.warning("%s, a copy of %s, is damaged or of an older version; it is made again", target, folder)
            shutil.rmtree(target)
        if not target.exists():
            draft = target.parent / f".draft-{uuid.uuid4().hex}"
            draft.mkdir()
            try:
                _convert(folder, pickles, draft)
                draft.rename(target)
            finally:
                shutil.rmtree(draft, ignore_errors=True)
            write_note(note, _hashes(target, cache, verify))
    return target


def _hashes(folder: Path, cache: Path, verify: bool) -> dict[str, str]:
    """The hash of each file of a copy."""
    return {path.name: file_hash(path, cache, verify=verify) for path in sorted(folder.iterdir())}


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
