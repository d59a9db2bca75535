"""Score label words under clipped weights: demonstrations through the key-value cache, queries in microbatches.

In float32 the predictions equal those of clipping the weights in place and running each prompt alone.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from trials.clipping import clipped
from trials.errors import EvaluationError
from trials.factors import FactorCache
from trials.microbatches import Microbatch, plan_microbatches
from trials.model_card import ModelCard
from trials.prompts import Prompts
from trials.values import Clip

log = logging.getLogger(__name__)
ENGINE_PATH = "demonstrations-cached"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScores:
    """What a trial gave for each example and label.

    Attributes:
        log_likelihoods: Shape ``(examples, labels)``, float32 on the CPU, natural log, in the split's order.
        microbatch: The size that ran.
        engine_path: Which of the engine's ways ran.
    """

    log_likelihoods: Tensor
    microbatch: int
    engine_path: str = ENGINE_PATH


class Engine:
    """A loaded model that evaluates trials one after the other and is the same after each."""

    def __init__(self, model: PreTrainedModel, card: ModelCard, factors: FactorCache) -> None:
        """Take a model in evaluation mode, on its device."""
        self._model = model
        self._card = card
        self._factors = factors

    def score(self, prompts: Prompts, clips: Sequence[Clip], microbatch: int) -> LabelScores:
        """Log-likelihood of every label of every query, with ``clips`` applied to the original weights.

        Out of memory halves the microbatch and starts the trial again.

        Raises:
            EvaluationError: A score is not finite, or one query alone does not fit in memory.
        """
        with clipped(self._model, self._card, clips, self._factors), torch.inference_mode():
            while True:
                try:
                    scores = self._score_all(prompts, microbatch)
                    break
                except torch.OutOfMemoryError as error:
                    if microbatch == 1:
                        raise EvaluationError("one query alone does not fit in the device's memory.") from error
                    microbatch //= 2
                    log.warning("out of memory; the microbatch is now %d", microbatch)
                    torch.cuda.empty_cache()
        bad = (~torch.isfinite(scores).all(dim=1)).nonzero()
        if len(bad):
            raise EvaluationError(f"the scores of example {int(bad[0])} are not finite. Try model.dtype: float32.")
        return LabelScores(log_likelihoods=scores, microbatch=microbatch)

    def _score_all(self, prompts: Prompts, size: int) -> Tensor:
        n_labels = len(prompts.queries[0].labels)
        scores = torch.zeros(len(prompts.queries), n_labels)
        demonstrations = self._read_prefix(prompts)
        for batch in plan_microbatches(prompts, size):
            logprobs = self._forward(batch, len(prompts.prefix), copy.deepcopy(demonstrations))
            where = (torch.tensor([r.query for r in batch.reads]), torch.tensor([r.label for r in batch.reads]))
            scores.index_put_(where, logprobs.cpu(), accumulate=True)
        return scores

    def _read_prefix(self, prompts: Prompts) -> DynamicCache | None:
        """Keys and values of the shared prefix, computed once for a trial."""
        if not prompts.prefix:
            return None
        cache = DynamicCache(config=self._model.config)
        ids = torch.tensor([prompts.prefix], device=self._model.device)
        self._model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return cache

    def _forward(self, batch: Microbatch, prefix: int, cache: DynamicCache | None) -> Tensor:
        """Log-probability of every read of a microbatch: shape ``(reads,)``, float32."""
        device = self._model.device
        rows = [torch.tensor(sequence) for sequence in batch.sequences]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device)
        lengths = torch.tensor([len(row) for row in rows], device=device)
        mask = torch.arange(prefix + ids.shape[1], device=device) < (prefix + lengths)[:, None]
        if cache is not None:
            cache.batch_repeat_interleave(len(rows))
        logits = self._model(
            ids,
            past_key_values=cache,
            attention_mask=mask.long(),
            use_cache=cache is not None,
            logits_to_keep=torch.tensor(batch.positions, device=device),
        ).logits
        column = {position: number for number, position in enumerate(batch.positions)}
        reads = [(read.sequence, column[read.position], read.token) for read in batch.reads]
        sequence, kept, token = torch.tensor(reads, device=device).T
        logprobs: Tensor = logits[sequence, kept].float().log_softmax(dim=-1)
        return logprobs.gather(1, token[:, None])[:, 0]
