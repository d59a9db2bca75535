"""Study files: YAML, shipped studies, overrides, and tasks that lie in files of their own."""

from __future__ import annotations

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


def load_studies(name: str, overrides: Sequence[str] = ()) -> list[Study]:
    """Read a study from a YAML file or by its shipped name; one with a list of ``tasks`` is a study for each of them.

    A shipped study that states no name is named by what it runs: ``figure1-gpt-j-6b-sst2``. Where ``task.path`` is a
    folder that holds a folder for each of ``tasks``, each reads its own.

    Args:
        name: Path of a file, or a name under ``orchestrator/studies``.
        overrides: ``key=value`` each, the key dotted (``space.shots=[0,4]``), the value YAML; ``task.name`` picks one
            of several tasks.

    Raises:
        StudyError: No such study, not YAML, an unknown key, a wrong value.
    """
    path = Path(name).expanduser()
    if not path.is_file():
        path = SHIPPED / f"{name}.yaml"
    if not path.is_file():
        raise StudyError(f"{unknown_name('study', name, shipped_studies())} Or give the path of a YAML file.")
    content = _read_yaml(path)
    _apply(content, overrides, path.parent)
    tasks = content.pop("tasks", None)
    if tasks is None:
        return [check_study(_named(content, path))]
    if not isinstance(tasks, list) or not tasks or not all(isinstance(each, str) for each in tasks):
        raise StudyError(f"study key 'tasks' is {tasks!r}; expected names of tasks, as in [sst2, rte].")
    asked = content.setdefault("task", {}).get("name")
    return [check_study(_of_task(content, path, each)) for each in ([asked] if asked else tasks)]


def _of_task(content: Mapping[str, Any], path: Path, task: str) -> dict[str, Any]:
    """One of the studies of a file with several tasks."""
    section = {**content["task"], "name": task}
    if isinstance(section.get("path"), str) and (Path(section["path"]).expanduser() / task).is_dir():
        section["path"] = str(Path(section["path"]) / task)
    one = {**content, "task": section}
    return {**one, "name": f"{content['name']}-{task}"} if "name" in content else _named(one, path)


def _named(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """A shipped study that states no name, named by what it runs."""
    model, task = content.get("model", {}), content.get("task", {})
    known = isinstance(model, dict) and isinstance(task, dict) and "path" in model and "name" in task
    if "name" in content or path.parent != SHIPPED or not known:
        return content
    variant = "" if task.get("variant", PAPER) == PAPER else f"-{task['variant']}"
    words = f"{path.stem}-{Path(str(model['path'])).name}-{task['name']}{variant}"
    return {"name": re.sub(r"[^A-Za-z0-9._-]+", "-", words), **content}


def study_of_task(name: str, model: str | None, overrides: Sequence[str] = ()) -> Study:
    """A study to look at a task with: one from a file, or one made for a task's name or a file that defines it.

    Args:
        name: Name of a task, or path of a YAML file.
        model: Checkpoint whose tokenizer is used; None for the study's, or ``NO_MODEL``.
        overrides: As in ``load_studies``.
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


def _apply(content: dict[str, Any], overrides: Sequence[str], folder: Path) -> None:
    """Read a definition that lies in a file, so that overrides reach its keys, then apply them."""
    _read_definition(content, folder)
    for override in overrides:
        _override(content, override)
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
    if isinstance(data, dict) and isinstance(data.get("path"), str) and (folder / data["path"]).is_dir():
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


def _override(content: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator:
        raise StudyError(f"--set {override!r} has no '='; expected key=value, as in space.shots=[0,4].")
    *sections, last = key.strip().split(".")
    for section in sections:
        content = content.setdefault(section, {})
        if not isinstance(content, dict):
            raise StudyError(f"--set {override!r}: {section!r} is not a section of the study.")
    try:
        content[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise StudyError(f"--set {override!r}: {text!r} is not a YAML value ({error}).") from error
