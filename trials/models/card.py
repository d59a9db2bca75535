"""What is known of a checkpoint without loading a tensor: its fingerprint and its shapes."""

from __future__ import annotations

from dataclasses import dataclass

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.spec.modules import MODULES
from clipsweep.trials.spec.shape import Shapes


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

    def roles_at(self, layer: int, module: str) -> tuple[str, ...]:
        """Roles of ``module`` that a layer, counted from 0, has.

        Raises:
            SpecError: It has none, as some layers of hybrid models have no attention; or there is no such layer.
        """
        layer = self.layer_index(layer)
        found = tuple(role for role in MODULES[module] if (layer, role) in self.shapes)
        if not found:
            roles = self.roles(module)
            having = sorted({layer for layer, role in self.shapes if role in roles})
            raise SpecError(
                f"layer {layer} has no matrix of module {module!r}; layers that have: {', '.join(map(str, having))}."
            )
        return found
