"""``variant: release``: the seven tasks as the paper's released code runs them, not always as the paper says.

Each entry states rows, words and how many demonstrations; ``docs/tasks.md`` sets them beside the paper's text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.tasks.definition import TaskDefinition, Wording

CONSIDER = "Consider the following text: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """How the release picks rows and words them.

    Train is shuffled by ``seed`` as ``datasets`` does it and split by class. ``per_class`` demonstrations of each
    class, from its row ``start`` on, are laid out with classes taking turns; the first ``used`` enter the prompt.

    Attributes:
        seed: Of the shuffle, and so of the demonstrations.
        class_order: Classes in the order of their turns, and of their validation rows.
        start: First demonstration of each class.
        per_class: Demonstrations of each class.
        used: Demonstrations that really enter the prompt.
        validation: Rows of each class of train that are the validation rows, from the first to before the second;
            or a split of the hub.
        test: Split of the hub; None for what train holds after the demonstrations.
        wording: How rows become text.
        scoring: How answers are scored.
        classes: For each label the index of its answer, where that is not as in the paper.
    """

    seed: int
    class_order: tuple[int, ...]
    start: int
    per_class: int
    used: int
    validation: tuple[int, int] | str
    test: str | None
    wording: Wording
    scoring: Scoring = Scoring.FIRST_TOKEN
    classes: Mapping[str, int] | None = None

    @property
    def strict(self) -> bool:
        """Whether a tie is wrong; the mean of logits goes to the first of equals instead."""
        return self.scoring is Scoring.FIRST_TOKEN

    def define(self, definition: TaskDefinition) -> TaskDefinition:
        """The task in the release's words."""
        return replace(
            definition,
            wording=self.wording,
            scoring=self.scoring,
            shots=self.used,
            classes=self.classes or definition.classes,
        )


def _sentiment(column: str, answers: tuple[str, ...], question: str) -> Wording:
    """The wording that SST-2, EmoC and AGNews share."""
    return Wording(
        query=f"text: {{{column}}}\n sentiment :",
        answers=answers,
        demonstration=f"text: {{{column}!w}}\n sentiment : {{answer}} \n",
        alone=f"{CONSIDER}{{{column}}}. {question} The sentiment is",
    )


POLARITY = "Is this text sentiment pos or neg."

RELEASES: dict[str, Release] = {
    "sst2": Release(
        seed=49, class_order=(1, 0), start=4000, per_class=5, used=10, validation=(0, 4000), test=None,
        wording=_sentiment("sentence", ("neg", "pos"), POLARITY),
    ),
    "emoc": Release(
        seed=72, class_order=(0, 1), start=2500, per_class=5, used=10, validation=(0, 2500), test="test",
        wording=_sentiment("text", ("pos", "neg"), POLARITY),
        classes={"0": 0, "1": 1, "2": 1, "3": 1},  # the hub's others against happy, sad and angry
    ),
    "agnews": Release(
        seed=42, class_order=(0, 1, 2, 3), start=2000, per_class=2, used=8, validation=(0, 2000), test="test",
        wording=_sentiment(
            "text",
            ("world", "sports", "business", "science"),
            "Is this text sentiment world or sports or business or science?",
        ),
    ),
    "mrpc": Release(
        seed=42, class_order=(1, 0), start=200, per_class=5, used=10, validation="validation", test="test",
        wording=Wording(
            query="sentence1: {sentence1!w} \n sentence2: {sentence2!l}\n label :",
            answers=("false", "true"),
            demonstration="sentence1: {sentence1!w} \n sentence2: {sentence2!w}\n label : {answer} \n",
            alone=f"{CONSIDER}sentence1: {{sentence1!w}} \n sentence2: {{sentence2!l}}. "
            "Are these two sentences equal or unequal. The label is",
        ),
    ),
    "rte": Release(
        seed=66, class_order=(0, 1), start=200, per_class=5, used=5, validation=(0, 200), test="validation",
        wording=Wording(
            query="{premise!w} Does this mean that {hypothesis!w} is true? select Yes or No? ",
            answers=("Yes", "No"),
            demonstration="{premise!w} Does this mean that {hypothesis!w} is true? select Yes or No? {answer}\n",
        ),
    ),
    "cb": Release(
        seed=66, class_order=(0, 2, 1), start=0, per_class=5, used=5, validation=(5, 205), test="validation",
        wording=Wording(
            query="Suppose {premise!w} Can we infer that '{hypothesis!w}'? Yes, or No, or Mi? ",
            answers=("Yes", "No", "Maybe"),
            demonstration="Suppose {premise!w} Can we infer that '{hypothesis!w}'? Yes, No, or Maybe? {answer}\n",
            demonstration_answers=("Yes", "No", "Mi"),
        ),
    ),
    "copa": Release(
        seed=66, class_order=(1, 0), start=100, per_class=5, used=5, validation=(0, 100), test="validation",
        wording=Wording(
            query="{premise!w}\n{question!w}\n",
            answers=("{choice1!w}\n", "{choice2!w}\n"),
            demonstration="{premise!w}\n{question!w}\n{answer!w}",
        ),
        scoring=Scoring.MEAN_LOGIT,
    ),
}  # fmt: skip


def has_variants(name: str) -> bool:
    """Whether one of clipsweep's own tasks has more variants than one; a task of the user's own never has."""
    return name in RELEASES
