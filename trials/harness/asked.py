"""What the harness asks of one document: contexts, what may follow them, and which is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.harness.metrics import IN_BYTES
from clipsweep.trials.prompts.shared import shared_start
from clipsweep.trials.scores.scoring import Scoring


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The requests of one document, those alone that the metric needs.

    Attributes:
        contexts: What stands before each answer; all the same, but in tasks whose choices are in the context.
        continuations: The answers, each with what precedes it.
        lengths: What the log-likelihood of each answer is divided by; None where it is not.
        gold: Index of the right answer; None where the document has none.
    """

    contexts: tuple[str, ...]
    continuations: tuple[str, ...]
    lengths: tuple[float, ...] | None
    gold: int | None

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Each context with its continuation."""
        return list(zip(self.contexts, self.continuations, strict=True))

    @property
    def shared(self) -> str:
        """What all contexts begin with."""
        return shared_start(self.contexts)

    @property
    def answers(self) -> tuple[str, ...]:
        """What follows that, for each answer."""
        start = len(self.shared)
        return tuple(context[start:] + continuation for context, continuation in self.pairs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counting:
    """How the answers of a task are counted.

    Attributes:
        scoring: Of the metric.
        metric: Its name.
    """

    scoring: Scoring
    metric: str

    def read(self, pairs: Sequence[tuple[str, str]], choices: Sequence[str] | None, right: Any, where: str) -> Asked:
        """What is asked of a document.

        Args:
            pairs: Contexts and continuations, one for each choice first; others may follow.
            choices: Texts of the choices; None where there is one answer alone.
            right: The right one, as the harness has it: a number, or a text.
            where: What messages call the document.

        Raises:
            TaskError: Several right answers, or a choice without text to divide by the length of.
        """
        if choices is None:
            return Asked(contexts=(pairs[0][0],), continuations=(pairs[0][1],), lengths=None, gold=0)
        gold = _gold(right, choices, where)
        if self.scoring is Scoring.GREEDY:  # the harness looks at the right answer alone
            context, continuation = pairs[gold or 0]
            return Asked(
                contexts=(context,), continuations=(continuation,), lengths=None, gold=None if gold is None else 0
            )
        contexts, continuations = zip(*pairs[: len(choices)], strict=True)
        return Asked(contexts=contexts, continuations=continuations, lengths=self._lengths(choices, where), gold=gold)

    def _lengths(self, choices: Sequence[str], where: str) -> tuple[float, ...] | None:
        if self.scoring is not Scoring.LENGTH_NORMALISED:
            return None
        lengths = tuple(float(len(each.encode()) if self.metric == IN_BYTES else len(each)) for each in choices)
        if not all(lengths):
            raise TaskError(f"{where} has an empty choice, whose length {self.metric} divides by. Take metric: acc.")
        return lengths


def _gold(right: Any, choices: Sequence[str], where: str) -> int | None:
    """Index of the right choice; None where there is none."""
    if isinstance(right, list | tuple):
        if len(right) != 1:
            raise TaskError(
                f"{where} has {len(right)} right answers; expected one. Choose a task with one for each document, or "
                f"write a YAML file that includes this one and sets doc_to_target."
            )
        (right,) = right
    if isinstance(right, Integral):
        return int(right) if 0 <= int(right) < len(choices) else None
    return list(choices).index(right) if right in choices else None
