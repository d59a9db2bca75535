"""What a study is about, read off its rows: each fact with all the values that its rows have."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from clipsweep.analysis.store.rows import LatestRows
from clipsweep.trials.spec.clip import Clip

Facts = dict[str, tuple[Any, ...]]

# Facts in the order in which they matter; what a study file says besides, such as its driver, comes last.
OF_ROWS = ("model", "model_fingerprint", "dtype", "task", "variant", "task_fingerprint")
OF_TRIALS = ("shots", "demo_seed", "microbatch", "device")


def facts_of_rows(rows: LatestRows, metric: str) -> Facts:
    """The facts of a study's rows.

    Args:
        rows: Latest attempt at each trial.
        metric: Column of scores that its points are judged by.

    Returns:
        By name the values that there are, in ascending order; ``validation_rows`` and ``test_rows`` are the rows of
        the task that a trial of that split has seen at most.
    """
    clips = {clip for several in set(rows.column("clips")) for clip in several}
    return {
        **{name: _distinct(rows.column(name)) for name in OF_ROWS},
        **_split_sizes(rows),
        "metric": (metric,),
        **{name: _distinct(rows.column(name)) for name in OF_TRIALS},
        **axes_of(clips),
        **_versions(rows.column("versions")),
    }


def differing(sides: Sequence[Facts]) -> list[str]:
    """Names of the facts in which studies differ, in their order."""
    names = dict.fromkeys(name for facts in sides for name in facts)
    return [name for name in names if len({facts.get(name) for facts in sides}) > 1]


def axes_of(clips: Iterable[Clip]) -> Facts:
    """What some clips are, axis by axis, each value once in ascending order."""
    clips = list(clips)
    return {
        "modules": _distinct(clip.module for clip in clips),
        "layers": _distinct(clip.layer for clip in clips),
        "kinds": _distinct(clip.of_kind.words for clip in clips),
        "clip_rates": _distinct(clip.told_rate for clip in clips),
    }


def _split_sizes(rows: LatestRows) -> Facts:
    sizes: dict[str, int] = {}
    for split, n_examples in rows.values_of(["split", "n_examples"]):
        sizes[split] = max(n_examples, sizes.get(split, 0))
    return {f"{split}_rows": (sizes.get(split, 0),) for split in ("validation", "test")}


def _versions(stored: Iterable[Mapping[str, str | None]]) -> Facts:
    found = {tuple(versions.items()) for versions in stored}
    names = dict.fromkeys(name for versions in found for name, _ in versions)
    return {name: _distinct(dict(versions).get(name) for versions in found) for name in names}


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    """Each value once, in ascending order; what is null is left out."""
    return tuple(sorted({value for value in values if value is not None}))
