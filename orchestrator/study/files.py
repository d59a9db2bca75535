"""Study files: YAML, shipped studies, overrides, and tasks that lie in files of their own."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clipsweep.orchestrator.source.find_file import (
    SHIPPED,
    find_study_file,
    is_dir,
    is_file,
    looks_like_path,
    missing_file,
    shipped_studies,
)
from clipsweep.orchestrator.source.overrides import Override, apply_override
from clipsweep.orchestrator.source.yaml_file import read_yaml
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.schema import Study
from clipsweep.orchestrator.study.task_section import WAYS, with_name
from clipsweep.orchestrator.words import as_name, shown
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.tasks.settings import PAPER

NO_MODEL = "-"


def read_studies(source: str | Path | Mapping[str, Any], overrides: Sequence[Override] = ()) -> list[Study]:
    """Read a study; one with a list of ``tasks`` is a study for each of them.

    A shipped study that states no name is named by what it runs: ``figure1-gpt-j-6b-sst2``. Where ``task.path`` is a
    folder that holds a folder for each of ``tasks``, each reads its own.

    Args:
        source: Path of a YAML file, a name under ``orchestrator/studies``, or what such a file holds. Not modified.
        overrides: Later ones win; ``task.name`` picks one of several tasks.

    Raises:
        StudyError: No such study, not YAML, an unknown key, a wrong value.
    """
    if isinstance(source, Mapping):
        path, content = None, copy.deepcopy(dict(source))
    else:
        path = find_study_file(source)
        content = read_yaml(path)
    _apply(content, overrides, path.parent if path else Path())
    tasks = content.pop("tasks", None)
    if tasks is None:
        return [check_study(_named(content, path))]
    names = tasks if isinstance(tasks, list) else [tasks]  # one stands for a list of one
    if not names or not all(isinstance(each, str) and each for each in names):
        raise StudyError(f"study key 'tasks' is {shown(tasks)}; expected names of tasks, as in [sst2, rte].")
    section = content.setdefault("task", {})
    if not isinstance(section, dict):
        raise StudyError(f"study key 'task' is {shown(section)}; expected keys and values.")
    for way in (*WAYS[1:], "weighted"):
        if section.get(way) is not None:
            raise StudyError(f"study keys 'tasks' and 'task.{way}' both say what the task is; remove one of the two.")
    asked = section.get("name")
    return [check_study(_of_task(content, path, each)) for each in ([asked] if asked else names)]


def _of_task(content: Mapping[str, Any], path: Path | None, task: str) -> dict[str, Any]:
    """One of the studies of a file with several tasks."""
    section = {**content["task"], "name": task}
    if isinstance(section.get("path"), str) and is_dir(Path(section["path"]).expanduser() / task):
        section["path"] = str(Path(section["path"]) / task)
    one = {**content, "task": section}
    own = content.get("name")
    return {**one, "name": f"{own}-{task}"} if isinstance(own, str) else _named(one, path)


def _named(content: dict[str, Any], path: Path | None) -> dict[str, Any]:
    """A shipped study that states no name, named by what it runs."""
    model, task = content.get("model", {}), content.get("task", {})
    if "name" in content or path is None or path.parent != SHIPPED:
        return content
    if not (isinstance(model, dict) and isinstance(task, dict) and "path" in model and "name" in task):
        return {"name": path.stem, **content}  # what is missing is said alone
    variant = "" if task.get("variant", PAPER) == PAPER else f"-{task['variant']}"
    words = f"{path.stem}-{Path(str(model['path'])).name}-{task['name']}{variant}"
    return {"name": as_name(words), **content}


def study_of_task(name: str, model: str | None, overrides: Sequence[Override] = ()) -> Study:
    """A study to look at a task with: one from a file, or one made for a task's name or a file that defines it.

    Args:
        name: Name of a task, or path of a YAML file.
        model: Checkpoint whose tokenizer is used; None for the study's, or ``NO_MODEL``.
        overrides: As in ``read_studies``; ``task.name`` picks one of several tasks in one score.
    """
    path = SHIPPED / f"{name}.yaml" if name in shipped_studies() else Path(name).expanduser()
    if looks_like_path(name) and not is_file(path):
        raise StudyError(missing_file(path))
    content: dict[str, Any] = {"name": "look", "model": {"path": NO_MODEL}, "task": {"name": name}}
    if is_file(path):
        content |= _look_at(read_yaml(path), path)
    named = [] if model is None else [("model.path", model)]
    _apply(content, [*named, *overrides], path.parent)
    picked = _pick_member(content)
    study = check_study(content)
    return study if picked is None else study.of_task(picked)


def _pick_member(content: dict[str, Any]) -> str | None:
    """The one of several tasks that ``task.name`` names, which then no more is the name of their score."""
    members = [with_name(each).get("name") for each in _tasks_in(content)[1:]]
    picked: str | None = content["task"].pop("name") if members and content["task"].get("name") in members else None
    return picked


def study_of_harness_task(
    name: str, include_path: str | None, model: str | None, overrides: Sequence[Override] = ()
) -> Study:
    """A study to look at a task of lm-evaluation-harness with.

    Args:
        name: As the harness knows it.
        include_path: A folder of YAML files with tasks of the user's own; None for the harness's alone.
        model: Checkpoint whose tokenizer is used; None for ``NO_MODEL``.
        overrides: As in ``read_studies``.
    """
    harness = {"name": name, "include_path": include_path}
    content: dict[str, Any] = {"name": "look", "model": {"path": model or NO_MODEL}, "task": {"lm_eval": harness}}
    _apply(content, overrides, Path())
    return check_study(content)


def _look_at(read: dict[str, Any], path: Path) -> dict[str, Any]:
    """What a file says of the task to look at: a study's sections, or a definition alone."""
    read.pop("tasks", None)
    if "model" not in read and "task" not in read:
        return {"task": {"name": path.stem, "definition": read}}
    model = read.get("model", {})
    return {"task": {}} | read | {"model": {"path": NO_MODEL} | model if isinstance(model, dict) else model}


def _apply(content: dict[str, Any], overrides: Sequence[Override], folder: Path) -> None:
    """Read a definition that lies in a file, so that overrides reach its keys, then apply them."""
    _spell_out_text(content)
    _read_definition(content, folder)
    for key, value in overrides:
        _spell_out_text(content)
        apply_override(content, key, value)
    _spell_out_text(content)
    _read_definition(content, folder)
    for task in _tasks_in(content):
        _find_beside(task, folder)


def _spell_out_text(content: dict[str, Any]) -> None:
    """Make sections of texts that are given by their path alone, so that other keys of them can be set."""
    for task in _tasks_in(content):
        if isinstance(task.get("text"), str):
            task["text"] = {"path": task["text"]}


def _find_beside(task: dict[str, Any], folder: Path) -> None:
    """Let a harness's folder of tasks, and text, be looked for beside the study's file, then from here.

    Data that the harness's YAML files name is from where their folder was found, so that a study that is written and
    read again finds it from any working directory.
    """
    harness, text = task.get("lm_eval"), task.get("text")
    if isinstance(text, dict) and isinstance(text.get("path"), str):
        base = _base_of(text["path"], folder)
        text["path"] = text["path"] if base is None else str((base / text["path"]).resolve())
    if isinstance(harness, dict) and isinstance(harness.get("include_path"), str):
        own, base = harness.get("folder"), _base_of(harness["include_path"], folder)
        if base is not None:
            harness["include_path"] = str((base / harness["include_path"]).resolve())
        if own is None or isinstance(own, str):
            harness["folder"] = str((folder / Path(own).expanduser() if own else base or folder).resolve())


def _base_of(named: str, folder: Path) -> Path | None:
    """Where a path is from that is looked for beside the study's file, then from here; None where it is not there."""
    return next((base for base in (folder, Path()) if os.path.exists(base / named)), None)


def _read_definition(content: dict[str, Any], folder: Path) -> None:
    """Put tasks that lie in files of their own into the study; their paths are from the file that holds them.

    Such a file is looked for beside the study's file, then from here.
    """
    for task in _tasks_in(content):
        _read_definition_of(task, folder)


def _tasks_in(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The section ``task``, and those of several tasks in it."""
    task = content.get("task")
    weighted = task.get("weighted") if isinstance(task, dict) else None
    return [each for each in (task, *(weighted if isinstance(weighted, list) else [])) if isinstance(each, dict)]


def _read_definition_of(task: dict[str, Any], folder: Path) -> None:
    """The same of one task."""
    definition = task.get("definition")
    if isinstance(definition, str):
        named = Path(definition).expanduser()
        path = next((each for each in (folder / named, named) if is_file(each)), None)
        if path is None:
            raise StudyError(
                f"study key 'task.definition' is {shown(definition)}: no such file; expected a YAML file with a task, "
                f"beside the study's file or in this folder, or its keys and values."
            )
        definition, folder = read_yaml(path), path.parent
    if not isinstance(definition, dict):
        return
    task["definition"] = definition
    data, function = definition.get("data"), definition.get("function")
    if isinstance(data, dict) and isinstance(data.get("path"), str) and os.path.exists(folder / data["path"]):
        data["path"] = str((folder / data["path"]).resolve())
    if isinstance(function, str) and is_file(folder / function.rpartition(":")[0]):
        definition["function"] = str((folder / function).resolve())
