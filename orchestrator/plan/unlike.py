"""How a study differs from the searches that were replayed, in words: what its expectation leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import comb

from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.plan.replayed import Replayed
from clipsweep.orchestrator.space.choices import rates_to_search
from clipsweep.orchestrator.space.space import Space
from clipsweep.trials.spec.kinds import DEFAULT_KIND
from clipsweep.trials.spec.trial import VALIDATION

FAR = 2  # a count so many times as large, or as small, is told
EARLY_ENDS = ("max_hours", "max_gpu_hours", "patience")


def count_points(opened: OpenStudy) -> int | None:
    """Points that clip something, as ``search.n_trials`` counts them; None where the rates are a range.

    Joint clips that share a matrix are counted too, though none of them is run.
    """
    space = opened.space
    if space.rate_range is not None:
        return None
    if not opened.is_searched:
        return len(space.shots) * space.n_clips
    cuts, n_sites = len(space.kinds) * len(rates_to_search(space)), len(space.sites)
    counts = range(1, min(space.max_clips, n_sites) + 1)
    n_points: int = sum(comb(n_sites, count) * cuts**count for count in counts)
    return len(space.shots) * n_points


def describe_unlike(opened: OpenStudy, surfaces: Sequence[Replayed]) -> list[str]:
    """In which ways a study is unlike what was replayed, a sentence for each.

    Args:
        opened: The study.
        surfaces: A line of each surface.
    """
    return [*_of_size(opened, surfaces), *_of_space(opened.space), *_of_search(opened)]


def _of_size(opened: OpenStudy, surfaces: Sequence[Replayed]) -> Iterator[str]:
    """Points and rows."""
    n_points, points = count_points(opened), [surface.points for surface in surfaces]
    if n_points is None:
        yield "its clip rates are a range, those were listed"
    elif not min(points) <= FAR * n_points or not n_points <= FAR * max(points):
        yield f"it has {n_points:,} points, those had {_from_to(points)}"
    n_rows, rows = opened.subject.first.split_sizes[VALIDATION], [surface.rows for surface in surfaces]
    if FAR * n_rows < min(rows):
        yield f"it has {n_rows:,} validation rows, those had {_from_to(rows)}"


def _of_space(space: Space) -> Iterator[str]:
    """Axes and the metric."""
    if 1 < space.max_clips < len(space.sites):
        yield f"it clips up to {space.max_clips} of {len(space.sites)} places at once, those clipped any of theirs"
    if len(space.shots) > 1:
        yield f"it has {len(space.shots)} numbers of shots, those had one"
    if any(kind.name != DEFAULT_KIND for kind in space.kinds):
        yield f"it has other kinds of clip, those had {DEFAULT_KIND}"
    if space.metric != "accuracy":
        yield f"its metric is {space.metric}, theirs was accuracy"


def _of_search(opened: OpenStudy) -> Iterator[str]:
    """Keys of the search that no replay had."""
    search = opened.study.search
    for rule in EARLY_ENDS:
        if getattr(search, rule) is not None:
            yield f"search.{rule} may end it earlier"
    if search.screen is not None:
        yield "it has a screen, those had none"
    if search.warm_start:
        yield "it starts from earlier studies, those from nothing"


def _from_to(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"
