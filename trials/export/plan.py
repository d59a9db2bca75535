"""What the files of a clipped checkpoint will hold: known before the first of them is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from clipsweep.trials.export.changes import Change
from clipsweep.trials.export.shards import Entry, Shard, by_alignment, entry_of
from clipsweep.trials.export.source import Source, dtypes_of

FACTORED_PREFIX = "factored-"  # of weight files that no model of transformers finds by itself


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The files to come.

    Attributes:
        shards: In the order of the source's.
        changes: The parameters that change, each by the names in the files of the tensors that are made for it.
    """

    shards: tuple[Shard, ...]
    changes: Mapping[str, Change]

    @property
    def n_bytes(self) -> int:
        """Bytes of all tensors."""
        return sum(shard.n_bytes for shard in self.shards)

    @property
    def n_parameters(self) -> int:
        """How many numbers they are."""
        return sum(torch.Size(entry.shape).numel() for shard in self.shards for entry in shard.entries)

    @property
    def weight_map(self) -> dict[str, str]:
        """The file of each tensor."""
        return {entry.name: shard.name for shard in self.shards for entry in shard.entries}


def plan_files(source: Source, changes: Sequence[Change], dtype: str, *, factored: bool = False) -> Plan:
    """Lay out the files: those of the source, less what they hold twice, with the tensors that take others' place.

    Args:
        source: The checkpoint.
        changes: What changes in it.
        dtype: Of the floats written.
        factored: Whether files are so named that no model of transformers takes them for its own.
    """
    written = dtypes_of(source.model, dtype)
    by_name = {name: change for change in changes for name in change.names}
    shards = []
    for path in dict.fromkeys(tensor.path for tensor in source.stored.values()):
        entries: list[Entry] = []
        for name, stored in sorted(source.stored.items(), key=lambda item: item[1].start):
            if stored.path != path or name in source.repeated:
                continue
            as_it_is = entry_of(name, stored, written.get(source.places[name][0]))
            entries += _changed(as_it_is, by_name[name]) if name in by_name else [as_it_is]
        n_stored = sum(stored.path == path for stored in source.stored.values())
        is_same = len(entries) == n_stored and all(entry.is_copied for entry in entries)
        if entries:
            name = FACTORED_PREFIX * factored + path.name
            shards.append(Shard(name=name, entries=by_alignment(entries), made_from=path, is_copy=is_same))
    made = {entry.name for shard in shards for entry in shard.entries if entry.source is None}
    names = {name: change for change in changes for name in _made_names(change)}
    return Plan(shards=tuple(shards), changes={name: change for name, change in names.items() if name in made})


def _made_names(change: Change) -> tuple[str, ...]:
    return change.names if change.rank is None else change.thin_names()


def _changed(entry: Entry, change: Change) -> list[Entry]:
    """What takes the place of a tensor that changes: one of its shape, or two thin factors."""
    if change.rank is None:
        return [Entry(name=entry.name, dtype=entry.dtype, shape=entry.shape)]
    [edit] = change.edits
    down, up = change.thin_names()
    return [
        Entry(name=down, dtype=entry.dtype, shape=(change.rank, edit.shape.cols)),
        Entry(name=up, dtype=entry.dtype, shape=(edit.shape.rows, change.rank)),
    ]
