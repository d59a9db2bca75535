"""What a winner keeps of the model, in words."""

from __future__ import annotations

from collections.abc import Iterable

from clipsweep.trials.clips.kind import load_kind
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.resolved import Edit

MOST_RANKS = 4  # different ranks that are named one by one


def describe_kept(clips: Iterable[Clip], card: ModelCard) -> list[str]:
    """What is left of the model: its share of parameters, their number, and the ranks of the clipped matrices."""
    resolved = resolve(clips, card)
    kept, total = resolved.parameters_kept, card.parameters_total
    lines = [f"{100 * kept / total:.2f} %", f"of the parameters: {kept:,} of {total:,}"]
    return lines + _ranks(resolved.edits)


def _ranks(edits: Iterable[Edit]) -> list[str]:
    """Ranks that are left, where the kind of clip leaves some: equal ones together."""
    counts: dict[tuple[int, int], int] = {}
    for edit in edits:
        rank = load_kind(edit.clip.kind).thin_rank(edit.clip, edit.shape)
        if rank is not None:
            rows, cols, count = edit.shape
            key = rank, min(rows, cols)
            counts[key] = counts.get(key, 0) + count
    if not counts:
        return []
    if len(counts) > MOST_RANKS:
        ranks = [rank for rank, _ in counts]
        return [f"rank {min(ranks)} to {max(ranks)} in {_matrices(sum(counts.values()))}"]
    return [f"rank {rank} of {full} in {_matrices(number)}" for (rank, full), number in counts.items()]


def _matrices(number: int) -> str:
    return f"{number} matri{'x' if number == 1 else 'ces'}"
