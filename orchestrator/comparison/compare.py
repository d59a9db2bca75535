"""Compare studies with each other, or with the paper: what ``clipsweep.compare`` and the command give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipsweep.analysis.compare.paper import BesidePaper
from clipsweep.analysis.compare.side import Side
from clipsweep.analysis.compare.studies import SideBySide
from clipsweep.analysis.published.read import published_table
from clipsweep.orchestrator.comparison.paper_words import describe_beside_paper
from clipsweep.orchestrator.comparison.sides import read_sides
from clipsweep.orchestrator.comparison.words import describe_studies
from clipsweep.trials.base.errors import SpecError, StudyError

TOP = 10  # points or curves shown, unless another number is asked for


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Studies compared with each other, or with the paper.

    Attributes:
        found: What was compared, as values.
    """

    found: SideBySide | BesidePaper

    def document(self, top: int = TOP) -> dict[str, Any]:
        """The document of ``clipsweep compare --json``.

        Args:
            top: Of how many points of two studies the bootstrap interval is told, from the first; the others have a
                standard error.
        """
        return self.found.document(top) if isinstance(self.found, SideBySide) else self.found.document()

    def describe(self, top: int = TOP) -> str:
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
        StudyError: A folder holds no study, or none of its trials has scores; with ``published`` a task that the paper
            does not have.
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
    return Comparison(found=_beside_paper(sides) if published else SideBySide(sides=sides))


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
