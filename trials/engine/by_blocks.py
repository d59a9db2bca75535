"""The fast way: trials run block by block, and of each only what its clips change."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.base.tensors import count_bytes
from clipsweep.trials.clips.edit import LoadedModel
from clipsweep.trials.decoder.decoder import Decoder
from clipsweep.trials.decoder.walk import Capture
from clipsweep.trials.engine.cost import CostModel
from clipsweep.trials.engine.kept_passes import KeptPasses
from clipsweep.trials.engine.label_readings import ScoreSheet, read_answers
from clipsweep.trials.engine.label_scores import LabelScores, charge, checked
from clipsweep.trials.engine.passes import Downstream, Passes
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.spec.implicit import ImplicitNorms
from clipsweep.trials.spec.resolved import ResolvedClips
from clipsweep.trials.spec.start import Start

SUB_LAYER, BLOCKS = "sub-layer", "blocks"


@dataclass(slots=True, kw_only=True)
class _Running:
    """A trial on its way through the microbatches.

    Attributes:
        trial: What it changes.
        scores: What the microbatches visited so far gave.
        seconds: Wall time of what it did itself.
        reads_prefix: Whether it has read the prefix; otherwise an earlier part of it has.
    """

    trial: Downstream
    scores: ScoreSheet
    seconds: float
    reads_prefix: bool


class ByBlocks:
    """Scores trials, or measures their demonstrations alone, with a model that can be run block by block.

    Attributes:
        capture_seconds: What passes of the untouched model have taken.
    """

    def __init__(
        self, loaded: LoadedModel, decoder: Decoder, kept: KeptPasses, cost: CostModel, budget: Budget
    ) -> None:
        """Take the model, in every form in which it is used.

        Args:
            loaded: To clip it.
            decoder: To run it.
            kept: Passes of the untouched model, which trials start from, and what trials have formed and read.
            cost: Counts operations.
            budget: Its ``trials_bytes`` are what the trials that run together may take, with those that are kept.
        """
        self._loaded = loaded
        self._decoder = decoder
        self._kept = kept
        self._cost = cost
        self._budget = budget
        self._device = loaded.model.device
        self._announced: set[Start] = set()
        self.capture_seconds = 0.0

    def announce(self, starts: Collection[Start]) -> None:
        """Hear where later trials will start."""
        self._announced |= set(map(self._decoder.narrow, starts))

    def start_of(self, clips: ResolvedClips) -> Start:
        """Where a trial of these clips starts: with what this model's blocks can reuse."""
        return self._decoder.narrow(clips.start)

    def score(
        self, prompts: Prompts, trials: Sequence[ResolvedClips], size: int
    ) -> list[LabelScores | EvaluationError]:
        """Score trials over the same prompts, as many together as their budget holds.

        Args:
            prompts: One split, tokenised.
            trials: The effect of each trial's clips.
            size: Queries of a microbatch.

        Returns:
            For each trial its scores, or what was not finite.
        """
        began = time.perf_counter()
        passes = self._kept.of(self._decoder, prompts, size)
        self._prepare(passes, passes.numbers(prompts), trials)
        stopwatch = passes.take_stopwatch()
        ends: dict[int, LabelScores | EvaluationError] = {}
        for numbers in self._budget.group([self._trial_bytes(passes, clips) for clips in trials]):
            together = {number: trials[number] for number in numbers}
            ends |= self._score_together(passes, prompts, together, size)
        measuring, seconds = stopwatch.seconds(), time.perf_counter() - began
        charged = charge(ends, seconds, by_operations=self._device.type == "cuda", measuring=measuring)
        return [charged[number] for number in range(len(trials))]

    def measure(
        self, prompts: Prompts, trials: Sequence[ResolvedClips], size: int
    ) -> list[ImplicitNorms | EvaluationError | None]:
        """Measure what the demonstrations do under each trial's weights, and score nothing; arguments as of ``score``.

        Returns:
            For each trial the norms that scoring it gives too; None where the prompts have nothing to measure; or why
            it failed: weights that are not finite, or numbers that were lost as memory ran out. Their seconds are all
            that measuring took: a trial's weights, its pass over the demonstrations, and an equal part of the untouched
            model's.
        """
        began = time.perf_counter()
        passes = self._kept.of(self._decoder, prompts, size)
        if not passes.measures:
            return [None] * len(trials)
        self._prepare(passes, (), trials)
        passes.take_stopwatch()  # its time is counted here, with all that the pass took
        shared = (time.perf_counter() - began) / len(trials)
        ends: list[ImplicitNorms | EvaluationError | None] = []
        for clips in trials:
            began = time.perf_counter()
            self._kept.trials.make_room(self._trial_bytes(passes, clips))
            try:
                measured = self._form(passes, prompts, clips).prefix.measured
                if measured is not None:
                    measured.check()
            except EvaluationError as error:
                ends.append(error)
                continue
            norms = None if measured is None else measured.norms()
            ends.append(norms and replace(norms, seconds=shared + time.perf_counter() - began))
        return ends

    def _prepare(self, passes: Passes, numbers: Collection[int], trials: Sequence[ResolvedClips]) -> None:
        """Capture of the untouched model what these trials start from, over the prefix and these microbatches."""
        began = time.perf_counter()
        starts = list(map(self.start_of, trials))
        passes.prepare(numbers, now=_needs(passes, starts), later=_needs(passes, self._announced))
        self.capture_seconds += time.perf_counter() - began

    def _trial_bytes(self, passes: Passes, clips: ResolvedClips) -> int:
        """What a trial holds while it runs: its weights, and the prefix from its start on."""
        return self._loaded.edited_bytes(clips) + count_bytes(list(passes.keys[clips.start.block :]))

    def _score_together(
        self, passes: Passes, prompts: Prompts, trials: Mapping[int, ResolvedClips], size: int
    ) -> dict[int, LabelScores | EvaluationError]:
        """Score trials whose weights and prefix are in memory together, microbatch by microbatch."""
        ends: dict[int, LabelScores | EvaluationError] = {}
        running: dict[int, _Running] = {}
        kept = {number: self._kept.trials.take((passes, clips.fingerprint)) for number, clips in trials.items()}
        self._kept.trials.make_room(sum(self._trial_bytes(passes, clips) for clips in trials.values()))
        for number, clips in trials.items():
            try:
                running[number] = self._begin(passes, prompts, clips, kept.pop(number))
            except EvaluationError as error:
                ends[number] = error
        wanted = _needs(passes, [each.trial.start for each in running.values()])
        visited = passes.numbers(prompts)
        for number in visited:
            began, readings = time.perf_counter(), passes.readings[number]
            door, found = passes.visit(number, wanted)
            self.capture_seconds += time.perf_counter() - began
            for each in running.values():
                began = time.perf_counter()
                with self._loaded.holding(each.trial.weights):
                    answers = passes.answer(number, door, each.trial, found)
                    found_here = read_answers(self._decoder, answers, readings, self._cost.card.vocabulary_size)
                    readings.add_to(each.scores, found_here)
                each.seconds += time.perf_counter() - began
        for number, each in running.items():
            ends[number] = self._end(passes, prompts, each, size, visited)
            if prompts.goes_on and isinstance(ends[number], LabelScores):
                self._kept.trials.put((passes, trials[number].fingerprint), each.trial)
        return ends

    def _begin(self, passes: Passes, prompts: Prompts, clips: ResolvedClips, kept: Downstream | None) -> _Running:
        """Form a trial's weights and read the prefix under them, where that is not kept of an earlier part.

        Raises:
            EvaluationError: The weights of a clipped matrix are not finite.
        """
        began = time.perf_counter()
        trial = self._form(passes, prompts, clips) if kept is None else kept
        scores = ScoreSheet.blank(prompts, self._device)
        return _Running(trial=trial, scores=scores, seconds=time.perf_counter() - began, reads_prefix=kept is None)

    def _form(self, passes: Passes, prompts: Prompts, clips: ResolvedClips) -> Downstream:
        """A trial's weights, and the prefix under them."""
        start = self.start_of(clips)
        weights = self._loaded.edit(clips, prompts.texts)
        with self._loaded.holding(weights):
            prefix = passes.read_prefix(start)
        own = [pair for pair, untouched in zip(prefix.keys, passes.keys, strict=True) if pair is not untouched]
        return Downstream(start=start, weights=weights, prefix=prefix, size=count_bytes([weights, own]))

    def _end(
        self, passes: Passes, prompts: Prompts, each: _Running, size: int, visited: Sequence[int]
    ) -> LabelScores | EvaluationError:
        """What a trial gave, when it has visited these microbatches: all that hold an evaluated query."""
        start, measured = each.trial.start, each.trial.prefix.measured
        scored = LabelScores(
            log_likelihoods=each.scores.finished(prompts),
            leads=each.scores.leads_found(),
            implicit=None if measured is None else (measured if each.reads_prefix else measured.again()).norms(),
            microbatch=size,
            engine_path=SUB_LAYER if start.reuse else BLOCKS,
            operations=self._cost.trial(passes.extents(visited, prefix=each.reads_prefix), start),
            seconds=each.seconds,
        )
        return checked(self._loaded, prompts, each.trial.weights, scored)


def _needs(passes: Passes, starts: Collection[Start]) -> frozenset[Capture]:
    """What is captured for trials that start at any of these."""
    return frozenset(capture for start in {*starts} for capture in passes.needs(start))
