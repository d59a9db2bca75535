"""Score label words under clipped weights, computing only what a clip changes.

A clip changes what lies downstream of it, and a label score needs a few positions of that. So the demonstrations are
read once for all queries, what enters each swept layer is captured in one pass of the untouched model, and a trial runs
the blocks from its clip on, with the attention or MLP that the clip leaves as it was put in from the captured ones. In
float32 the predictions equal those of clipping the weights in place and running each prompt alone.

Whether a model can be run this way is tried on the model itself; one that cannot is run on full prompts, which is
slower and as exact.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from transformers import PreTrainedModel

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.base.memory import is_out_of_memory
from clipsweep.trials.base.tensors import count_bytes
from clipsweep.trials.clips.edit import edit_weights, swapped
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.decoder.patches import fused_activations
from clipsweep.trials.engine.activation_store import ActivationStore
from clipsweep.trials.engine.budget import Budget
from clipsweep.trials.engine.cost import CostModel
from clipsweep.trials.engine.full_prompts import explain_not_finite, score_alone, score_full_prompts
from clipsweep.trials.engine.label_readings import Readings
from clipsweep.trials.engine.passes import Downstream, Passes
from clipsweep.trials.engine.probe import stretch_limit, try_decoder
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.matrices import find_layout
from clipsweep.trials.models.placement import devices_of
from clipsweep.trials.spec.resolved import ResolvedClips
from clipsweep.trials.spec.start import Start
from clipsweep.trials.tasks.prompts import Prompts

log = logging.getLogger(__name__)
SUB_LAYER, BLOCKS, FULL_PROMPTS = "sub-layer", "blocks", "full-prompts"
PROMPTS_KEPT, PROMPTS_MOST = 4, 64  # at least, and as long as there is room: a race comes back to each of its parts
LOGITS_AT_ONCE = 2**26  # where every position's logits are averaged


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScores:
    """What a trial gave for each example and label.

    Attributes:
        log_likelihoods: Shape ``(examples, labels)``, float32 on the CPU, natural log, in the split's order. Where all
            labels are single tokens they are logits: log-likelihoods but for a constant of the example.
        microbatch: The size that ran.
        engine_path: Which of the engine's ways ran: ``"sub-layer"``, ``"blocks"`` or ``"full-prompts"``.
        operations: Floating-point operations by the cost model, without the pass that all trials share.
        seconds: Its own share of the wall time.
    """

    log_likelihoods: Tensor
    microbatch: int
    engine_path: str
    operations: int
    seconds: float


@dataclass(slots=True, kw_only=True)
class _Running:
    """A trial on its way through the microbatches."""

    trial: Downstream
    scores: Tensor
    seconds: float = 0.0


class Engine:
    """A loaded model that evaluates trials and is the same after each.

    Attributes:
        card: Shapes of the model.
        layout: Where the model keeps its matrices.
        factors: Of its weights.
        cost: Counts the operations of its passes.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        card: ModelCard,
        factors: FactorCache,
        budget: Budget | None = None,
    ) -> None:
        """Take a model in evaluation mode, on its device or spread over several, and try how it can be run.

        Args:
            model: Loaded; it is never changed but for the length of a call.
            card: Of the same checkpoint.
            factors: Makes or remembers SVD factors.
            budget: Of captured activations; None for a measured share of what is free.

        Raises:
            ModelError: It has no blocks, or no matrices to clip.
        """
        self._model = model
        self.layout = find_layout(model)
        self.card = card
        self.factors = factors
        self._device = model.device
        self._budget = budget or Budget.measure(*devices_of(model))
        self._store = ActivationStore(self._budget)
        self._passes: OrderedDict[tuple[int, int], tuple[Prompts, Passes]] = OrderedDict()
        self._fitting: dict[int, tuple[Prompts, int]] = {}  # microbatches that fit where the one asked for did not
        self._announced: set[Start] = set()
        self._stretch_limit = stretch_limit(model.config.get_text_config())
        self._on_gpu = self._device.type == "cuda"
        self._decoder = try_decoder(model, self.layout)
        self.cost = CostModel(card)
        if self._decoder is not None:
            self.cost = CostModel(card, trims=self._decoder.trims, fused_queries=self._decoder.fused_queries)

    @property
    def runs_blocks(self) -> bool:
        """Whether the model is run block by block; otherwise every trial reads full prompts."""
        return self._decoder is not None

    def announce(self, starts: Iterable[Start]) -> None:
        """Hear where later trials will start, so that one pass captures for all of them."""
        if self._decoder is not None:
            self._announced |= set(map(self._decoder.narrow, starts))

    def score(self, prompts: Prompts, clips: ResolvedClips, microbatch: int) -> LabelScores:
        """Score one trial; see ``score_all``.

        Raises:
            EvaluationError: The trial failed.
        """
        result = self.score_all(prompts, [clips], microbatch)[0]
        if isinstance(result, EvaluationError):
            raise result
        return result

    def score_all(
        self, prompts: Prompts, trials: Sequence[ResolvedClips], microbatch: int
    ) -> list[LabelScores | EvaluationError]:
        """Log-likelihood of every label of every query, for each trial's clips applied to the original weights.

        Trials run one after the other over each microbatch, at the same shapes as alone: what a trial gives does not
        depend on the others. When memory runs out, captured activations are given up first, then trials run alone,
        then the microbatch is halved.

        Args:
            prompts: One split, tokenised.
            trials: What the clips of each trial come to.
            microbatch: Queries of one pass.

        Returns:
            For each trial its scores, or the error that ended it: non-finite weights, activations or scores, or one
            query alone that does not fit in memory.
        """
        microbatch = min(microbatch, self._fitting.get(id(prompts), (prompts, microbatch))[1])
        while True:
            try:
                with torch.inference_mode(), fused_activations(self._model):
                    return self._score_all(prompts, trials, microbatch)
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                if not is_out_of_memory(error):
                    raise
                reason = str(error).splitlines()[0]
            torch.cuda.empty_cache()
            if self._forget_others(prompts) | self._store.relieve():
                log.warning("out of memory; no activations are kept, and nothing of other prompts")
            elif len(trials) > 1:
                log.warning("out of memory with %d trials at once; they run one by one", len(trials))
                return [result for clips in trials for result in self.score_all(prompts, [clips], microbatch)]
            elif microbatch > 1:
                microbatch //= 2
                self._fitting[id(prompts)] = prompts, microbatch
                self._store.restore()
                log.warning("out of memory; the microbatch is now %d", microbatch)
            else:
                return [EvaluationError(f"a microbatch of one does not fit in the device's memory ({reason}).")]

    def _score_all(
        self, prompts: Prompts, trials: Sequence[ResolvedClips], size: int
    ) -> list[LabelScores | EvaluationError]:
        stretched = self._stretches(prompts)
        if self._decoder is None or stretched:
            return [self._score_full(prompts, clips, size, stretched=stretched) for clips in trials]
        started = time.perf_counter()
        passes = self._passes_of(prompts, size)
        now, later = (
            frozenset(place for each in starts for place in passes.needs(each))
            for starts in ({self.start_of(clips) for clips in trials}, self._announced)
        )
        passes.sweep(now, later)
        results: dict[int, LabelScores | EvaluationError] = {}
        for group in self._group(trials, passes):
            results |= self._score_group(passes, prompts, {number: trials[number] for number in group}, size)
        charged = self._charge(results, time.perf_counter() - started)
        return [charged[number] for number in range(len(trials))]

    def _charge(
        self, results: Mapping[int, LabelScores | EvaluationError], seconds: float
    ) -> dict[int, LabelScores | EvaluationError]:
        """Charge each trial its own time and an equal part of what all had in common.

        A GPU runs behind the program, so that what a trial takes there is told from its operations.
        """
        scored = {number: result for number, result in results.items() if isinstance(result, LabelScores)}
        shared = (seconds - sum(result.seconds for result in scored.values())) / max(1, len(scored))
        operations = sum(result.operations for result in scored.values())
        spent = {
            number: seconds * result.operations / operations if self._on_gpu else result.seconds + shared
            for number, result in scored.items()
        }
        return {**results, **{number: replace(scored[number], seconds=each) for number, each in spent.items()}}

    def _score_group(
        self, passes: Passes, prompts: Prompts, trials: Mapping[int, ResolvedClips], size: int
    ) -> dict[int, LabelScores | EvaluationError]:
        """Trials whose weights and prefix are in memory together, microbatch by microbatch."""
        results: dict[int, LabelScores | EvaluationError] = {}
        running: dict[int, _Running] = {}
        for number, clips in trials.items():
            began = time.perf_counter()
            try:
                trial = self._prepare(passes, clips)
            except EvaluationError as error:
                results[number] = error
                continue
            scores = torch.zeros(len(prompts.queries), len(prompts.queries[0].labels), device=self._device)
            running[number] = _Running(trial=trial, scores=scores, seconds=time.perf_counter() - began)
        wanted = frozenset(place for each in running.values() for place in passes.needs(each.trial.start))
        for number, readings in enumerate(passes.readings):
            door, found = passes.visit(number, wanted)
            for each in running.values():
                began = time.perf_counter()
                with swapped(self._model, each.trial.weights):
                    answers = passes.answer(number, door, each.trial, found)
                    readings.add_to(each.scores, self._head(answers, readings))
                each.seconds += time.perf_counter() - began
        return results | {number: self._finish(passes, prompts, each, size) for number, each in running.items()}

    def _prepare(self, passes: Passes, clips: ResolvedClips) -> Downstream:
        """Form a trial's weights and read the prefix under them."""
        start = self.start_of(clips)
        weights = edit_weights(self._model, self.layout, clips, self.factors)
        with swapped(self._model, weights):
            keys = passes.read_prefix(start)
        return Downstream(start=start, weights=weights, keys=keys)

    def _head(self, answers: Tensor, readings: Readings) -> Tensor:
        """Logits of the answers; their means at once where means are read, a few positions at a time."""
        assert self._decoder is not None
        hidden = answers.flatten(0, 1)
        if not readings.averages:
            return self._decoder.head(hidden, readings.tokens)
        positions = max(1, LOGITS_AT_ONCE // self.card.vocabulary_size)
        parts = torch.split(hidden, positions)
        means = [self._decoder.head(part, None).float().mean(dim=-1, keepdim=True) for part in parts]
        return torch.cat(means)

    def _finish(self, passes: Passes, prompts: Prompts, each: _Running, size: int) -> LabelScores | EvaluationError:
        return self._judge(
            prompts,
            each.trial.weights,
            LabelScores(
                log_likelihoods=each.scores.cpu(),
                microbatch=size,
                engine_path=SUB_LAYER if each.trial.start.reuse else BLOCKS,
                operations=self.cost.trial(passes.extents, each.trial.start),
                seconds=each.seconds,
            ),
        )

    def _judge(
        self, prompts: Prompts, weights: Mapping[str, Tensor], scored: LabelScores
    ) -> LabelScores | EvaluationError:
        """A trial's scores, or where its numbers stopped being finite."""
        bad = (~torch.isfinite(scored.log_likelihoods).all(dim=1)).nonzero()
        if not len(bad):
            return scored
        blocks = list(self._model.get_submodule(self.layout.blocks))
        with swapped(self._model, weights):
            return EvaluationError(explain_not_finite(self._model, blocks, prompts, int(bad[0])))

    def _score_full(
        self, prompts: Prompts, clips: ResolvedClips, size: int, *, stretched: bool
    ) -> LabelScores | EvaluationError:
        """One trial the slow way."""
        started = time.perf_counter()
        try:
            weights = edit_weights(self._model, self.layout, clips, self.factors)
        except EvaluationError as error:
            return error
        with swapped(self._model, weights):
            scores = score_alone(self._model, prompts) if stretched else score_full_prompts(self._model, prompts, size)
        size = 1 if stretched else size
        scored = LabelScores(
            log_likelihoods=scores.cpu(),
            microbatch=size,
            engine_path=FULL_PROMPTS,
            operations=self.cost.full_prompts(prompts, size),
            seconds=time.perf_counter() - started,
        )
        return self._judge(prompts, weights, scored)

    def _passes_of(self, prompts: Prompts, size: int) -> Passes:
        """The passes over these prompts, kept for the trials to come."""
        key = (id(prompts), size)
        if key not in self._passes:
            assert self._decoder is not None
            passes = Passes(self._decoder, self._store, prompts, size, self._device)
            self._passes[key] = (prompts, passes)  # holding the prompts keeps their id their own
            while len(self._passes) > PROMPTS_KEPT and self._is_crowded():
                self._passes.popitem(last=False)[1][1].forget()
        self._passes.move_to_end(key)
        return self._passes[key][1]

    def _is_crowded(self) -> bool:
        """Whether prompts used before take room that the next ones will want."""
        prefixes = sum(passes.prefix_bytes for _, passes in self._passes.values())
        return len(self._passes) > PROMPTS_MOST or prefixes > self._budget.trials_bytes or self._store.crowded

    def _forget_others(self, prompts: Prompts) -> bool:
        """Give up what is held of other prompts; False if there are none."""
        others = [key for key, (kept, _) in self._passes.items() if kept is not prompts]
        for key in others:
            self._passes.pop(key)[1].forget()
        return bool(others)

    def start_of(self, clips: ResolvedClips) -> Start:
        """Where a trial of these clips starts on this model, which is run block by block."""
        assert self._decoder is not None
        return self._decoder.narrow(clips.start)

    def _group(self, trials: Sequence[ResolvedClips], passes: Passes) -> Iterator[list[int]]:
        """Numbers of trials whose weights and prefixes fit in their budget together; at least one."""
        limit = self._budget.trials_bytes
        group: list[int] = []
        held = 0
        for number, clips in enumerate(trials):
            names = {matrix.parameter for edit in clips.edits for matrix in self.layout.matrices[edit.layer, edit.role]}
            size = count_bytes([self._model.get_parameter(name) for name in sorted(names)])
            size += count_bytes(list(passes.keys[self.start_of(clips).block :]))
            if group and held + size > limit:
                yield group
                group, held = [], 0
            group.append(number)
            held += size
        yield group

    def _stretches(self, prompts: Prompts) -> bool:
        """Whether rotary positions scale with the length of some prompt, so that no two prompts share a prefix."""
        if self._stretch_limit is None:
            return False
        longest = max(len(tokens) for query in prompts.queries for tokens in prompts.sequences(query))
        return len(prompts.prefix) + longest > self._stretch_limit
