"""Earlier studies that a search starts from: the same model and task, any driver."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.store.table import ResultsTable
from clipsweep.orchestrator.folder.open_study import read_settings
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.folder.subject_file import read_subject
from clipsweep.orchestrator.space.subject import Subject
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.base.errors import StudyError


def check_warm_start(study: Study, subject: Subject) -> None:
    """Refuse a folder that holds no study, or one of another model or task.

    Raises:
        StudyError: Which folder, and how it differs.
    """
    for named in study.search.warm_start:
        folder = StudyFolder(Path(named))
        theirs = read_subject(folder.subject)
        if theirs is None or not folder.study.is_file():
            raise StudyError(
                f"study key 'search.warm_start' names {named!r}, which holds no study; expected the folder that "
                f"'clipsweep run' named (study.yaml in it). Correct or remove it."
            )
        earlier = check_study(read_settings(folder))
        pairs = {
            "model": (theirs.card.fingerprint[:12], subject.card.fingerprint[:12]),
            "dtype": (theirs.card.dtype, subject.card.dtype),
            "task": (earlier.task.name, study.task.name),
            "variant": (earlier.task.variant, study.task.variant),
            "task rows and wording": (_shortened(theirs), _shortened(subject)),
        }
        different = [f"{name} {there!r} there, {here!r} here" for name, (there, here) in pairs.items() if there != here]
        if different:
            raise StudyError(
                f"study key 'search.warm_start' names {named!r}, a study of another model or task "
                f"({'; '.join(different)}); expected the same. Remove it from the list."
            )


def _shortened(subject: Subject) -> str:
    """The first digits of the fingerprints of all its tasks."""
    return ", ".join(sorted(fingerprint[:12] for fingerprint in subject.fingerprints))


def warm_rows(study: Study) -> dict[str, Mapping[str, StoredRow]]:
    """The rows of the earlier studies by trial identity, by folder. They are not copied into this study."""
    return {named: ResultsTable(StudyFolder(Path(named)).trials).latest() for named in study.search.warm_start}
