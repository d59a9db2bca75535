"""Write safetensors files one tensor after the other: what is held is a tensor, never a file."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import safe_open
from torch import Tensor

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.base.files import whole_file
from clipsweep.trials.checkpoint.header import BITS, LENGTH_BYTES, StoredTensor
from clipsweep.trials.checkpoint.read import AGAIN, reading
from clipsweep.trials.export.source import STORED_DTYPES, TORCH_DTYPES, read_tensor

COPIED_BYTES = 2**22  # at a time
ALIGNMENT = 8  # of the first tensor, as safetensors has it
Make = Callable[[str], Tensor]  # the tensor of a name


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One tensor of a file to come.

    Attributes:
        name: In the file.
        dtype: As safetensors names it.
        shape: Of the tensor.
        source: Where it stands now; None where it has to be made.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    source: StoredTensor | None = None

    @property
    def n_bytes(self) -> int:
        """Its size in the file."""
        return prod(self.shape) * BITS[self.dtype] // 8

    @property
    def is_copied(self) -> bool:
        """Whether its bytes are those that stand in a file now."""
        return self.source is not None and self.source.dtype == self.dtype


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A file to come.

    Attributes:
        name: Its own.
        entries: Its tensors, those of larger numbers first, so that each is aligned.
        made_from: The file that it takes the place of.
        is_copy: Whether it equals that byte for byte.
    """

    name: str
    entries: tuple[Entry, ...]
    made_from: Path
    is_copy: bool = False

    @property
    def n_bytes(self) -> int:
        """Bytes of its tensors."""
        return sum(entry.n_bytes for entry in self.entries)


def by_alignment(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """The entries, those of larger numbers first and else in their order."""
    return tuple(sorted(entries, key=lambda entry: -BITS[entry.dtype]))


def write_shard(path: Path, shard: Shard, make: Make, metadata: Mapping[str, str]) -> None:
    """Write one file, whole or not at all.

    Args:
        path: Where to.
        shard: What.
        make: Gives the tensors that stand in no file, each once, in any float dtype.
        metadata: For its header; a file that is copied keeps its own.

    Raises:
        OSError: The operating system refuses something; the error names ``path``.
        ModelError: A source file cannot be read.
    """
    with whole_file(path) as draft:
        if shard.is_copy:
            shutil.copyfile(shard.made_from, draft)
            return
        with draft.open("wb") as opened:
            opened.write(_header(shard.entries, metadata))
            for entry in shard.entries:
                _write_entry(opened, entry, make)


def metadata_of(path: Path) -> dict[str, str]:
    """What the header of a safetensors file says besides its tensors."""
    with reading(path), safe_open(path, framework="pt") as opened:
        return dict(opened.metadata() or {})


def _header(entries: Sequence[Entry], metadata: Mapping[str, str]) -> bytes:
    """Length and JSON of a header, as the format has it."""
    content: dict[str, object] = {"__metadata__": dict(metadata)}
    start = 0
    for entry in entries:
        stop = start + entry.n_bytes
        content[entry.name] = {"dtype": entry.dtype, "shape": list(entry.shape), "data_offsets": [start, stop]}
        start = stop
    header = json.dumps(content, separators=(",", ":")).encode()
    header += b" " * (-len(header) % ALIGNMENT)
    return len(header).to_bytes(LENGTH_BYTES, "little") + header


def _write_entry(opened: BinaryIO, entry: Entry, make: Make) -> None:
    if entry.is_copied:
        assert entry.source is not None
        _copy(opened, entry.source)
        return
    tensor = make(entry.name) if entry.source is None else read_tensor(entry.source)
    assert tensor.shape == entry.shape, f"{entry.name} is {tuple(tensor.shape)}, and its header says {entry.shape}"
    plain = tensor.detach().to(TORCH_DTYPES[entry.dtype]).contiguous()
    opened.write(plain.reshape(-1).view(torch.uint8).numpy().data)


def _copy(opened: BinaryIO, source: StoredTensor) -> None:
    """Copy the bytes of a tensor from the file that it stands in."""
    left = source.stop - source.start
    with source.path.open("rb", buffering=0) as read:
        read.seek(source.start)
        while left > 0:
            chunk = read.read(min(left, COPIED_BYTES))
            if not chunk:
                raise ModelError(f"{source.path} was cut short while it was read. {AGAIN}")
            opened.write(chunk)
            left -= len(chunk)


def entry_of(name: str, source: StoredTensor, dtype: torch.dtype | None) -> Entry:
    """A tensor that stands in a file, to be written in ``dtype``; as it is where that is None, or holds no floats."""
    stored = source.dtype if dtype is None or source.dtype not in TORCH_DTYPES else STORED_DTYPES[dtype]
    return Entry(name=name, dtype=stored, shape=source.shape, source=source)
