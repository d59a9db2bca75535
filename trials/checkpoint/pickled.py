"""Pickled checkpoints: converted once to safetensors, and kept in the cache."""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
import re
import shutil
import struct
import uuid
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from clipsweep.trials.base.errors import ModelError, in_one_line
from clipsweep.trials.base.files import file_hash, read_note, write_note
from clipsweep.trials.checkpoint.read import AGAIN, reading
from clipsweep.trials.checkpoint.weight_files import (
    TEXT_FILES,
    WEIGHT_INDEX,
    WEIGHTS,
    check_no_adapter,
    identifying_files,
)

if TYPE_CHECKING:
    from torch import Tensor

WHOLE = "pytorch_model.bin"
SHARD = re.compile(r"pytorch_model-(\d+)-of-(\d+)\.bin")
REASON_LENGTH = 150  # torch's own words go on for many lines
LOADER_ERRORS = (  # what torch.load raises of damaged bytes, wherever it first trips over them
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    pickle.UnpicklingError,
    RuntimeError,
    struct.error,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
)
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

    Raises:
        ModelError: A file is damaged, or an adapter lies beside them, which the copy would be without.
    """
    check_no_adapter(folder)
    hashes = "".join(file_hash(path, cache, verify=verify) for path in [*pickles, *identifying_files(folder)])
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


def _load(path: Path) -> dict[str, Tensor]:
    """Read a pickled map of names to tensors.

    Raises:
        ModelError: It is damaged, or holds anything else.
    """
    import torch  # here, as finding a checkpoint seldom converts one, and torch takes seconds to load

    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except LOADER_ERRORS as error:
        raise ModelError(
            f"{path} cannot be read by torch's weights-only loader ({in_one_line(error, REASON_LENGTH)}); expected a "
            f"map of names to tensors. {AGAIN}"
        ) from error
    if not isinstance(loaded, dict) or not all(isinstance(each, torch.Tensor) for each in loaded.values()):
        raise ModelError(f"{path} does not hold a plain map of names to tensors; expected a state dict.")
    odd = [name for name, each in loaded.items() if not isinstance(name, str) or each.is_meta or each.is_sparse]
    if odd:
        raise ModelError(f"{path} holds {odd[0]!r}, which is not a name with its numbers; expected a state dict.")
    return loaded


def _convert(folder: Path, pickles: list[Path], target: Path) -> None:
    from safetensors.torch import save_file  # here, as it loads torch

    weight_map: dict[str, str] = {}
    for number, path in enumerate(pickles, start=1):
        loaded = _load(path)
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
