"""Which task a study names, which of its rows, and in what order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clipsweep.trials.tasks.definition import TaskDefinition

Variant = Literal["paper", "release"]
PAPER: Variant = "paper"
RELEASE: Variant = "release"
DEFAULT_LENGTH = 1024  # of windows of text, in tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessSettings:
    """A task of lm-evaluation-harness.

    Attributes:
        name: Of a task or a group, as the harness knows it.
        include_path: Folder of YAML files with tasks of the user's own; None for the harness's alone.
        metric: Which of the task's metrics the winner is picked by; None for the first of those that we score.
        folder: Which folder paths of data in its YAML are from; None for the working directory.
    """

    name: str
    include_path: str | None = None
    metric: str | None = None
    folder: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSplits:
    """Splits of the source that documents are read from.

    Attributes:
        validation: Name of a split.
        test: The same; None for no test. Of one and the same split no document is in both.
    """

    validation: str
    test: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSettings:
    """Text whose every token is scored.

    Attributes:
        path: A file, a folder of files, or a hub name.
        column: What holds the text, where rows do.
        config: Configuration of a hub dataset.
        revision: Branch, tag or commit of a hub dataset.
        splits: Splits of a folder or of the hub; None for one source that both of ours are dealt from.
        length: Tokens that the model reads at once.
        stride: Tokens that a window scores, but for the first of a document; None for ``length``.
    """

    path: str
    column: str = "text"
    config: str | None = None
    revision: str | None = None
    splits: TextSplits | None = None
    length: int = DEFAULT_LENGTH
    stride: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSettings:
    """Which task, which of its rows, and in what order.

    Attributes:
        name: Key of a table of tasks, or what the user calls ``definition`` or the task of another way.
        variant: ``"paper"``: in the words of the paper; ``"release"``: as its released code runs it.
        path: Folder of jsonl, csv or parquet files, or a hub name; None for the task's own source.
        validation_size: Rows of the validation split; None for the task's default.
        test_size: Rows of the test split; None for all there are (or the task's default), 0 for no test.
        demonstrations: Rows set aside for demonstrations; None for the task's default.
        seed: Seed of the splits; None for the variant's default.
        truncate: ``"error"``: a prompt longer than the context is refused; ``"demonstrations"``: the last of them are
            left out until every prompt of the split fits.
        definition: A task of the user's own.
        lm_eval: A task of lm-evaluation-harness.
        text: Text whose every token is scored.
    """

    name: str
    variant: str = PAPER
    path: str | None = None
    validation_size: int | None = None
    test_size: int | None = None
    demonstrations: int | None = None
    seed: int | None = None
    truncate: str = "error"
    definition: TaskDefinition | None = None
    lm_eval: HarnessSettings | None = None
    text: TextSettings | None = None
