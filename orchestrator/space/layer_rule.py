"""Layers that the condition numbers choose: for the paper's Algorithm 1, and for ``layers: {top_condition: k}``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

from clipsweep.orchestrator.space.site import Site
from clipsweep.orchestrator.study.names import ALGORITHM1
from clipsweep.orchestrator.study.schema import Study, TopCondition
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.clips.spectrum import Conditions, Place, module_condition
from clipsweep.trials.models.card import ModelCard


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerRule:
    """For each module on its own, the layers with the largest condition numbers.

    Attributes:
        candidates: By module and layer, ascending, where the module's matrices are.
        count: How many layers are kept; of equal condition numbers the lower layer comes first.
        deepest: Whether only the deepest of those is clipped, as in Algorithm 1.
        combination: What stands for a module with several matrices: ``"max"``, ``"mean"`` or ``"min"``.
    """

    candidates: Mapping[str, Mapping[int, tuple[Place, ...]]]
    count: int
    deepest: bool
    combination: str

    def places(self) -> list[Place]:
        """Every place whose matrices count, once, layer by layer."""
        return sorted({place for layers in self.candidates.values() for held in layers.values() for place in held})

    def missing(self, conditions: Conditions) -> list[Place]:
        """Those of ``places`` that have not been measured."""
        return [place for place in self.places() if place not in conditions]

    def values(self, conditions: Conditions, module: str) -> dict[int, float]:
        """Condition number of a module in each candidate layer that has been measured."""
        return measured_values(self.candidates[module], conditions, self.combination)

    def leading(self, conditions: Conditions, module: str) -> list[int]:
        """The ``count`` layers where a module's condition number is largest, the largest first."""
        values = self.values(conditions, module)
        return sorted(values, key=lambda layer: (-values[layer], layer))[: self.count]

    def choose(self, conditions: Conditions) -> tuple[Site, ...]:
        """What is to be clipped; all candidates must have been measured."""
        leading = {module: self.leading(conditions, module) for module in self.candidates}
        return self._sites({module: [max(each)] if self.deepest else each for module, each in leading.items()})

    def stand_in(self) -> tuple[Site, ...]:
        """As many sites as will be chosen, at middling candidates: what is planned with until all are measured."""
        count = 1 if self.deepest else self.count
        middle = {module: sorted(layers) for module, layers in self.candidates.items()}
        starts = {module: (len(layers) - count) // 2 for module, layers in middle.items()}
        return self._sites({module: middle[module][start : start + count] for module, start in starts.items()})

    def _sites(self, layers: Mapping[str, Iterable[int]]) -> tuple[Site, ...]:
        """Ascending by layer, then in the order of the study's modules: as the space visits them."""
        sites = [Site((layer,), module) for module in layers for layer in layers[module]]
        return tuple(sorted(sites, key=lambda site: site.layers))


def layer_rule(study: Study, card: ModelCard) -> LayerRule | None:
    """The rule that a study asks for; None where it names its layers itself.

    Raises:
        StudyError: Fewer candidate layers than are to be kept.
        SpecError: A layer or module that the model does not have.
    """
    listed, search = study.space.layers, study.search
    if isinstance(listed, TopCondition):
        key, count, deepest = "space.layers.top_condition", listed.top_condition, False
    elif search.driver == ALGORITHM1:
        key, count, deepest = "search.top_k", search.top_k, True
    else:
        return None
    modules: list[str] = list(study.space.modules)
    candidates = {module: _candidates(study, card, module) for module in modules}
    for module, layers in candidates.items():
        if count > len(layers):
            raise StudyError(
                f"study key {key!r} is {count}, but module {module!r} has {len(layers)} candidate layers; expected "
                f"at most as many. Lower it, or put more layers into the search."
            )
    return LayerRule(candidates=candidates, count=count, deepest=deepest, combination=search.module_condition)


def _candidates(study: Study, card: ModelCard, module: str) -> dict[int, tuple[Place, ...]]:
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
