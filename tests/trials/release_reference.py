"""The paper's released code, told again from ``data/RELEASE.md`` alone: which rows, which prompts, how they are judged.

It owes nothing to ``trials``: rows are shuffled by ``datasets`` itself, one prompt is tokenised and run at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

Row = dict[str, Any]
Worded = Callable[[Row], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Released:
    """A line of RELEASE.md's table.

    Attributes:
        seed: Of the shuffle of train.
        classes: Classes in the order of their turns.
        per_class: Demonstrations of each class.
        start: Row of each class that the demonstrations begin with.
        used: How many of them enter the prompt.
        demonstration: A row with its answer.
        query: A row up to its answer; COPA's stops before the choice.
        alone: The same at 0 shots.
        words: Label words by class; none for COPA.
        class_of: From the hub's label.
        validation: Rows of each class of train, from and to; None for the hub's validation split.
        test: Split of the hub; None for what train holds after the demonstrations.
    """

    seed: int
    classes: tuple[int, ...]
    per_class: int
    start: int
    used: int
    demonstration: Worded
    query: Worded
    alone: Worded
    words: tuple[str, ...]
    class_of: Callable[[int], int] = int
    validation: tuple[int, int] | None = None
    test: str | None = None


def _text_demonstration(column: str, words: tuple[str, ...], class_of: Callable[[int], int] = int) -> Worded:
    return lambda row: "text: " + row[column] + "\n sentiment : " + words[class_of(row["label"])] + " \n"


def _text_query(column: str) -> Worded:
    return lambda row: "text: " + row[column].strip() + "\n sentiment :"


def _text_alone(column: str, ending: str) -> Worded:
    return lambda row: "Consider the following text: " + row[column].strip() + ending


def _emoc_class(label: int) -> int:
    return 0 if label == 0 else 1


def _mrpc_pair(row: Row) -> str:
    return f"sentence1: {row['sentence1']} \n sentence2: {row['sentence2']}"


def _rte(row: Row) -> str:
    return f"{row['premise']} Does this mean that {row['hypothesis']} is true? select Yes or No? "


def _cb(row: Row, asked: str) -> str:
    return f"Suppose {row['premise']} Can we infer that '{row['hypothesis']}'? {asked}"


def _copa(row: Row) -> str:
    return f"{row['premise']}\n{row['question']}\n"


POLARITY = ". Is this text sentiment pos or neg. The sentiment is"
TOPICS = ("world", "sports", "business", "science")
TABLE = {
    "sst2": Released(
        seed=49,
        classes=(1, 0),
        per_class=5,
        start=4000,
        used=10,
        demonstration=_text_demonstration("sentence", ("neg", "pos")),
        query=_text_query("sentence"),
        alone=_text_alone("sentence", POLARITY),
        words=("neg", "pos"),
        validation=(0, 4000),
    ),
    "emoc": Released(
        seed=72,
        classes=(0, 1),
        per_class=5,
        start=2500,
        used=10,
        demonstration=_text_demonstration("text", ("pos", "neg"), _emoc_class),
        query=_text_query("text"),
        alone=_text_alone("text", POLARITY),
        words=("pos", "neg"),
        class_of=_emoc_class,
        validation=(0, 2500),
        test="test",
    ),
    "agnews": Released(
        seed=42,
        classes=(0, 1, 2, 3),
        per_class=2,
        start=2000,
        used=8,
        demonstration=_text_demonstration("text", TOPICS),
        query=_text_query("text"),
        alone=_text_alone("text", ". Is this text sentiment world or sports or business or science? The sentiment is"),
        words=TOPICS,
        validation=(0, 2000),
        test="test",
    ),
    "mrpc": Released(
        seed=42,
        classes=(1, 0),
        per_class=5,
        start=200,
        used=10,
        demonstration=lambda row: _mrpc_pair(row) + "\n label : " + ("false", "true")[row["label"]] + " \n",
        query=lambda row: _mrpc_pair(row).strip() + "\n label :",
        alone=lambda row: (
            "Consider the following text: "
            + _mrpc_pair(row).strip()
            + ". Are these two sentences equal or unequal. The label is"
        ),
        words=("false", "true"),
        test="test",
    ),
    "rte": Released(
        seed=66,
        classes=(0, 1),
        per_class=5,
        start=200,
        used=5,
        demonstration=lambda row: _rte(row) + ("Yes", "No")[row["label"]] + "\n",
        query=_rte,
        alone=_rte,
        words=("Yes", "No"),
        validation=(0, 200),
        test="validation",
    ),
    "cb": Released(
        seed=66,
        classes=(0, 2, 1),
        per_class=5,
        start=0,
        used=5,
        demonstration=lambda row: _cb(row, "Yes, No, or Maybe? ") + {0: "Yes", 1: "No", 2: "Mi"}[row["label"]] + "\n",
        query=lambda row: _cb(row, "Yes, or No, or Mi? "),
        alone=lambda row: _cb(row, "Yes, or No, or Mi? "),
        words=("Yes", "No", "Maybe"),
        validation=(5, 205),
        test="validation",
    ),
    "copa": Released(
        seed=66,
        classes=(1, 0),
        per_class=5,
        start=100,
        used=5,
        demonstration=lambda row: _copa(row) + row["choice2" if row["label"] else "choice1"] + "\n",
        query=_copa,
        alone=_copa,
        words=(),
        validation=(0, 100),
        test="validation",
    ),
}


class Release:
    """One task of the release over rows of the hub's splits.

    Attributes:
        demonstrations: Those that enter the prompt, in their order.
        validation: By class, in the release's order; a single group where the hub has the split.
        test: Rows in their order.
    """

    def __init__(self, task: str, rows: dict[str, list[Row]]) -> None:
        """Shuffle train, split it by class, and cut."""
        self.line = line = TABLE[task]
        shuffled = Dataset.from_list(rows["train"]).shuffle(seed=line.seed)
        by_class: dict[int, list[Row]] = {label: [] for label in line.classes}
        for row in shuffled:
            by_class[line.class_of(row["label"])].append(row)
        turns = [by_class[label][line.start + turn] for turn in range(line.per_class) for label in line.classes]
        self.demonstrations = turns[: line.used]
        if line.validation is None:
            self.validation = [rows["validation"]]
        else:
            first, last = line.validation
            self.validation = [by_class[label][first:last] for label in line.classes]
        stop = line.start + line.per_class
        rest = [row for label in line.classes for row in by_class[label][stop:]]
        self.test = rest if line.test is None else rows[line.test]

    def prompts(self, row: Row, shots: int | None = None) -> list[str]:
        """What the model reads for a row: one text up to the answer; of COPA one with each choice."""
        shown = self.demonstrations[: self.line.used if shots is None else shots]
        head = "".join(self.line.demonstration(each) for each in shown)
        prompt = head + (self.line.query(row) if shown else self.line.alone(row))
        return [prompt] if self.line.words else [prompt + row[name] + "\n" for name in ("choice1", "choice2")]

    def gold(self, row: Row) -> int:
        """The right class."""
        return self.line.class_of(row["label"])

    def word_tokens(self, tokenizer: PreTrainedTokenizerBase, *, begins: bool) -> list[int]:
        """The token of each label word; ``begins``: the tokenizer puts a beginning-of-text token, as LLaMA2's does."""
        if begins:
            return [tokenizer(word)["input_ids"][1] for word in self.line.words]
        encoded = [tokenizer(f" {word}")["input_ids"] for word in self.line.words]
        assert [len(each) for each in encoded] == [1] * len(encoded)
        return [each[0] for each in encoded]

    def scores(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: list[str], *, begins: bool
    ) -> Tensor:
        """Scores of the answers to one row."""
        logits = [_logits(model, tokenizer(text)["input_ids"]) for text in texts]
        if not self.line.words:
            return torch.stack([each.mean() for each in logits])
        return logits[0][-1].log_softmax(dim=-1)[self.word_tokens(tokenizer, begins=begins)]

    def is_right(self, row: Row, scores: Tensor) -> bool:
        """Strictly larger than every other; of COPA the first maximum."""
        gold = self.gold(row)
        if not self.line.words:
            return gold == (0 if scores[0] >= scores[1] else 1)
        return all(bool(scores[gold] > other) for label, other in enumerate(scores) if label != gold)


def _logits(model: PreTrainedModel, ids: list[int]) -> Tensor:
    with torch.no_grad():
        logits: Tensor = model(torch.tensor([ids]), use_cache=False).logits
    return logits[0].float()
