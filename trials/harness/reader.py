"""The requests of the harness as prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.harness.asked import Asked, Counting
from clipsweep.trials.harness.documents import Place, Row
from clipsweep.trials.harness.tasks import HarnessTask
from clipsweep.trials.harness.tokens import read_pairs
from clipsweep.trials.prompts.prompts import Prompts, Query, Tokens
from clipsweep.trials.prompts.shared import shared_start
from clipsweep.trials.spec.ladder import cuts_of
from clipsweep.trials.spec.trial import PromptSet

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BUILT_KEPT = 4  # requests of all documents of one task's split, with one number of shots and one seed


class HarnessReader:
    """Makes the prompts of a task of the harness."""

    def __init__(self, tasks: Sequence[HarnessTask], rows: Mapping[str, Sequence[Row]], counting: Counting) -> None:
        """Take the tasks, the rows of our splits, and what the metric needs of the requests."""
        self._tasks = {task.name: task for task in tasks}
        self._places = {split: [place for place, _ in members] for split, members in rows.items()}
        self._counting = counting
        self._built: dict[tuple[str, str, int, int], list[Asked]] = {}

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        wanted: PromptSet,
        context_length: int,
        numbers: Sequence[int] | None = None,
    ) -> Prompts:
        """As ``PromptReader.encode``: tokens are those that the harness's own models read.

        Demonstrations that each document has of its own leave no prefix to share.

        Raises:
            TaskError: A prompt with its answer is longer than ``context_length``, an answer without a token, or
                demonstrations that cannot be had.
        """
        places = self._places[wanted.split]
        numbers = range(len(places)) if numbers is None else numbers
        chosen = [places[number] for number in numbers]
        queries = self._queries(tokenizer, wanted, chosen)
        prefix = shared_start([query.tokens for query in queries])
        prefix = prefix[: max(0, min(len(query.tokens) for query in queries) - 1)]
        prompts = Prompts(
            prefix=prefix,
            queries=tuple(replace(query, tokens=query.tokens[len(prefix) :]) for query in queries),
            scoring=self._counting.scoring,
            demonstrations=wanted.shots,
            own_demonstrations=not self._are_fixed(places),
            cuts=cuts_of(numbers, len(places)),
            normalised=True,
        )
        for place, length in zip(chosen, map(prompts.length, prompts.queries), strict=True):
            if length > context_length:
                raise TaskError(
                    f"{place.where} makes a prompt of {length} tokens with {wanted.shots} demonstrations and its "
                    f"answer; the model's context is {context_length}, and the harness would cut off how it begins. "
                    f"Use fewer shots, or take a model with more context."
                )
        return prompts

    def _are_fixed(self, places: Sequence[Place]) -> bool:
        """Whether all documents have the same demonstrations: those of one task, which are the same for each."""
        sources = {(place.task, place.source) for place in places}
        return len(self._tasks) == 1 and all(self._tasks[task].fixes_demonstrations(source) for task, source in sources)

    def show(self, wanted: PromptSet, number: int) -> str:
        """As ``PromptReader.show``; of contexts that differ by answer what they share."""
        return self._asked(wanted, self._places[wanted.split][number]).shared

    def _queries(self, tokenizer: PreTrainedTokenizerBase, wanted: PromptSet, places: Sequence[Place]) -> list[Query]:
        asked = [self._asked(wanted, place) for place in places]
        pairs = [pair for each in asked for pair in each.pairs]
        owners = [place for place, each in zip(places, asked, strict=True) for _ in each.pairs]
        read = iter(read_pairs(tokenizer, pairs, lambda number: owners[number].where))
        return [_make_query([next(read) for _ in each.pairs], each) for each in asked]

    def _asked(self, wanted: PromptSet, place: Place) -> Asked:
        """What is asked of a document; what is asked of all others of its split is built with it, and kept."""
        key = (place.task, place.split, wanted.shots, wanted.demo_seed)
        if key not in self._built:
            if len(self._built) >= BUILT_KEPT * len(self._tasks):
                self._built.pop(next(iter(self._built)))
            task = self._tasks[place.task]
            self._built[key] = task.ask(place.split, wanted.shots, wanted.demo_seed, self._counting)
        return self._built[key][place.number]


def _make_query(read: Sequence[tuple[Tokens, Tokens]], asked: Asked) -> Query:
    """One document; what only some of its contexts hold goes to their answers, and is not scored."""
    contexts = [context for context, _ in read]
    shared = shared_start(contexts)
    rests = [context[len(shared) :] for context in contexts]
    assert asked.gold is not None, "documents without gold are refused as they are read"
    return Query(
        tokens=shared,
        labels=tuple(rest + answer for rest, (_, answer) in zip(rests, read, strict=True)),
        gold=asked.gold,
        lengths=asked.lengths,
        unscored=tuple(map(len, rests)) if any(rests) else None,
    )
