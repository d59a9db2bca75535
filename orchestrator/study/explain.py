"""What pydantic finds wrong with a study, in our words: a line for each key, with its value and what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from clipsweep.orchestrator.study.expected import annotation_of, expected, item_of, section_of, value_type
from clipsweep.orchestrator.study.hints import hint
from clipsweep.orchestrator.study.schema import Study
from clipsweep.orchestrator.words import shown

MOST_LINES = 6  # of a refusal: a screen, where each line may wrap
TASKS = "tasks"  # read before the schema: a study for each
OF_ANOTHER_SECTION = 0.8  # how like a key of another section has to be
EXAMPLES = {
    "name": "a name for the study's folder, as in name: my-study",
    "model": "as in model: {path: embedded}",
    "model.path": "a folder, a hub name or embedded, as in --set model.path=embedded",
    "task": "as in task: {name: sst2}, or task: {lm_eval: hellaswag}",
    "task.name": "the name of a task, as in --set task.name=sst2, or a task of the harness, task.lm_eval, or task.text",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        parts: Where: keys, and numbers in lists.
        kind: As pydantic calls it.
        value: What stands there; None where nothing does.
    """

    parts: tuple[Any, ...]
    kind: str
    value: Any = None

    @property
    def key(self) -> str:
        """Where, as users write it."""
        return ".".join(map(str, self.parts))


def explain(error: ValidationError, content: Mapping[str, Any]) -> str:
    """One line for each key that is wrong, of the first few.

    Args:
        error: Of the schema.
        content: What was checked.
    """
    found = {problem.parts: problem for problem in (_locate(each, content) for each in _errors(error))}
    deepest = [found[parts] for parts in found if not any(_is_inside(other, parts) for other in found)]
    meant = {_meant(problem, content) for problem in deepest if problem.kind == "extra_forbidden"}
    lines = [_explain(problem, content) for problem in deepest if problem.kind != "missing" or problem.key not in meant]
    more = [f"and {len(lines) - MOST_LINES} more."] if len(lines) > MOST_LINES else []
    return "\n".join(lines[:MOST_LINES] + more)


def _errors(error: ValidationError) -> list[Any]:
    return list(error.errors(include_url=False, include_context=False))


def _is_inside(inner: Sequence[Any], outer: Sequence[Any]) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _locate(error: Mapping[str, Any], content: Any) -> Problem:
    """Find where in the content an error lies; pydantic's location names alternatives of a type too.

    A value that stands for a list of one has no number.
    """
    parts: list[Any] = []
    kind, location = error["type"], list(error["loc"])
    last = location.pop() if kind == "missing" else None
    if "[key]" in location:  # a mapping's key is wrong, not what it stands for
        location = location[: location.index("[key]") - 1]
    for part in location:
        if not isinstance(content, dict | list):
            break
        if isinstance(content, list):
            found = [part] if isinstance(part, int) and part < len(content) else []
        else:
            found = [key for key in content if str(key) == str(part)]  # a key may be null
        if found:
            parts.append(found[0])
            content = content[found[0]]
    return Problem(tuple(parts), kind, content) if last is None else Problem((*parts, last), kind)


def _explain(problem: Problem, content: Mapping[str, Any]) -> str:
    """Word one problem of what was checked."""
    if problem.kind in {"extra_forbidden", "invalid_key"}:
        return _explain_unknown(problem, content)
    if problem.kind == "missing":
        return f"study key {problem.key!r} is missing; expected {EXAMPLES.get(problem.key, _wanted(problem.parts))}."
    wanted = _annotation(problem.parts)
    said = f"study key {problem.key!r} is {shown(problem.value)}; expected {expected(wanted)}."
    return said + hint(problem.key, problem.value, wanted, required=_is_required(problem.parts))


def _wanted(parts: Sequence[Any]) -> str:
    return expected(_annotation(parts))


def _annotation(parts: Sequence[Any]) -> Any:
    """The type that the schema has for a place."""
    annotation: Any = Study
    for part in parts:
        section = _section_in(annotation)
        if section is not None and part in section.model_fields:
            annotation = annotation_of(section.model_fields[part])
        elif isinstance(part, int) and item_of(annotation) is not None:
            annotation = item_of(annotation)
        else:
            annotation = value_type(annotation)
    return annotation


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The section that a type is, or that its items are, as one may stand for a list of one."""
    return section_of(annotation) or section_of(item_of(annotation))


def _is_required(parts: Sequence[Any]) -> bool:
    """Whether a key must be there."""
    section = _section_in(_annotation(parts[:-1]))
    return section is not None and parts[-1] in section.model_fields and section.model_fields[parts[-1]].is_required()


def _explain_unknown(problem: Problem, content: Mapping[str, Any]) -> str:
    """Refuse a key that does not exist, naming those that do."""
    section, key = ".".join(map(str, problem.parts[:-1])), str(problem.parts[-1])
    where = f" in {section!r}" if section else ""
    said = f"no study key {problem.key!r}; known{where}: {', '.join(_siblings(problem.parts)) or 'none'}."
    meant = _meant(problem, content)
    if meant is not None and meant == key:
        return f"{said} Write {meant!r} as a section, as in {meant.replace('.', ': {')}: ...{'}' * meant.count('.')}."
    return said if meant is None else f"{said} Did you mean {meant!r}?"


def _siblings(parts: Sequence[Any]) -> list[str]:
    section = _section_in(_annotation(parts[:-1]))
    known = list(section.model_fields) if section is not None else []
    return known if parts[:-1] else [*known, TASKS]


def _meant(problem: Problem, content: Mapping[str, Any]) -> str | None:
    """The key that an unknown one is most like: of its own section, else of another that the study has."""
    *sections, last = map(str, problem.parts)
    every = list(all_keys())
    if last in every and "." in last:
        return last
    siblings = _siblings(problem.parts)
    begun = [name for name in siblings if name.startswith(last)]
    close = difflib.get_close_matches(last, siblings, n=1) or begun[:1]
    if close:
        return ".".join([*sections, *close])
    usable = [key for key in every if _has_section(content, key.split(".")[:-1])]
    deepest_first = sorted(usable, key=lambda key: -key.count("."))  # so that the highest wins
    by_name = {key.rpartition(".")[2]: key for key in deepest_first}
    close = difflib.get_close_matches(last, list(by_name), n=1, cutoff=OF_ANOTHER_SECTION)
    return by_name[close[0]] if close else None


def _has_section(content: Any, parts: Sequence[str], section: type[BaseModel] = Study) -> bool:
    """Whether a study has a section: its file does, or every study does."""
    if not parts:
        return True
    field = section.model_fields[parts[0]]
    given = content.get(parts[0]) if isinstance(content, Mapping) else None
    if not (given or field.is_required() or field.get_default(call_default_factory=True)):
        return False
    below = _section_in(annotation_of(field))
    return below is not None and _has_section(given, parts[1:], below)


def all_keys(section: type[BaseModel] = Study, prefix: str = "") -> Iterator[str]:
    """All keys of the study, dotted, those of a section, or of the sections of a list, after it."""
    for name, field in section.model_fields.items():
        yield f"{prefix}{name}"
        below = section_of(annotation_of(field))
        item = item_of(annotation_of(field))
        if below is not None:
            yield from all_keys(below, f"{prefix}{name}.")
        elif isinstance(item, type) and issubclass(item, BaseModel):  # a list of sections, none of which has a name
            yield from (f"{prefix}{name}.{key}" for key in item.model_fields)
