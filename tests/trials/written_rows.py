"""Rows with the columns and labels of the seven tasks on the hub, written here: no text twice, odd white space kept."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.conftest import write_rows

Rows = list[dict[str, Any]]
WORDS = (
    *("the", "a", "no", "film", "story", "rain", "child", "market", "river", "team", "goal", "bank", "song", "it's"),
    *("was", "is", "not", "very", "dull", "bright", "slow", "kind,", "cold;", "and", "but", "while", "because", "so"),
)

# so many rows of each label that every fixed position of the release is there, and little more
RELEASE_COUNTS: dict[str, dict[str, Any]] = {
    "sst2": {"train": 4012},
    "emoc": {"train": [2510, 900, 850, 800], "test": 3},
    "agnews": {"train": 2005, "test": 3},
    "mrpc": {"train": 210, "validation": 8, "test": 5},
    "rte": {"train": 210, "validation": 8},
    "cb": {"train": [215, 20, 9], "validation": 3},
    "copa": {"train": 108, "validation": 8},
}
N_LABELS = {"sst2": 2, "agnews": 4, "emoc": 4, "mrpc": 2, "rte": 2, "cb": 3, "copa": 2}


class _Writer:
    """Draws texts of one split; each ends in the split's letters and a number of its own."""

    def __init__(self, task: str, split: str) -> None:
        self._draw = random.Random(f"{task} {split}")
        self._split = split[:2]
        self._count = 0

    def text(self) -> str:
        self._count += 1
        words = " ".join(self._draw.choices(WORDS, k=self._draw.randint(2, 6)))
        return f"{words} {self._split}{self._count}"

    def spaced(self) -> str:
        """A text that may have white space around it."""
        return self._draw.choice(["", "", " "]) + self.text() + self._draw.choice(["", " ", "  "])


def _pair(first: str, second: str) -> Callable[[_Writer, int], dict[str, str]]:
    return lambda writer, number: {first: writer.spaced(), second: writer.spaced()}


def _single(column: str) -> Callable[[_Writer, int], dict[str, str]]:
    return lambda writer, number: {column: writer.spaced()}


def _alternatives(writer: _Writer, number: int) -> dict[str, str]:
    choices = {"premise": writer.text(), "choice1": writer.text(), "choice2": writer.spaced()}
    return choices | {"question": ("cause", "effect")[number // 2 % 2]}


_COLUMNS = {
    "sst2": _single("sentence"),
    "agnews": _single("text"),
    "emoc": _single("text"),
    "mrpc": _pair("sentence1", "sentence2"),
    "rte": _pair("premise", "hypothesis"),
    "cb": _pair("premise", "hypothesis"),
    "copa": _alternatives,
}


def rows_of(task: str, split: str, counts: Sequence[int]) -> Rows:
    """Rows of one split, so many of each of the hub's labels, in a random order."""
    writer, write = _Writer(task, split), _COLUMNS[task]
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    random.Random(f"{task} {split} labels").shuffle(labels)
    return [{**write(writer, number), "label": label, "idx": number} for number, label in enumerate(labels)]


def write_task(folder: Path, task: str, **counts: int | Sequence[int]) -> dict[str, Rows]:
    """Write splits as jsonl files, so many rows of each label in each; gives what is written."""
    written = {}
    for split, count in counts.items():
        written[split] = rows_of(task, split, [count] * N_LABELS[task] if isinstance(count, int) else count)
        write_rows(folder / f"{split}.jsonl", written[split])
    return written
