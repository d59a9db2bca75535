"""Figures from Python and as files: ``clipsweep.figure``, and what ``clipsweep figures`` writes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipsweep.analysis.drawing.chart import Chart, Table
from clipsweep.analysis.drawing.draw import Engine, FileFormat, check_engine, check_matplotlib, draw, write_chart
from clipsweep.analysis.drawing.tables import TABLE_FORMATS
from clipsweep.analysis.figures.catalogue import check_name, make_figure, make_figures
from clipsweep.analysis.figures.words import metric_of, scale_of
from clipsweep.analysis.frames.frames import Frames
from clipsweep.analysis.frames.trial_frame import METRIC, OF_ONE_STUDY, RULES, STUDIES
from clipsweep.analysis.published.read import load_published
from clipsweep.orchestrator.frames import read_frames
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.base.files import write_text
from clipsweep.trials.base.os_words import check_folder
from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.spec.trial import VALIDATION

if TYPE_CHECKING:
    import pandas

FOLDER = "figures"  # in a study's folder
CAPTIONS = "captions.md"


def figure(
    name: str,
    source: pandas.DataFrame | str | Path | Sequence[str | Path],
    engine: Engine = "matplotlib",
    *,
    published: bool = False,
) -> Any:
    """One figure of a study, as ``clipsweep figures`` lists them.

    Args:
        name: ``"figure1"``, ``"atlas"`` and so on.
        source: The folder of a study, several of them, or a frame of trials as ``clipsweep.load`` gives it, all of it
            or some rows.
        engine: ``"matplotlib"`` for papers (``savefig`` writes SVG, PDF and PNG with text as text), or ``"plotly"``
            for the screen.
        published: Whether the paper's own curves are drawn too, where their task is the study's.

    Returns:
        A figure of matplotlib or of plotly. A table is a ``Table`` with ``columns`` and ``rows`` whatever the engine.

    Raises:
        StudyError: No such figure or engine, no study there, or one that lacks what the figure needs; the message
            says what can be drawn. Also studies of text beside others, and ``published`` for a task that the paper has
            no curves of, or a metric other than accuracy.
        SpecError: The engine is matplotlib, and that is not installed.
    """
    check_name(name)
    check_engine(engine)
    made = make_figure(name, frames_from(source, published=published))
    return made if isinstance(made, Table) else draw(made, engine)


def write_figures(
    dirs: Sequence[Path],
    *,
    only: Sequence[str] = (),
    file_format: FileFormat = "svg",
    out: Path | None = None,
    published: bool = False,
) -> dict[str, list[Path]]:
    """Write a study's figures, a file each, their captions, and its tables as CSV, Markdown and LaTeX.

    Captions of figures that are not drawn this time stay as they are.

    Args:
        dirs: Folders of studies.
        only: Names of figures; none for all that can be drawn.
        file_format: Of figures.
        out: Folder that they are written to; None for ``figures`` in the folder of the one study.
        published: As ``figure`` takes it.

    Returns:
        By name of the figure the files that were written.

    Raises:
        StudyError: No such figure; no rows yet; a figure of ``only`` lacks what it needs; or several studies and no
            ``out``.
        PlaceError: ``out`` cannot be made or written.
        SpecError: matplotlib is not installed.
    """
    for name in only:
        check_name(name)
    check_matplotlib()
    folder = _folder(dirs, out)
    frames = frames_from(list(dirs), published=published)
    check_folder(folder, "the folder for figures")
    if frames.trials.empty:
        raise StudyError(f"{dirs[0]} has no rows yet; expected some to draw. Go on with 'clipsweep run'.")
    written: dict[str, list[Path]] = {}
    captions: dict[str, str] = {}
    for name, made in [(name, make_figure(name, frames)) for name in only] if only else make_figures(frames):
        written[name] = list(_write(made, folder, file_format))
        captions[f"## {name}"] = f"## {name}: {made.title}\n\n{made.caption}\n"
    if not written:
        raise StudyError(f"{dirs[0]} has nothing to draw yet; expected complete trials. Go on with 'clipsweep run'.")
    file = folder / CAPTIONS
    write_text(file, "\n".join((_captions_in(file) | captions).values()))
    return written


def _captions_in(file: Path) -> dict[str, str]:
    """What stands in a file of captions, by what comes before the colon in its headings."""
    if not file.exists():
        return {}
    sections = re.split(r"^(?=## )", file.read_text(encoding="utf-8", errors="replace"), flags=re.MULTILINE)
    return {section.partition(":")[0]: f"{section.rstrip()}\n" for section in sections if section.strip()}


def frames_from(source: pandas.DataFrame | str | Path | Sequence[str | Path], *, published: bool = False) -> Frames:
    """The frames of folders, or of a trial frame; errors as of ``load``."""
    if isinstance(source, str | Path):
        frames = read_frames([source])
    elif isinstance(source, Sequence):
        frames = read_frames(source)
    elif "trial_ids" in source.columns:
        raise StudyError(
            "the frame is one of points; expected one of trials, as clipsweep.load gives it: points follow from them."
        )
    else:
        frames = Frames.of_trials(_without_guards(source))
    _check_alike(_without_guards(frames.trials))
    return replace(frames, published=_published_of(frames)) if published else frames


def _without_guards(trials: pandas.DataFrame) -> pandas.DataFrame:
    """Trials without those of guards of another kind than what their study is judged by: texts, or answers."""
    if not {"nll", "accuracy"} <= set(trials.columns):
        return trials
    kept = np.ones(len(trials), dtype=bool)
    for study in trials.attrs.get(STUDIES, []):
        other = "accuracy" if METRICS[study[RULES][METRIC]].of_text else "nll"
        theirs = np.logical_and.reduce([trials[name] == study[name] for name in OF_ONE_STUDY])
        kept &= ~(theirs & trials[other].notna().to_numpy())
    return trials[kept]


def _check_alike(trials: pandas.DataFrame) -> None:
    """Refuse studies whose scores cannot stand on one axis."""
    if not {"nll", "accuracy"} <= set(trials.columns):
        return
    texts, answers = trials[trials["nll"].notna()], trials[trials["accuracy"].notna()]
    if len(texts) and len(answers):
        raise StudyError(
            f"{texts['study'].iloc[0]} scores text, {answers['study'].iloc[0]} answers; expected studies of one kind "
            f"of task, as their scores have no axis in common. Draw them one by one."
        )


def _published_of(frames: Frames) -> pandas.DataFrame:
    """The published numbers, of which some are curves of these tasks."""
    numbers = load_published()
    if not scale_of(frames.trials).is_accuracy:
        raise StudyError(
            f"the paper published accuracies, and the study is judged by {metric_of(frames.trials)}; expected one "
            f"judged by accuracy. Leave --published (published=True) out."
        )
    known = sorted(set(numbers.loc[numbers["split"] == VALIDATION, "task"]))
    tasks = sorted(set(frames.trials["task"]))
    if not set(tasks) & set(known):
        raise StudyError(
            f"the paper published no curves of task {', '.join(tasks)}; expected one of {', '.join(known)}. Leave "
            f"--published (published=True) out."
        )
    return numbers


def _folder(dirs: Sequence[Path], out: Path | None) -> Path:
    if out is not None:
        return out
    if len(dirs) > 1:
        raise StudyError(f"{len(dirs)} studies are drawn together; name the folder for their figures with -o FOLDER.")
    return dirs[0] / FOLDER


def _write(made: Chart | Table, folder: Path, file_format: FileFormat) -> Iterator[Path]:
    """Write one figure, or a table in all formats of tables."""
    if isinstance(made, Table):
        for ending, words in TABLE_FORMATS.items():
            path = folder / f"{made.name}.{ending}"
            write_text(path, words(made))
            yield path
        return
    path = folder / f"{made.name}.{file_format}"
    write_chart(made, path, file_format)
    yield path
