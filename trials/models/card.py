"""What is known of a checkpoint without loading a tensor: its fingerprint, its shapes, and a trial's identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.modules import MODULES
from clipsweep.trials.spec.shape import Shape, Shapes
from clipsweep.trials.spec.trial import PromptSet, TrialSpec

IDENTITY_VERSION = 1

RankLeft = tuple[int, str, int, str]  # layer, role, rank and kind of clip


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A checkpoint's shapes and fingerprint.

    Attributes:
        fingerprint: Hash of weights, config and tokenizer files.
        model_type: The ``model_type`` of its config, e.g. ``"gptj"``.
        dtype: The dtype it is run in, not the stored one.
        n_layers: Decoder blocks.
        hidden_size: Width of the residual stream.
        vocabulary_size: Rows of the output head.
        context_length: Longest sequence, in tokens.
        parameters_total: Parameters stored.
        weight_bytes: Size of the weights when loaded in ``dtype``.
        shapes: Shapes of the clippable matrices by ``(layer, role)``: one, except in mixtures of experts.
        experts_per_token: How many experts of a mixture read each token; 1 for other models.
    """

    fingerprint: str
    model_type: str
    dtype: str
    n_layers: int
    hidden_size: int
    vocabulary_size: int
    context_length: int
    parameters_total: int
    weight_bytes: int
    shapes: Shapes
    experts_per_token: int = 1

    def roles(self, module: str) -> tuple[str, ...]:
        """Roles of ``module`` that this model has, in the order of ``MODULES``.

        Raises:
            SpecError: The model has none of them.
        """
        present = {role for _, role in self.shapes}
        roles = tuple(role for role in MODULES[module] if role in present)
        if not roles:
            raise SpecError(
                f"module {module!r} has no matrix in a {self.model_type} model; it has "
                f"{', '.join(sorted(present))}. Choose attn, mlp, all or one of these."
            )
        return roles

    def layer_index(self, layer: int) -> int:
        """Count ``layer`` from 0; negative layers count from the end.

        Raises:
            SpecError: The model does not have that layer.
        """
        if not -self.n_layers <= layer < self.n_layers:
            raise SpecError(
                f"layer {layer} does not exist: the model has {self.n_layers} layers; "
                f"expected {-self.n_layers} to {self.n_layers - 1}."
            )
        return layer % self.n_layers

    def kept_ranks(self, clips: Sequence[Clip]) -> dict[tuple[int, str, Shape], int]:
        """Rank left in matrices that the clips really change, by layer, role and shape; full rank is not listed.

        Raises:
            SpecError: A layer has no matrix of the module to clip, as some layers of hybrid models have no attention.
        """
        ranks = {}
        for clip in clips:
            present = [role for role in self.roles(clip.module) if (self.layer_index(clip.layer), role) in self.shapes]
            if not present:
                raise SpecError(
                    f"layer {clip.layer} has no matrix of module {clip.module!r}; layers that have: "
                    f"{', '.join(map(str, self._layers_with(clip.module)))}."
                )
            for role in present:
                for shape in self.shapes[self.layer_index(clip.layer), role]:
                    rank = clip.kept_rank(shape.rows, shape.cols)
                    if rank < min(shape.rows, shape.cols):
                        ranks[clip.layer, role, shape] = rank
        return ranks

    def _layers_with(self, module: str) -> list[int]:
        return sorted({layer for layer, role in self.shapes if role in self.roles(module)})

    def parameters_kept(self, clips: Sequence[Clip]) -> int:
        """Parameters left when each clipped matrix is stored as the smaller of itself and its two factors."""
        kept = self.parameters_total
        for (_, _, (rows, cols, count)), rank in self.kept_ranks(clips).items():
            kept -= count * (rows * cols - min(rows * cols, rank * (rows + cols)))
        return kept


def ranks_left(clips: Sequence[Clip], card: ModelCard) -> tuple[RankLeft, ...]:
    """What clips come to, in one order whatever theirs: equal for those that leave the same model, nothing for none."""
    found = ((clip.kind, *place, rank) for clip in clips for place, rank in card.kept_ranks([clip]).items())
    return tuple(sorted((layer, role, rank, kind) for kind, layer, role, _, rank in found))


def trial_id(spec: TrialSpec, card: ModelCard, task_fingerprint: str) -> str:
    """Hash what determines a trial's result, and nothing else: 32 hexadecimal digits.

    Two specs that leave the same ranks in the same matrices are one trial, and every spec that leaves all matrices at
    full rank is the baseline. Without demonstrations their seed does not count.
    """
    return identify(spec.prompt_set, ranks_left(spec.clips, card), card, task_fingerprint)


def identify(prompt_set: PromptSet, ranks: Sequence[RankLeft], card: ModelCard, task_fingerprint: str) -> str:
    """The identity of the trial on these prompts whose clips come to these ``ranks``; see ``trial_id``."""
    content = {
        "identity_version": IDENTITY_VERSION,
        "model": card.fingerprint,
        "dtype": card.dtype,
        "task": task_fingerprint,
        "shots": prompt_set.shots,
        "demo_seed": prompt_set.demo_seed if prompt_set.shots else None,
        "split": prompt_set.split,
        "ranks": ranks,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]
