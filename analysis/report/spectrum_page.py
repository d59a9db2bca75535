"""The page about a model's singular values: one HTML file that opens offline, in the style of a study's report."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from clipsweep.analysis.drawing.chart import Table
from clipsweep.analysis.figures.matrices.conditions import condition_chart, ranks_chart
from clipsweep.analysis.figures.matrices.spectra import spectra_chart
from clipsweep.analysis.report.drawn import draw
from clipsweep.analysis.report.environment import make_environment
from clipsweep.trials.base.errors import counted
from clipsweep.trials.base.files import write_text

if TYPE_CHECKING:
    import pandas

MOST_ROWS = 600  # matrices of the table; of more, as mixtures have, those with the largest condition numbers
APART = 0.05  # share by which float32 and float64 may differ before it is worth a word
COLUMNS = (
    ("matrix", "name"),
    ("shape", "shape"),
    ("condition number, float32", "condition_number"),
    ("float64", "condition_number_float64"),
    ("effective rank", "effective_rank"),
    ("stable rank", "stable_rank"),
    ("edge of noise", "entry_edge"),
    ("above it", "above_entry_edge"),
    ("signal to noise", "entry_snr"),
    ("laserRMT's edge", "iqr_edge"),
    ("above laserRMT's", "above_iqr_edge"),
    ("laserRMT's signal to noise", "iqr_snr"),
)


def write_spectrum_report(path: Path, model: str, facts: Mapping[str, str], spectra: pandas.DataFrame) -> None:
    """Write the page whole.

    Args:
        path: The HTML file.
        model: As its user named it.
        facts: Label and value, in the order shown.
        spectra: As ``spectra_frame`` makes it, with what takes float64; one row or more.
    """
    charts = [condition_chart(spectra), spectra_chart(spectra), ranks_chart(spectra)]
    page = (
        make_environment()
        .get_template("spectrum.html")
        .render(
            model=model,
            facts=facts,
            headline=headline(spectra),
            reasons=reasons(spectra),
            numbers=_numbers(spectra),
            figures=[draw(chart) for chart in charts if chart is not None],
            sample="",
            matrices=matrices_table(spectra),
        )
    )
    write_text(path, page)


def headline(spectra: pandas.DataFrame) -> str:
    """What is looked for first: the matrix with the largest condition number."""
    first = spectra.loc[spectra["condition_number"].idxmax()]
    value = float(first["condition_number"])
    if math.isinf(value):
        singular = int(spectra["condition_number"].map(math.isinf).sum())
        return f"{singular} of {len(spectra)} matrices are singular; the first is {first['name']}"
    return f"The largest condition number is {_word(value)}: {first['role']} of layer {first['layer']}"


def reasons(spectra: pandas.DataFrame) -> list[str]:
    """How far the numbers can be trusted, in sentences."""
    single, double = spectra["condition_number"], spectra["condition_number_float64"]
    apart = int(((single != double) & ~((single / double - 1).abs() <= APART)).sum())  # both infinite: not apart
    said = [
        "float32 and float64 tell the same condition numbers, to within 5 %."
        if not apart
        else f"{counted(apart, 'condition number')} of {len(spectra)} differ by more than 5 % between float32 and "
        f"float64: there float32 guesses. Rules that choose layers go by float32, as published."
    ]
    below = int((spectra["iqr_edge"] <= spectra["singular_values"].map(min)).sum())
    if below:
        said.append(
            f"laserRMT's edge lies below every singular value of {below} of {len(spectra)} matrices. It follows from "
            f"the spread of the singular values alone, and is no noise level."
        )
    return said


def matrices_table(spectra: pandas.DataFrame) -> Table:
    """Every matrix with its numbers; of very many those with the largest condition numbers."""
    shown = spectra.nlargest(MOST_ROWS, "condition_number").sort_index() if len(spectra) > MOST_ROWS else spectra
    shown = shown.assign(
        name=shown["name"].str.replace(" ", "\N{NO-BREAK SPACE}"),
        shape=[f"{rows} × {cols}" for rows, cols in zip(shown["rows"], shown["cols"], strict=True)],
    )
    caption = "All numbers of each matrix; what they mean stands above."
    if len(shown) < len(spectra):
        caption += f" Shown are the {MOST_ROWS} of {len(spectra):,} with the largest condition numbers."
    return Table(
        name="matrices",
        title="All matrices",
        caption=caption,
        columns=[heading for heading, _ in COLUMNS],
        rows=[[_cell(row[column]) for _, column in COLUMNS] for row in shown.to_dict("records")],
    )


def _numbers(spectra: pandas.DataFrame) -> list[tuple[str, str, str]]:
    """What stands on the card: label, number, and a word on it."""
    full = spectra[["rows", "cols"]].min(axis=1)
    ranks, above = spectra["effective_rank"] / full, spectra["above_entry_edge"] / full
    laser = spectra["above_iqr_edge"] / full
    return [
        ("matrices measured", f"{len(spectra):,}", f"in {counted(spectra['layer'].nunique(), 'layer')}"),
        ("median effective rank", f"{ranks.median():.0%}", "of the full rank"),
        ("above the edge of noise", f"{above.median():.1%}", "of the singular values, in the median"),
        ("above laserRMT's edge", f"{laser.median():.1%}", "of the singular values, in the median"),
    ]


def _cell(value: str | float | None) -> str | None:
    """A value as a cell of the page's tables takes it."""
    if value is None or isinstance(value, str):
        return value
    return None if math.isnan(value) else _word(value)


def _word(value: float) -> str:
    """A number to four digits, large ones without an exponent as far as they can be read."""
    if math.isinf(value):
        return "infinite"
    return f"{value:,.0f}" if 1000 <= value < 1e7 or float(value).is_integer() else f"{value:.4g}"
