"""A search that has raced to its end, run again."""

from pathlib import Path
from typing import Any

import pytest

from clipsweep.cluster.replica import Replica
from clipsweep.cluster.work import Batch
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from tests.orchestrator.run.test_exact_rows import SEARCHES, raced, run
from tests.orchestrator.stored import all_rows


def evaluations(patch: pytest.MonkeyPatch) -> list[Batch]:
    """What replicas are asked for from now on."""
    asked: list[Batch] = []
    evaluate = Replica.evaluate

    def watch(self: Replica, batch: Batch) -> Any:
        asked.append(batch)
        return evaluate(self, batch)

    patch.setattr(Replica, "evaluate", watch)
    return asked


def test_nothing_is_evaluated_again_until_the_study_or_its_rows_change(
    tiny_gptj: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bayes, folder = SEARCHES["bayes"], tmp_path / "s"
    run(raced(tiny_gptj, **bayes), folder, cache)
    asked, stored = evaluations(monkeypatch), list(all_rows(folder))
    StudyFolder(folder).status.unlink()
    run(raced(tiny_gptj, **bayes), folder, cache)
    assert (asked, list(all_rows(folder))) == ([], stored)
    run(raced(tiny_gptj, **bayes | {"n_trials": 12}), folder, cache)
    assert asked != []
