"""Try, on the model itself, how it can be run."""

from __future__ import annotations

import logging
import traceback
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.base.memory import is_out_of_memory
from clipsweep.trials.decoder.decoder import Decoder
from clipsweep.trials.decoder.unsupported import NotUnderstood
from clipsweep.trials.decoder.walk import ANSWERS, Capture
from clipsweep.trials.engine.activation_store import ActivationStore
from clipsweep.trials.engine.full_prompts import score_full_prompts
from clipsweep.trials.engine.passes import Passes
from clipsweep.trials.models.matrices import Layout
from clipsweep.trials.spec.start import Start
from clipsweep.trials.tasks.prompts import Prompts, Query

log = logging.getLogger(__name__)
LABELS = (((1,), (2,)), ((1, 2), (3,)))
PREFIX, QUERIES, LONG_QUERY = (1, 2, 3), ((4, 5, 6, 7), (3, 6)), 40
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 2e-1, torch.float16: 5e-2}
STRETCHING, TRAINED_LENGTH = ("dynamic", "longrope"), "original_max_position_embeddings"
REFUSALS = (RuntimeError, ValueError, TypeError, AttributeError, LookupError, AssertionError)  # of unforeseen models


def try_decoder(model: PreTrainedModel, layout: Layout) -> Decoder | None:
    """The model run block by block, if that gives what full prompts give; tried on a few tokens.

    Returns:
        None where the model is not understood, or where its own code refuses to be run so. An error of our own code
        says nothing of the model, and is raised.
    """
    try:
        decoder = Decoder(model, layout)
        for labels in LABELS:
            _compare(model, decoder, labels)
    except (NotUnderstood, *REFUSALS) as finding:
        if not _is_of_the_model(finding):
            raise
        log.warning("%s is run on full prompts, which is slower: %s", model.config.model_type, finding)
        return None
    if not decoder.trims:
        log.warning("%s: the last block runs on all tokens, as it tells positions by counting", model.config.model_type)
    if not all(decoder.reusable):
        log.warning(
            "%s: some blocks are run whole, as neither of their parts can be told apart", model.config.model_type
        )
    return decoder


def _is_of_the_model(error: Exception) -> bool:
    """Whether an error says that a model cannot be run so: our finding, or raised in the model's or torch's code.

    What is raised in our own code, in the innermost frame, is a mistake of ours; and a lack of memory says nothing.
    """
    if isinstance(error, NotUnderstood):
        return True
    if isinstance(error, RuntimeError) and is_out_of_memory(error):
        return False
    *_, (innermost, _) = traceback.walk_tb(error.__traceback__)
    module: str = innermost.f_globals["__name__"]
    return module.partition(".")[0] != __name__.partition(".")[0]


@torch.inference_mode()
def _compare(model: PreTrainedModel, decoder: Decoder, labels: tuple[tuple[int, ...], ...]) -> None:
    """Score a few made-up prompts both ways.

    Raises:
        NotUnderstood: The scores differ.
    """
    prompts = _made_up(model, labels)
    scores, expected = _score_by_blocks(model, decoder, prompts), score_full_prompts(model, prompts, 1)
    if not torch.isfinite(expected).all():
        return  # what is not finite is for the trials to say
    scores, expected = (each - each.mean(dim=1, keepdim=True) for each in (scores, expected))
    if (scores - expected).abs().max() > TOLERANCE[model.dtype] * expected.abs().max():
        raise NotUnderstood("run block by block it gives other scores")


def _made_up(model: PreTrainedModel, labels: tuple[tuple[int, ...], ...]) -> Prompts:
    """Two short queries and one that is as long as the model allows, up to ``LONG_QUERY``, after a common prefix."""
    config = model.config.get_text_config()
    limits = (stretch_limit(config), getattr(config, "max_position_embeddings", None), len(PREFIX) + LONG_QUERY + 1)
    room = min(limit for limit in limits if limit) - len(PREFIX) - 1
    tokens = (*QUERIES, tuple(number % 8 for number in range(room)))
    return Prompts(prefix=PREFIX, queries=tuple(Query(tokens=each, labels=labels, gold=0) for each in tokens))


def _score_by_blocks(model: PreTrainedModel, decoder: Decoder, prompts: Prompts) -> Tensor:
    """Scores of the untouched model, all queries in one microbatch: shape ``(queries, labels)``, float32."""
    nothing_kept = ActivationStore(Budget(device_bytes=0, host_bytes=0))
    passes = Passes(decoder, nothing_kept, prompts, len(prompts.queries), model.device)
    passes.prepare(frozenset())
    _, found = passes.visit(0, passes.needs(Start(block=decoder.n_layers)))
    answers = found[Capture(decoder.n_layers, ANSWERS)]
    readings = passes.readings[0]
    scores = torch.zeros(len(prompts.queries), len(prompts.queries[0].labels), device=model.device)
    readings.add_to(scores, decoder.head(answers.flatten(0, 1), readings.tokens))
    return scores


def stretch_limit(config: Any) -> int | None:
    """Longest prompt whose rotary positions do not depend on its length; None where there is no limit."""
    parameters = getattr(config, "rope_parameters", None) or {}
    by_kind_of_layer = [each for each in parameters.values() if isinstance(each, dict)]
    settings = by_kind_of_layer or [parameters]
    if not any(each.get("rope_type") in STRETCHING for each in settings):
        return None
    stated = [each.get(TRAINED_LENGTH) for each in settings]
    stated += [getattr(config, name, None) for name in (TRAINED_LENGTH, "max_position_embeddings")]
    return min((limit for limit in stated if limit), default=0)
