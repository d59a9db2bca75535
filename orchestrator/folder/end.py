"""The note that a study has come to its end."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.scores import state_of
from clipsweep.orchestrator.folder.stored import is_there, read_json, whole
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.base.errors import StoreError
from clipsweep.trials.base.files import sync_folder, write_text
from clipsweep.trials.spec.result import TrialState

MEND = "Run the study again: it is written anew."
SEARCHED = {"model", "task", "space", "search"}  # sections that say which trials a study asks for
ENDED = {TrialState.COMPLETE, TrialState.PRUNED}


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a study ended.

    Attributes:
        stopped_by: The stopping rule that ended its search, as the study file words it; None if none did.
        searched: Hash of what the study asks for; None in notes of before it was kept.
        trials: How many trials had rows then; None where one had failed, as it is tried again.
    """

    stopped_by: str | None
    searched: str | None = None
    trials: int | None = None

    @classmethod
    def of(cls, study: Study, rows: Mapping[str, StoredRow], stopped_by: str | None) -> End:
        """The end of a study.

        Args:
            study: As run.
            rows: Latest attempt at each trial.
            stopped_by: As the field.
        """
        asked = json.dumps(study.model_dump(mode="json", include=SEARCHED), sort_keys=True)
        searched = hashlib.sha256(asked.encode()).hexdigest()[:16]
        all_ended = all(state_of(trial_id, rows) in ENDED for trial_id in rows)
        return cls(stopped_by=stopped_by, searched=searched, trials=len(rows) if all_ended else None)

    def still_holds(self, study: Study, rows: Mapping[str, StoredRow]) -> bool:
        """Whether the study asks for the same as when it ended, and has all rows that it had then."""
        return self.trials is not None and self == End.of(study, rows, self.stopped_by)


def write_end(folder: StudyFolder, end: End) -> None:
    """Note that a study has ended."""
    write_text(folder.end, json.dumps(asdict(end)), within=folder.path)


def forget_end(folder: StudyFolder) -> None:
    """Forget that it has ended, as it is run again."""
    if folder.end.exists():
        folder.end.unlink()
        sync_folder(folder.path)  # else it is back when the power fails, and the study seems to have ended


def earlier_end(folder: StudyFolder) -> End | None:
    """How a study that is run again had ended; None where it had not, or where its note is damaged."""
    try:
        return read_end(folder)
    except StoreError:  # it is written anew
        return None


def read_end(folder: StudyFolder) -> End | None:
    """How a study ended; None while it has not.

    Raises:
        StoreError: The note is damaged.
    """
    if not is_there(folder.end):
        return None
    with whole(folder.end, MEND):
        end = End(**read_json(folder.end, MEND))
        if not isinstance(end.stopped_by, str | None):
            raise TypeError(f"stopped_by is {end.stopped_by!r}")
        return end
