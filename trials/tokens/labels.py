"""The tokens of answers: where they end, and what of them cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import TYPE_CHECKING

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.prompts.prompts import Tokens
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.tasks.definition import Example
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tokens.wording import where_row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Labels = Sequence[tuple[Tokens, ...]]  # of each row the tokens of each answer


def end_labels(task: Task, tokenizer: PreTrainedTokenizerBase, labels: Labels) -> list[tuple[Tokens, ...]]:
    """Labels with the tokenizer's end-of-text token after each.

    Raises:
        TaskError: The tokenizer has none.
    """
    end = tokenizer.eos_token_id
    if end is None:
        raise TaskError(
            f"task {task.name!r} wants the end-of-text token after each answer, and the model's tokenizer has none; "
            f"expected one. Do without task.definition.end_of_answer, name the token in tokenizer_config.json "
            f"(eos_token), or write an end of your own into the answers, as a newline."
        )
    return [tuple((*tokens, end) for tokens in candidates) for candidates in labels]


def check_labels(task: Task, rows: Sequence[Example], labels: Labels, split: str, numbers: Sequence[int]) -> None:
    """Refuse answers that cannot be compared as the task scores them.

    Args:
        task: Which scores them.
        rows: Whose answers.
        labels: Their tokens.
        split: That the rows are of.
        numbers: Of the rows in it.

    Raises:
        TaskError: An answer adds no token, two are the same tokens, or one begins another where sums are compared.
    """
    scoring = task.definition.scoring
    least = 0 if scoring is Scoring.MEAN_LOGIT else 1
    for number, row, candidates in zip(numbers, rows, labels, strict=True):
        where = f"{where_row(row, split, number)} of task {task.name!r}"
        for answer, tokens in zip(row.answers, candidates, strict=True):
            if len(tokens) < least + task.ends_answers:
                raise TaskError(
                    f"answer {answer!r} of {where} adds no token after the prompt; expected at least one. Choose a "
                    f"word that the model's tokenizer knows."
                )
        if len(set(candidates)) < len(candidates):
            raise TaskError(
                f"two answers of {where} ({', '.join(map(repr, row.answers))}) are the same tokens; choose others, or "
                f"remove the row."
            )
        if scoring is Scoring.LOGLIKELIHOOD and any(
            longer[: len(short)] == short for short, longer in permutations(candidates, 2)
        ):
            raise TaskError(
                f"one answer of {where} ({', '.join(map(repr, row.answers))}) begins another, so that it would always "
                f"score higher; expected answers that part. Set task.definition.end_of_answer: true, which scores the "
                f"end of each answer too, or choose other words."
            )
