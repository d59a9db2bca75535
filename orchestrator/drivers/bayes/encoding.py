"""A choice as the parameters of a sampler, and back.

A trial of up to k clips has k slots. Each slot has a layer, a module and a clip rate, and in a joint search it may be
left empty. Where all layers and modules may be clipped at once, each of them has a slot of its own, and only rates are
drawn. Layers, shots and listed rates are ordered numbers: what lies side by side in the model is side by side for the
sampler too. Modules and kinds of clip, each with its options, are categories, as they have no order; so are layers
where some are ranges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

from clipsweep.orchestrator.space.choices import RATE_DIGITS, joined, rates_to_search
from clipsweep.orchestrator.space.proposal import Choice
from clipsweep.orchestrator.space.site import Site
from clipsweep.orchestrator.space.space import Space
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.spec.clip import Clip

Params = Mapping[str, int | float | str]
Filled = dict[str, int | float | str]  # parameters that are being put together
EMPTY_SHARE = 0.25  # of what a slot's rate is drawn from, in a joint search: it leaves the slot empty


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
    """An axis of values in ascending order.

    Evenly spaced whole numbers are drawn themselves, so that the dashboard shows them. Of other values the place in
    the order is drawn, counted from 0. A single value is not drawn at all.
    """

    name: str
    values: tuple[float, ...]

    @property
    def _step(self) -> int | None:
        """The distance of evenly spaced whole numbers; None of other values."""
        steps = {after - before for before, after in pairwise(self.values)}
        is_even = len(steps) == 1 and all(value == int(value) for value in self.values)
        return int(steps.pop()) if is_even else None

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

    def encode(self, value: float) -> Filled:
        if len(self.values) == 1:
            return {}
        return {self.key: int(value) if self._step else self.values.index(value)}


@dataclass(frozen=True, slots=True)
class _Named:
    """An axis of names without an order. A single name is not drawn at all."""

    name: str
    values: tuple[str, ...]

    def parameters(self) -> list[Parameter]:
        return [Parameter(name=self.name, categories=self.values)] if len(self.values) > 1 else []

    def decode(self, params: Params) -> str:
        return str(params[self.name]) if len(self.values) > 1 else self.values[0]

    def encode(self, value: str) -> Filled:
        return {self.name: value} if len(self.values) > 1 else {}


class Encoding:
    """Parameters of one space, and the way from them to a choice and back."""

    def __init__(self, space: Space) -> None:
        """Lay out the axes."""
        self._space = space
        self._range = space.rate_range
        self._joint = space.max_clips > 1
        self._slots = min(space.max_clips, len(space.sites))
        all_at_once = self._joint and space.max_clips >= len(space.sites)
        self._sites = space.sites if all_at_once else None
        self._ranges = any(site.is_range for site in space.sites)
        self._places = {site.label: site.layers for site in space.sites}
        self._layers = {module: _layers_of(space, module) for module in space.modules}
        self._same_layers = len({*self._layers.values()}) == 1
        self._rates = self._listed_rates()
        self._shots = _Ordered("shots", tuple(sorted(space.shots)))
        of_slots = chain.from_iterable(map(self._parameters_of, range(self._slots)))
        self.parameters: tuple[Parameter, ...] = (*self._shots.parameters(), *of_slots)

    def decode(self, params: Params) -> Choice:
        """The choice that parameters stand for; several sets may stand for one."""
        clips = chain.from_iterable(self._clips_in(slot, params) for slot in range(self._slots))
        return Choice(int(self._shots.decode(params)), joined(self._space, (clip for clip in clips if clip.clip_rate)))

    def encode(self, choice: Choice) -> Filled | None:
        """Parameters that stand for a choice of the space; None for the untouched model where no slot may be empty."""
        if not choice.clips and not self._joint:
            return None
        params = self._shots.encode(choice.shots)
        for slot in range(self._slots):
            params |= self._fill(slot, self._pick_clips(choice, slot))
        return params

    def _pick_clips(self, choice: Choice, slot: int) -> Sequence[Clip]:
        """Which clips of a choice go into a slot: those at the slot's own site, or else the next in order."""
        if not self._joint:
            return choice.clips
        if self._sites is None:
            return choice.clips[slot : slot + 1]
        return [clip for clip in choice.clips if Site((clip.layer,), clip.module) == self._sites[slot]]

    def _parameters_of(self, slot: int) -> list[Parameter]:
        """The axes of a slot."""
        site: list[Parameter] = []
        if self._sites is None:
            first_module = self._space.modules[0]  # the layers of all modules are drawn from the same numbers
            layers = self._place(slot) if self._ranges else self._layer(slot, first_module)
            site = [*layers.parameters(), *self._module(slot).parameters()]
        return [*site, *self._kind(slot).parameters(), *self._rate_parameters(slot)]

    def _rate_parameters(self, slot: int) -> list[Parameter]:
        """The axis of a slot's rate; none where there is one rate."""
        name = self._name("clip_rate", slot)
        if self._range is not None:
            return [Parameter(name=name, low=self._range.low - self._margin, high=self._range.high)]
        if len(self._rates) == 1:
            return []
        return [Parameter(name=f"{name}_index", high=len(self._rates) - 1, step=1)]

    def _listed_rates(self) -> tuple[float, ...]:
        """Rates that are drawn by their place: in a joint search after as many zeros as leave a slot empty."""
        rates = rates_to_search(self._space)
        if not self._joint:
            return rates
        n_empty = max(1, round(EMPTY_SHARE * len(rates) / (1 - EMPTY_SHARE)))
        return (0.0,) * n_empty + rates

    @property
    def _margin(self) -> float:
        """How far below its range a rate may be drawn, to leave the slot empty."""
        assert self._range is not None, "asked of ranges only"
        return (self._range.high - self._range.low) * EMPTY_SHARE / (1 - EMPTY_SHARE) if self._joint else 0.0

    def _place(self, slot: int) -> _Named:
        """The axis of a slot's layers, where some are ranges, which have no order."""
        return _Named(self._name("layers", slot), tuple(self._places))

    def _layer(self, slot: int, module: str) -> _Ordered:
        """The axis of a slot's layer, where all are single.

        Where a rule chose the layers, each module has as many, but not the same ones: then the place among a module's
        own layers is drawn.
        """
        if self._same_layers:
            return _Ordered(self._name("layer", slot), self._layers[module])
        return _Ordered(self._name("rank_of_layer", slot), tuple(range(len(self._layers[module]))))

    def _module(self, slot: int) -> _Named:
        return _Named(self._name("module", slot), self._space.modules)

    def _kind(self, slot: int) -> _Named:
        return _Named(self._name("kind", slot), tuple(kind.words for kind in self._space.kinds))

    def _name(self, axis: str, slot: int) -> str:
        """What an axis is called: by the slot's site, by the slot's number, or alone if there is one slot."""
        if self._sites is not None:
            site = self._sites[slot]
            return f"{axis}_of_{site.module}_{site.label}"
        return f"{axis}_{slot + 1}" if self._joint else axis

    def _clips_in(self, slot: int, params: Params) -> tuple[Clip, ...]:
        """The clips that parameters put into a slot; their rate is 0 where they leave the slot empty."""
        words = self._kind(slot).decode(params)
        kind = next(kind for kind in self._space.kinds if kind.words == words)
        return self._site_in(slot, params).clips(self._rate_in(slot, params), kind)

    def _site_in(self, slot: int, params: Params) -> Site:
        if self._sites is not None:
            return self._sites[slot]
        module = self._module(slot).decode(params)
        if self._ranges:
            return Site(self._places[self._place(slot).decode(params)], module)
        drawn = int(self._layer(slot, module).decode(params))
        return Site((drawn if self._same_layers else self._layers[module][drawn],), module)

    def _rate_in(self, slot: int, params: Params) -> float:
        name = self._name("clip_rate", slot)
        if self._range is None:
            return self._rates[int(params.get(f"{name}_index", 0))]
        rate = float(params[name])
        return round(rate, RATE_DIGITS) if rate >= self._range.low else 0.0

    def _fill(self, slot: int, clips: Sequence[Clip]) -> Filled:
        """Parameters of a slot that holds the clips of one site, or none."""
        clip = clips[0] if clips else None
        filled = self._fill_site(slot, clips) if self._sites is None else {}
        filled |= self._kind(slot).encode((clip.of_kind if clip else self._space.kinds[0]).words)
        name = self._name("clip_rate", slot)
        if self._range is not None:
            filled[name] = clip.clip_rate if clip else self._range.low - self._margin / 2
        elif len(self._rates) > 1:
            filled[f"{name}_index"] = self._rates.index(clip.clip_rate if clip else 0.0)
        return filled

    def _fill_site(self, slot: int, clips: Sequence[Clip]) -> Filled:
        """Layers and module of a slot's clips; of an empty slot the first of each, since any would do."""
        module = clips[0].module if clips else self._space.modules[0]
        if self._ranges:
            label = Site(tuple(clip.layer for clip in clips), module).label if clips else next(iter(self._places))
            return self._place(slot).encode(label) | self._module(slot).encode(module)
        layers = self._layers[module]
        layer = clips[0].layer if clips else layers[0]
        drawn = layer if self._same_layers else layers.index(layer)
        return self._layer(slot, module).encode(drawn) | self._module(slot).encode(module)


def _layers_of(space: Space, module: str) -> tuple[int, ...]:
    """The layers in which a module may be clipped, of ranges the first, ascending."""
    return tuple(sorted(site.layers[0] for site in space.sites if site.module == module))


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
