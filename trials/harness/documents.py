"""Which documents of the harness are rows of validation and which of test, and what a row shows."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clipsweep.trials.base.errors import TaskError, counted
from clipsweep.trials.harness.asked import Asked, Counting
from clipsweep.trials.harness.failures import shown
from clipsweep.trials.harness.tasks import HarnessTask
from clipsweep.trials.spec.trial import TEST, VALIDATION
from clipsweep.trials.tasks.definition import Example, place_words
from clipsweep.trials.tasks.settings import TaskSettings
from clipsweep.trials.tasks.splits import too_few


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a document stands.

    Attributes:
        task: Of the harness.
        split: Of ours that the task has it for: ``"validation"`` or ``"test"``.
        source: What the task calls that split.
        number: In the harness's order, from 0.
    """

    task: str
    split: str
    source: str
    number: int

    @property
    def where(self) -> str:
        """The document in words."""
        return place_words(self.source, self.number, self.task)


Row = tuple[Place, Example]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealt:
    """Rows of each split.

    Attributes:
        rows: In their seeded order; no ``test`` where there is none.
        dropped: Documents kept out of validation because their text is in the test, too.
        notes: What the user should know.
    """

    rows: Mapping[str, tuple[Row, ...]]
    dropped: int
    notes: tuple[str, ...] = ()


def deal(settings: TaskSettings, tasks: Sequence[HarnessTask], counting: Counting, seed: int) -> Dealt:
    """Deal the documents of tasks to validation and test.

    Where every task has both with right answers, these are the task's own. Else one set of documents is cut in two.

    Raises:
        TaskError: No documents with a right answer, one without among those that have some, or fewer than asked for.
    """
    read = {task.name: _with_gold(task, counting) for task in tasks}
    if empty := [name for name, splits in read.items() if not splits]:
        raise TaskError(
            f"no document of harness task {empty[0]!r} has a right answer, neither for validation nor for test, by its "
            f"doc_to_target, {_target(tasks, empty[0])}; expected some to score by. Mend that key, choose another "
            f"task, or write a YAML file that includes it and names a split that has them."
        )
    if settings.test_size != 0 and all(len(splits) == 2 for splits in read.values()):
        own = {split: [row for splits in read.values() for row in splits[split]] for split in (VALIDATION, TEST)}
        return _deal_own(settings, own, seed)
    rows = [row for splits in read.values() for row in splits[VALIDATION if len(splits) == 2 else next(iter(splits))]]
    return _cut(settings, rows, seed)


def _target(tasks: Sequence[HarnessTask], name: str) -> str:
    """What tells the right answer of a task."""
    return next(shown(task.config["doc_to_target"]) for task in tasks if task.name == name)


def _with_gold(task: HarnessTask, counting: Counting) -> dict[str, list[Row]]:
    """Rows of the splits of a task that have right answers.

    Raises:
        TaskError: Some of a split have, and some have not.
    """
    found = {}
    for split, source in task.sources.items():
        asked = task.ask(split, 0, 0, counting)
        places = [Place(task=task.name, split=split, source=source, number=number) for number in range(len(asked))]
        lacking = [place for place, each in zip(places, asked, strict=True) if each.gold is None]
        if len(lacking) == len(asked):
            continue
        if lacking:
            raise TaskError(
                f"{lacking[0].where} has no right answer among its choices, as {counted(len(lacking), 'document')} of "
                f"{len(asked)}; expected one for each. Mend the data, or leave them out with process_docs."
            )
        found[split] = [(place, _example(place, each)) for place, each in zip(places, asked, strict=True)]
    return found


def _example(place: Place, asked: Asked) -> Example:
    """A document in words: its question without demonstrations, and its answers."""
    assert asked.gold is not None, "documents without gold are refused as they are read"
    return Example(
        query=asked.shared,
        alone=asked.shared,
        answers=asked.answers,
        demonstration="",
        gold=asked.gold,
        row=(place.source, place.number),
        of_task=place.task,
    )


def _deal_own(settings: TaskSettings, own: Mapping[str, Sequence[Row]], seed: int) -> Dealt:
    """The tasks' own validation and test; no text of the test is in validation."""
    tested = {row.text for _, row in own[TEST]}
    free = [row for row in own[VALIDATION] if row[1].text not in tested]
    validation = _shuffled(free, f"harness {VALIDATION} {seed}")
    test = _shuffled(own[TEST], f"harness {TEST} {seed}")
    dropped = len(own[VALIDATION]) - len(free)
    rows = {
        VALIDATION: _first(settings, VALIDATION, validation, settings.validation_size, dropped),
        TEST: _first(settings, TEST, test, settings.test_size),
    }
    return Dealt(rows=rows, dropped=dropped)


def _cut(settings: TaskSettings, documents: Sequence[Row], seed: int) -> Dealt:
    """One set of documents cut in two: the first of their seeded order for validation, what is left for the test."""
    order = _shuffled(documents, f"harness {seed}")
    sources = ", ".join(dict.fromkeys(place.source for place, _ in documents))
    if settings.test_size == 0:
        return Dealt(rows={VALIDATION: _first(settings, VALIDATION, order, settings.validation_size)}, dropped=0)
    counts = Counter(row.text for _, row in order)
    free = [row for row in order if counts[row[1].text] == 1]
    dropped, size = len(order) - len(free), settings.validation_size
    if size is None and free:
        left = len(order) - (len(order) // 2 if settings.test_size is None else settings.test_size)
        size = max(1, min(left, len(free)))
    validation = _first(settings, VALIDATION, free, size, dropped)
    taken = {place for place, _ in validation}
    test = _first(settings, TEST, [row for row in order if row[0] not in taken], settings.test_size)
    note = (
        f"task {settings.name} has one set of documents with right answers ({sources}): {len(validation)} are "
        f"validation and {len(test)} are test here, cut with task.seed {seed}"
    )
    return Dealt(rows={VALIDATION: validation, TEST: test}, dropped=dropped, notes=(note,))


def _first(
    settings: TaskSettings, split: str, rows: Sequence[Row], size: int | None, shared: int = 0
) -> tuple[Row, ...]:
    """The first rows, as many as are wanted; all where that is None.

    Args:
        settings: Of the task.
        split: Of ours.
        rows: What is left for it.
        size: How many are wanted.
        shared: How many more there are, whose text is elsewhere too.

    Raises:
        TaskError: There are none, or fewer.
    """
    if rows and len(rows) >= (size or 0):
        return tuple(rows[:size])
    stated = {each for each in (VALIDATION, TEST) if getattr(settings, f"{each}_size")}
    mends = [f"lower task.{split}_size"] if rows else []
    mends += ["lower task.validation_size"] if split == TEST and VALIDATION in stated else []
    if split == TEST or len(rows) + shared >= (size or 1):
        mends += ["set task.test_size: 0 for no test"]
    mends = mends or ["lower task.validation_size, and set task.test_size: 0 for no test"]
    raise too_few(settings, split, len(rows), size, name="document", shared=shared, mends=mends)


def _shuffled(rows: Sequence[Row], seed: str) -> list[Row]:
    order = list(rows)
    random.Random(seed).shuffle(order)
    return order
