"""Score a checkpoint that was written on the rows of a trial, as transformers loads it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.engine.full_prompts import score_alone, score_full_prompts
from clipsweep.trials.engine.label_readings import ScoreSheet
from clipsweep.trials.engine.probe import TogetherCheck, stretch_limit
from clipsweep.trials.export.factored import load_factored
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.load import load_model
from clipsweep.trials.prompts.prompts import Prompts


class Scorer:
    """A written checkpoint, loaded."""

    def __init__(self, folder: Path, card: ModelCard, devices: list[str], cache: Path, *, factored: bool) -> None:
        """Load it: by ``AutoModelForCausalLM``, or by ``load_factored``.

        Args:
            folder: The checkpoint.
            card: Of its source, with the dtype of its files.
            devices: Torch devices: one, or several that a dense model is spread over.
            cache: For factors; none are needed of a model that is not clipped.
            factored: Whether it has thin factors. Then it is run on full prompts, which is slower.

        Raises:
            ModelError: It does not load.
        """
        self._card = card
        self._model: PreTrainedModel
        self._engine: Engine | None = None
        if factored:
            self._model = load_factored(folder, device=devices[0])
            return
        self._model = load_model(folder, card.dtype, *devices)
        self._engine = Engine(self._model, card, FactorCache(cache))

    def score(self, prompts: Prompts, size: int) -> tuple[Tensor, Tensor | None]:
        """Log-likelihood of every label of every query, and how far each leads where the scoring asks for it.

        Args:
            prompts: One split, tokenised.
            size: Queries of one pass.

        Returns:
            Both as ``LabelScores`` has them.

        Raises:
            EvaluationError: The scores are not finite, or one query does not fit in memory.
        """
        if self._engine is not None:
            scored = self._engine.score(prompts, resolve((), self._card), size)
            return scored.log_likelihoods, scored.leads
        with torch.inference_mode():
            sheet = self._score_full(prompts, size)
            return sheet.finished(prompts), sheet.leads_found()

    def _score_full(self, prompts: Prompts, size: int) -> ScoreSheet:
        limit = stretch_limit(self._model.config.get_text_config())
        if limit is not None or not TogetherCheck(self._model, None).passes(prompts, size):
            return score_alone(self._model, prompts, stretches=limit is not None)
        return score_full_prompts(self._model, prompts, size)
