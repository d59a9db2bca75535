"""Checkpoints on disk: find the folder, describe it from its headers, convert pickled weights once.

No tensor is loaded here, except while converting a ``.bin`` file.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.base.files import file_hash
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.facts import model_facts
from clipsweep.trials.models.settings import DTYPE_BYTES, ModelSettings

EMBEDDED = "embedded"
EMBEDDED_FOLDER = Path(__file__).parent.parent / "embedded"
HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*")
TEXT_FILES = ("*.json", "*.txt", "*.model", "*.jinja")
IDENTIFYING_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
)
WEIGHTS, WEIGHT_INDEX = "model.safetensors", "model.safetensors.index.json"
QUANTISED = ("quantization_config", "compression_config")  # keys of a config; the second is an older name
FLOATING = ("F64", "F32", "F16", "BF16")

Header = Mapping[str, Mapping[str, Any]]


def find_checkpoint(settings: ModelSettings, cache: Path) -> Path:
    """Resolve a model's name to a local folder of safetensors files; a hub name is downloaded, a ``.bin`` converted.

    Raises:
        ModelError: No such folder or hub name, no config, no weights, or pickled weights without ``allow_bin``.
    """
    folder = _local_folder(settings) or _download(settings)
    _check_config_file(folder)
    if weight_files(folder):
        return folder
    pickles = sorted(folder.glob("pytorch_model*.bin"))
    if not pickles:
        raise ModelError(f"{folder} has no weights; expected model.safetensors or its shards.")
    if not settings.allow_bin:
        raise ModelError(
            f"{folder} has pickled weights only ({pickles[0].name}); expected safetensors. Set model.allow_bin: true "
            f"to read them with torch's weights-only loader and keep a safetensors copy in the cache."
        )
    return _converted(folder, pickles, cache)


def find_config(settings: ModelSettings) -> Path:
    """Resolve a model's name to a local folder with its config and tokenizer; no weights of a hub name are downloaded.

    Raises:
        ModelError: No such folder or hub name, no config, or a quantised model.
    """
    folder = _local_folder(settings) or _fetch(settings, *TEXT_FILES)
    _check_config_file(folder)
    _check_not_quantised(folder)
    return folder


def describe_checkpoint(folder: Path, dtype: str, cache: Path) -> ModelCard:
    """Read shapes from the config, check the weight files' headers, and hash the files for the fingerprint.

    Raises:
        ModelError: The model cannot be built or clipped, it is quantised, or a file is missing or damaged.
    """
    _check_not_quantised(folder)
    _check_headers(folder)
    facts = model_facts(folder, cache)
    return ModelCard(
        fingerprint=_fingerprint(folder, cache),
        dtype=dtype,
        weight_bytes=facts["parameters_total"] * DTYPE_BYTES[dtype],
        **facts,
    )


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that transformers loads from a folder; none where it has none.

    Raises:
        ModelError: The index names a file that is not there.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / WEIGHT_INDEX).is_file():
        return []
    index = json.loads((folder / WEIGHT_INDEX).read_text(encoding="utf-8"))
    files = [folder / name for name in sorted(set(index["weight_map"].values()))]
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise ModelError(f"{folder} lacks {missing[0]}, which {WEIGHT_INDEX} names. Copy or download it again.")
    return files


def _check_config_file(folder: Path) -> None:
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} has no config.json; expected a folder that save_pretrained wrote.")


def _check_not_quantised(folder: Path) -> None:
    config = _read_config(folder)
    quantised = next((config[key] for key in QUANTISED if config.get(key)), None)
    if quantised is not None:
        method = quantised.get("quant_method", "by a method that it does not name")
        raise ModelError(
            f"{folder} is quantised ({method}); expected float weights, whose singular values can be taken. "
            f"Set model.path to the checkpoint that it was made from."
        )


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except ValueError as error:
        raise ModelError(f"{folder / 'config.json'} is not JSON ({error}). Copy or download it again.") from error


def _local_folder(settings: ModelSettings) -> Path | None:
    """The folder that a model's name stands for; None for a hub name.

    Raises:
        ModelError: It is neither.
    """
    folder = EMBEDDED_FOLDER if settings.path == EMBEDDED else Path(settings.path).expanduser()
    if folder.is_dir() and settings.revision is not None:
        raise ModelError(f"model.revision is {settings.revision!r}, but {folder} is a folder; remove the revision.")
    if folder.is_dir():
        return folder
    if not HUB_NAME.fullmatch(settings.path):
        raise ModelError(
            f"model.path is {settings.path!r}: no such folder; expected a folder with config.json, "
            f"a hub name such as EleutherAI/gpt-j-6b, or {EMBEDDED!r}."
        )
    return None


def _download(settings: ModelSettings) -> Path:
    folder = _fetch(settings, *TEXT_FILES, "model*.safetensors")
    if not any(folder.glob("*.safetensors")) and settings.allow_bin:
        folder = _fetch(settings, *TEXT_FILES, "pytorch_model*.bin")
    return folder


def _fetch(settings: ModelSettings, *patterns: str) -> Path:
    """Download the files of a hub name that match ``patterns``, or find them downloaded.

    Raises:
        ModelError: The hub does not give them.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(settings.path, revision=settings.revision, allow_patterns=list(patterns)))
    except (OSError, ValueError) as error:  # huggingface_hub's errors derive from these
        raise ModelError(
            f"model.path is {settings.path!r}: no such folder, and the hub did not give it ({error}). "
            f"Give a local folder, or check the name, the network and HF_HUB_OFFLINE."
        ) from error


def _check_headers(folder: Path) -> None:
    headers = [_read_header(path) for path in weight_files(folder)]
    if not any(tensor["dtype"] in FLOATING for header in headers for tensor in header.values()):
        raise ModelError(f"{folder} has no float weights; expected model.safetensors or its shards.")


def _read_header(path: Path) -> Header:
    """Parse a safetensors header: 8 bytes of little-endian length, then JSON."""
    try:
        with path.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header = json.loads(opened.read(min(length, path.stat().st_size)))
        stored = max(tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__")
    except (ValueError, KeyError) as error:
        raise ModelError(f"{path} is not a safetensors file ({error}). Copy or download it again.") from error
    if path.stat().st_size != 8 + length + stored:
        raise ModelError(
            f"{path} is {path.stat().st_size} bytes; its header says {8 + length + stored}. Copy or download it again."
        )
    return {name: tensor for name, tensor in header.items() if name != "__metadata__"}


def _fingerprint(folder: Path, cache: Path) -> str:
    names = [name for name in IDENTIFYING_FILES if (folder / name).is_file()]
    hashes = {name: file_hash(folder / name, cache) for name in [*names, *(path.name for path in weight_files(folder))]}
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:32]


def _converted(folder: Path, pickles: list[Path], cache: Path) -> Path:
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
    import pickle

    import torch
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
