"""Run a causal language model block by block, through its own code: one path for every decoder of transformers.

The model's forward is entered once for each batch of sequences, to learn what it calls its blocks with; after that any
block can be called alone, on any hidden state. No architecture's forward is copied here: where a part of a block is to
be left out or its result put in from outside, the submodule's ``forward`` is replaced for the length of the call.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from clipsweep.trials.base.tensors import map_tensors
from clipsweep.trials.decoder.patches import head_rows, replaced
from clipsweep.trials.decoder.prefix_cache import KeysReady, KeyValues, Mode
from clipsweep.trials.models.matrices import Layout
from clipsweep.trials.models.placement import device_of
from clipsweep.trials.spec.modules import ATTENTION, MLP, MLP_ROLES
from clipsweep.trials.spec.start import Start

Arguments = dict[str, Any]
BLOCK = "block"


class NotUnderstood(Exception):  # noqa: N818 - a finding, not an error: the caller takes a slower way
    """A model or block that is not built as this way of running it needs."""


class _Stop(Exception):  # noqa: N818 - ends a forward pass whose rest is not needed
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A batch of sequences at the door of block 0.

    Attributes:
        hidden: Embeddings, shape ``(batch, tokens, width)``.
        arguments: What the model calls each block with, besides the hidden state.
    """

    hidden: Tensor
    arguments: list[Arguments]


def take(hidden: Tensor, positions: Tensor) -> Tensor:
    """Rows of ``hidden`` ``(batch, tokens, width)`` at ``positions`` ``(batch, n)``: shape ``(batch, n, width)``."""
    return hidden[torch.arange(len(hidden), device=hidden.device)[:, None], positions.to(hidden.device)]


class Decoder:
    """The blocks and the head of a model in evaluation mode.

    Attributes:
        n_layers: Blocks.
        keys: The cache that the blocks read the prefix from.
        reusable: For each block, which of its parts do not wait for the other part: what a clip of the other leaves
            as it was.
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
        self._blocks: list[nn.Module] = list(model.get_submodule(layout.blocks))
        self.n_layers = len(self._blocks)
        self._devices = [device_of(block) for block in self._blocks]
        self.keys = KeyValues(self.n_layers)
        self._signature = inspect.signature(type(self._blocks[0]).forward)
        self._first_alone = nn.ModuleList(self._blocks[:1])
        self._parts = {
            name: [block.get_submodule(path) if path else None for block in self._blocks]
            for name, path in ((ATTENTION, layout.attention), (MLP, layout.mlp))
        }
        self._queries = [_own_queries(model, layout, layer) for layer in range(self.n_layers)]
        with torch.inference_mode():
            self._forms = self._probe_forms()
            probe = self.open(torch.tensor([[1, 2]], device=model.device), None)
            self.keep_keys(self.n_layers - 1, probe.hidden, probe.arguments[-1])
        self.fused_queries = self._queries[-1] is None
        self.trims = not _counts_tokens(self._blocks[-1])
        self.reusable = [
            frozenset(part for part in (ATTENTION, MLP) if self._can_reuse(part, layer, probe, layout))
            for layer in range(self.n_layers)
        ]

    def narrow(self, start: Start) -> Start:
        """The same start where a part of its block that waits for the other part is computed, not reused."""
        return start if start.reuse is None else start.narrowed(self.reusable[start.block])

    def open(self, ids: Tensor, mask: Tensor | None) -> Opened:
        """Embed sequences and learn the arguments of every block.

        Args:
            ids: Shape ``(batch, tokens)``, right-padded, to follow the prefix that ``keys`` holds.
            mask: Shape ``(batch, prefix + tokens)``, 1 on tokens and 0 on padding; None where there is no padding.
        """
        arguments: list[Arguments] = []
        first: list[Tensor] = []

        def record(*args: Any, **kwargs: Any) -> Any:
            hidden, named = self._bind(args, kwargs)
            first.append(hidden)
            arguments.append(named)
            if len(arguments) == self.n_layers:
                raise _Stop
            return self._answer(hidden)

        with ExitStack() as stack:
            for block in self._blocks:
                stack.enter_context(replaced(block, record))
            try:
                self._model(ids, past_key_values=self.keys, attention_mask=mask, use_cache=True, logits_to_keep=1)
            except _Stop:
                return Opened(hidden=first[0], arguments=self._placed(arguments))
        raise NotUnderstood(f"its forward calls {len(arguments)} of its {self.n_layers} blocks")

    def block(
        self,
        layer: int,
        hidden: Tensor,
        arguments: Arguments,
        reuse: Mapping[str, Tensor] | None = None,
        record: dict[str, Tensor] | None = None,
    ) -> Tensor:
        """Run one block.

        Args:
            layer: Which.
            hidden: What enters it, ``(batch, tokens, width)``.
            arguments: What the model calls it with.
            reuse: Outputs of its attention or MLP that are not to be computed again.
            record: Filled with the outputs of the parts that it has as keys.
        """
        with ExitStack() as stack:
            for part, output in (reuse or {}).items():
                stack.enter_context(self._given(part, layer, output))
            for part in record or ():
                stack.enter_context(self._recorded(part, layer, record))  # type: ignore[arg-type]
            answer = self._blocks[layer](hidden, **arguments)
        left: Tensor = answer[0] if isinstance(answer, tuple) else answer
        return left

    def keep_keys(self, layer: int, hidden: Tensor, arguments: Arguments) -> None:
        """Compute a block's keys and values for all tokens, and no more of it.

        Raises:
            NotUnderstood: The block hands no keys to the cache.
        """
        self.keys.mode = Mode.KEEP
        queries = self._queries[layer]
        with ExitStack() as stack:
            if queries is not None:
                stack.enter_context(replaced(queries[0], _zeros(queries[1])))
            try:
                self._blocks[layer](hidden, **arguments)
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

        Args:
            hidden: Shape ``(n, width)``.
            tokens: Ids whose logits are wanted; None for all.

        Returns:
            Shape ``(n, tokens)``, in the model's dtype.
        """
        block = self._blocks[0]
        states = hidden[:, None]

        def hand_over(*_args: Any, **_kwargs: Any) -> Any:
            return self._answer(states)

        with ExitStack() as stack:
            whole = getattr(self._list_owner, self._list_name)
            stack.callback(setattr, self._list_owner, self._list_name, whole)
            setattr(self._list_owner, self._list_name, self._first_alone)
            stack.enter_context(replaced(block, hand_over))
            stack.enter_context(head_rows(self._model, tokens))
            ids = torch.zeros(len(hidden), 1, dtype=torch.long, device=self._model.device)
            logits: Tensor = self._model(ids, use_cache=False).logits
        return logits[:, 0]

    def _placed(self, arguments: list[Arguments]) -> list[Arguments]:
        """Arguments on their blocks' devices; what blocks on one device have in common is copied once."""
        if len(set(self._devices)) == 1:
            return arguments
        placed: list[Arguments] = []
        for device, layers in groupby(range(self.n_layers), key=self._devices.__getitem__):
            placed += map_tensors([arguments[layer] for layer in layers], partial(_to, device=device))
        return placed

    def _answer(self, hidden: Tensor) -> Any:
        """A hidden state in the form in which this model's blocks return it."""
        form = self._forms[BLOCK]
        return hidden if form is None else (hidden, *[None] * (form - 1))

    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Tensor, Arguments]:
        """Split a block's call into its hidden state and everything else, by name."""
        bound = self._signature.bind(None, *args, **kwargs).arguments
        _, (_, hidden), *rest = bound.items()
        named = dict(rest)
        return hidden, named | named.pop("kwargs", {})

    @contextmanager
    def _given(self, part: str, layer: int, output: Tensor) -> Iterator[None]:
        """Inside, a part of a block answers ``output`` without computing; a copy, as blocks may add to it in place."""
        module, form = self._module(part, layer), self._forms[part]

        def answer(*_args: Any, **_kwargs: Any) -> Any:
            return output.clone() if form is None else (output.clone(), *[None] * (form - 1))

        with replaced(module, answer):
            yield

    @contextmanager
    def _recorded(self, part: str, layer: int, record: dict[str, Tensor]) -> Iterator[None]:
        """Inside, the output of a part of a block is noted; a copy, as blocks may add to it in place."""
        module = self._module(part, layer)
        compute = module.forward

        def forward(*args: Any, **kwargs: Any) -> Any:
            answer = compute(*args, **kwargs)
            output = answer[0] if isinstance(answer, tuple) else answer
            record[part] = output.clone()
            return answer

        with replaced(module, forward):
            yield

    def _module(self, part: str, layer: int) -> nn.Module:
        module = self._parts[part][layer]
        assert module is not None, f"only a part that is a module of its own is asked for; block {layer} has no {part}"
        return module

    def _probe_forms(self) -> dict[str, int | None]:
        """What the first block and its parts return: a tuple of so many, or (None) a tensor."""
        forms: dict[str, int | None] = {}

        def noted(name: str, compute: Callable[..., Any]) -> Callable[..., Any]:
            def forward(*args: Any, **kwargs: Any) -> Any:
                answer = compute(*args, **kwargs)
                forms[name] = len(answer) if isinstance(answer, tuple) else None
                return answer

            return forward

        modules = {BLOCK: self._blocks[0], **{name: parts[0] for name, parts in self._parts.items()}}
        with ExitStack() as stack:
            for name, module in modules.items():
                if module is not None:
                    stack.enter_context(replaced(module, noted(name, module.forward)))
            self._model(torch.tensor([[1, 2]], device=self._model.device))
        missing = [name for name, module in modules.items() if module is not None and name not in forms]
        if missing:
            raise NotUnderstood(f"its forward does not call its first block's {missing[0]}")
        return forms

    def _can_reuse(self, part: str, layer: int, probe: Opened, layout: Layout) -> bool:
        """Whether a part does not wait for the other, and its output put in gives what computing it gives."""
        alone = self._parts[part][layer] is not None and (
            part == ATTENTION or self._parts[ATTENTION][layer] is not None
        )
        if not alone or self._waits(part, layer, probe, layout):
            return False
        record = {part: probe.hidden}
        with torch.inference_mode():
            computed = self.block(layer, probe.hidden, probe.arguments[layer], record=record)
            put_in = self.block(layer, probe.hidden, probe.arguments[layer], reuse=record)
        near = 1e-4 * float(computed.float().nan_to_num().abs().max())  # sums over experts may vary by rounding
        return torch.allclose(computed, put_in, rtol=1e-3, atol=near, equal_nan=True)

    def _waits(self, part: str, layer: int, probe: Opened, layout: Layout) -> bool:
        """Whether a part's inputs depend on the other part's output."""
        other = ATTENTION if part == MLP else MLP
        inputs: list[bool] = []

        def note(*args: Any, **kwargs: Any) -> Any:
            given = [*args, *kwargs.values()]
            inputs.append(any(isinstance(each, Tensor) and each.requires_grad for each in given))
            raise _Stop

        with torch.enable_grad(), ExitStack() as stack:
            hidden = probe.hidden.clone()
            if self._parts[other][layer] is not None:
                zeros = torch.zeros_like(hidden, device=self._devices[layer]).requires_grad_()
                stack.enter_context(self._given(other, layer, zeros))
            else:
                for module in _owners(self._model, layout, layer, MLP_ROLES):
                    stack.enter_context(replaced(module, _unexpected))
            stack.enter_context(replaced(self._module(part, layer), note))
            stack.enter_context(suppress(_Stop))
            self._blocks[layer](hidden, **map_tensors(probe.arguments[layer], torch.clone))
        return not inputs or inputs[0]


def trim(arguments: Arguments, positions: Tensor, width: int) -> Arguments:
    """Arguments of a block for some positions of each sequence instead of all ``width``.

    Args:
        arguments: As the model calls the block with.
        positions: Shape ``(batch, n)``.
        width: Tokens of each sequence.

    Raises:
        NotUnderstood: A tensor among them is of a kind that this function does not know.
    """
    if width == 1:
        return arguments
    if arguments.get("attention_mask", positions) is None and positions.shape[1] > 1:
        raise NotUnderstood("its attention has no mask to cut rows from")

    def cut(tensor: Tensor) -> Tensor:
        chosen = positions.to(tensor.device)
        if tensor.ndim == 4 and tensor.shape[2] == width:  # a mask, (batch, heads, tokens, keys)
            index = chosen[:, None, :, None].expand(-1, tensor.shape[1], -1, tensor.shape[3])
            return tensor.expand(len(chosen), -1, -1, -1).gather(2, index)
        if tensor.ndim == 3 and tensor.shape[1] == width:  # cosines and sines, (batch, tokens, head size)
            return take(tensor.expand(len(chosen), -1, -1), chosen)
        if tensor.ndim == 2 and tensor.shape[1] == width:  # position ids
            return tensor.expand(len(chosen), -1).gather(1, chosen)
        if tensor.ndim >= 3 and tensor.shape[-2] == 1:  # a bias of the keys alone, the same for all tokens
            return tensor
        raise NotUnderstood(f"a block is called with a tensor of shape {tuple(tensor.shape)}")

    return {name: map_tensors(value, cut) for name, value in arguments.items()}


def _to(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.to(device)


def _own_queries(model: nn.Module, layout: Layout, layer: int) -> tuple[nn.Module, int] | None:
    """The module that computes a block's queries and nothing else, with its outputs; None where they are fused."""
    matrices = layout.matrices.get((layer, "q"), ())
    others = {matrix.parameter for role in ("k", "v") for matrix in layout.matrices.get((layer, role), ())}
    if len(matrices) != 1 or matrices[0].parameter in others:
        return None
    return model.get_submodule(matrices[0].parameter.rpartition(".")[0]), matrices[0].rows


def _owners(model: nn.Module, layout: Layout, layer: int, roles: Sequence[str]) -> list[nn.Module]:
    """The modules that hold a block's matrices of these roles."""
    names = {matrix.parameter for role in roles for matrix in layout.matrices.get((layer, role), ())}
    return [model.get_submodule(name.rpartition(".")[0]) for name in sorted(names)]


def _counts_tokens(block: nn.Module) -> bool:
    """Whether a block tells positions from the number of tokens that it is called on.

    GPT-Neo's brings a square mask of its own and takes its last rows; Llama 4's tunes a temperature by position.
    """
    squares = (each for each in block.buffers() if each.dtype == torch.bool and each.ndim >= 2)
    tuned = any(getattr(module, "attn_temperature_tuning", False) for module in block.modules())
    return tuned or any(each.shape[-1] == each.shape[-2] > 1 for each in squares)


def _zeros(outputs: int) -> Callable[[Tensor], Tensor]:
    """A forward that computes nothing; real zeros, as some models clamp queries in place."""
    return lambda hidden: hidden.new_zeros(*hidden.shape[:-1], outputs)


def _unexpected(*_args: Any, **_kwargs: Any) -> Any:
    raise NotUnderstood("its feed-forward matrices are used before its attention")
