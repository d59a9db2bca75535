"""The header of a safetensors file: its tensors, with all that must hold before one is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, NoReturn, TypeGuard

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.checkpoint.read import AGAIN, describe, parse_mapping, reading

FLOATING = ("F64", "F32", "F16", "BF16")
BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("BOOL", "I8", "U8", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}
LENGTH_BYTES = 8
LFS_POINTER = b"version https://git-lfs"
KIND = "a safetensors file"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTensor:
    """A tensor as a file holds it.

    Attributes:
        path: The file.
        dtype: As safetensors names it, e.g. ``"BF16"``.
        shape: As stored.
        start: Its first byte, counted from the file's beginning.
        stop: The byte after its last.
    """

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int

    @property
    def is_floating(self) -> bool:
        """Whether it holds floats that a model can be run with."""
        return self.dtype in FLOATING


def read_header(path: Path) -> dict[str, StoredTensor]:
    """Parse a header: 8 bytes of little-endian length, then JSON; no tensor is read.

    Raises:
        ModelError: The file is no safetensors file, or is cut short.
    """
    with reading(path), path.open("rb") as opened:
        size = path.stat().st_size
        start = opened.read(LENGTH_BYTES)
        if start == LFS_POINTER[:LENGTH_BYTES]:
            _refuse(path, "it is a pointer of Git LFS, which 'git lfs pull' replaces by the file")
        length = int.from_bytes(start, "little")
        if size < LENGTH_BYTES or length > size - LENGTH_BYTES:
            _refuse(path, f"it has {size} bytes, and its first {LENGTH_BYTES} ask for a header of {length}")
        header = parse_mapping(opened.read(length), path, KIND)
    base = LENGTH_BYTES + length
    tensors = {name: _read_tensor(path, name, entry, base) for name, entry in header.items() if name != "__metadata__"}
    _check_metadata(path, header.get("__metadata__", {}))
    _check_layout(path, tensors, base, size)
    return tensors


def _read_tensor(path: Path, name: str, entry: Any, base: int) -> StoredTensor:
    if not isinstance(entry, Mapping):
        _refuse(path, f"its header has {describe(entry)} for {name!r}, not a mapping")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(dtype, str) or dtype not in BITS:
        _refuse(path, f"the dtype of {name!r} is {describe(dtype)}")
    if not _counts(shape):
        _refuse(path, f"the shape of {name!r} is {describe(shape)}, not a list of sizes")
    if not _counts(offsets) or len(offsets) != 2:
        _refuse(path, f"the data_offsets of {name!r} are {describe(offsets)}, not two counts of bytes")
    start, stop = offsets
    bits = prod(shape) * BITS[dtype]
    if 8 * (stop - start) != bits:
        _refuse(path, f"{name!r} fills bytes {start} to {stop}, and its shape and dtype take {bits / 8:g}")
    return StoredTensor(path=path, dtype=dtype, shape=tuple(shape), start=base + start, stop=base + stop)


def _counts(value: Any) -> TypeGuard[list[int]]:
    """Whether it is a list of counts; True is none."""
    return isinstance(value, list) and all(type(each) is int and each >= 0 for each in value)


def _check_metadata(path: Path, metadata: Any) -> None:
    if not isinstance(metadata, Mapping) or not all(isinstance(value, str) for value in metadata.values()):
        _refuse(path, "its __metadata__ is not a mapping of texts")


def _check_layout(path: Path, tensors: Mapping[str, StoredTensor], base: int, size: int) -> None:
    """Refuse tensors that overlap or leave gaps, and a file that ends before or after the last of them."""
    stored = base
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].stop)):
        if tensor.start != stored:
            _refuse(path, f"{name!r} begins at byte {tensor.start - base}, and the one before ends at {stored - base}")
        stored = tensor.stop
    if size != stored:
        raise ModelError(f"{path} is {size} bytes; its header says {stored}. {AGAIN}")


def _refuse(path: Path, fault: str) -> NoReturn:
    raise ModelError(f"{path} is not {KIND}: {fault}. {AGAIN}")
