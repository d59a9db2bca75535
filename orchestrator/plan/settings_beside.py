"""What a folder's study file says of model and tasks, beside what is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clipsweep.orchestrator.study.task_section import with_name

Pairs = dict[str, tuple[Any, Any]]  # of each key what is stored, and what is asked for
OF_A_SCORE = ("weighted", "weight")  # rows do not depend on them


def settings_beside(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> Pairs:
    """Keys of the sections model and task, as stored and as asked for; of tasks in one score those of both, by name.

    Args:
        stored: The study file of the folder; empty where there is none.
        asked: All keys of the study that is asked for.
    """
    pairs: Pairs = {}
    if "model" in stored:
        pairs |= _pairs("model", stored["model"], asked["model"])
    if "task" not in stored:
        return pairs
    there, here = stored["task"], asked["task"]
    if not (there.get("weighted") or here.get("weighted")):
        return pairs | _pairs("task", there, here)
    before, now = _by_name(there), _by_name(here)
    pairs["set of tasks"] = (", ".join(sorted(before)), ", ".join(sorted(now)))
    for name in now:
        if name in before:
            pairs |= _pairs(f"task {name}", before[name], now[name])
    return pairs


def _pairs(above: str, stored: Mapping[str, Any], asked: Mapping[str, Any]) -> Pairs:
    """Each key that is asked for, those of sections within one by one."""
    pairs: Pairs = {}
    for key, value in asked.items():
        before = stored.get(key)
        if key in OF_A_SCORE:
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            pairs |= _pairs(f"{above}.{key}", before, {**dict.fromkeys(before), **value})
        else:
            pairs[f"{above}.{key}"] = (before, value)
    return pairs


def _by_name(task: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The tasks of a section by their names: one, or several in one score."""
    return {str(with_name(each).get("name")): each for each in task.get("weighted") or [task]}
