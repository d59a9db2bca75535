"""Frames from Python: stored rows and points of studies on disk, as ``clipsweep.load`` and ``clipsweep.points``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from clipsweep.analysis.frames.frames import Frames
from clipsweep.analysis.frames.point_frame import join_points, point_frame, points_of_trials
from clipsweep.analysis.frames.spectra_frame import model_spectra
from clipsweep.analysis.frames.trial_frame import join_frames, trial_frame
from clipsweep.analysis.store.rows import LatestRows
from clipsweep.analysis.store.table import ResultsTable
from clipsweep.analysis.theory.theory import Theory
from clipsweep.analysis.winners.points_of_rows import check_metric, points_of_rows
from clipsweep.analysis.winners.standings import Standings
from clipsweep.orchestrator.folder.no_study import no_study
from clipsweep.orchestrator.folder.open_study import find_study
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.theory.read import theory_so_far
from clipsweep.trials.base.errors import StudyError, unknown_name
from clipsweep.trials.scores.metrics import METRICS

if TYPE_CHECKING:
    import pandas

Place = str | Path


def load(*dirs: Place) -> pandas.DataFrame:
    """The stored trials of one or several studies as a pandas frame: the latest attempt of each, a row per trial.

    Args:
        dirs: Folders of studies, or their ``trials`` folders.

    Returns:
        The stored columns, which ``docs/howto/results.md`` lists, in the order the trials finished: ``outcomes`` and
        ``margins`` packed, as in the files (``clipsweep.outcomes`` and ``clipsweep.margins`` unpack them), times in
        UTC. ``attrs["metric"]`` is the column of scores that points are judged by, ``"accuracy"`` where the studies
        differ.

    Raises:
        StudyError: No folder given, no study there, or two studies of one name that hold the same trials.
        StoreError: A file is damaged.
    """
    return join_frames([_trials_of(_open(place)) for place in _some(dirs)])


def points(source: pandas.DataFrame | Place, metric: str | None = None) -> pandas.DataFrame:
    """The points of one or several studies as a pandas frame: a row per point that has stored rows.

    Args:
        source: A folder as for ``load``; or a frame that ``load`` gave, all of it or some rows, or that pandas read
            from the files of a study. From a frame, points that leave the same ranks are one, and a clip rate of 0 is
            the untouched model, as the rows themselves have it.
        metric: Column of scores to judge by; None for the study's own.

    Returns:
        What each clips, scores and gains over the baseline on the same examples, and who won: gains are fractions, or
        of text nats for each token, better being above 0;
        ``docs/howto/results.md`` lists the columns.

    Raises:
        StudyError: No study there, a frame that lacks columns, no such metric, or one that its trials have no score by.
        StoreError: A file is damaged.
    """
    if metric is not None and metric not in METRICS:
        raise StudyError(unknown_name("metric", metric, METRICS))
    if isinstance(source, str | Path):
        return _points_of(_open(source), metric)
    return points_of_trials(source, metric)


def read_frames(dirs: Sequence[Place]) -> Frames:
    """The frames of studies on disk; arguments and errors as of ``load``."""
    opened = [_open(place) for place in _some(dirs)]
    one = opened[0] if len(opened) == 1 and isinstance(opened[0], Snapshot) else None
    return Frames(
        make_trials=lambda: join_frames(map(_trials_of, opened)),
        make_points=lambda: join_points([_points_of(each) for each in opened]),
        spectra=_spectra_of([(_study_at(Path(place)), each) for place, each in zip(dirs, opened, strict=True)]),
        make_theory=None if one is None else lambda: _theory_of(one),
    )


def _some(dirs: Iterable[Place]) -> list[Place]:
    places = list(dirs)
    if not places:
        raise StudyError("no folder is given; expected one or several folders of studies.")
    return places


def _open(place: Place) -> Snapshot | LatestRows:
    """What is stored of a study; its rows alone where nothing tells what they are of."""
    folder = _study_at(Path(place))
    opened = find_study(folder.path)
    if opened is not None:
        return Snapshot.take(opened)
    rows = ResultsTable(folder.trials).latest()
    if not rows:
        raise StudyError(no_study(folder))
    return rows


def _study_at(path: Path) -> StudyFolder:
    """The study whose folder is named, or the folder of whose rows."""
    folder = StudyFolder(path)
    above = StudyFolder(path.parent)
    return above if path.is_dir() and not folder.trials.exists() and path.name == above.trials.name else folder


def _spectra_of(studies: Sequence[tuple[StudyFolder, Snapshot | LatestRows]]) -> pandas.DataFrame | None:
    """The singular values of the one model that studies have, out of a folder of theirs, whoever put them there.

    None where the studies have several models, or none of them has singular values of its own.
    """
    rows = [next(iter(_rows_of(opened).values()), None) for _, opened in studies]
    models = {(row.model_fingerprint, row.dtype) for row in rows if row is not None}
    if len(models) != 1:
        return None
    found = (model_spectra(folder.spectrum, *next(iter(models))) for folder, _ in studies)
    return next((frame for frame in found if frame is not None), None)


def _theory_of(study: Snapshot) -> Theory | None:
    """What the paper's theory says of a study; None where it did not ask, or no trial was measured."""
    if not study.opened.study.theory:
        return None
    theory = theory_so_far(study)
    return theory if theory.changes.measured else None


def _rows_of(opened: Snapshot | LatestRows) -> LatestRows:
    return opened.rows if isinstance(opened, Snapshot) else opened


def _trials_of(opened: Snapshot | LatestRows) -> pandas.DataFrame:
    if isinstance(opened, LatestRows):
        return trial_frame(opened)
    return trial_frame(opened.rows, opened.rules)


def _points_of(opened: Snapshot | LatestRows, metric: str | None = None) -> pandas.DataFrame:
    standings = Standings(points_of_rows(opened), opened) if isinstance(opened, LatestRows) else opened.standings
    if metric is not None:
        check_metric(standings.rows, metric)
        standings = Standings([replace(point, metric=metric) for point in standings.points], standings.rows)
    return point_frame(standings)
