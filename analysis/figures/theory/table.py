"""The rank correlations of every quantity as a table."""

from __future__ import annotations

from collections.abc import Sequence

from clipsweep.analysis.drawing.chart import Table
from clipsweep.analysis.figures.theory.panels import MOST_MODULES, prompt_sets_in_words
from clipsweep.analysis.figures.theory.predicts import GROUPS
from clipsweep.analysis.theory.correlations import Correlation, interval_words
from clipsweep.analysis.theory.quantities import QUANTITIES
from clipsweep.analysis.theory.theory import Theory

NO_NUMBER = "–"
CAPTION = (
    "Spearman's ρ of each quantity with the gain in accuracy, within each {prompts} and averaged: over all trials, "
    "with 95 % bootstrap intervals, layers or validation examples drawn anew{within}; and with the change of the mean "
    "margin instead of the gain. Within its group the strongest comes first."
)


def correlations_table(theory: Theory | None) -> Table | None:
    """A row for each quantity, the theory's first, then those of its rivals.

    Returns:
        None where nothing was measured, or no quantity has a correlation.
    """
    if theory is None or all(each.rho is None for each in theory.predictions.of_all):
        return None
    found = theory.predictions
    modules = _modules(theory)
    within = {(each.quantity, each.module): each.rho for each in found.correlations}
    groups = list(GROUPS)
    ordered = sorted(
        found.of_all, key=lambda each: (groups.index(QUANTITIES[each.quantity].group), -abs(each.rho or 0.0))
    )
    return Table(
        name="theory-table",
        title="Rank correlations with the gain",
        caption=CAPTION.format(
            prompts=prompt_sets_in_words(theory.changes),
            within=f"; within {' and '.join(modules)}" if modules else "",
        ),
        columns=(
            *("quantity", "of", "trials", "layers", "ρ", "95 % by layer", "95 % by example"),
            *(f"ρ of {module}" for module in modules),
            "ρ with the margin",
        ),
        rows=[_row(each, [within[each.quantity, module] for module in modules]) for each in ordered],
    )


def _modules(theory: Theory) -> list[str]:
    """Modules with a column each: none where there is one alone, or where there are too many."""
    modules = sorted({each.module for each in theory.predictions.correlations if each.module is not None})
    return modules if len(modules) <= MOST_MODULES else []


def _row(correlation: Correlation, within: Sequence[float | None]) -> tuple[str | int, ...]:
    quantity = QUANTITIES[correlation.quantity]
    return (
        *(quantity.label, quantity.group, correlation.n_trials, correlation.n_layers, _number(correlation.rho)),
        *(interval_words(correlation.by_layer), interval_words(correlation.by_example)),
        *map(_number, within),
        _number(correlation.margin_rho),
    )


def _number(rho: float | None) -> str:
    return NO_NUMBER if rho is None else f"{rho:+.2f}"
