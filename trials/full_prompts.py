"""The slow way, for models that cannot be run block by block: every prompt whole, through the model's forward."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from transformers import PreTrainedModel

from trials.decoder import head_rows
from trials.microbatches import plan_microbatches
from trials.prompts import Prompts
from trials.readings import pad, plan_readings


def score_full_prompts(model: PreTrainedModel, prompts: Prompts, size: int) -> Tensor:
    """Score every label of every query under the weights that the model holds; demonstrations are read again and again.

    Returns:
        Shape ``(queries, labels)``, float32, on the model's device.
    """
    whole = Prompts(
        prefix=(), queries=tuple(replace(query, tokens=prompts.prefix + query.tokens) for query in prompts.queries)
    )
    scores = torch.zeros(len(whole.queries), len(whole.queries[0].labels), device=model.device)
    for batch in plan_microbatches(whole, size):
        readings = plan_readings(batch, model.device)
        kept = torch.tensor(sorted(set(readings.positions.flatten().tolist())), device=model.device)
        ids, mask = pad(batch.sequences, 0, model.device)
        with head_rows(model, readings.tokens):
            logits = model(ids, attention_mask=mask, logits_to_keep=kept).logits
        columns = torch.searchsorted(kept, readings.positions)
        answers = logits[torch.arange(len(ids), device=model.device)[:, None], columns]
        readings.add_to(scores, answers.flatten(0, 1))
    return scores


def score_alone(model: PreTrainedModel, prompts: Prompts) -> Tensor:
    """Score every label with a forward pass of its own, for models whose rotary positions scale with the length.

    transformers keeps the scale of the longest sequence until a short one comes (seen in 5.23); so a short one comes
    before each sequence, and after the last.

    Returns:
        Shape ``(queries, labels)``, float32, on the model's device.
    """
    short = torch.tensor([[1]], device=model.device)
    scores = torch.zeros(len(prompts.queries), len(prompts.queries[0].labels), device=model.device)
    for number, query in enumerate(prompts.queries):
        for column, label in enumerate(query.labels):
            model(short)
            ids = torch.tensor([[*prompts.prefix, *query.tokens, *label[:-1]]], device=model.device)
            logprobs = model(ids, logits_to_keep=len(label)).logits[0].float().log_softmax(dim=-1)
            scores[number, column] = logprobs[torch.arange(len(label)), torch.tensor(label)].sum()
    model(short)
    return scores
