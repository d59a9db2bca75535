"""What the theory says of a study, in words and in columns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from clipsweep.analysis.theory.correlations import Correlation, interval_words
from clipsweep.analysis.theory.notes import cost_of
from clipsweep.analysis.theory.quantities import CHANGED, QUANTITIES
from clipsweep.analysis.theory.reach import Reach
from clipsweep.analysis.theory.theory import Theory
from clipsweep.analysis.theory.verdict import verdict
from clipsweep.orchestrator.comparison.columns import INDENT, NONE, aligned, section
from clipsweep.trials.base.errors import counted

SIZES_SHOWN = 4  # blocks, from the clip on, of which the change is told
WIDTH = 120  # of lines, unless another is asked for


def describe_theory(theory: Theory, width: int = WIDTH) -> str:
    """The answer, the correlations in a table, and how far clips reach.

    Args:
        theory: Of a study.
        width: Of the lines that sentences are broken into.
    """
    parts = [
        section("study", _broken(_study(theory), width)),
        section("answer", _broken(verdict(theory.predictions), width)),
        section("notes", _broken(theory.notes, width)),
        "\n".join(["Rank correlation with the gain, and 95 % intervals:", *aligned(_correlations(theory))]),
        "\n".join(_reach(theory)),
    ]
    return "\n\n".join(part for part in parts if part)


def _broken(sentences: Iterable[str], width: int) -> Iterator[str]:
    """Sentences in lines, of which those that go on stand further in."""
    for sentence in sentences:
        yield from textwrap.wrap(sentence, max(width - INDENT, 40), subsequent_indent="  ", break_long_words=False)


def _study(theory: Theory) -> Iterator[str]:
    changes = theory.changes
    layers = {trial.layer for trial in changes.trials}
    yield (
        f"{theory.study}: {counted(len(changes.trials), 'clipped trial')} of {counted(len(layers), 'layer')} on "
        f"{counted(len(changes.prompt_sets), 'prompt set')}, against the untouched model"
    )
    if cost := cost_of(theory.changes):
        yield cost


def _correlations(theory: Theory) -> Iterator[list[str]]:
    """A row for each quantity: over all trials with intervals, and within each module."""
    modules = sorted({each.module for each in theory.predictions.correlations if each.module is not None})
    within = {(each.module, each.quantity): each for each in theory.predictions.correlations}
    yield ["quantity", "all", "by layer", "by example", *modules, "of margins"]
    for each in theory.predictions.of_all:
        inside = [_number(within[module, each.quantity].rho) for module in modules]
        yield [
            _label(each),
            _number(each.rho),
            *map(interval_words, (each.by_layer, each.by_example)),
            *inside,
            _number(each.margin_rho),
        ]


def _label(correlation: Correlation) -> str:
    return QUANTITIES[correlation.quantity].label


def _number(rho: float | None) -> str:
    return NONE if rho is None else f"{rho:+.2f}"


def _reach(theory: Theory) -> Iterator[str]:
    """A line for each clipped layer and module."""
    if not theory.reach:
        return
    yield (
        f"Blocks whose log‖ΔW_t‖ a clip changed by more than {100 * CHANGED:g} % (median, least to most), beside the "
        f"paper's L - k + 1,"
    )
    yield "those that can change and those in front of them that did; and the change from the clip's block on:"
    further = [f"+{distance}" for distance in range(1, SIZES_SHOWN)]
    heading = ["clip", "layer", "median", "range", "paper", "can", "before", "here", *further]
    yield from aligned([heading, *([each.module, str(each.layer), *_blocks(each)] for each in theory.reach)])


def _blocks(reach: Reach) -> list[str]:
    counts = (reach.paper, reach.expected, reach.before)
    sizes = [NONE if size is None else f"{size:.3f}" for size in reach.sizes[:SIZES_SHOWN]]
    return [f"{reach.changed:g}", f"{reach.least} to {reach.most}", *map(str, counts), *sizes]
