"""What pydantic finds wrong with a study file, in words."""

from __future__ import annotations

import difflib
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from clipsweep.orchestrator.study.names import STOPPING_RULES
from clipsweep.orchestrator.study.schema import SIZE, Study
from clipsweep.orchestrator.study.section import Section
from clipsweep.trials.base.errors import unknown_name
from clipsweep.trials.spec.modules import MODULES

KINDS = {"model_type": "a mapping of its keys, as in {key: value}", "list_type": "a list, as in [0, 1]"}  # of pydantic
HINTS = {f"search.{rule}": " Remove the key for no limit." for rule in STOPPING_RULES}
HINTS["search.race"] = " Remove the key, or give it null, for no race."
OTHER_FORMS = {"TopCondition", "RatesSection"}  # of values that are mostly lists: pydantic tells of both forms


def explain(error: ValidationError) -> str:
    """One line for each key that is wrong."""
    problems = [problem for problem in error.errors(include_url=False) if not OTHER_FORMS & {*problem["loc"]}]
    return "\n".join(dict.fromkeys(_explain(problem) for problem in problems))


def _explain(problem: Any) -> str:
    """Word one of pydantic's problems: the key, its value, what was expected, and the nearest legal spelling."""
    path = [part for part in problem["loc"] if isinstance(part, int) or part in _all_keys()]
    key = ".".join(map(str, problem["loc"] if problem["type"] == "extra_forbidden" else path))
    if problem["type"] == "extra_forbidden":
        return _explain_unknown(problem["loc"])
    if problem["type"] == "missing":
        return f"study key {key!r} is missing; give it a value."
    expected = problem["msg"].removeprefix("Input should be ").replace("Value error, ", "")
    expected = KINDS.get(problem["type"], expected)
    if key.startswith("space.layers"):
        expected = "a list of layers, 'all', or {top_condition: k} with a k of 1 or more"
    if key.startswith("space.clip_rates"):
        expected = "a fraction in [0, 1); a rate on the 0-10 scale must be divided by 10 (9.5 becomes 0.95)"
        if not isinstance(problem["input"], int | float | str):
            expected = "a list of fractions in [0, 1), or {low: 0.0, high: 0.995}"
    if key == "cluster.activation_budget":
        expected = SIZE
    hint = HINTS.get(key, "")
    if isinstance(problem["input"], str) and key.startswith("space.modules"):
        close = difflib.get_close_matches(problem["input"], MODULES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"study key {key!r} is {problem['input']!r}; expected {expected}.{hint}"


def _fields_of(annotation: Any) -> dict[str, FieldInfo]:
    """Keys of a section, or of a section that may be left out."""
    kinds = [each for each in (annotation, *get_args(annotation)) if isinstance(each, type)]
    sections = [each for each in kinds if issubclass(each, BaseModel)]
    return dict(sections[0].model_fields) if sections else {}


def _explain_unknown(location: tuple[str | int, ...]) -> str:
    *sections, last = map(str, location)
    known = dict(Study.model_fields)
    for section in sections:
        known = _fields_of(known[section].annotation)
    prefix = "".join(f"{section}." for section in sections)
    return unknown_name("study key", f"{prefix}{last}", [f"{prefix}{name}" for name in known])


def _all_keys() -> set[str]:
    return {key for section in Section.__subclasses__() for key in section.model_fields}
