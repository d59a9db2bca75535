"""The task files beside this, opened here and by the harness itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tasks.settings import HarnessSettings, TaskSettings
from clipsweep.trials.tasks.task import Task

TASKS = Path(__file__).parent / "tasks"


def settings_of(name: str, metric: str | None = None, folder: Path = TASKS, **task: Any) -> TaskSettings:
    """The settings of a task of a folder, by default of the one beside this."""
    harness = HarnessSettings(name=name, metric=metric, include_path=str(folder), folder=str(folder))
    return TaskSettings(name=name, lm_eval=harness, **task)


def load_harness_task(name: str, metric: str | None = None, folder: Path = TASKS, **task: Any) -> Task:
    """The same with its rows."""
    return load_task(settings_of(name, metric, folder, **task), folder)


def evaluate_by_harness(model: Any, names: list[str]) -> dict[str, Any]:
    """What ``lm_eval`` itself gives for tasks of the folder beside this, with the requests of each document."""
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.tasks import TaskManager

    manager = TaskManager(include_path=str(TASKS), include_defaults=False)
    with chdir(TASKS):
        found: dict[str, Any] = simple_evaluate(
            model=model, tasks=names, task_manager=manager, bootstrap_iters=0, log_samples=True
        )
    return found


@pytest.fixture(scope="session", autouse=True)
def documents_kept_apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let ``datasets`` keep what it reads in a folder of the tests' own."""
    import datasets

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("datasets"))
        yield
