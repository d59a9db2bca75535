"""Whether a model runs what its files hold: tried once on headers alone, then remembered in the cache."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.base.files import read_note, write_note
from clipsweep.trials.base.versions import package_version
from clipsweep.trials.checkpoint.header import StoredTensor
from clipsweep.trials.checkpoint.read import reading
from clipsweep.trials.checkpoint.weight_files import stored_tensors, weight_files

FIT_VERSION = 1  # raised when more is refused, or less
CHUNK_BYTES = 2**22


def check_fit(folder: Path, stored: Mapping[str, StoredTensor], cache: Path) -> None:
    """Refuse a checkpoint whose files and config are of two models.

    The second time, neither torch nor transformers is imported.

    Args:
        folder: Of the checkpoint.
        stored: The tensors of its files.
        cache: Where it is remembered that they fit.

    Raises:
        ModelError: Which tensors, what the config says of them, and how to mend it.
    """
    held = {name: [tensor.dtype, list(tensor.shape)] for name, tensor in stored.items()}
    digest = hashlib.sha256((folder / "config.json").read_bytes())
    digest.update(json.dumps([held, package_version("transformers"), FIT_VERSION], sort_keys=True).encode())
    note = cache / "fits" / f"{digest.hexdigest()[:32]}.json"
    known = read_note(note)
    if known is None:
        known = {"tied": _try_out(folder, stored)}
        write_note(note, known)
    for one, other in known["tied"]:
        _check_equal(folder, one, other, stored)


def check_what_is_there(folder: Path, cache: Path) -> None:
    """As ``check_fit``, where the folder holds weights; one with the config alone passes.

    Raises:
        ModelError: The files are damaged, or of another model than the config.
    """
    if any(folder.glob("*.safetensors")) and weight_files(folder):
        check_fit(folder, stored_tensors(folder), cache)


def _try_out(folder: Path, stored: Mapping[str, StoredTensor]) -> list[list[str]]:
    """Load the headers; the pairs of tensors that the model takes for one."""
    from clipsweep.trials.models.dry_load import dry_load  # here, as these load torch and transformers
    from clipsweep.trials.models.load import empty_model, settings_of

    model = empty_model(folder)
    tried = dry_load(model, stored)
    tried.misfit.check(folder, settings_of(model))
    return [list(pair) for pair in tried.tied]


def _check_equal(folder: Path, one: str, other: str, stored: Mapping[str, StoredTensor]) -> None:
    """Refuse two tensors that the config makes one, but whose values differ.

    Raises:
        ModelError: They do.
    """
    first, second = stored[one], stored[other]
    if first.dtype != second.dtype or not _same_bytes(first, second):
        raise ModelError(
            f"{folder} holds {one} and {other} with different values, and its config makes them one "
            f"(tie_word_embeddings: true, or the default); expected equal ones, or one of them. Set "
            f"tie_word_embeddings: false in config.json if both are meant."
        )


def _same_bytes(one: StoredTensor, other: StoredTensor) -> bool:
    with reading(one.path), one.path.open("rb") as first, other.path.open("rb") as second:
        first.seek(one.start)
        second.seek(other.start)
        left = one.stop - one.start
        while left > 0:
            size = min(left, CHUNK_BYTES)
            if first.read(size) != second.read(size):
                return False
            left -= size
    return True
