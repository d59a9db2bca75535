"""A choice as the parameters of a sampler, and back.

A trial of up to k clips has k slots, each with a layer, a module and a clip rate; a slot may be left empty. Where all
layers and modules may be clipped at once, each has a slot of its own and the rate alone is drawn. Layers, shots and
listed rates are ordered numbers, so that neighbours are neighbours to a sampler; modules are categories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clipsweep.orchestrator.space.choices import RATE_DIGITS, join, rates_to_search
from clipsweep.orchestrator.space.proposal import Choice
from clipsweep.orchestrator.space.space import Space
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.spec.clip import Clip

Params = Mapping[str, int | float | str]
EMPTY_SHARE = 0.25  # of a slot's rates, in a joint search, that leave it empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One axis of a sampler.

    Attributes:
        name: As Optuna's dashboard shows it.
        low: Least number; not of categories.
        high: Largest number.
        step: Between whole numbers; None where every fraction counts.
        categories: Names without an order; empty for numbers.
    """

    name: str
    low: float = 0
    high: float = 0
    step: int | None = None
    categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Ordered:
    """Values in order: themselves where they are evenly spaced whole numbers, else counted from 0."""

    name: str
    values: tuple[float, ...]

    @property
    def _step(self) -> int | None:
        steps = {after - before for before, after in zip(self.values, self.values[1:], strict=False)}
        return int(steps.pop()) if len(steps) == 1 and all(value == int(value) for value in self.values) else None

    @property
    def key(self) -> str:
        return self.name if self._step else f"{self.name}_index"

    def parameters(self) -> list[Parameter]:
        if len(self.values) == 1:
            return []
        if self._step:
            return [Parameter(name=self.key, low=self.values[0], high=self.values[-1], step=self._step)]
        return [Parameter(name=self.key, high=len(self.values) - 1, step=1)]

    def decode(self, params: Params) -> float:
        if len(self.values) == 1:
            return self.values[0]
        number = params[self.key]
        return float(number) if self._step else self.values[int(number)]

    def encode(self, value: float) -> dict[str, int | float | str]:
        if len(self.values) == 1:
            return {}
        return {self.key: int(value) if self._step else self.values.index(value)}


class Encoding:
    """Parameters of one space, whose layers are settled."""

    def __init__(self, space: Space) -> None:
        """Lay out the axes."""
        self._range = space.rate_range
        self._joint = space.max_clips > 1
        self._slots = min(space.max_clips, len(space.sites))
        self._sites = space.sites if self._joint and space.max_clips >= len(space.sites) else None
        self._modules = space.modules
        self._layers = {
            module: tuple(sorted(layer for layer, each in space.sites if each == module)) for module in space.modules
        }
        self._shots = _Ordered("shots", tuple(sorted(space.shots)))
        rates = rates_to_search(space)
        empty = (0.0,) * max(1, round(EMPTY_SHARE * len(rates) / (1 - EMPTY_SHARE))) if self._joint else ()
        self._rates = (*empty, *rates)
        self.parameters: tuple[Parameter, ...] = (
            *self._shots.parameters(),
            *(each for slot in range(self._slots) for each in self._slot(slot)),
        )

    def decode(self, params: Params) -> Choice:
        """The choice that parameters stand for; several sets may stand for one."""
        clips = [self._clip(slot, params) for slot in range(self._slots)]
        return Choice(int(self._shots.decode(params)), join(clips, self._slots))

    def encode(self, choice: Choice) -> dict[str, int | float | str] | None:
        """Parameters that stand for a choice of the space; None where no slot may be left as empty."""
        if not choice.clips and not self._joint:
            return None
        params = self._shots.encode(choice.shots)
        for slot in range(self._slots):
            params |= self._fill(slot, self._in_slot(choice, slot))
        return params

    def _in_slot(self, choice: Choice, slot: int) -> Clip | None:
        """Which clip of a choice a slot holds: that of its own site, where each has one, else the next in order."""
        if self._sites is None:
            return choice.clips[slot] if slot < len(choice.clips) else None
        return next((clip for clip in choice.clips if (clip.layer, clip.module) == self._sites[slot]), None)

    def _slot(self, slot: int) -> list[Parameter]:
        if self._sites is not None:
            return self._rate_parameters(slot)
        modules = Parameter(name=self._name("module", slot), categories=self._modules)
        return [
            *self._layer(slot, self._modules[0]).parameters(),
            *([modules] if len(self._modules) > 1 else []),
            *self._rate_parameters(slot),
        ]

    def _rate_parameters(self, slot: int) -> list[Parameter]:
        name = self._name("clip_rate", slot)
        if self._range is None:
            return [Parameter(name=f"{name}_index", high=len(self._rates) - 1, step=1)] if len(self._rates) > 1 else []
        return [Parameter(name=name, low=self._range.low - self._margin, high=self._range.high)]

    @property
    def _margin(self) -> float:
        """How far below its range a rate may be drawn, to leave the slot empty."""
        assert self._range is not None, "asked of ranges only"
        return (self._range.high - self._range.low) * EMPTY_SHARE / (1 - EMPTY_SHARE) if self._joint else 0.0

    def _layer(self, slot: int, module: str) -> _Ordered:
        """The layers of a module; where a rule chose, those of each module differ, and are counted instead."""
        alike = len({*self._layers.values()}) == 1
        layers: Sequence[float] = self._layers[module]
        return _Ordered(
            self._name("layer" if alike else "rank_of_layer", slot), tuple(layers if alike else range(len(layers)))
        )

    def _name(self, kind: str, slot: int) -> str:
        if self._sites is not None:
            layer, module = self._sites[slot]
            return f"{kind}_of_{module}_{layer}"
        return f"{kind}_{slot + 1}" if self._joint else kind

    def _clip(self, slot: int, params: Params) -> Clip:
        if self._sites is not None:
            layer, module = self._sites[slot]
            return Clip(layer=layer, module=module, clip_rate=self._rate(slot, params))
        module = str(params.get(self._name("module", slot), self._modules[0]))
        number = int(self._layer(slot, module).decode(params))
        layers = self._layers[module]
        layer = number if len({*self._layers.values()}) == 1 else layers[number]
        return Clip(layer=layer, module=module, clip_rate=self._rate(slot, params))

    def _rate(self, slot: int, params: Params) -> float:
        name = self._name("clip_rate", slot)
        if self._range is None:
            return self._rates[int(params.get(f"{name}_index", 0))]
        rate = float(params[name])
        return round(rate, RATE_DIGITS) if rate >= self._range.low else 0.0

    def _fill(self, slot: int, clip: Clip | None) -> dict[str, int | float | str]:
        rate = clip.clip_rate if clip else 0.0
        filled = self._place(slot, clip) if self._sites is None else {}
        name = self._name("clip_rate", slot)
        if self._range is not None:
            filled[name] = rate if clip else self._range.low - self._margin / 2
        elif len(self._rates) > 1:
            filled[f"{name}_index"] = self._rates.index(rate)
        return filled

    def _place(self, slot: int, clip: Clip | None) -> dict[str, int | float | str]:
        """Layer and module of a slot's clip; of an empty one any."""
        module = clip.module if clip else self._modules[0]
        layer = clip.layer if clip else self._layers[module][0]
        alike = len({*self._layers.values()}) == 1
        filled = self._layer(slot, module).encode(layer if alike else self._layers[module].index(layer))
        if len(self._modules) > 1:
            filled[self._name("module", slot)] = module
        return filled


def check_sampler(sampler: str, parameters: Sequence[Parameter]) -> None:
    """Refuse a sampler that could only draw at random in this space.

    Raises:
        StudyError: Too few ordered axes for it.
    """
    numbers = [each.name for each in parameters if not each.categories]
    least = {"cmaes": 2, "qmc": 1}.get(sampler, 0)
    if len(numbers) < least:
        raise StudyError(
            f"study key 'search.sampler' is {sampler!r}, which needs {least} axes of ordered values (shots, layers, "
            f"clip rates); the space has {len(numbers)}. Take tpe, or put more layers or rates into the space."
        )
