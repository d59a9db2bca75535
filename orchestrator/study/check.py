"""Check a study: its keys and values, and combinations that could not be run or would have no effect."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from clipsweep.cluster.ray_cluster.reach import parse_address
from clipsweep.orchestrator.study.check_search import check_search
from clipsweep.orchestrator.study.check_tasks import check_tasks
from clipsweep.orchestrator.study.explain import explain
from clipsweep.orchestrator.study.kind_section import read_kind
from clipsweep.orchestrator.study.names import ALGORITHM1, DRIVERS, EVERY_DRIVER, OF_SEQUENTIAL_TEST, SEQUENTIAL_TEST
from clipsweep.orchestrator.study.schema import ChosenLayers, ClusterSection, SearchSection, Study, settings_of
from clipsweep.orchestrator.study.task_section import TaskSection
from clipsweep.trials.base.errors import StudyError, unknown_name
from clipsweep.trials.tasks.settings import PAPER

NO_EFFECT = dict.fromkeys(("lm_eval", "text"), ("variant", "path", "demonstrations", "truncate"))  # keys of a task


def check_study(content: dict[str, Any]) -> Study:
    """Check a study's keys and values.

    Raises:
        StudyError: One line for each key that is wrong.
        SpecError: An address that is none, or options of a kind of clip that do not go together.
    """
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        raise StudyError(explain(error, content)) from error
    for task in study.task.members:
        _check_task(task)
    check_tasks(study)
    _check_driver(study)
    _check_effect(study)
    check_search(study)
    _check_cluster(study.cluster)
    _check_seeds(study)
    _check_text(study)
    for entry in study.space.kinds:
        read_kind(entry)
    for task in study.task.members:
        settings_of(task)  # refuses a definition that cannot be one
    return study


def _check_task(task: TaskSection) -> None:
    """Refuse a task that is said in two ways, and keys that have no effect in the way that it is said."""
    if len(task.ways) > 1:
        raise StudyError(
            f"study keys {' and '.join(f'task.{way}' for way in task.ways)} both say what the task is; expected one of "
            f"the two. Remove the other."
        )
    for key in NO_EFFECT.get(task.ways[0], ()) if task.ways else ():
        value, default = getattr(task, key), TaskSection.model_fields[key].get_default()
        if value != default:
            raise StudyError(
                f"study key 'task.{key}' is {value!r}, but a task of task.{task.ways[0]} does not use it; expected its "
                f"default, {default!r}. Remove the key."
            )


def _check_seeds(study: Study) -> None:
    """Refuse demonstration seeds where the variant fixes the demonstrations."""
    if study.task.variant != PAPER and study.space.demo_seeds is not None:
        raise StudyError(
            f"study key 'space.demo_seeds' is {study.space.demo_seeds}, but in variant {study.task.variant!r} "
            f"task.seed fixes the demonstrations; remove space.demo_seeds, or set task.seed."
        )


def _check_text(study: Study) -> None:
    """Refuse demonstrations before text, where the study has no other task."""
    if any(task.text is None for task in study.task.members):
        return
    for key, value in (("shots", study.space.shots), ("demo_seeds", study.space.demo_seeds)):
        if value not in (None, [0]):
            raise StudyError(
                f"study key 'space.{key}' is {value}, but the windows of task.text have no demonstrations before them; "
                f"expected [0]. Remove space.{key}."
            )


def _check_cluster(cluster: ClusterSection) -> None:
    """Refuse combinations that Ray does not have, or that would have no effect."""
    if cluster.address is not None:
        parse_address(cluster.address, "study key 'cluster.address'")
    share = cluster.gpus_per_replica
    if share > 1 and share != int(share):
        raise StudyError(
            f"study key 'cluster.gpus_per_replica' is {share}; expected a share up to 1, or a whole number of GPUs."
        )
    if cluster.replicas == 0 and cluster.address is not None:
        raise StudyError(
            f"study key 'cluster.address' is {cluster.address!r}, but replicas: 0 runs in this process, without Ray. "
            f"Remove one of the two."
        )


def _check_driver(study: Study) -> None:
    """Refuse an unknown driver, and layers that are ranked twice."""
    driver = study.search.driver
    if driver not in DRIVERS:
        raise StudyError(f"search.driver: {unknown_name('driver', driver, DRIVERS)}")
    if driver == ALGORITHM1 and isinstance(study.space.layers, ChosenLayers):
        raise StudyError(
            f"study key 'space.layers' is {study.space.layers.plain()}, but driver {ALGORITHM1!r} ranks the layers "
            f"itself; expected a list of candidates or 'all'. Say how many it keeps with search.top_k."
        )
    if driver == ALGORITHM1 and study.space.layer_ranges:
        raise StudyError(
            f"study key 'space.layers' has the range {study.space.layer_ranges[0]}, but driver {ALGORITHM1!r} ranks "
            f"single layers by their condition numbers; expected single layers. List them, or take another driver."
        )


def _check_effect(study: Study) -> None:
    """Refuse search keys that would change nothing because the driver does not use them."""
    search, used = study.search, _used_keys(study)
    for key, field in SearchSection.model_fields.items():
        value, default = getattr(search, key), field.get_default()
        if key not in used and value != default:
            race = f" with race {search.race!r}" if search.race else ""
            raise StudyError(
                f"study key 'search.{key}' is {value!r}, but driver {search.driver!r}{race} does not use it; "
                f"expected its default, {default!r}. Remove the key."
            )


def _used_keys(study: Study) -> frozenset[str]:
    """Keys of the section ``search`` that make a difference."""
    used = EVERY_DRIVER | DRIVERS[study.search.driver].keys
    if isinstance(study.space.layers, ChosenLayers) and not study.space.layers.by_screen:
        used |= {"module_condition"}
    return used | OF_SEQUENTIAL_TEST if study.search.race == SEQUENTIAL_TEST else used
