"""The figures by name. A new figure is an entry of ``FIGURES``; listing the names imports none of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from clipsweep.analysis.drawing.chart import Chart, Table
from clipsweep.analysis.frames.frames import Frames
from clipsweep.trials.base.errors import StudyError, unknown_name

_SCORES = "clipsweep.analysis.figures.scores"
_MATRICES = "clipsweep.analysis.figures.matrices"
_ANSWERS = "clipsweep.analysis.figures.answers"
_THEORY = "clipsweep.analysis.figures.theory"
_ASKED = "one study that asked for the paper's theory (`theory: true` in its file; `docs/howto/theory.md`)"


@dataclass(frozen=True, slots=True)
class FigureEntry:
    """A figure that can be asked for.

    Attributes:
        location: Its function, as ``module:attribute``; it gives a chart or a table, or None where there is nothing to
            draw.
        takes: Fields of ``Frames`` that the function takes, in its order.
        title: What it shows.
        needs: What a study must have for it, in words.
    """

    location: str
    takes: tuple[str, ...]
    title: str
    needs: str

    def make(self, frames: Frames) -> Chart | Table | None:
        """The figure of these frames; None where they lack what it needs."""
        if frames.trials.empty and "spectra" not in self.takes:
            return None  # an empty frame has no types
        module, _, attribute = self.location.partition(":")
        function: Any = getattr(import_module(module), attribute)
        made: Chart | Table | None = function(*(getattr(frames, name) for name in self.takes))
        return made


FIGURES: dict[str, FigureEntry] = {
    "figure1": FigureEntry(
        f"{_SCORES}.curves:curve_chart",
        ("points", "published"),
        "Score against clip rate, a line for each layer",
        "a layer, or a range of layers, that was clipped alone at two rates or more",
    ),
    "figure2": FigureEntry(
        f"{_SCORES}.curves:shots_chart",
        ("points",),
        "The same, a row of panels for each number of demonstrations",
        "what figure1 needs, at two numbers of demonstrations or more",
    ),
    "figure3": FigureEntry(
        f"{_MATRICES}.conditions:condition_chart",
        ("spectra", "points"),
        "Condition number by layer, and where the study clips",
        "the singular values of its model in its folder, which 'clipsweep spectrum MODEL --out DIR/spectrum.parquet' "
        "puts there",
    ),
    "figure4": FigureEntry(
        f"{_ANSWERS}.tables:bar_chart",
        ("points",),
        "Untouched and clipped on test, with the gain",
        "a winner that has run on test",
    ),
    "tables": FigureEntry(
        f"{_ANSWERS}.tables:results_table",
        ("points", "published"),
        "The same as a table: Tables 2 to 8",
        "what figure4 needs",
    ),
    "atlas": FigureEntry(
        f"{_SCORES}.atlas:atlas_chart",
        ("points",),
        "Gain of each layer at each clip rate",
        "layers, or ranges of layers, that were clipped alone",
    ),
    "front": FigureEntry(
        f"{_SCORES}.front:front_chart",
        ("points",),
        "Gain against parameters kept",
        "complete points that keep different numbers of parameters",
    ),
    "joint": FigureEntry(
        f"{_SCORES}.joint:joint_chart",
        ("points",),
        "What the best points clip",
        "points with clips in several places",
    ),
    "search": FigureEntry(
        f"{_SCORES}.progress:progress_chart",
        ("trials", "points"),
        "The best score so far, by trials, rows and time",
        "a complete point",
    ),
    "agreement": FigureEntry(
        f"{_ANSWERS}.agreement:agreement_chart",
        ("trials", "points"),
        "Which examples flip: agreement between the best points and the untouched model",
        "the untouched model and another complete point, of a task with answers",
    ),
    "seeds": FigureEntry(
        f"{_ANSWERS}.seeds:seeds_chart",
        ("trials", "points"),
        "Scores under each demonstration seed",
        "two demonstration seeds or more",
    ),
    "calibration": FigureEntry(
        f"{_ANSWERS}.calibration:calibration_chart",
        ("trials", "points"),
        "Calibration error by clip rate; reliability of two-label tasks",
        "layers, or ranges of layers, that were clipped alone, of a task with labels",
    ),
    "spectra": FigureEntry(
        f"{_MATRICES}.spectra:spectra_chart",
        ("spectra", "points"),
        "Singular values by rank, with the rank that the winner keeps",
        "what figure3 needs",
    ),
    "theory-predicts": FigureEntry(
        f"{_THEORY}.predicts:predicts_chart",
        ("theory",),
        "How well the paper's theory and its rivals tell which clip helps",
        f"{_ASKED}, and four complete trials or more of one prompt set",
    ),
    "theory-table": FigureEntry(
        f"{_THEORY}.table:correlations_table",
        ("theory",),
        "The same as a table",
        "what theory-predicts needs",
    ),
    "theory-scatter": FigureEntry(
        f"{_THEORY}.scatter:scatter_chart",
        ("theory",),
        "The trials behind it: what they changed against what they gained",
        "what theory-predicts needs",
    ),
    "theory-reach": FigureEntry(
        f"{_THEORY}.reach:reach_chart",
        ("theory",),
        "How far a clip reaches: the change of norms, block by block",
        f"{_ASKED}, and trials that clip one layer alone",
    ),
    "theory-trajectory": FigureEntry(
        f"{_THEORY}.trajectory:trajectory_chart",
        ("trials", "points"),
        "Norms from block to block, of the untouched model and of the winner",
        f"{_ASKED}, and a complete point",
    ),
}


def check_name(name: str) -> None:
    """Refuse a figure that there is none of.

    Raises:
        StudyError: There is no such figure.
    """
    if name not in FIGURES:
        raise StudyError(unknown_name("figure", name, FIGURES))


def make_figure(name: str, frames: Frames) -> Chart | Table:
    """One figure by its name.

    Args:
        name: A key of ``FIGURES``.
        frames: Of what it is made.

    Raises:
        StudyError: There is no such figure, or the frames lack what it needs.
    """
    check_name(name)
    made = FIGURES[name].make(frames)
    if made is None:
        able = [other for other, _ in make_figures(frames)]
        others = f"These can be drawn: {', '.join(able)}." if able else "No figure can be drawn of it."
        several = frames.trials["study"].nunique() > 1
        lacks = "these studies lack that" if several else "this study lacks that"
        raise StudyError(f"{name} needs {FIGURES[name].needs}; {lacks}. {others}")
    return made


def make_figures(frames: Frames) -> Iterator[tuple[str, Chart | Table]]:
    """All figures that these frames have what it takes for, by name."""
    for name, entry in FIGURES.items():
        made = entry.make(frames)
        if made is not None:
            yield name, made
