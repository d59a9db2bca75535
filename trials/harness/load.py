"""A task of lm-evaluation-harness with its rows, from its settings."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.base.versions import package_version
from clipsweep.trials.harness.asked import Counting
from clipsweep.trials.harness.documents import deal
from clipsweep.trials.harness.metrics import choose_metric, scoring_of
from clipsweep.trials.harness.reader import HarnessReader
from clipsweep.trials.harness.tasks import PACKAGE, HarnessTask, OpenedTasks, files_of, open_tasks
from clipsweep.trials.spec.trial import VALIDATION
from clipsweep.trials.tasks.definition import Objective
from clipsweep.trials.tasks.load import GiveTokenizer
from clipsweep.trials.tasks.settings import HarnessSettings, TaskSettings
from clipsweep.trials.tasks.task import Task


def define(settings: TaskSettings) -> Objective:
    """What the task is; its documents are read, but where the same YAML files were asked before.

    Raises:
        TaskError: As ``open_tasks``; no metric that is scored here, or the tasks of a group differ in their shots.
    """
    return _known(_of(settings), files_of(_of(settings)))


@lru_cache(maxsize=64)
def _known(asked: HarnessSettings, files: tuple[object, ...]) -> Objective:  # noqa: ARG001 - other files, another task
    return _define(asked, open_tasks(asked))


def load(settings: TaskSettings, cache: Path, tokenizer: GiveTokenizer | None) -> Task:  # noqa: ARG001
    """The task with its rows.

    Args:
        settings: With a seed.
        cache: Not used: the harness keeps documents where ``datasets`` does.
        tokenizer: Not used: the same rows serve every model.

    Raises:
        TaskError: As ``define``, and as ``deal``.
    """
    asked = _of(settings)
    opened = open_tasks(asked)
    assert settings.seed is not None, "load_task() resolves it"
    definition = _define(asked, opened)
    counting = Counting(scoring=definition.scoring, metric=_metric(asked, opened))
    dealt = deal(settings, opened.tasks, counting, settings.seed)
    return Task(
        name=settings.name,
        seed=settings.seed,
        definition=definition,
        demonstrations=(),
        splits={split: tuple(example for _, example in rows) for split, rows in dealt.rows.items()},
        dropped={VALIDATION: dealt.dropped},
        reader=HarnessReader(opened.tasks, dealt.rows, counting),
        prompts_hash=_hash(opened.tasks, counting),
        notes=(f"accuracy of task {settings.name} is the harness's {counting.metric}", *dealt.notes),
    )


def _of(settings: TaskSettings) -> HarnessSettings:
    assert settings.lm_eval is not None, "a task of the harness has settings of it"
    return settings.lm_eval


def _metric(asked: HarnessSettings, opened: OpenedTasks) -> str:
    configs = [task.config for task in opened.tasks]
    return choose_metric(asked.name, configs, opened.aggregated, asked.metric)


def _define(asked: HarnessSettings, opened: OpenedTasks) -> Objective:
    shots = {task.name: task.shots for task in opened.tasks}
    if len(set(shots.values())) > 1:
        told = ", ".join(f"{name} {count}" for name, count in shots.items())
        raise TaskError(
            f"the tasks of harness group {asked.name!r} have different numbers of demonstrations ({told}); expected "
            f"one for all. Take its tasks one by one."
        )
    scoring = scoring_of(asked.name, [task.config for task in opened.tasks], _metric(asked, opened))
    return Objective(shots=next(iter(shots.values())), scoring=scoring)


def _hash(tasks: Sequence[HarnessTask], counting: Counting) -> str:
    """Hash of all that prompts are made of: the harness, its configs, documents and demonstrations."""
    content = {
        "lm_eval": package_version(PACKAGE),
        "metric": counting.metric,
        "tasks": {task.name: task.identity() for task in tasks},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
