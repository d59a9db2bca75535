"""What the untouched model gives its matrices to read, for the kinds of clip that depend on it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.clips.target import Inputs
from clipsweep.trials.decoder.patches import fused_activations
from clipsweep.trials.spec.kinds import Texts

Tokens = tuple[int, ...]
ReadTexts = Callable[[Texts], tuple[Tokens, ...]]  # the tokens of texts, each whole
SHORT: Tokens = (1,)


class MatrixInputs:
    """Reads what modules of the untouched model are given over some texts: one pass for all of them, when asked."""

    def __init__(self, model: PreTrainedModel, read_texts: ReadTexts, owners: Collection[str]) -> None:
        """Nothing has been read yet.

        Args:
            model: In evaluation mode, with its own weights.
            read_texts: Gives the texts.
            owners: Paths of the modules that will be asked for.
        """
        self._model = model
        self._read_texts = read_texts
        self._owners = owners
        self._grams: dict[Texts, dict[str, Tensor]] = {}

    def read(self, owner: str, texts: Texts) -> Inputs:
        """What one of the modules reads over some texts.

        Raises:
            TaskError: There are no such texts.
        """
        tokens = self._read_texts(texts)
        key = hashlib.sha256(repr(tokens).encode()).hexdigest()
        return Inputs(key=key, gram=partial(self._gram, owner, texts, tokens))

    def _gram(self, owner: str, texts: Texts, tokens: tuple[Tokens, ...]) -> Tensor:
        if texts not in self._grams:
            self._grams[texts] = read_grams(self._model, tokens, self._owners)
        return self._grams[texts][owner]


@torch.inference_mode()
def read_grams(model: PreTrainedModel, texts: Collection[Tokens], owners: Collection[str]) -> dict[str, Tensor]:
    """``X Xᵀ`` of some linear modules, over all tokens of some texts, each read alone.

    Activations are computed as the engine computes them, whoever asks: in half precision others give other products.

    Returns:
        By the module's path, shape ``(inputs, inputs)``, float64, on the module's device.

    Raises:
        EvaluationError: A module is not a plain linear map, or the model does not call it.
    """
    grams: dict[str, Tensor] = {}

    def add(owner: str, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden: Tensor = (*args, *kwargs.values())[0]
        read = hidden.flatten(0, -2).double()
        gram = read.T @ read
        grams[owner] = grams[owner] + gram if owner in grams else gram

    for owner in owners:
        if not isinstance(model.get_submodule(owner), nn.Linear | Conv1D):
            raise EvaluationError(
                f"{owner} is no linear map, so it is not known what each of its matrices reads; expected one. Clip "
                f"other matrices, or take a kind of clip that looks at no text."
            )
    with fused_activations(model):
        for text in texts:
            _read_alone(model, SHORT)  # rotary positions may keep the scale of the longest text until a short one comes
            with ExitStack() as hooks:
                for owner in owners:
                    module = model.get_submodule(owner)
                    handle = module.register_forward_pre_hook(partial(add, owner), with_kwargs=True)
                    hooks.callback(handle.remove)
                _read_alone(model, text)
        _read_alone(model, SHORT)
    if missing := [owner for owner in owners if owner not in grams]:
        raise EvaluationError(
            f"the model does not call {missing[0]}, so nothing is known of what it reads; expected a call for each "
            f"text. Clip other matrices, or take a kind of clip that looks at no text."
        )
    return grams


def _read_alone(model: PreTrainedModel, text: Tokens) -> None:
    model.base_model(torch.tensor([text], device=model.device))
