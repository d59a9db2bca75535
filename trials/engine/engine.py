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
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial

import torch
from transformers import PreTrainedModel

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.clips.edit import LoadedModel
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.decoder.decoder import Decoder
from clipsweep.trials.decoder.patches import fused_activations
from clipsweep.trials.engine.activation_store import ActivationStore
from clipsweep.trials.engine.by_blocks import ByBlocks
from clipsweep.trials.engine.cost import CostModel
from clipsweep.trials.engine.full_prompts import score_alone, score_full_prompts
from clipsweep.trials.engine.kept_passes import KeptPasses
from clipsweep.trials.engine.label_readings import ScoreSheet
from clipsweep.trials.engine.label_scores import LabelScores, checked
from clipsweep.trials.engine.out_of_memory import Retreat
from clipsweep.trials.engine.probe import TogetherCheck, stretch_limit, try_decoder
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.find_layout import find_layout
from clipsweep.trials.models.placement import devices_of
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.spec.implicit import ImplicitNorms
from clipsweep.trials.spec.resolved import ResolvedClips
from clipsweep.trials.spec.result import FULL_PROMPTS
from clipsweep.trials.spec.start import Start
from clipsweep.trials.theory.stage import Stage

log = logging.getLogger(__name__)


class Engine:
    """A loaded model that evaluates trials and is the same after each.

    Attributes:
        card: Of the model.
        layout: Where the model keeps its matrices.
        factors: Of its weights.
        cost: Counts the operations of its passes.
        loaded: The model, and what clips it.
        budget: Bytes that it may take besides the model.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        card: ModelCard,
        factors: FactorCache,
        budget: Budget | None = None,
        *,
        theory: bool = False,
    ) -> None:
        """Take a model in evaluation mode, on its device or spread over several, and try how it can be run.

        Args:
            model: Loaded; it is never changed but for the length of a call.
            card: Of the same checkpoint.
            factors: Makes or remembers SVD factors.
            budget: Of captured activations; None for a measured share of what is free.
            theory: Whether trials measure what demonstrations do by the paper's theory. Where prompts are read whole,
                nothing is measured, of which the log warns, as it does where no block can be measured.

        Raises:
            ModelError: It has no blocks, or no matrices to clip.
        """
        self.card = card
        self.layout = find_layout(model)
        self.factors = factors
        self._model = model
        self.loaded = LoadedModel(model=model, layout=self.layout, factors=factors)
        self._stretch_limit = stretch_limit(model.config.get_text_config())
        self.budget = budget = budget or Budget.measure(*devices_of(model))
        stage = Stage(model, self.layout, budget.trials_bytes) if theory else None
        self._kept = kept = KeptPasses(ActivationStore(budget), budget, model.device, stage)
        self._retreat = Retreat(kept)
        self.cost = CostModel(card)
        self._by_blocks: ByBlocks | None = None
        self._decoder = decoder = try_decoder(model, self.layout)
        self._together = TogetherCheck(model, decoder)
        if decoder is not None:
            self.cost = CostModel(card, trims=decoder.trims, fused_queries=decoder.fused_queries)
            self._by_blocks = ByBlocks(self.loaded, decoder, kept, self.cost, budget)
        elif theory:
            log.warning("%s is run on full prompts, so that theory measures nothing", model.config.model_type)
        if stage is not None and not any(stage.attentions):
            log.warning("%s has no block that theory can measure, so that it measures nothing", model.config.model_type)
        self._warns_of_theory = theory and decoder is not None

    @property
    def runs_blocks(self) -> bool:
        """Whether the model is run block by block; otherwise every trial reads full prompts."""
        return self._by_blocks is not None

    @property
    def n_halvings(self) -> int:
        """How often memory ran out so that the microbatch was halved."""
        return self._retreat.n_halvings

    @property
    def capture_seconds(self) -> float:
        """What passes of the untouched model have taken."""
        return 0.0 if self._by_blocks is None else self._by_blocks.capture_seconds

    def announce(self, starts: Collection[Start]) -> None:
        """Hear where later trials will start, so that one pass captures for all of them."""
        if self._by_blocks is not None:
            self._by_blocks.announce(starts)

    def start_of(self, clips: ResolvedClips) -> Start:
        """Where a trial of these clips starts; at the first block where it reads full prompts."""
        return Start(block=0) if self._by_blocks is None else self._by_blocks.start_of(clips)

    def decoder_for(self, prompts: Prompts, microbatch: int) -> Decoder | None:
        """What runs these prompts block by block; None where they are read whole, as ``score_all`` does too."""
        with torch.inference_mode(), fused_activations(self._model):
            fits = self._by_blocks is not None and not self._stretches(prompts)
            return self._decoder if fits and self._together.passes(prompts, microbatch) else None

    def make_room(self) -> None:
        """Give up what is held of all prompts, what is kept for the next parts of trials, and Gram matrices of theory.

        The last are formed again when the untouched model next reads demonstrations.
        """
        self._kept.forget_all()

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
        depend on the others. When memory runs out, less is held and less is done at once; see ``Retreat``.

        Args:
            prompts: One split, tokenised.
            trials: The effect of each trial's clips on this model.
            microbatch: Queries of one pass.

        Returns:
            For each trial its scores, or the error that ended it: non-finite weights, activations or scores, or one
            query alone that does not fit in memory.
        """
        return self._retreat.evaluate(partial(self._score_all, prompts), prompts, trials, microbatch)

    def measure(
        self, prompts: Prompts, trials: Sequence[ResolvedClips], microbatch: int
    ) -> list[ImplicitNorms | EvaluationError | None]:
        """Measure what the demonstrations do by the paper's theory, by reading them alone: nothing is scored.

        Args:
            prompts: One split, tokenised.
            trials: The effect of each trial's clips on this model.
            microbatch: Queries of a pass that scores these prompts: what is held of them there serves here too.

        Returns:
            For each trial the norms that scoring it measures too, to the bit where the same Gram matrices are held,
            with all the wall time that they took here; None where there is nothing to measure: no theory is asked for,
            no demonstrations, or prompts are read whole; or the error that ended it: non-finite weights, or memory that
            ran out over any number, of which scoring leaves that number out.
        """
        return self._retreat.evaluate(partial(self._measure, prompts), prompts, trials, microbatch)

    def _measure(
        self, prompts: Prompts, trials: Sequence[ResolvedClips], size: int
    ) -> list[ImplicitNorms | EvaluationError | None]:
        """Measure trials, if model and prompts allow the fast way."""
        if self._by_blocks is None or self.decoder_for(prompts, size) is None:
            return [None] * len(trials)
        with torch.inference_mode(), fused_activations(self._model):
            return self._by_blocks.measure(prompts, trials, size)

    def _score_all(
        self, prompts: Prompts, trials: Sequence[ResolvedClips], size: int
    ) -> list[LabelScores | EvaluationError]:
        """Score trials at a microbatch, the fast way if model and prompts allow it."""
        with torch.inference_mode(), fused_activations(self._model):
            stretched = self._stretches(prompts)
            alone = stretched or not self._together.passes(prompts, size)
            if alone or self._by_blocks is None:
                self._warn_of_theory(prompts, "some prompts are read whole, each alone")
                score = partial(self._score_alone, stretched=stretched) if alone else self._score_full
                return [score(prompts, clips, size) for clips in trials]
            if prompts.own_demonstrations:
                self._warn_of_theory(prompts, "some rows have demonstrations of their own, which no other row shares")
            return self._by_blocks.score(prompts, trials, size)

    def _warn_of_theory(self, prompts: Prompts, why: str) -> None:
        """Say once why what was asked for is not measured of some prompts with demonstrations."""
        if self._warns_of_theory and prompts.demonstrations:
            self._warns_of_theory = False
            log.warning("%s, so that theory measures nothing of them", why)

    def _score_full(self, prompts: Prompts, clips: ResolvedClips, size: int) -> LabelScores | EvaluationError:
        """Score one trial on full prompts, ``size`` at a time."""
        return self._timed(prompts, clips, size, lambda: score_full_prompts(self._model, prompts, size))

    def _score_alone(
        self, prompts: Prompts, clips: ResolvedClips, size: int, *, stretched: bool
    ) -> LabelScores | EvaluationError:
        """Score one trial on full prompts, each label with a pass of its own.

        The size that is told is the one that was asked for: asked for one at a time, the prompts may run another way.
        """
        whole = replace(prompts, whole_labels=True)
        scored = self._timed(whole, clips, 1, lambda: score_alone(self._model, whole, stretches=stretched))
        return replace(scored, microbatch=size) if isinstance(scored, LabelScores) else scored

    def _timed(
        self, prompts: Prompts, clips: ResolvedClips, size: int, score: Callable[[], ScoreSheet]
    ) -> LabelScores | EvaluationError:
        """Form a trial's weights, score it under them, and say what that took."""
        began = time.perf_counter()
        try:
            weights = self.loaded.edit(clips, prompts.texts)
        except EvaluationError as error:
            return error
        with self.loaded.holding(weights):
            scores = score()
        scored = LabelScores(
            log_likelihoods=scores.finished(prompts),
            leads=scores.leads_found(),
            microbatch=size,
            engine_path=FULL_PROMPTS,
            operations=self.cost.full_prompts(prompts, size),
            seconds=time.perf_counter() - began,
        )
        return checked(self.loaded, prompts, weights, scored)

    def _stretches(self, prompts: Prompts) -> bool:
        """Whether rotary positions scale with the length of some text, so that no two prompts share a prefix."""
        if self._stretch_limit is None:
            return False
        return replace(prompts, whole_labels=True).longest() > self._stretch_limit
