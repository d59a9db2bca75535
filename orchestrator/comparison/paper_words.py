"""Studies beside the paper, in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from clipsweep.analysis.compare.curves import CurvePair, RatePair
from clipsweep.analysis.compare.paper import Agreement, BesidePaper
from clipsweep.analysis.compare.tested import TestedPair
from clipsweep.analysis.published.read import RELEASED_CODE
from clipsweep.analysis.winners.point import describe_clips, describe_shots
from clipsweep.orchestrator.comparison.columns import NONE, aligned, section
from clipsweep.trials.base.errors import counted

NOISY = "~"
EXPLAINED = (
    "Gains in points over each one's own untouched model; of the paper's curves that is their score at rate 0. "
    f"{NOISY} behind yours: may be chance."
)


def describe_beside_paper(found: BesidePaper, top: int) -> str:
    """Studies beside the paper.

    Args:
        found: The studies.
        top: How many curves are shown.
    """
    parts = [
        section(
            "paper",
            ["arXiv 2406.03768; other models and rows than yours: compare gains, not scores (docs/published.md)"],
        ),
        section("agree", [_agreement(each) for each in found.agreements]),
        section("curves", _curves(found.curves, top)),
        section("on test", _tests(found.tests)),
    ]
    return "\n\n".join(part for part in parts if part)


def _agreement(each: Agreement) -> str:
    correlation = "" if each.correlation is None else f"; correlation of the gains {each.correlation:+.2f}"
    ways = f"{each.alike} go the same way, {each.opposite} the other, the rest stay as they were in one of the two"
    return f"{each.study} and {each.model}: of {counted(each.points, 'gain')} {ways}{correlation}"


def _curves(curves: Sequence[CurvePair], top: int) -> list[str]:
    """A line for each curve of a study and, below it, of the paper; a column for each clip rate."""
    if not curves:
        return ["the paper has no curve of this task at a module, layer and rate that was swept"]
    rates = sorted({rate.clip_rate for curve in curves for rate in curve.rates if rate.clip_rate})
    of_site: dict[tuple[str, int, str, int], list[CurvePair]] = {}  # several models of the paper beside one curve
    for curve in curves:
        site = curve.site
        of_site.setdefault((site.study, site.shots, site.module, site.layer), []).append(curve)
    rows = [["", "", "", *(f"{rate:g}" for rate in rates)]]
    for beside in list(of_site.values())[:top]:
        rows += [_ours(beside[0], rates), *(_theirs(curve, rates) for curve in beside)]
    more = len(of_site) - top
    left_out = [f"and {counted(more, 'curve')} more; --top shows more, --json all"] if more > 0 else []
    return [EXPLAINED, *aligned(rows, left=(0, 1, 2)), *left_out]


def _ours(curve: CurvePair, rates: Sequence[float]) -> list[str]:
    site, by_rate = curve.site, _by_rate(curve)
    cells = [
        f"{100 * pair.difference.estimate:+.1f}{NOISY if pair.within_noise else ' '}" if pair else NONE
        for pair in map(by_rate.get, rates)
    ]
    return [f"{site.study}, {describe_shots(site.shots)}", site.module, f"layer {site.layer}", *cells]


def _theirs(curve: CurvePair, rates: Sequence[float]) -> list[str]:
    site, by_rate = curve.site, _by_rate(curve)
    cells = [f"{100 * pair.published_gain:+.1f} " if pair else NONE for pair in map(by_rate.get, rates)]
    return [f"  {site.model}", site.module, f"layer {site.published_layer} ({site.matched})", *cells]


def _by_rate(curve: CurvePair) -> dict[float, RatePair]:
    return {pair.clip_rate: pair for pair in curve.rates}


def _tests(tests: Sequence[TestedPair]) -> list[str]:
    """The paper's tables with the winner of the same module below them."""
    printed = [test for test in tests if test.published["source"] != RELEASED_CODE]
    rows = [["", "module", "untouched", "clipped", "gain", "where"]]
    rows += list(
        {(test.published["model"], test.published["module"]): _published_row(test) for test in printed}.values()
    )
    winners = {(test.study, test.shots, test.published["module"]): test for test in printed}
    rows += [row for test in winners.values() for row in _winner_row(test)]
    return list(aligned(rows, left=(0, 1, 5)))


def _published_row(test: TestedPair) -> list[str]:
    row = test.published
    return [
        f"{row['model']} ({row['source']})",
        row["module"],
        f"{row['baseline']:.4f}",
        f"{row['score']:.4f}",
        f"{100 * test.published_gain:+.1f}",
        f"layer {row['layer']} at clip rate {row['clip_rate']:g}",
    ]


def _winner_row(test: TestedPair) -> Iterator[list[str]]:
    """The study's winner, on test where it has run there."""
    winner = test.winner
    if winner is None:
        return
    gain = winner.gain
    scores = (winner.test_scores_of_gain or (None, None))[::-1]
    interval = f"{100 * gain.low:+.1f} to {100 * gain.high:+.1f}, p = {gain.p_value:.2g}, on {gain.split}"
    where = describe_clips(clip for clip in winner.point.clips if not clip.is_idle) or "the untouched model"
    yield [
        f"{test.study}, {describe_shots(test.shots)}",
        str(test.published["module"]),
        *(NONE if score is None else f"{score:.4f}" for score in scores),
        f"{100 * gain.estimate:+.1f}",
        f"{where} ({interval})",
    ]
