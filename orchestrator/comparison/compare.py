"""Compare studies with each other, or with the paper: what ``clipsweep.compare`` and the command give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipsweep.analysis.compare.charts import paper_chart, studies_chart
from clipsweep.analysis.compare.paper import BesidePaper
from clipsweep.analysis.compare.side import Side
from clipsweep.analysis.compare.studies import SideBySide
from clipsweep.analysis.drawing.chart import Chart
from clipsweep.analysis.drawing.draw import Engine, check_engine, draw, write_chart
from clipsweep.analysis.published.read import published_table
from clipsweep.orchestrator.comparison.file import check_file, format_of, is_page
from clipsweep.orchestrator.comparison.paper_words import describe_beside_paper
from clipsweep.orchestrator.comparison.sides import read_sides
from clipsweep.orchestrator.comparison.words import describe_studies
from clipsweep.orchestrator.words import SHOWN
from clipsweep.trials.base.errors import SpecError, StudyError
from clipsweep.trials.scores.metrics import METRICS


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Studies compared with each other, or with the paper.

    Attributes:
        found: What was compared, as values.
    """

    found: SideBySide | BesidePaper

    def document(self, top: int = SHOWN) -> dict[str, Any]:
        """The document of ``clipsweep compare --json``.

        Args:
            top: Of how many points of two studies the bootstrap interval is told, from the first; the others have a
                standard error.
        """
        return self.found.document(top) if isinstance(self.found, SideBySide) else self.found.document()

    @property
    def chart(self) -> Chart | None:
        """Scores of one study against those of another; or gains against the paper's, None without a curve of it."""
        return studies_chart(self.found) if isinstance(self.found, SideBySide) else paper_chart(self.found)

    def figure(self, engine: Engine = "matplotlib") -> Any:
        """The same as a figure.

        Args:
            engine: ``"matplotlib"`` or ``"plotly"``.

        Raises:
            StudyError: No such engine, or nothing to draw.
            SpecError: The engine is matplotlib, and that is not installed.
        """
        check_engine(engine)
        return draw(self._drawn(), engine)

    def write(self, path: str | Path, top: int = SHOWN) -> None:
        """Write the chart as a file: SVG, PDF or PNG; or HTML with the comparison in words below it.

        Args:
            path: Its ending says which.
            top: How many points, or curves, the words have.

        Raises:
            SpecError: Another ending, or matplotlib is not installed.
            StudyError: There is nothing to draw.
            PlaceError: It cannot be written there.
        """
        path = Path(path)
        check_file(path)
        if is_page(path):
            from clipsweep.analysis.report.compare_page import write_comparison  # loads plotly

            write_comparison(path, self._drawn(), self.describe(top))
        else:
            write_chart(self._drawn(), path, format_of(path))

    def _drawn(self) -> Chart:
        if self.chart is None:
            raise StudyError(
                "there is nothing to draw: the paper has no curve of this task at a module, layer and clip rate that "
                "was swept. 'clipsweep compare DIR --published' tells what it has."
            )
        return self.chart

    def describe(self, top: int = SHOWN) -> str:
        """The comparison in words.

        Args:
            top: How many points, or curves, are shown.
        """
        if isinstance(self.found, SideBySide):
            return describe_studies(self.found, top)
        return describe_beside_paper(self.found, top)


def compare(dirs: str | Path | Sequence[str | Path], *, published: bool = False) -> Comparison:
    """Put studies side by side, or beside the paper's published numbers. Nothing is run.

    Args:
        dirs: Folders of studies: two or more, the others being compared with the first; with ``published`` one or more.
        published: Whether each is compared with the paper in place of each other.

    Raises:
        SpecError: Too few folders, or one that is given twice.
        StudyError: A folder holds no study, or none of its trials has scores; studies of which one has a task with
            answers, and another one with text; with ``published`` a task that the paper does not have.
        StoreError: A file of a study is damaged.
    """
    folders = [Path(each) for each in ([dirs] if isinstance(dirs, str | Path) else dirs)]
    if not folders or (len(folders) == 1 and not published):
        given = f"{folders[0]} alone was given" if folders else "none was given"
        raise SpecError(
            f"a comparison needs two studies, and {given}. Give another folder, or compare with the paper's numbers: "
            f"--published (published=True)."
        )
    sides = read_sides(folders)
    _check_alike(sides)
    return Comparison(found=_beside_paper(sides) if published else SideBySide(sides=sides))


def _check_alike(sides: Sequence[Side]) -> None:
    """Refuse scores that no difference can be taken of."""
    text = [side for side in sides if METRICS[side.metric].of_text]
    answers = [side for side in sides if not METRICS[side.metric].of_text]
    if text and answers:
        raise StudyError(
            f"{text[0].dir} is judged by {text[0].metric} of text, {answers[0].dir} by {answers[0].metric} of answers; "
            f"expected studies of one kind of task, as their scores have no difference. Compare them apart."
        )


def _beside_paper(sides: list[Side]) -> BesidePaper:
    published = published_table().to_pylist()
    known = sorted({row["task"] for row in published})
    for side in sides:
        if side.task not in known:
            raise StudyError(
                f"{side.dir} is of task {side.task!r}, of which the paper has no numbers; expected one of "
                f"{', '.join(known)}. Compare it with another study in place of --published."
            )
    return BesidePaper(sides=sides, published=published)
