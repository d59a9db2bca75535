"""The folders that are compared, read; what cannot be compared is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from clipsweep.analysis.compare.side import Side
from clipsweep.orchestrator.folder.open_study import reopen
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.study.names import DRIVERS
from clipsweep.orchestrator.study.schema import SearchSection
from clipsweep.orchestrator.words import shown
from clipsweep.trials.base.errors import SpecError, StudyError

ALWAYS_TOLD = ("driver", "race", "sampler")
NOT_TOLD = "storage"  # an address, which may hold a password


def read_sides(folders: Sequence[Path]) -> list[Side]:
    """Read each study.

    Raises:
        SpecError: A folder is given twice.
        StudyError: A folder holds no study, one without a row that has scores, or one of several tasks in one score.
        StoreError: A file is damaged.
    """
    twice = [folder for folder, count in Counter(each.resolve() for each in folders).items() if count > 1]
    if twice:
        raise SpecError(f"{twice[0]} is given twice; expected different studies. Leave one of them out.")
    return [_side(folder, name) for folder, name in zip(folders, _names(folders), strict=True)]


def _side(folder: Path, name: str) -> Side:
    snapshot = Snapshot.take(reopen(folder))
    if not any(state.has_scores for state in snapshot.rows.column("state")):
        raise StudyError(
            f"{folder} has no row with scores yet; expected a study of which some trial has run. See 'clipsweep status "
            f"{folder}'."
        )
    opened = snapshot.opened
    if opened.space.members:
        raise StudyError(
            f"{folder} has several tasks in one score ({opened.study.task.name}); expected studies of one task each, "
            f"as points are compared on the rows of one. Run one of its tasks as a study of its own."
        )
    return Side(
        name=name,
        dir=str(folder),
        standings=snapshot.standings,
        rows=snapshot.rows,
        n_layers=opened.subject.card.n_layers,
        settings=_settings(opened.study.search),
    )


def _settings(search: SearchSection) -> dict[str, str]:
    """How a study is searched: its driver, and the keys that this uses where they are not at their defaults."""
    used = DRIVERS[search.driver].keys
    settings = {"driver": search.driver}
    for name, value in search.model_dump().items():
        told = name in used if name == "sampler" else value != SearchSection.model_fields[name].get_default()
        if told and name not in {NOT_TOLD, *settings}:
            settings[name] = value if isinstance(value, str) else shown(value)
    return settings


def _names(folders: Sequence[Path]) -> list[str]:
    """The last part of each folder's path, or the whole path where two end alike."""
    ends = [folder.resolve().name for folder in folders]
    return [end if ends.count(end) == 1 else str(folder) for folder, end in zip(folders, ends, strict=True)]
