"""Earlier studies that a search starts from: the same model and task, any driver."""

from __future__ import annotations

from pathlib import Path

import yaml

from clipsweep.analysis.store.table import ResultsTable, Row
from clipsweep.orchestrator.folder.subject import Identity
from clipsweep.orchestrator.study.schema import Study, check_study
from clipsweep.trials.base.errors import StudyError


def check_warm_start(study: Study, identity: Identity) -> None:
    """Refuse a folder that holds no study, or one of another model or task.

    Raises:
        StudyError: Which folder, and how it differs.
    """
    for folder in map(Path, study.search.warm_start):
        theirs, path = Identity.read(folder), folder / "study.yaml"
        if theirs is None or not path.is_file():
            raise StudyError(
                f"study key 'search.warm_start' names {str(folder)!r}, which holds no study; expected the folder that "
                f"'clipsweep run' named (study.yaml in it). Correct or remove it."
            )
        earlier = check_study(yaml.safe_load(path.read_text(encoding="utf-8")))
        pairs = {
            "model": (theirs.card.fingerprint[:12], identity.card.fingerprint[:12]),
            "dtype": (theirs.card.dtype, identity.card.dtype),
            "task": (earlier.task.name, study.task.name),
            "variant": (earlier.task.variant, study.task.variant),
            "task rows and wording": (theirs.task_fingerprint[:12], identity.task_fingerprint[:12]),
        }
        different = [f"{name} {there!r} there, {here!r} here" for name, (there, here) in pairs.items() if there != here]
        if different:
            raise StudyError(
                f"study key 'search.warm_start' names {str(folder)!r}, a study of another model or task "
                f"({'; '.join(different)}); expected the same. Remove it from the list."
            )


def warm_rows(study: Study) -> dict[str, dict[str, Row]]:
    """The rows of the earlier studies by trial identity, by folder. They are not copied into this study."""
    return {folder: ResultsTable(Path(folder)).latest() for folder in study.search.warm_start}
