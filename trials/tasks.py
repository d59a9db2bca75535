"""Tasks: what a prompt says, which label words are compared, and which rows each split holds.

A new task is an entry of ``TASKS``. Prompts follow Table 1 of Yao et al. (2024), arXiv:2406.03768.
"""

from __future__ import annotations

import hashlib
import json
import random
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trials.episodes import LABELS, draw_episode, draw_rows
from trials.errors import TaskError, unknown_name
from trials.rows import Row, read_rows
from trials.values import TaskSettings

DEMONSTRATIONS_PER_CLASS = 64
GENERATED_TEST_ROWS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """How a row is worded.

    Attributes:
        query: Format string over the row's columns, up to the label.
        labels: Label words in class order, with the space that precedes them.
        separator: What ends a demonstration.
    """

    query: str
    labels: tuple[str, ...]
    separator: str = "\n"

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the query names."""
        return tuple(name for _, name, _, _ in string.Formatter().parse(self.query) if name)

    def render_query(self, row: Row) -> str:
        """Word a row up to its label; fields lose their outer white space."""
        return self.query.format_map({name: str(row[name]).strip() for name in self.columns})

    def render_demonstration(self, row: Row) -> str:
        """Word a row with its label."""
        return f"{self.render_query(row)}{self.labels[row['label']]}{self.separator}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task with its rows: what every replica and the driver agree on.

    Attributes:
        name: Key of ``TASKS``.
        template: How a row is worded.
        demonstrations: Rows that demonstrations are drawn from.
        splits: Rows of ``validation`` and ``test`` in their seeded order; no ``test`` where there is none.
        shared_texts: Rows kept out of demonstrations and validation because their text occurs again elsewhere.
    """

    name: str
    template: Template
    demonstrations: tuple[Row, ...]
    splits: dict[str, tuple[Row, ...]]
    shared_texts: int

    @property
    def fingerprint(self) -> str:
        """Hash of template, label words, scoring and the rows of each split in order: 32 hexadecimal digits."""
        rows = {"demonstrations": self.demonstrations, **self.splits}
        content = {
            "query": self.template.query,
            "labels": self.template.labels,
            "separator": self.template.separator,
            "scoring": "label_loglikelihood",
            "rows": {split: [self.template.render_demonstration(row) for row in rows[split]] for split in rows},
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    def draw_demonstrations(self, shots: int, demo_seed: int) -> list[Row]:
        """Draw balanced demonstrations; fewer shots of one seed are the first of its more shots.

        Classes take turns, in a random order within each turn.

        Raises:
            TaskError: A class has too few rows.
        """
        rng = random.Random(f"demonstrations {demo_seed}")
        by_class: dict[int, list[Row]] = {label: [] for label in range(len(self.template.labels))}
        for row in self.demonstrations:
            by_class[row["label"]].append(row)
        for rows in by_class.values():
            rng.shuffle(rows)
        drawn: list[Row] = []
        while len(drawn) < shots:
            for label in rng.sample(sorted(by_class), len(by_class)):
                if not by_class[label]:
                    raise TaskError(
                        f"{shots} shots of task {self.name!r} need more rows of class {label} than the "
                        f"{sum(row['label'] == label for row in self.demonstrations)} kept for demonstrations. "
                        f"Ask for fewer shots or give more rows."
                    )
                drawn.append(by_class[label].pop())
        return drawn[:shots]


@dataclass(frozen=True, slots=True, kw_only=True)
class HubTask:
    """A task whose rows come from the hub, or from a folder with the hub's columns.

    Attributes:
        template: How a row is worded.
        source: Hub name.
        config: Configuration of the hub dataset.
        validation_size: Rows of validation, taken from train; the rest of train is the test.
    """

    template: Template
    source: str
    config: str | None
    validation_size: int

    def load(self, settings: TaskSettings, cache: Path) -> Task:
        """Read the rows and cut them into demonstrations, validation and test."""
        source = settings.path or self.source
        rows = read_rows(source, self.config, "train", cache)
        _check_rows(rows, self.template, f"{source}, split 'train'")
        size = self.validation_size if settings.validation_size is None else settings.validation_size
        return _cut(settings, self.template, rows, size)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeTask:
    """Generated rows: one episode of ``trials.episodes``, drawn by ``task.seed``. Needs no data file."""

    fixed: bool
    validation_size: int

    def load(self, settings: TaskSettings, cache: Path) -> Task:  # noqa: ARG002 - the interface of a table entry
        """Draw the episode and its rows."""
        if settings.path is not None:
            raise TaskError(f"task.path is {settings.path!r}, but task {settings.name!r} draws its rows; remove it.")
        episode = draw_episode(random.Random(f"episode {settings.seed}"), labels=None if self.fixed else LABELS)
        template = Template(query=" {text}", labels=tuple(f" {word}" for word in episode.labels))
        size = self.validation_size if settings.validation_size is None else settings.validation_size
        test_size = GENERATED_TEST_ROWS if settings.test_size is None else settings.test_size
        n_rows = 2 * DEMONSTRATIONS_PER_CLASS + 2 * (size + test_size)
        rows = draw_rows(episode, seed=settings.seed, n_rows=n_rows)
        return _cut(settings, template, list({row["text"]: row for row in rows}.values()), size, test_size)


TASKS: dict[str, HubTask | EpisodeTask] = {
    "episodes": EpisodeTask(fixed=False, validation_size=400),
    "topics": EpisodeTask(fixed=True, validation_size=400),
    "sst2": HubTask(
        template=Template(query="text: {sentence}\nsentiment:", labels=(" negative", " positive")),
        source="nyu-mll/glue",
        config="sst2",
        validation_size=8000,
    ),
}


def load_task(settings: TaskSettings, cache: Path) -> Task:
    """Load a task with its rows.

    Raises:
        TaskError: Unknown name, unreadable source, missing column, unknown label, an empty split, too few rows.
    """
    if settings.name not in TASKS:
        raise TaskError(unknown_name("task", settings.name, TASKS))
    return TASKS[settings.name].load(settings, cache)


def _check_rows(rows: Sequence[Row], template: Template, where: str) -> None:
    """Refuse rows that cannot be worded, naming the first that is wrong."""
    if not rows:
        raise TaskError(f"{where} is empty; expected rows with columns {', '.join(template.columns)} and label.")
    missing = [name for name in (*template.columns, "label") if name not in rows[0]]
    if missing:
        raise TaskError(
            f"{where} has no column {missing[0]!r}; it has {', '.join(sorted(rows[0]))}. Rename the column."
        )
    for number, row in enumerate(rows):
        if not isinstance(row["label"], int) or row["label"] not in range(len(template.labels)):
            raise TaskError(
                f"row {number} of {where} has label {row['label']!r}; "
                f"expected 0 to {len(template.labels) - 1}. Remove the row or give its label."
            )
        empty = [name for name in template.columns if not str(row[name] or "").strip()]
        if empty:
            raise TaskError(f"row {number} of {where} has nothing in column {empty[0]!r}. Remove the row.")


def _cut(
    settings: TaskSettings, template: Template, rows: list[Row], validation_size: int, test_size: int | None = None
) -> Task:
    """Shuffle, then take validation, demonstrations and test.

    A row whose text occurs more than once goes to the test split only, so that no text is in two splits.
    """
    order = list(rows)
    random.Random(f"split {settings.seed}").shuffle(order)
    texts = Counter(template.render_query(row) for row in order)
    unique = [row for row in order if texts[template.render_query(row)] == 1]
    validation, rest = unique[:validation_size], unique[validation_size:]
    _check_size(settings, "validation", len(validation), validation_size)
    demonstrations = _first_of_each_class(rest, len(template.labels))
    used = {template.render_query(row) for row in (*validation, *demonstrations)}
    test = [row for row in order if template.render_query(row) not in used]
    wanted = settings.test_size if test_size is None else test_size
    if wanted is not None:
        _check_size(settings, "test", len(test), wanted, least=0)
        test = test[:wanted]
    splits = {"validation": tuple(validation)} | ({"test": tuple(test)} if test else {})
    return Task(
        name=settings.name,
        template=template,
        demonstrations=tuple(demonstrations),
        splits=splits,
        shared_texts=len(order) - len(unique),
    )


def _first_of_each_class(rows: Sequence[Row], n_classes: int) -> list[Row]:
    """Set rows aside for demonstrations: up to a fixed number of each class, and never more than a quarter."""
    limit = min(DEMONSTRATIONS_PER_CLASS, max(1, len(rows) // (4 * n_classes)))
    by_class = [[row for row in rows if row["label"] == label] for label in range(n_classes)]
    return [row for members in by_class for row in members[:limit]]


def _check_size(settings: TaskSettings, split: str, have: int, wanted: int, least: int = 1) -> None:
    if wanted < least:
        raise TaskError(f"task.{split}_size is {wanted}: an empty split; expected {least} or more rows.")
    if have < wanted:
        raise TaskError(
            f"task.{split}_size is {wanted}, but task {settings.name!r} has {have} rows for it; "
            f"expected at most {have}. Lower task.{split}_size or give more rows."
        )
