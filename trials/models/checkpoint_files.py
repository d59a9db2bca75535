"""The files of a checkpoint's folder: its config, its weight files with their headers, and what identifies it.

No tensor is loaded here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.base.files import file_hash

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


def check_config_file(folder: Path) -> None:
    """Refuse a folder without a config.

    Raises:
        ModelError: It has none.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder} has no config.json; expected a folder that save_pretrained wrote.")


def check_not_quantised(folder: Path) -> None:
    """Refuse a quantised model: its integers have no singular values of use.

    Raises:
        ModelError: Its config says that it is quantised, or is not JSON.
    """
    config = _read_config(folder)
    quantised = next((config[key] for key in QUANTISED if config.get(key)), None)
    if quantised is not None:
        method = quantised.get("quant_method", "by a method that it does not name")
        raise ModelError(
            f"{folder} is quantised ({method}); expected float weights, whose singular values can be taken. "
            f"Set model.path to the checkpoint that it was made from."
        )


def check_headers(folder: Path) -> None:
    """Refuse weight files that are damaged or hold no floats; only their headers are read.

    Raises:
        ModelError: Which file, and how.
    """
    headers = [_read_header(path) for path in weight_files(folder)]
    if not any(tensor["dtype"] in FLOATING for header in headers for tensor in header.values()):
        raise ModelError(f"{folder} has no float weights; expected model.safetensors or its shards.")


def fingerprint_of(folder: Path, cache: Path) -> str:
    """Hash the weights, the config and the tokenizer: 32 hexadecimal digits.

    Args:
        folder: Of the checkpoint.
        cache: Where hashes of files are remembered.
    """
    names = [name for name in IDENTIFYING_FILES if (folder / name).is_file()]
    hashes = {name: file_hash(folder / name, cache) for name in [*names, *(path.name for path in weight_files(folder))]}
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:32]


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    except ValueError as error:
        raise ModelError(f"{folder / 'config.json'} is not JSON ({error}). Copy or download it again.") from error


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
