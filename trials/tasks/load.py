"""Load a task with its rows, from its settings."""

from __future__ import annotations

import importlib
import runpy
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from clipsweep.trials.base.errors import TaskError, counted, unknown_name
from clipsweep.trials.rows.read_folder import find_folder
from clipsweep.trials.rows.split_rows import SplitRows
from clipsweep.trials.rows.values import DataRow
from clipsweep.trials.spec.trial import TEST, VALIDATION
from clipsweep.trials.tasks.definition import Example, Objective, Source, TaskDefinition, make_example, parts_of
from clipsweep.trials.tasks.generated import GENERATED
from clipsweep.trials.tasks.read_rows import read_rows, shuffled_order
from clipsweep.trials.tasks.release import RELEASES
from clipsweep.trials.tasks.settings import PAPER, TaskSettings
from clipsweep.trials.tasks.splits import Cut, cut_release, cut_splits
from clipsweep.trials.tasks.table import PAPER_TASKS, TASKS
from clipsweep.trials.tasks.task import Task

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DEFAULT_SEED = 49
OTHER_WAYS = {  # keys of the settings; modules with ``define`` and ``load``
    "lm_eval": "clipsweep.trials.harness.load",
    "text": "clipsweep.trials.texts.load",
}
METRICS_OF_WAYS = {"lm_eval": "accuracy", "text": "nll"}  # whatever the task
Change = Callable[[DataRow], DataRow | Sequence[DataRow] | None]  # what each row passes through
GiveTokenizer = Callable[[], "PreTrainedTokenizerBase"]  # of the model; loads it


class Way(Protocol):
    """A way of making a task other than by wording rows."""

    def define(self, settings: TaskSettings) -> Objective:
        """What the task is; the settings name it."""

    def load(self, settings: TaskSettings, cache: Path, tokenizer: GiveTokenizer | None) -> Task:
        """The task with its rows; the settings have a seed."""


def define_task(settings: TaskSettings) -> Objective:
    """What a task is, before its rows are read.

    Raises:
        TaskError: Unknown name or variant, a seed that the variant cannot take, a template that is malformed; another
            task that is called as one of the paper's; or what the way of making it refuses.
    """
    way = _other_way(settings)
    if settings.name in PAPER_TASKS and (way is not None or settings.definition is not None):
        raise TaskError(
            f"task.name is {settings.name!r}, by which the paper's published scores are found, but the task is "
            f"another; expected a name of its own. Choose one, as in my-{settings.name}."
        )
    return _define_worded(settings) if way is None else way.define(settings)


def metric_of(settings: TaskSettings) -> str:
    """What points of a task are judged by, as its settings alone tell: no task of the harness is opened for it.

    Raises:
        TaskError: Unknown name or variant.
    """
    way = next((key for key in OTHER_WAYS if getattr(settings, key) is not None), None)
    return _define_worded(settings).metric if way is None else METRICS_OF_WAYS[way]


def _other_way(settings: TaskSettings) -> Way | None:
    """What makes the task, where no wording of rows does."""
    asked = [module for key, module in OTHER_WAYS.items() if getattr(settings, key) is not None]
    return cast(Way, importlib.import_module(asked[0])) if asked else None


def _define_worded(settings: TaskSettings) -> TaskDefinition:
    """What a task is whose prompts a wording makes."""
    if settings.definition is not None:
        definition = settings.definition
    elif settings.name in GENERATED:
        definition = GENERATED[settings.name].define(DEFAULT_SEED if settings.seed is None else settings.seed)
    elif settings.name in TASKS:
        definition = TASKS[settings.name]
    else:
        other = "Or define it: task.definition. Tasks of lm-evaluation-harness are task.lm_eval, and text is task.text."
        raise TaskError(f"{unknown_name('task', settings.name, [*TASKS, *GENERATED])} {other}")
    if settings.variant != PAPER:
        if settings.name not in RELEASES or settings.definition is not None:
            raise TaskError(
                f"task.variant is {settings.variant!r}, which task {settings.name!r} does not have; expected 'paper', "
                f"or one of the tasks {', '.join(RELEASES)}."
            )
        if settings.seed is not None and settings.seed < 0:
            raise TaskError(f"task.seed is {settings.seed}; expected 0 or more in variant release. Give another seed.")
        definition = RELEASES[settings.name].define(definition)
    return definition


def default_seed(settings: TaskSettings) -> int:
    """Seed of the splits where the study states none: of the release its own.

    Raises:
        TaskError: As ``define_task``.
    """
    define_task(settings)
    return DEFAULT_SEED if settings.variant == PAPER else RELEASES[settings.name].seed


def load_task(settings: TaskSettings, cache: Path, tokenizer: GiveTokenizer | None = None) -> Task:
    """Load a task with its rows.

    Args:
        settings: Which.
        cache: For rows of the hub.
        tokenizer: Gives the model's, to tasks whose rows depend on it; None where no model is named.

    Raises:
        TaskError: Unknown name, unreadable source, missing column, unknown label, an empty split, too few rows.
    """
    seed = default_seed(settings) if settings.seed is None else settings.seed
    way = _other_way(settings)
    if way is not None:
        return way.load(replace(settings, seed=seed), cache, tokenizer)
    definition = _define_worded(settings)
    release = RELEASES[settings.name] if settings.variant != PAPER else None
    held: list[SplitRows] = []
    if settings.definition is None and settings.name in GENERATED:
        cut = _cut_generated(settings, definition, seed)
    elif release is None:
        held = [_read(settings, definition, name, cache) for name in definition.splits.parts]
        cut = cut_splits(settings, definition, _join(definition, _word(definition, held)), seed)
    else:
        if settings.demonstrations is not None:
            raise TaskError("task.demonstrations has no effect in variant release, whose rows are fixed; remove it.")
        beside = (each for each in (release.validation, release.test) if isinstance(each, str))
        held = [_read(settings, definition, name, cache) for name in dict.fromkeys(("train", *beside))]
        read = _word(definition, held)
        cut = cut_release(settings, release, read, shuffled_order(len(read["train"]), seed))
    return Task(
        name=settings.name,
        seed=seed,
        definition=definition,
        demonstrations=cut.demonstrations,
        splits={VALIDATION: cut.validation} | ({TEST: cut.test} if cut.test else {}),
        dropped=cut.dropped,
        fixed=release is not None,
        strict=definition.strict if release is None else release.strict,
        truncate=settings.truncate,
        origins=tuple(origin for rows in held for origin in rows.origins),
    )


def _cut_generated(settings: TaskSettings, definition: TaskDefinition, seed: int) -> Cut:
    """Rows that are drawn, not read."""
    if settings.path is not None:
        raise TaskError(f"task.path is {settings.path!r}, but task {settings.name!r} draws its rows; remove it.")
    generated = GENERATED[settings.name]
    rows = generated.draw(seed, settings.validation_size, settings.test_size)
    examples = [make_example(definition, row, ("train", number)) for number, row in enumerate(rows)]
    test_size = generated.test_size if settings.test_size is None else settings.test_size
    return cut_splits(replace(settings, test_size=test_size), definition, {"train": examples}, seed)


def _read(settings: TaskSettings, definition: TaskDefinition, split: str, cache: Path) -> SplitRows:
    """Rows of one split of the source."""
    source = definition.source if settings.path is None else Source(path=settings.path)
    if settings.path is not None and find_folder(settings.path) is None:
        source = replace(definition.source, path=settings.path, revision=None)
    return read_rows(source, split, cache)


def _word(definition: TaskDefinition, held: Iterable[SplitRows]) -> dict[str, list[Example]]:
    """Rows of each split in words."""
    change = _load_function(definition.function)
    return {rows.split: _word_split(definition, rows, change) for rows in held}


def _join(definition: TaskDefinition, worded: Mapping[str, list[Example]]) -> dict[str, list[Example]]:
    """What our splits are cut from, those together that the definition names together."""
    joined = {name: [row for part in parts_of(name) for row in worded[part]] for name in definition.splits.names}
    return {name: _distinct(rows) for name, rows in joined.items()} if definition.distinct else joined


def _distinct(rows: Sequence[Example]) -> list[Example]:
    """The first row of each text, where all rows of it have one label."""
    labels: dict[tuple[str, ...], set[str]] = {}
    first: dict[tuple[str, ...], Example] = {}
    for row in rows:
        labels.setdefault(row.text, set()).add(row.answers[row.gold])
        first.setdefault(row.text, row)
    return [row for text, row in first.items() if len(labels[text]) == 1]


def _word_split(definition: TaskDefinition, held: SplitRows, change: Change) -> list[Example]:
    """Rows of one split in words: of each row of the source those that the definition's function makes of it.

    Raises:
        TaskError: No rows, or a row that cannot be worded, with its file and line.
    """
    examples: list[Example] = []
    rows = held.rows
    for number, row in enumerate(rows):
        try:
            examples += _word_row(definition, row, (held.split, number), change)
        except TaskError as error:
            raise TaskError(f"{held.where(number)}: {error}") from error
    if not examples:
        left_out = f"; the task's function leaves out all {counted(len(rows), 'row')}" if rows else ""
        columns = ", ".join(definition.columns)
        raise TaskError(
            f"{held.source}, split {held.split!r} is empty{left_out}; expected rows with columns {columns}."
        )
    return examples


def _word_row(definition: TaskDefinition, row: DataRow, place: tuple[str, int], change: Change) -> list[Example]:
    """What the definition's function makes of one row, in words."""
    where = f"row {place[1]} of split {place[0]!r}"
    changed = _change(change, row, where)
    if isinstance(changed, Mapping):
        _check_columns(definition, changed, where)
        return [make_example(definition, changed, place)]
    for part, each in enumerate(changed):
        _check_columns(definition, each, f"{where}, part {part}")
    return [make_example(definition, each, place, part) for part, each in enumerate(changed)]


def _check_columns(definition: TaskDefinition, row: DataRow, where: str) -> None:
    """See that a row has what the wording names."""
    missing = [name for name in definition.columns if name not in row]
    if missing:
        names = sorted(name if name.strip() == name != "" else repr(name) for name in map(str, row))
        raise TaskError(
            f"{where} has no column {missing[0]!r}; it has {', '.join(names)}. Rename the column, or mend the template."
        )


def _change(function: Change, row: DataRow, where: str) -> DataRow | Sequence[DataRow]:
    """What a function makes of a row: a row, or several, or none.

    Raises:
        TaskError: The function raised, or returned something else.
    """
    try:
        changed = function(row)
    except TaskError:  # of a function of our own, which says how to mend the row
        raise
    except Exception as error:  # a border: the code is the user's
        raise TaskError(
            f"the task's function fails on {where}: {error!r}. Mend it, or return None for such rows."
        ) from error
    if isinstance(changed, Mapping):
        return changed
    if changed is None:
        return []
    if isinstance(changed, list | tuple) and all(isinstance(each, Mapping) for each in changed):
        return changed
    kinds = {type(each).__name__ for each in changed} if isinstance(changed, list | tuple) else set()
    held = f" with {' and '.join(sorted(kinds))}" if kinds else ""
    raise TaskError(
        f"the task's function returned {type(changed).__name__}{held} for {where}; expected a mapping, a list of "
        f"mappings, or None."
    )


def _load_function(name: str | None) -> Change:
    """What each row passes through: a function named ``module:function`` or ``file.py:function``.

    Raises:
        TaskError: No such module, file or function.
    """
    if name is None:
        return lambda row: row
    place, _, attribute = name.rpartition(":")
    place = str(Path(place).expanduser()) if place.endswith(".py") else place
    try:
        held = runpy.run_path(place) if place.endswith(".py") else vars(importlib.import_module(place))
        function: Change = held[attribute]
        if not callable(function):
            raise TypeError(f"{attribute} is no function")
    except Exception as error:  # a border: the code is the user's
        raise TaskError(
            f"task function {name!r} cannot be had ({error!r}); expected 'module:function' or 'file.py:function'."
        ) from error
    return function
