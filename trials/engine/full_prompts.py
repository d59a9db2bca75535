"""The slow way, for models that cannot be run block by block: every prompt whole, through the model's forward."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from transformers import PreTrainedModel

from clipsweep.trials.decoder.patches import head_rows
from clipsweep.trials.engine.label_readings import ScoreSheet, pad, plan_readings
from clipsweep.trials.engine.microbatches import Microbatch, plan_microbatches
from clipsweep.trials.prompts.prompts import Prompts


def score_full_prompts(model: PreTrainedModel, prompts: Prompts, size: int) -> ScoreSheet:
    """Score every label of every query under the weights that the model holds; demonstrations are read again and again.

    Where the logits of the whole vocabulary are more than are held at a time, fewer sequences run together.
    """
    whole = _whole(prompts)
    sheet = ScoreSheet.blank(whole, model.device)
    for batch in plan_microbatches(whole, size):
        _read_batch(model, batch, sheet)
    return sheet


def _read_batch(model: PreTrainedModel, batch: Microbatch, sheet: ScoreSheet) -> None:
    """Read a microbatch, padded as a whole."""
    readings = plan_readings(batch, model.device)
    kept = torch.tensor(batch.positions, device=model.device)
    ids, mask = pad(batch.sequences, 0, model.device)
    columns = torch.searchsorted(kept, readings.positions)
    count = batch.n_answers

    def logits_of(answers: slice) -> Tensor:
        some = slice(answers.start // count, answers.stop // count)
        with head_rows(model, readings.tokens):
            logits: Tensor = model(ids[some], attention_mask=mask[some], logits_to_keep=kept).logits
        if logits.shape[1] != len(kept):  # some models take the argument and do not heed it
            logits = logits[:, kept]
        sequences = torch.arange(len(logits), device=model.device)
        return logits[sequences[:, None], columns[some]].flatten(0, 1)

    vocabulary_size = model.config.get_text_config().vocab_size
    readings.add_to(sheet, readings.read(logits_of, count * readings.at_once(vocabulary_size * len(kept))))


def score_alone(model: PreTrainedModel, prompts: Prompts, *, stretches: bool) -> ScoreSheet:
    """Score every label as the model reads its text: with a forward pass of its own, whole and not padded.

    Args:
        model: In evaluation mode.
        prompts: One split, tokenised.
        stretches: Whether rotary positions scale with the length of the text. transformers keeps the scale of the
            longest text until a short one comes (seen in 5.23); so a short one comes before each, and after the last.
    """
    short = torch.tensor([[1]], device=model.device)
    whole = replace(_whole(prompts), whole_labels=True, normalised=True)
    sheet = ScoreSheet.blank(whole, model.device)
    for batch in plan_microbatches(whole, 1):
        readings = plan_readings(batch, model.device)

        def logits_of(answers: slice, batch: Microbatch = batch, positions: Tensor = readings.positions) -> Tensor:
            number = answers.start // batch.n_answers
            if stretches:
                model(short)
            logits: Tensor = model(torch.tensor([batch.sequences[number]], device=model.device)).logits
            return logits[0, positions[number]]

        readings.add_to(sheet, readings.read(logits_of, batch.n_answers))
    if stretches:
        model(short)
    return sheet


def _whole(prompts: Prompts) -> Prompts:
    """The same prompts with nothing shared."""
    queries = tuple(replace(query, tokens=prompts.prefix + query.tokens) for query in prompts.queries)
    return replace(prompts, prefix=(), queries=queries)
