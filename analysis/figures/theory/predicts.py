"""How well each quantity tells what trials gain: rank correlations with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from clipsweep.analysis.drawing.chart import Axis, Chart, Estimates, Panel
from clipsweep.analysis.figures.theory.panels import prompt_sets_in_words
from clipsweep.analysis.theory.correlations import Correlation, interval_words
from clipsweep.analysis.theory.quantities import QUANTITIES, SIMPLEST, SPECTRUM, THEORY
from clipsweep.analysis.theory.theory import Theory

GROUPS = {
    THEORY: "the paper's theory",
    SPECTRUM: "rivals: singular values of what is clipped",
    SIMPLEST: "rivals: the clip itself",
}
CAPTION = (
    "Spearman's rank correlation of each quantity with the gain in accuracy: 1 where trials in its order are also in "
    "the order of their gains, -1 where they are in the opposite order, 0 (dashed) where it tells nothing. It is taken "
    "within each {prompts}, and averaged. n = {trials}, which clip {layers}. Both bars are 95 % bootstrap "
    "intervals: thin, with whole layers drawn anew; broad, with the examples of validation drawn anew.{left_out}"
)


def predicts_chart(theory: Theory | None) -> Chart | None:
    """A row for each quantity, the theory's above its rivals, each group by its correlation.

    Returns:
        None where nothing was measured, or no quantity has a correlation.
    """
    if theory is None:
        return None
    found = [(each, rho) for each in theory.predictions.of_all if (rho := each.rho) is not None]
    if not found:
        return None
    ordered = [
        pair
        for group in GROUPS
        for pair in sorted(found, key=lambda pair: -pair[1])
        if QUANTITIES[pair[0].quantity].group == group
    ]
    words = [_word(*pair) for pair in ordered]
    panel = Panel(
        title="rank correlation with the gain in accuracy",
        x=Axis(title="Spearman's ρ", low=-1, high=1),
        y=Axis(title="", kind="category", categories=tuple(reversed(words)), inside=True),
        marks=[_estimates(group, ordered) for group in GROUPS if _of_group(group, ordered)],
    )
    return Chart(
        name="theory-predicts",
        title="Does the theory tell which clip helps?",
        caption=_caption(theory, [each for each, _ in ordered]),
        panels=[panel],
        columns=1,
    )


def _of_group(group: str, found: Sequence[tuple[Correlation, float]]) -> list[tuple[Correlation, float]]:
    return [pair for pair in found if QUANTITIES[pair[0].quantity].group == group]


def _word(correlation: Correlation, rho: float) -> str:
    """What names a row: the quantity and its correlation."""
    return f"{QUANTITIES[correlation.quantity].label}: {rho:+.2f}"


def _estimates(group: str, found: Sequence[tuple[Correlation, float]]) -> Estimates:
    mine = _of_group(group, found)
    return Estimates(
        x=[rho for _, rho in mine],
        y=[_word(*pair) for pair in mine],
        thin=[each.by_layer for each, _ in mine],
        broad=[each.by_example for each, _ in mine],
        thin_name="95 %, layers drawn anew",
        broad_name="95 %, examples drawn anew",
        name=GROUPS[group],
        texts=[_text(each, rho) for each, rho in mine],
    )


def _text(correlation: Correlation, rho: float) -> str:
    return (
        f"{QUANTITIES[correlation.quantity].label}: {rho:+.2f}, by layer {interval_words(correlation.by_layer)}, by "
        f"example {interval_words(correlation.by_example)}, n = {correlation.n_trials:,}"
    )


def _caption(theory: Theory, drawn: Sequence[Correlation]) -> str:
    told = {each.quantity for each in drawn}
    missing = [each.label for name, each in QUANTITIES.items() if name not in told]
    left_out = f" Left out, as they do not vary or were not measured: {', '.join(missing)}." if missing else ""
    return CAPTION.format(
        prompts=prompt_sets_in_words(theory.changes),
        trials=_range([each.n_trials for each in drawn], "trial"),
        layers=_range([each.n_layers for each in drawn], "layer"),
        left_out=left_out,
    )


def _range(numbers: Sequence[int], word: str) -> str:
    """Numbers that may differ: ``12 layers``, or ``80 to 104 trials``."""
    low, high = min(numbers), max(numbers)
    return f"{high:,} {word}{'s' * (high != 1)}" if low == high else f"{low:,} to {high:,} {word}s"
