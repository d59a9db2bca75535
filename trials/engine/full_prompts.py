"""The slow way, for models that cannot be run block by block: every prompt whole, through the model's forward."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from transformers import PreTrainedModel

from clipsweep.trials.decoder.patches import head_rows
from clipsweep.trials.engine.label_readings import pad, plan_readings
from clipsweep.trials.engine.microbatches import plan_microbatches
from clipsweep.trials.prompts.prompts import Prompts


def score_full_prompts(model: PreTrainedModel, prompts: Prompts, size: int) -> Tensor:
    """Score every label of every query under the weights that the model holds; demonstrations are read again and again.

    Returns:
        Shape ``(queries, labels)``, float32, on the model's device.
    """
    whole = _whole(prompts)
    scores = torch.zeros(len(whole.queries), len(whole.queries[0].labels), device=model.device)
    for batch in plan_microbatches(whole, size):
        readings = plan_readings(batch, model.device)
        kept = torch.tensor(sorted(set(readings.positions.flatten().tolist())), device=model.device)
        ids, mask = pad(batch.sequences, 0, model.device)
        with head_rows(model, readings.tokens):
            logits = model(ids, attention_mask=mask, logits_to_keep=kept).logits
        if logits.shape[1] != len(kept):  # some models take the argument and do not heed it
            logits = logits[:, kept]
        columns = torch.searchsorted(kept, readings.positions)
        answers = logits[torch.arange(len(ids), device=model.device)[:, None], columns]
        readings.add_to(scores, answers.flatten(0, 1))
    return scores


def score_alone(model: PreTrainedModel, prompts: Prompts, *, stretches: bool) -> Tensor:
    """Score every label as the model reads its text: with a forward pass of its own, whole and not padded.

    Args:
        model: In evaluation mode.
        prompts: One split, tokenised.
        stretches: Whether rotary positions scale with the length of the text. transformers keeps the scale of the
            longest text until a short one comes (seen in 5.23); so a short one comes before each, and after the last.

    Returns:
        Shape ``(queries, labels)``, float32, on the model's device.
    """
    short = torch.tensor([[1]], device=model.device)
    whole = replace(_whole(prompts), whole_labels=True)
    scores = torch.zeros(len(whole.queries), len(whole.queries[0].labels), device=model.device)
    for batch in plan_microbatches(whole, 1):
        values: list[Tensor] = []
        for sequence in batch.sequences:
            if stretches:
                model(short)
            logits = model(torch.tensor([sequence], device=model.device)).logits[0].float()
            values.append(logits.mean(dim=-1, keepdim=True) if batch.averages else logits.log_softmax(dim=-1))
        for read in batch.reads:
            scores[read.query, read.label] += read.weight * values[read.sequence][read.position, read.token or 0]
    if stretches:
        model(short)
    return scores


def _whole(prompts: Prompts) -> Prompts:
    """The same prompts with nothing shared."""
    queries = tuple(replace(query, tokens=prompts.prefix + query.tokens) for query in prompts.queries)
    return replace(prompts, prefix=(), queries=queries)
