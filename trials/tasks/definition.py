"""What a task is, before any row is read: where its rows come from, how they are worded, what is compared.

The shipped tasks are such values, and so is what a user writes in a study file. Nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.rows.template import columns_of, word
from clipsweep.trials.rows.values import DataRow, is_missing, text_of
from clipsweep.trials.scores.scoring import Scoring


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """How a row becomes text. All texts are format strings over its columns.

    Attributes:
        query: The prompt up to the answer.
        answers: Label words in class order, or candidates, each with the space that precedes it; where there is one
            alone it is an open answer.
        demonstration: A row with its answer, in full; ``{answer}`` stands for the right answer's text. None for query,
            answer and a newline.
        demonstration_answers: Answers as demonstrations word them, where that differs.
        alone: The query where there are no demonstrations; None for ``query``.
        words: By column, what its values are replaced by; ``""`` stands for an empty value, which is refused otherwise.
    """

    query: str
    answers: tuple[str, ...]
    demonstration: str | None = None
    demonstration_answers: tuple[str, ...] | None = None
    alone: str | None = None
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse templates that are malformed, or a query that gives its answer away."""
        if any("answer" in columns_of(text) for text in (self.query, self.alone or "")) or not self.columns:
            raise TaskError(
                f"template {self.query!r} names the answer, or no column; expected columns of the row up to it."
            )

    @property
    def columns(self) -> list[str]:
        """Columns that a row must have, sorted."""
        names = {name for text in (self.query, self.alone or "", *self.answers) for name in columns_of(text)}
        return sorted(names | (columns_of(self.demonstration or "") - {"answer"}) | {*self.words})

    @property
    def has_classes(self) -> bool:
        """Whether answers are the same for every row."""
        return not any(map(columns_of, self.answers))


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where rows come from.

    Attributes:
        path: Hub name or folder.
        config: Configuration of a hub dataset.
        revision: Branch, tag or commit of a hub dataset.
        columns: Of a hub dataset those that are read; None for all.
    """

    path: str
    config: str | None = None
    revision: str | None = None
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Which split of the source each of ours is taken from; two of one split are cut from it and share no row.

    ``"dev+test"`` stands for the rows of several splits together.

    Attributes:
        demonstrations: Split of the source that demonstrations are drawn from.
        validation: Split of the source.
        test: Split of the source; None for no test.
    """

    demonstrations: str = "train"
    validation: str = "train"
    test: str | None = "train"

    def __post_init__(self) -> None:
        """Refuse a name with nothing before or after its plus."""
        if bad := [name for name in self.names if not all(parts_of(name))]:
            raise TaskError(f"{bad[0]!r} names no split; expected the name of one, or several as 'dev+test'.")

    @property
    def names(self) -> list[str]:
        """What ours are cut from: splits of the source, or several of them together."""
        return [name for name in dict.fromkeys((self.demonstrations, self.validation, self.test)) if name is not None]

    @property
    def parts(self) -> list[str]:
        """Splits of the source that are read."""
        return list(dict.fromkeys(part for name in self.names for part in parts_of(name)))


def parts_of(name: str) -> list[str]:
    """The splits of the source that a name stands for."""
    return name.split("+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """What a task is, however its prompts are made.

    Attributes:
        shots: Demonstrations in the prompt unless the study says otherwise.
        scoring: How an answer is scored.
        metric: What the winner is picked by: one of ``trials.scores.metrics.METRICS``.
    """

    shots: int = 10
    scoring: Scoring = Scoring.LOGLIKELIHOOD
    metric: str = "accuracy"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDefinition(Objective):
    """A task without its rows, whose prompts a wording makes from the columns of rows.

    Attributes:
        source: Where rows come from.
        wording: How they become text.
        classes: For each value of the label column the index of its answer, values as text; ``""`` stands for rows
            without a label, which are refused otherwise. Not looked at where the answer is open.
        splits: Which split of the source each of ours is taken from.
        demonstrations: Rows set aside for demonstrations; None for up to 64 of each class, and no more than a
            quarter of what is there.
        validation_size: Rows of validation; None for all that are left, or for ``validation_share``.
        validation_share: Share of the rows that are left, rounded down, where no number of them is stated.
        label_column: Column with the right answer.
        function: ``module:function`` or ``file.py:function`` that each row passes through; None for none.
        distinct: Whether of rows with one text the first alone is taken, and none where their labels differ.
        strict: Whether a prediction that ties is wrong; else it goes to the first answer.
        end_of_answer: Whether the end-of-text token belongs to each answer and is scored with it.
    """

    source: Source
    wording: Wording
    classes: Mapping[str, int]
    splits: Splits = Splits()
    demonstrations: int | None = None
    validation_size: int | None = None
    validation_share: float | None = None
    label_column: str = "label"
    function: str | None = None
    distinct: bool = False
    strict: bool = False
    end_of_answer: bool = False

    @property
    def is_open(self) -> bool:
        """Whether there is one answer, which is right where the model says it."""
        return len(self.wording.answers) == 1

    @property
    def columns(self) -> list[str]:
        """Columns that a row must have."""
        return [*self.wording.columns, *([] if self.is_open else [self.label_column])]

    @property
    def n_classes(self) -> int:
        """How many answers there are to choose from."""
        return len(self.wording.answers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A row in words.

    Attributes:
        query: Prompt up to the answer.
        alone: The same where there are no demonstrations.
        answers: What may follow, each with the space that precedes it.
        demonstration: The row with its right answer, the end of the demonstration included.
        gold: Index of the right answer.
        row: The place in the source of the row that it was made of: split and number.
        part: Which of the rows that were made of that one, from 0; None where it made one alone.
        of_task: The task of the harness that it is a document of; None of rows of a source of ours.
    """

    query: str
    alone: str
    answers: tuple[str, ...]
    demonstration: str
    gold: int
    row: tuple[str, int]
    part: int | None = None
    of_task: str | None = None

    @property
    def place(self) -> tuple[str, int]:
        """The place in the source among those of other tasks: split, with the task, and number."""
        split, number = self.row
        return (split if self.of_task is None else f"{split} of {self.of_task}", number)

    @property
    def text(self) -> tuple[str, ...]:
        """What makes two rows the same to a reader: what is asked, and what there is to choose among."""
        return (self.query,) if len(self.answers) == 1 else (self.query, *self.answers)


def place_words(split: str, number: int, of_task: str | None = None) -> str:
    """A place in the source in words, where the user can find it; ``of_task`` as ``Example`` has it."""
    if of_task is None:
        return f"row {number} of the source's {split!r}"
    return f"document {number} of {split!r} of harness task {of_task!r}"


def make_example(definition: TaskDefinition, row: DataRow, place: tuple[str, int], part: int | None = None) -> Example:
    """Word a row.

    Args:
        definition: Of the task.
        row: Its columns; all that the wording names must be there.
        place: Split of the source and number in it.
        part: As ``Example`` has it.

    Raises:
        TaskError: A column that does not have the parts that are asked of it, an empty text, a value without a word, or
            a label that is not one of the classes.
    """
    wording, (split, number) = definition.wording, place
    where = f"row {number} of split {split!r}"
    if empty := [name for name in wording.columns if is_missing(row[name]) and "" not in wording.words.get(name, {})]:
        raise TaskError(f"{where} has nothing in column {empty[0]!r}; expected text. Remove the row or give its text.")
    gold = 0 if definition.is_open else _class_of(definition, row[definition.label_column], where)
    worded = {**row, **{column: _replace(column, words, row, where) for column, words in wording.words.items()}}
    try:
        answers = tuple(word(answer, worded) for answer in wording.answers)
        query = word(wording.query, worded)
        right = answers if wording.demonstration_answers is None else wording.demonstration_answers
        demonstration = f"{query}{right[gold]}\n"
        if wording.demonstration is not None:
            demonstration = word(wording.demonstration, {**worded, "answer": right[gold]})
        alone = query if wording.alone is None else word(wording.alone, worded)
    except TaskError as error:
        raise TaskError(f"{where}: {error}") from error
    except (LookupError, AttributeError, TypeError, ValueError) as error:
        raise TaskError(f"{where} does not fit the template ({error!r}). Mend the row, or the template.") from error
    return Example(
        query=query, alone=alone, answers=answers, demonstration=demonstration, gold=gold, row=place, part=part
    )


def _class_of(definition: TaskDefinition, value: Any, where: str) -> int:
    """Index of the answer that a label stands for.

    Raises:
        TaskError: No label, or one that is none of the classes.
    """
    classes, column = definition.classes, definition.label_column
    label = "" if is_missing(value) else _text(value, column, where)
    if label in classes:
        return classes[label]
    if not label:
        raise TaskError(
            f"{where} has no label: column {column!r} is empty. Remove the row or give its label; in a task of your "
            f"own such rows may have a word too, as labels: {{null: ' none', …}}."
        )
    known = ", ".join(map(repr, classes))
    hint = " In YAML yes and no are true and false: quote them." if {"true", "false"} & {*classes} else ""
    raise TaskError(f"{where} has {column} {label!r}; expected one of {known}. Remove the row or give its label.{hint}")


def _text(value: Any, column: str, where: str) -> str:
    """A value as text; the message names the row."""
    try:
        return text_of(value, column)
    except TaskError as error:
        raise TaskError(f"{where}: {error}") from error


def _replace(column: str, words: Mapping[str, str], row: DataRow, where: str) -> str:
    value = "" if is_missing(row[column]) else _text(row[column], column, where)
    if value not in words:
        known = ", ".join(map(repr, words))
        raise TaskError(f"{where} has {column} {value!r}; expected one of {known}. Remove the row, or add the word.")
    return words[value]
