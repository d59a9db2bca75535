"""Study files: YAML, shipped studies, overrides, and tasks that lie in files of their own."""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.base.errors import StudyError, unknown_name
from clipsweep.trials.tasks.settings import PAPER

NO_MODEL = "-"
SHIPPED = Path(__file__).parent.parent / "studies"

Override = tuple[str, Any]  # a dotted key of a study, and the value that it takes


def parse_override(text: str) -> Override:
    """Read what ``--set`` takes: ``key=value``, the key dotted (``space.shots=[0,4]``), the value YAML.

    Raises:
        StudyError: No ``=``, or no YAML behind it.
    """
    key, separator, value = text.partition("=")
    if not separator:
        raise StudyError(f"--set {text!r} has no '='; expected key=value, as in space.shots=[0,4].")
    try:
        return key.strip(), yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise StudyError(f"--set {text!r}: {value!r} is not a YAML value ({error}).") from error


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
        path = _find_file(source)
        content = _read_yaml(path)
    _apply(content, overrides, path.parent if path else Path())
    tasks = content.pop("tasks", None)
    if tasks is None:
        return [check_study(_named(content, path))]
    if not isinstance(tasks, list) or not tasks or not all(isinstance(each, str) for each in tasks):
        raise StudyError(f"study key 'tasks' is {tasks!r}; expected names of tasks, as in [sst2, rte].")
    asked = content.setdefault("task", {}).get("name")
    return [check_study(_of_task(content, path, each)) for each in ([asked] if asked else tasks)]


def _find_file(name: str | Path) -> Path:
    """The file of a path, or of a shipped study's name."""
    path = Path(name).expanduser()
    if not path.is_file():
        path = SHIPPED / f"{name}.yaml"
    if not path.is_file():
        raise StudyError(f"{unknown_name('study', str(name), shipped_studies())} Or give the path of a YAML file.")
    return path


def _of_task(content: Mapping[str, Any], path: Path | None, task: str) -> dict[str, Any]:
    """One of the studies of a file with several tasks."""
    section = {**content["task"], "name": task}
    if isinstance(section.get("path"), str) and (Path(section["path"]).expanduser() / task).is_dir():
        section["path"] = str(Path(section["path"]) / task)
    one = {**content, "task": section}
    return {**one, "name": f"{content['name']}-{task}"} if "name" in content else _named(one, path)


def _named(content: dict[str, Any], path: Path | None) -> dict[str, Any]:
    """A shipped study that states no name, named by what it runs."""
    model, task = content.get("model", {}), content.get("task", {})
    known = isinstance(model, dict) and isinstance(task, dict) and "path" in model and "name" in task
    if "name" in content or path is None or path.parent != SHIPPED or not known:
        return content
    variant = "" if task.get("variant", PAPER) == PAPER else f"-{task['variant']}"
    words = f"{path.stem}-{Path(str(model['path'])).name}-{task['name']}{variant}"
    return {"name": re.sub(r"[^A-Za-z0-9._-]+", "-", words), **content}


def study_of_task(name: str, model: str | None, overrides: Sequence[Override] = ()) -> Study:
    """A study to look at a task with: one from a file, or one made for a task's name or a file that defines it.

    Args:
        name: Name of a task, or path of a YAML file.
        model: Checkpoint whose tokenizer is used; None for the study's, or ``NO_MODEL``.
        overrides: As in ``read_studies``.
    """
    path = SHIPPED / f"{name}.yaml" if name in shipped_studies() else Path(name).expanduser()
    content: dict[str, Any] = {"name": "look", "model": {"path": NO_MODEL}, "task": {"name": name}}
    if path.is_file():
        read = _read_yaml(path)
        read.pop("tasks", None)
        study = "model" in read or "task" in read
        content = (
            content | {"task": {}} | read if study else content | {"task": {"name": path.stem, "definition": read}}
        )
        content["model"] = {"path": NO_MODEL} | content["model"]
    if model is not None:
        content["model"]["path"] = model
    _apply(content, overrides, path.parent)
    return check_study(content)


def _apply(content: dict[str, Any], overrides: Sequence[Override], folder: Path) -> None:
    """Read a definition that lies in a file, so that overrides reach its keys, then apply them."""
    _read_definition(content, folder)
    for key, value in overrides:
        _override(content, key, value)
    _read_definition(content, folder)


def _read_definition(content: dict[str, Any], folder: Path) -> None:
    """Put a task that lies in a file of its own into the study; its paths are from the file that holds them.

    The file is looked for beside the study's file, then from here.
    """
    task = content.get("task")
    definition = task.get("definition") if isinstance(task, dict) else None
    if isinstance(definition, str):
        named = Path(definition).expanduser()
        path = next((each for each in (folder / named, named) if each.is_file()), None)
        if path is None:
            raise StudyError(f"task.definition is {definition!r}: no such file; expected a YAML file with a task.")
        definition, folder = _read_yaml(path), path.parent
    if not isinstance(definition, dict) or not isinstance(task, dict):
        return
    task["definition"] = definition
    data, function = definition.get("data"), definition.get("function")
    if isinstance(data, dict) and isinstance(data.get("path"), str) and os.path.exists(folder / data["path"]):
        data["path"] = str((folder / data["path"]).resolve())
    if isinstance(function, str) and (folder / function.rpartition(":")[0]).is_file():
        definition["function"] = str((folder / function).resolve())


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping, of which YAML's own loader takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: list[Any] = []
        for key, _ in node.value:
            name = self.construct_object(key, deep=True)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {name!r} stands twice", key.start_mark)
            seen.append(name)
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # a SafeLoader
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise StudyError(f"{path} holds {type(content).__name__}; expected keys and values.")
    return content


def shipped_studies() -> list[str]:
    """Names of the studies that come with clipsweep."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def _override(content: dict[str, Any], key: str, value: Any) -> None:
    *sections, last = key.split(".")
    for section in sections:
        content = content.setdefault(section, {})
        if not isinstance(content, dict):
            raise StudyError(f"no study key {key!r}: {section!r} is not a section of the study.")
    content[last] = value
