"""Which files of a folder are the weights, what tensors they hold, and what identifies a checkpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.base.files import file_hash
from clipsweep.trials.checkpoint.config_file import ADAPTER_CONFIG, check_weights_are_here
from clipsweep.trials.checkpoint.header import StoredTensor, read_header
from clipsweep.trials.checkpoint.read import AGAIN, describe, is_file, read_mapping, reading

TEXT_FILES = ("*.json", "*.txt", "*.model", "*.jinja")
IDENTIFYING_FILES = (
    "config.json",
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tekken.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
)
WEIGHTS, WEIGHT_INDEX = "model.safetensors", "model.safetensors.index.json"
FACTORED_MANIFEST = "clipsweep_factored.json"  # beside thin factors, which are no whole weights
ADAPTER_FILES = (ADAPTER_CONFIG, "adapter_model.safetensors", "adapter_model.bin")


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files that transformers loads from a folder; none where it has none.

    Raises:
        ModelError: The index is damaged, or names a file that is not there or not of this folder.
    """
    if is_file(folder / WEIGHTS):
        return [folder / WEIGHTS]
    if not is_file(folder / WEIGHT_INDEX):
        return []
    files = [folder / name for name in sorted(set(_read_index(folder).values()))]
    missing = [path.name for path in files if not is_file(path)]
    if missing:
        raise ModelError(f"{folder} lacks {missing[0]}, which {WEIGHT_INDEX} names. {AGAIN}")
    return files


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """The tensors that transformers would load, from the headers alone.

    Raises:
        ModelError: A file is damaged, holds what its index does not say, or lies there unused; none holds floats.
    """
    check_weights_are_here(folder)
    check_no_adapter(folder)
    files = weight_files(folder)
    _check_all_used(folder, files)
    tensors: dict[str, StoredTensor] = {}
    for path in files:
        for name, tensor in read_header(path).items():
            if name in tensors:
                raise ModelError(
                    f"{folder} holds {name} twice, in {tensors[name].path.name} and {path.name}; expected each tensor "
                    f"in one file. Remove the files of another checkpoint, or save the model again."
                )
            tensors[name] = tensor
    if files and files[0].name != WEIGHTS:
        _check_index(folder, tensors)
    if not any(tensor.is_floating for tensor in tensors.values()):
        raise ModelError(f"{folder} has no float weights; expected model.safetensors or its shards.")
    return tensors


def identifying_files(folder: Path) -> list[Path]:
    """Those of the config and tokenizer files that a folder has.

    Raises:
        ModelError: One cannot be read.
    """
    found = [path for name in IDENTIFYING_FILES if is_file(path := folder / name)]
    for path in found:
        with reading(path), path.open("rb"):  # before it is hashed, which writes to the cache and has other errors
            pass
    return found


def fingerprint_of(folder: Path, cache: Path, *, verify: bool = False) -> str:
    """Hash the weights, the config and the tokenizer: 32 hexadecimal digits.

    Args:
        folder: Of the checkpoint.
        cache: Where hashes of files are remembered.
        verify: Whether every file is read, whatever is remembered of it.
    """
    files = [*identifying_files(folder), *weight_files(folder)]
    hashes = {path.name: file_hash(path, cache, verify=verify) for path in files}
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()[:32]


def _read_index(folder: Path) -> dict[str, str]:
    """The names of files by the names of their tensors.

    Raises:
        ModelError: The index is damaged, or names what is no file of its folder.
    """
    path = folder / WEIGHT_INDEX
    weight_map = read_mapping(path, "an index of weights").get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(
            f"{path} is not an index of weights: its weight_map is {describe(weight_map)}; expected a mapping from "
            f"tensors to files. {AGAIN}"
        )
    for tensor, name in weight_map.items():
        if not isinstance(name, str) or not _is_plain(name):
            raise ModelError(
                f"{path} names {describe(name)} for {tensor}; expected a safetensors file of its own folder, without "
                f"a path. {AGAIN}"
            )
    return weight_map


def _is_plain(name: str) -> bool:
    """Whether it names a safetensors file and is no path. The file may be a link: the hub's cache is made of them."""
    return name.endswith(".safetensors") and not set(name) & {"/", "\\", "\0"}


def _check_index(folder: Path, tensors: dict[str, StoredTensor]) -> None:
    """Refuse an index that was made for other shards."""
    for name, file in _read_index(folder).items():
        if name not in tensors:
            raise ModelError(f"{folder / file} lacks {name}, which {WEIGHT_INDEX} says it holds. {AGAIN}")
        if tensors[name].path.name != file:
            raise ModelError(
                f"{folder} holds {name} in {tensors[name].path.name}, and {WEIGHT_INDEX} says {file}; expected the "
                f"index of these shards. {AGAIN}"
            )


def check_no_adapter(folder: Path) -> None:
    """Refuse an adapter beside the weights: transformers would load both where peft is installed, and else one.

    Raises:
        ModelError: There is one.
    """
    found = [name for name in ADAPTER_FILES if is_file(folder / name)]
    if found:
        raise ModelError(
            f"{folder} holds an adapter ({found[0]}) beside the weights; expected the weights alone. Merge it into "
            f"them with peft's merge_and_unload and save the result, or move it to another folder."
        )


def _check_all_used(folder: Path, used: Sequence[Path]) -> None:
    """Refuse weight files that would be left aside: of a second checkpoint, or of a broken first.

    Raises:
        ModelError: There are some.
    """
    names = {path.name for path in used}
    with reading(folder):
        found = {path.name for path in folder.glob("model-*-of-*.safetensors")}
    if WEIGHTS in names and is_file(folder / WEIGHT_INDEX):
        found.add(WEIGHT_INDEX)
    strays = sorted(found - names)
    if strays:
        raise ModelError(
            f"{folder} holds {strays[0]}, which would not be read: the weights are {', '.join(sorted(names)[:3])}. "
            f"Expected the files of one checkpoint. Remove what does not belong to it."
        )
