"""What a trial gave: checked to be finite, and charged for the time that it took."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.clips.edit import LoadedModel
from clipsweep.trials.decoder.patches import replaced
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.spec.implicit import ImplicitNorms


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScores:
    """What a trial gave for each example and label.

    Attributes:
        log_likelihoods: Shape ``(examples, labels)``, float32 on the CPU, natural log, in the split's order. Where all
            labels are single tokens they are logits: log-likelihoods but for a constant of the example. Of a part, what
            stands in the rows of other examples means nothing. Of a query with fewer labels than others the rest of
            its row is minus infinity. A label's sum is divided by its length where the scoring says so.
        leads: Of each label, how far that of its tokens which is least ahead of the rest of the vocabulary is ahead, in
            logits, of the same shape: above 0 where the model, at every position, likes the label's token best. None
            where the scoring does not ask for it.
        microbatch: The size with which the same scores come out again: as asked for, or as far as memory allowed.
        engine_path: Which of the engine's ways ran: ``"sub-layer"``, ``"blocks"`` or ``"full-prompts"``.
        implicit: What the demonstrations do by the paper's theory; None where that is not measured. Every part of a
            trial has the norms; its seconds are 0 in a part that did not read the prefix.
        operations: Floating-point operations by the cost model, without the pass that all trials share.
        seconds: Its own share of the wall time.
    """

    log_likelihoods: Tensor
    leads: Tensor | None = None
    implicit: ImplicitNorms | None = None
    microbatch: int
    engine_path: str
    operations: int
    seconds: float


def checked(
    loaded: LoadedModel, prompts: Prompts, weights: Mapping[str, Tensor], scored: LabelScores
) -> LabelScores | EvaluationError:
    """A trial's scores; or, where some are not finite, an error that says where its numbers stopped being so.

    Args:
        loaded: The model, which holds its own weights.
        prompts: What was scored.
        weights: The trial's edited parameters.
        scored: What it gave.
    """
    finite = torch.isfinite(scored.log_likelihoods).sum(dim=1).tolist()
    bad = [number for number in prompts.evaluated if finite[number] < len(prompts.queries[number].labels)]
    if not bad:
        return scored
    blocks = list(loaded.model.get_submodule(loaded.layout.blocks))
    with loaded.holding(weights):
        return EvaluationError(explain_not_finite(loaded.model, blocks, prompts, bad[0]))


def explain_not_finite(model: PreTrainedModel, blocks: Sequence[nn.Module], prompts: Prompts, query: int) -> str:
    """Say where the activations of one prompt stop being finite, under the weights that the model holds."""
    layers: list[int] = []

    def checked(layer: int, compute: Callable[..., Any]) -> Callable[..., Any]:
        def forward(*args: Any, **kwargs: Any) -> Any:
            answer = compute(*args, **kwargs)
            hidden = answer[0] if isinstance(answer, tuple) else answer
            if not torch.isfinite(hidden).all():
                layers.append(layer)
            return answer

        return forward

    with ExitStack() as stack:
        for layer, block in enumerate(blocks):
            stack.enter_context(replaced(block, checked(layer, block.forward)))
        longest = max(prompts.sequences(prompts.queries[query]), key=len)
        model(torch.tensor([[*prompts.prefix, *longest]], device=model.device))
    where = f"the activations that leave layer {layers[0]}" if layers else f"the scores of example {query}"
    part = "that layer" if layers else "the model's head"
    return f"{where} are not finite; expected numbers. Try model.dtype: float32, or look at the weights of {part}."


Ends = Mapping[int, LabelScores | EvaluationError]  # by the number of the trial among those that run together


def charge(
    ends: Ends, seconds: float, *, by_operations: bool, measuring: float = 0.0
) -> dict[int, LabelScores | EvaluationError]:
    """Share the wall time of trials that ran together among those that were scored.

    What measuring the theory took is a part of what each is charged.

    Args:
        ends: Scored trials with the seconds that each was seen to take itself.
        seconds: Wall time of all of them, with what they had in common.
        by_operations: Whether each is charged by its operations, as a GPU runs behind the program, besides what
            measuring took, which the operations leave out; otherwise each is charged its own time and an equal part of
            the rest.
        measuring: How much of what they had in common measuring took; each has an equal part of it.
    """
    scored = {number: end for number, end in ends.items() if isinstance(end, LabelScores)}
    scored = {number: _with_measuring(end, measuring / len(scored)) for number, end in scored.items()}
    operations = sum(end.operations for end in scored.values())
    measured = {number: 0.0 if end.implicit is None else end.implicit.seconds for number, end in scored.items()}
    rest = seconds - sum(end.seconds for end in scored.values())
    counted = max(0.0, seconds - sum(measured.values()))
    charged: dict[int, LabelScores | EvaluationError] = {**ends}
    for number, end in scored.items():
        if by_operations:
            share = measured[number] + counted * end.operations / operations
        else:
            share = end.seconds + rest / len(scored)
        charged[number] = replace(end, seconds=share)
    return charged


def _with_measuring(scored: LabelScores, seconds: float) -> LabelScores:
    """The same, where measuring took so much longer."""
    norms = scored.implicit
    return scored if norms is None else replace(scored, implicit=norms.after(seconds))
