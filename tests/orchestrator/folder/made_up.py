"""Open studies of a model and a task that are made up: nothing is loaded for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from clipsweep.orchestrator.folder.open_study import OpenStudy, open_study
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.clips.identity import trial_id
from tests.orchestrator.space.spaces import make_subject
from tests.trials.models.test_card import CARD


def open_made_up(content: dict[str, Any], folder: Path) -> OpenStudy:
    """A study over ``CARD``, whose task has a test split."""
    return open_study(check_study(content), StudyFolder(folder), make_subject())


def trial_ids(opened: OpenStudy, split: str = "validation") -> list[str]:
    """Identities of its points' trials in the order they are visited: the untouched model is the first."""
    specs = [opened.space.proposal(index).spec for index in range(len(opened.space))]
    return [trial_id(replace(spec, split=split), CARD, opened.subject.first.task_fingerprint) for spec in specs]
