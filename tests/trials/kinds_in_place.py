"""What each kind of clip makes of a matrix, written out from its definition, and put in place in a copy of a model."""

import copy
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.target import Inputs, Target, generator_of
from clipsweep.trials.prompts.prompts import Tokens
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import Texts
from tests.trials.reference import matrices_of, roles_of

CLIPS = {  # the options of the clip of each kind that is tried
    "svd": None,
    "magnitude": None,
    "zero": None,
    "tail": None,
    "window": '{"drop": [3, 20]}',
    "random": '{"seed": 4}',
    "randomised": '{"seed": 5}',
    "cumulative": '{"rates": [0, 0.25, 0.5], "seed": 6}',
    "whitened": '{"epsilon": 0.05, "split": "demonstrations"}',
}


def kind_clip(kind: str, layer: int = 0, module: str = "mlp", clip_rate: float = 0.75) -> Clip:
    return Clip(layer=layer, module=module, clip_rate=clip_rate, kind=kind, options=CLIPS[kind])


def no_texts(texts: Texts) -> Inputs:
    raise AssertionError(f"asked for {texts}")


def make_target(weight: Tensor, cache: FactorCache, gram: Tensor | None = None, place: str = "0 fc_in 0") -> Target:
    """A matrix that belongs to no model."""

    def inputs(texts: Texts) -> Inputs:
        assert gram is not None
        return Inputs(key="texts", gram=lambda: gram)

    return Target(
        weight=weight,
        name=place,
        place=place,
        factors=lambda: cache.get(weight, place),
        inputs=no_texts if gram is None else inputs,
        keep=cache.keep,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a formula may use.

    Attributes:
        weight: The original, float32.
        seed: What draws begin with.
        inputs: A column for each token that the matrix reads, float64.
    """

    weight: Tensor
    seed: Callable[[int], int]
    inputs: Callable[[], Tensor]

    @property
    def rank(self) -> int:
        """What a clip of rate 0.75 leaves."""
        return min(self.weight.shape) // 4

    def dropped(self, first: int, end: int) -> Tensor:
        """The part of the matrix between two singular values."""
        u, s, vh = torch.linalg.svd(self.weight, full_matrices=False)
        return _product(u[:, first:end], s[first:end], vh[first:end])


def _product(u: Tensor, s: Tensor, vh: Tensor) -> Tensor:
    return u @ torch.diag(s) @ vh


def _magnitude(known: Known) -> Tensor:
    entries = known.weight.flatten().tolist()
    order = sorted(range(len(entries)), key=lambda number: (abs(entries[number]), number))
    for number in order[: len(entries) - len(entries) // 4]:
        entries[number] = 0.0
    return torch.tensor(entries).reshape(known.weight.shape)


def _random(known: Known) -> Tensor:
    torch.manual_seed(known.seed(4))
    s = torch.linalg.svdvals(known.weight)[known.rank :]
    sides = []
    for size in known.weight.shape:
        q, r = torch.linalg.qr(torch.randn(size, len(s)))
        sides.append(q @ torch.diag(r.diag().sign()))
    return known.weight + _product(sides[0], s, sides[1].T)


def _randomised(known: Known) -> Tensor:
    torch.manual_seed(known.seed(5))
    u, s, v = torch.svd_lowrank(known.weight, q=known.rank, niter=2)
    return _product(u, s, v.T)


def _cumulative(known: Known) -> Tensor:
    torch.manual_seed(known.seed(6))
    left, full = known.weight, min(known.weight.shape)
    for rank in (full, full * 3 // 4, full // 2, full // 4):
        u, s, v = torch.svd_lowrank(left, q=rank, niter=2)
        left = _product(u, s, v.T)
    return left


def _whitened(known: Known) -> Tensor:
    x = known.inputs()
    gram = x @ x.T
    regular = gram + 0.05 * gram.diag().mean() * torch.eye(len(gram), dtype=gram.dtype)
    values, vectors = torch.linalg.eigh(regular)
    root = vectors @ torch.diag(values.sqrt()) @ vectors.T  # any root does
    u, s, vh = torch.linalg.svd(known.weight.double() @ root, full_matrices=False)
    r = known.rank
    return _product(u[:, :r], s[:r], vh[:r] @ torch.linalg.inv(root)).float()


FORMULAS: dict[str, Callable[[Known], Tensor]] = {
    "svd": lambda known: known.dropped(0, known.rank),
    "magnitude": _magnitude,
    "zero": lambda known: torch.zeros_like(known.weight),
    "tail": lambda known: known.weight - known.dropped(0, min(known.weight.shape) - known.rank),
    "window": lambda known: known.weight - known.dropped(3, 20),
    "random": _random,
    "randomised": _randomised,
    "cumulative": _cumulative,
    "whitened": _whitened,
}


def kinds_in_place(model: PreTrainedModel, clips: Sequence[Clip], texts: Sequence[Tokens]) -> PreTrainedModel:
    """A copy of the model whose matrices are what the definitions of these clips of ``kind_clip`` say."""
    edited = copy.deepcopy(model)
    for clip in clips:
        met: Counter[str] = Counter()
        for name, role, weight, rows in matrices_of(edited, clip.layer):
            if role in roles_of(clip):
                place = f"{clip.layer} {role} {met[role]}"
                known = Known(weight=weight[rows].float(), seed=_seeds(place), inputs=_inputs(model, name, texts))
                weight[rows] = FORMULAS[clip.kind](known).to(weight.dtype)
                met[role] += 1
    return edited


def _seeds(place: str) -> Callable[[int], int]:
    return lambda seed: generator_of(place, seed).initial_seed()


def _inputs(model: PreTrainedModel, parameter: str, texts: Sequence[Tokens]) -> Callable[[], Tensor]:
    """What the module of a parameter reads over texts, a column for each token."""

    def read() -> Tensor:
        seen: list[Tensor] = []
        module = model.get_submodule(parameter.removesuffix(".weight"))
        handle = module.register_forward_pre_hook(lambda _, args: seen.append(args[0][0].double().T))
        with torch.no_grad():
            for text in texts:
                model(torch.tensor([text]))
        handle.remove()
        return torch.cat(seen, dim=1)

    return read
