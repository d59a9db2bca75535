"""Layers that are chosen by what is measured first; by condition numbers for Algorithm 1 and ``{top_condition: k}``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Generic, TypeVar

from clipsweep.orchestrator.space.site import Site
from clipsweep.orchestrator.study.names import ALGORITHM1
from clipsweep.orchestrator.study.schema import ChosenLayers, Study
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.clips.spectrum import Conditions, Place, module_condition
from clipsweep.trials.models.card import ModelCard

Measured = TypeVar("Measured")
Candidates = Mapping[str, Mapping[int, tuple[Place, ...]]]


@dataclass(frozen=True, kw_only=True)
class LayerRule(ABC, Generic[Measured]):
    """For each module on its own, the layers that lead in something that is measured before the search.

    Attributes:
        candidates: By module and layer, ascending, where the module's matrices are.
        counts: By module, how many layers are kept; of equal ones the lower layer comes first.
        deepest: Whether only the deepest of those is clipped, as in Algorithm 1.
    """

    candidates: Candidates
    counts: Mapping[str, int]
    deepest: bool = False

    @abstractmethod
    def is_measured(self, measured: Measured) -> bool:
        """Whether all candidates have been measured."""

    @abstractmethod
    def values(self, measured: Measured, module: str) -> dict[int, float]:
        """What a module's layers are ranked by, for each candidate that has been measured."""

    @abstractmethod
    def describe(self) -> str:
        """The rule in words, as the report tells it."""

    def leading(self, measured: Measured, module: str) -> list[int]:
        """The layers where a module's value is largest, as many as are kept, the largest first."""
        values = self.values(measured, module)
        return sorted(values, key=lambda layer: (-values[layer], layer))[: self.counts[module]]

    def choose(self, measured: Measured) -> tuple[Site, ...] | None:
        """What is to be clipped; None until all candidates have been measured."""
        if not self.is_measured(measured):
            return None
        leading = {module: self.leading(measured, module) for module in self.candidates}
        return sites_of({module: [max(each)] if self.deepest else each for module, each in leading.items()})

    def stand_in(self) -> tuple[Site, ...]:
        """As many sites as will be chosen, at middling candidates: what is planned with until all are measured."""
        chosen = {}
        for module, layers in self.candidates.items():
            count = 1 if self.deepest else self.counts[module]
            start = (len(layers) - count) // 2
            chosen[module] = sorted(layers)[start : start + count]
        return sites_of(chosen)


@dataclass(frozen=True, kw_only=True)
class ConditionRule(LayerRule[Conditions]):
    """The layers with the largest condition numbers.

    Attributes:
        combination: What stands for a module with several matrices: ``"max"``, ``"mean"`` or ``"min"``.
    """

    combination: str

    def places(self) -> list[Place]:
        """Every place whose matrices count, once, layer by layer."""
        return sorted({place for layers in self.candidates.values() for held in layers.values() for place in held})

    def missing(self, conditions: Conditions) -> list[Place]:
        """Those of ``places`` that have not been measured."""
        return [place for place in self.places() if place not in conditions]

    def is_measured(self, measured: Conditions) -> bool:
        """Whether no place is missing."""
        return not self.missing(measured)

    def values(self, measured: Conditions, module: str) -> dict[int, float]:
        """Condition number of a module in each candidate layer that has been measured."""
        return measured_values(self.candidates[module], measured, self.combination)

    def describe(self) -> str:
        """How many layers, and by what."""
        count = max(self.counts.values())
        kept = f"the deepest of the {count} layers" if self.deepest else f"the {count} layers"
        return f"of each module {kept} with the largest condition number ({self.combination} over its matrices)"


def condition_rule(study: Study, card: ModelCard) -> ConditionRule | None:
    """The rule by condition numbers that a study asks for; None where it asks for none.

    Raises:
        StudyError: Fewer candidate layers than are to be kept.
        SpecError: A layer or module that the model does not have.
    """
    listed, search = study.space.layers, study.search
    if isinstance(listed, ChosenLayers) and listed.top_condition is not None:
        key, count, deepest = "space.layers.top_condition", listed.top_condition, False
    elif search.driver == ALGORITHM1:
        key, count, deepest = "search.top_k", search.top_k, True
    else:
        return None
    candidates = candidate_layers(study, card)
    counts = kept_of_each(candidates, key, count)
    return ConditionRule(candidates=candidates, counts=counts, deepest=deepest, combination=search.module_condition)


def kept_of_each(candidates: Candidates, key: str, count: int) -> dict[str, int]:
    """So many layers of each module.

    Args:
        candidates: By module and layer.
        key: The study key that says how many.
        count: How many.

    Raises:
        StudyError: A module has fewer.
    """
    for module, layers in candidates.items():
        if count > len(layers):
            raise StudyError(
                f"study key {key!r} is {count}, but module {module!r} has {len(layers)} candidate layers; expected "
                f"at most as many. Lower it, or put more layers into the search."
            )
    return dict.fromkeys(candidates, count)


def sites_of(layers: Mapping[str, Iterable[int]]) -> tuple[Site, ...]:
    """Single layers of each module: ascending by layer, then in the order of the study's modules, as visited."""
    sites = [Site((layer,), module) for module in layers for layer in layers[module]]
    return tuple(sorted(sites, key=lambda site: site.layers))


def candidate_layers(study: Study, card: ModelCard) -> Candidates:
    """Where the matrices of each module are, by layer.

    Raises:
        SpecError: A layer or module that the model does not have.
    """
    modules: list[str] = list(study.space.modules)
    return {module: _candidates_of(study, card, module) for module in modules}


def _candidates_of(study: Study, card: ModelCard, module: str) -> dict[int, tuple[Place, ...]]:
    """Where a module's matrices are, by layer: in each layer that is listed, else in every layer that has some."""
    listed = study.space.layers
    if isinstance(listed, list):
        layers = sorted({card.layer_index(layer) for layer in listed if isinstance(layer, int)})
        for layer in layers:  # refuses one without matrices of the module
            card.roles_at(layer, module)
        return {layer: places for layer, places in module_places(card, module).items() if layer in layers}
    return module_places(card, module)


def module_places(card: ModelCard, module: str) -> dict[int, tuple[Place, ...]]:
    """Where a module's matrices are, by layer, in every layer that has some.

    Raises:
        SpecError: The model has none.
    """
    places: dict[int, tuple[Place, ...]] = {}
    for layer, role in product(range(card.n_layers), card.roles(module)):
        if (layer, role) in card.shapes:
            places[layer] = (*places.get(layer, ()), (layer, role))
    return places


def measured_values(
    candidates: Mapping[int, tuple[Place, ...]], conditions: Conditions, combination: str = "max"
) -> dict[int, float]:
    """Condition number of a module in each of the candidate layers whose matrices have all been measured."""
    measured = {layer: places for layer, places in candidates.items() if conditions.keys() >= set(places)}
    return {layer: module_condition(conditions, places, combination) for layer, places in measured.items()}
