"""Run a causal language model block by block, through its own code: one path for every decoder of transformers.

The model's forward is entered once for each batch of sequences, to learn what it calls its blocks with; after that any
block can be called alone, on any hidden state. No architecture's forward is copied here: where a part of a block is to
be left out or its result put in from outside, the submodule's ``forward`` is replaced for the length of the call.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from clipsweep.trials.base.tensors import map_tensors
from clipsweep.trials.decoder.arguments import Arguments
from clipsweep.trials.decoder.blocks import Blocks
from clipsweep.trials.decoder.branches import lay_together
from clipsweep.trials.decoder.patches import Stop, head_rows, replaced
from clipsweep.trials.decoder.prefix_cache import KeysReady, KeyValues, Mode
from clipsweep.trials.decoder.reuse import ReuseTest
from clipsweep.trials.decoder.unsupported import NotUnderstood
from clipsweep.trials.models.matrices import Layout
from clipsweep.trials.prompts.layout import Branches
from clipsweep.trials.spec.start import Start


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A batch of sequences at the door of block 0.

    Attributes:
        hidden: Embeddings, shape ``(batch, tokens, width)``.
        arguments: What the model calls each block with, besides the hidden state.
    """

    hidden: Tensor
    arguments: list[Arguments]


class Decoder:
    """The blocks and the head of a model in evaluation mode.

    Attributes:
        n_layers: Blocks.
        keys: The cache that the blocks read the prefix from.
        reusable: For each block, which of its parts do not wait for the other part: what a clip of the other leaves
            as it was.
        branches: Whether sequences that begin alike may lie in one row; False until that has been tried.
        trims: Whether the last block can be called on some positions alone.
        fused_queries: Whether the last block's queries cannot be left out when its keys are computed.
    """

    def __init__(self, model: PreTrainedModel, layout: Layout) -> None:
        """Learn how the model's blocks answer.

        Raises:
            NotUnderstood: Its forward does not pass one hidden state through the blocks in turn, or keeps no keys.
        """
        self._model = model
        self._list_owner = model.get_submodule(layout.blocks.rpartition(".")[0])
        self._list_name = layout.blocks.rpartition(".")[2]
        self._blocks = Blocks(model, layout)
        self.n_layers = len(self._blocks)
        self.keys = KeyValues(self.n_layers)
        self._signature = inspect.signature(type(self._blocks.modules[0]).forward)
        self.branches = False
        self._heads: int = getattr(model.config.get_text_config(decoder=True), "num_attention_heads", 0)
        self._first_alone = nn.ModuleList(self._blocks.modules[:1])
        self._queries = [_own_queries(model, layout, layer) for layer in range(self.n_layers)]
        with torch.inference_mode():
            tried = self.open(torch.tensor([[1, 2]], device=model.device), None)
            self.keep_keys(self.n_layers - 1, tried.hidden, tried.arguments[-1])
        self.fused_queries = self._queries[-1] is None
        self.trims = not _counts_tokens(self._blocks.modules[-1])
        test = ReuseTest(model, layout, self._blocks)
        self.reusable = [
            test.reusable(layer, tried.hidden, arguments) for layer, arguments in enumerate(tried.arguments)
        ]

    @property
    def causal_on(self) -> torch.device | None:
        """Device of the last block, if no mask means what a causal one says, as in torch's own attention."""
        return self._blocks.devices[-1] if self._model.config._attn_implementation == "sdpa" else None

    def narrow(self, start: Start) -> Start:
        """The same start where a part of its block that waits for the other part is computed, not reused."""
        return start if start.reuse is None else start.narrowed(self.reusable[start.block])

    def open(self, ids: Tensor, mask: Tensor | None, branches: Branches | None = None) -> Opened:
        """Embed sequences and learn the arguments of every block.

        Args:
            ids: Shape ``(batch, tokens)``, right-padded, to follow the prefix that ``keys`` holds.
            mask: Shape ``(batch, prefix + tokens)``, 1 on tokens and 0 on padding; None where there is no padding.
            branches: How the sequences lie in rows; None where each is one.

        Raises:
            NotUnderstood: The model does not call all its blocks in turn, with a hidden state each; or what it calls
                them with cannot be put together for rows.
        """
        arguments: list[Arguments] = []
        entering: list[Tensor] = []

        def record(*args: Any, **kwargs: Any) -> Any:
            hidden, named = self._bind(args, kwargs)
            entering.append(hidden)
            arguments.append(named)
            if len(arguments) == self.n_layers:
                raise Stop
            return self._blocks.form.wrap(hidden)

        with ExitStack() as stack:
            for block in self._blocks.modules:
                stack.enter_context(replaced(block, record))
            try:
                cache = {_cache_argument(self._model): self.keys}
                self._model(ids, **cache, attention_mask=mask, use_cache=True, logits_to_keep=1)
            except Stop:
                hidden = entering[0]
                if branches is not None:
                    hidden, arguments = lay_together(hidden, arguments, branches, self._heads)
                return Opened(hidden=hidden, arguments=self._placed(arguments))
        raise NotUnderstood(f"its forward calls {len(arguments)} of its {self.n_layers} blocks")

    def block(
        self,
        layer: int,
        hidden: Tensor,
        arguments: Arguments,
        reuse: Mapping[str, Tensor] | None = None,
        record: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Run one block; see ``Blocks.run``."""
        return self._blocks.run(layer, hidden, arguments, reuse, record)

    def keep_keys(self, layer: int, hidden: Tensor, arguments: Arguments) -> None:
        """Compute a block's keys and values for all tokens, and no more of it.

        Raises:
            NotUnderstood: The block hands no keys to the cache.
        """
        self.keys.mode = Mode.KEEP
        queries = self._queries[layer]
        with ExitStack() as stack:
            if queries is not None:
                module, outputs = queries
                stack.enter_context(replaced(module, _zeros(outputs)))
            try:
                self._blocks.modules[layer](hidden, **arguments)
            except KeysReady:
                return
            finally:
                self.keys.mode = Mode.EXTEND
        raise NotUnderstood(f"block {layer} hands no keys to the cache")

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Inside, blocks attend to the keys kept last, whatever the tokens they are called on."""
        self.keys.mode = Mode.ANSWER
        try:
            yield
        finally:
            self.keys.mode = Mode.EXTEND

    def head(self, hidden: Tensor, tokens: Tensor | None) -> Tensor:
        """Logits from what leaves the last block: the model's own final norm, head, scaling and capping.

        The model runs with a list of one block, which answers ``hidden`` whatever it is called with.

        Args:
            hidden: Shape ``(n, width)``.
            tokens: Ids whose logits are wanted; None for all.

        Returns:
            Shape ``(n, tokens)``, in the model's dtype.
        """
        states = self._blocks.form.wrap(hidden[:, None])

        def hand_over(*_args: Any, **_kwargs: Any) -> Any:
            return states

        with ExitStack() as stack:
            stack.enter_context(self._one_block())
            stack.enter_context(replaced(self._blocks.modules[0], hand_over))
            stack.enter_context(head_rows(self._model, tokens))
            ids = torch.zeros(len(hidden), 1, dtype=torch.long, device=self._model.device)
            logits: Tensor = self._model(ids, use_cache=False).logits
        return logits[:, 0]

    @contextmanager
    def _one_block(self) -> Iterator[None]:
        """Hold the model with its first block alone."""
        whole = getattr(self._list_owner, self._list_name)
        setattr(self._list_owner, self._list_name, self._first_alone)
        try:
            yield
        finally:
            setattr(self._list_owner, self._list_name, whole)

    def _placed(self, arguments: list[Arguments]) -> list[Arguments]:
        """Arguments on their blocks' devices; what blocks on one device have in common is copied once."""
        devices = self._blocks.devices
        if len(set(devices)) == 1:
            return arguments
        placed: list[Arguments] = []
        for device, layers in groupby(range(self.n_layers), key=devices.__getitem__):
            placed += map_tensors([arguments[layer] for layer in layers], partial(_to, device=device))
        return placed

    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Tensor, Arguments]:
        """Split a block's call into its hidden state, which comes first, and everything else by name.

        Raises:
            NotUnderstood: What comes first is not a hidden state.
        """
        bound = self._signature.bind(None, *args, **kwargs).arguments  # None stands for self
        _, *given = bound.items()
        if not given or not isinstance(given[0][1], Tensor):
            raise NotUnderstood("its blocks are not called with a hidden state")
        (_, hidden), *others = given
        if hidden.ndim != 3:  # Gemma 3n's blocks pass on several states at once
            raise NotUnderstood(f"its blocks are called with a hidden state of {hidden.ndim} axes")
        named = dict(others)
        further = named.pop("kwargs", {})
        return hidden, {**named, **further}


def _to(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.to(device)


def _own_queries(model: nn.Module, layout: Layout, layer: int) -> tuple[nn.Module, int] | None:
    """The module that computes a block's queries and nothing else, with its outputs; None where they are fused."""
    matrices = layout.matrices.get((layer, "q"), ())
    others = {matrix.parameter for role in ("k", "v") for matrix in layout.matrices.get((layer, role), ())}
    if len(matrices) != 1 or matrices[0].parameter in others:
        return None
    return model.get_submodule(matrices[0].parameter.rpartition(".")[0]), matrices[0].rows


def _counts_tokens(block: nn.Module) -> bool:
    """Whether a block tells positions from the number of tokens that it is called on.

    GPT-Neo's brings a square mask of its own and takes its last rows; Llama 4's tunes a temperature by position.
    """
    masks = [each for each in block.buffers() if each.dtype == torch.bool and each.ndim >= 2]
    tuned = any(getattr(module, "attn_temperature_tuning", False) for module in block.modules())
    return tuned or any(each.shape[-1] == each.shape[-2] > 1 for each in masks)


def _zeros(outputs: int) -> Callable[[Tensor], Tensor]:
    """A forward that computes nothing; real zeros, as some models clamp queries in place."""
    return lambda hidden: hidden.new_zeros(*hidden.shape[:-1], outputs)


def _cache_argument(model: PreTrainedModel) -> str:
    """What a model calls the argument that takes its keys and values: the new name since transformers 5.24."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
