"""Several tasks in one score, and guards: what is refused from the study file alone, and by what the tasks are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from clipsweep.analysis.winners.point import ONE_STANDARD_ERROR
from clipsweep.orchestrator.study.schema import Study, settings_of
from clipsweep.orchestrator.study.task_section import StudyTaskSection, TaskSection, WeightedSection
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.scores.metrics import MACRO_F1, METRICS
from clipsweep.trials.tasks.definition import TaskDefinition
from clipsweep.trials.tasks.load import metric_of
from clipsweep.trials.tasks.settings import PAPER

FRACTION = "fraction"  # unit of metrics that lie between 0 and 1


def check_tasks(study: Study) -> None:
    """Refuse weights and guards that say nothing, and what a search over several tasks cannot do.

    Raises:
        StudyError: The key, its value, and the mend.
    """
    _check_guards(study)
    if study.task.weighted is None:
        return
    _check_beside(study.task)
    _check_members(study)
    _check_shots(study, study.task.weighted)
    _check_search(study)


def check_metrics(study: Study) -> None:
    """Refuse metrics that tasks do not have, tasks whose scores cannot be one, and guards that allow any loss.

    Raises:
        StudyError: The tasks with their metrics, or the guard; and the mend.
        TaskError: A task that there is not.
    """
    for task in study.task.members:
        _check_classes(settings_of(task).definition)
    members = study.task.weighted or []
    metrics = {task.name: metric_of(settings_of(task)) for task in members}
    scored = {task.name: metrics[task.name] for task in members if task.weight}
    if len(set(scored.values())) > 1:
        told = ", ".join(f"{name} by {metric}" for name, metric in scored.items())
        raise StudyError(
            f"study key 'task.weighted' puts tasks of different metrics into one score: {told}; expected one metric, "
            f"as their weighted mean would have no unit. Give the others a weight of 0 and a guard, or leave them out."
        )
    for guard in study.search.guard:
        if METRICS[metrics[guard.task]].unit == FRACTION and guard.lose_at_most >= 1:
            raise StudyError(
                f"study key 'search.guard' lets task {guard.task!r} lose {guard.lose_at_most:g}, but its metric "
                f"{metrics[guard.task]!r} is a fraction; expected less than 1, as in 0.01 for one point."
            )


def _check_classes(definition: TaskDefinition | None) -> None:
    """Refuse F1 over classes where there are none; a study that was run so is still read."""
    if definition is not None and definition.metric == MACRO_F1 and not definition.wording.has_classes:
        raise StudyError(
            f"study key 'task.definition.metric' is {MACRO_F1!r}, but the answers name columns and differ by row, so "
            f"that there are no classes; expected 'accuracy' or 'gold_logprob'. Set one of these."
        )


def _check_guards(study: Study) -> None:
    names = [task.name for task in study.task.weighted or []]
    if study.search.guard and not names:
        raise StudyError(
            f"study key 'search.guard' names task {study.search.guard[0].task!r}, but the study has one task, and a "
            f"guard needs several: task.weighted; expected both tasks there, as in "
            f"weighted: [{{name: sst2, weight: 1}}, {{name: rte, weight: 0}}] with guard: [{{task: rte, lose_at_most: "
            f"0.01}}]. List them, or remove search.guard."
        )
    for guard in study.search.guard:
        if guard.task not in names:
            raise StudyError(
                f"study key 'search.guard' names task {guard.task!r}, which is not in task.weighted "
                f"({', '.join(names)}); expected one of its tasks. Add it there, with a weight of 0 if it shall not "
                f"count."
            )
    _refuse_twice("search.guard", [guard.task for guard in study.search.guard])


def _check_beside(task: StudyTaskSection) -> None:
    """Refuse keys of one task beside several, where they would have no effect, and a score called as one of them."""
    if len(task.members) > 1 and task.name in [each.name for each in task.members]:
        raise StudyError(
            f"study key 'task.name' is {task.name!r}, which is one of the tasks in task.weighted and cannot name their "
            f"score; expected another name, or none. Remove the key."
        )
    for key, field in TaskSection.model_fields.items():
        if key != "name" and getattr(task, key) != field.get_default():
            raise StudyError(
                f"study key 'task.{key}' stands beside task.weighted, where it has no effect; expected it in the entry "
                f"of a task. Move it there."
            )


def _check_members(study: Study) -> None:
    members = study.task.weighted or []
    guards = {guard.task for guard in study.search.guard}
    _refuse_twice("task.weighted", [task.name for task in members])
    if not any(task.weight for task in members):
        raise StudyError(
            "study key 'task.weighted' has weights of 0 alone, so that no task counts; expected one above 0. Set it."
        )
    for task in members:
        if not task.weight and task.name not in guards:
            raise StudyError(
                f"study key 'task.weighted' gives task {task.name!r} a weight of 0, and search.guard does not name it, "
                f"so that it would have no effect; expected a weight above 0, or a guard. Set one of the two."
            )
        if task.variant != PAPER:
            raise StudyError(
                f"study key 'task.weighted' has task {task.name!r} in variant {task.variant!r}, whose demonstrations "
                f"are fixed; expected {PAPER!r}, where all tasks draw theirs by space.demo_seeds. Remove the key."
            )


def _check_shots(study: Study, members: Sequence[WeightedSection]) -> None:
    """Refuse demonstrations before text, and shots and seeds that no task follows."""
    space = study.space
    for task in members:
        if task.text is not None and task.shots:
            raise StudyError(
                f"study key 'task.weighted' gives task {task.name!r} {task.shots} shots, but the windows of text have "
                f"no demonstrations before them; expected 0. Remove its shots."
            )
    worded = [task for task in members if task.text is None]
    if worded and space.shots is not None and all(task.shots is not None for task in worded):
        raise StudyError(
            f"study key 'space.shots' is {space.shots}, but every task of task.weighted has shots of its own; expected "
            f"a task that follows space.shots. Remove space.shots, or the shots of a task."
        )
    bare = all(task.shots == 0 or (task.shots is None and space.shots == [0]) for task in worded)
    if worded and bare and space.demo_seeds not in (None, [0]):
        raise StudyError(
            f"study key 'space.demo_seeds' is {space.demo_seeds}, but no task of task.weighted has demonstrations to "
            f"draw; expected [0]. Remove space.demo_seeds."
        )


def _refuse_twice(key: str, names: list[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise StudyError(
            f"study key {key!r} names task {twice[0]!r} twice; expected each once. Remove one of them, or give tasks "
            f"of your own names that differ."
        )


def _check_search(study: Study) -> None:
    """Refuse what looks at the rows of one task."""
    search, chosen = study.search, study.space.screened_layers
    if search.race is not None:
        raise StudyError(
            f"study key 'search.race' is {search.race!r}, which stops trials by the rows of one task; expected no race "
            f"with task.weighted. Remove one of the two."
        )
    if search.screen is not None or chosen is not None:
        key = "search.screen" if chosen is None else "space.layers." + next(iter(chosen.plain()))
        raise StudyError(
            f"study key {key!r} predicts by the rows of one task; expected none with task.weighted. Remove one of the "
            f"two."
        )
    if search.winner == ONE_STANDARD_ERROR:
        raise StudyError(
            f"study key 'search.winner' is {ONE_STANDARD_ERROR!r}, a rule of the rows of one task; expected "
            f"'best_mean' with task.weighted. Remove the key."
        )
