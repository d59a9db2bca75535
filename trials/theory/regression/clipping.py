"""What clips do to the error of a trained model: every block, module and rate, by the project's own clips."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path

from torch import Tensor

from clipsweep.trials.clips.edit import LoadedModel
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.factor_files import hash_tensors
from clipsweep.trials.clips.resolve import fingerprint_of, resolve
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.facts import facts_of
from clipsweep.trials.models.find_layout import find_layout
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.resolved import Fingerprint
from clipsweep.trials.theory.regression.model import RegressionModel, predict
from clipsweep.trials.theory.regression.prompts import Prompts, normalised_errors

MODULES = ("attn", "mlp", "q", "k", "v", "o", "fc_in", "fc_out")
RATES = (0.1, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995)  # the paper's, ascending


@dataclass(frozen=True, slots=True)
class Clippable:
    """A model that the project's clips take.

    Attributes:
        loaded: With its layout and factors.
        card: Its shapes.
    """

    loaded: LoadedModel
    card: ModelCard

    def errors(self, prompts: Prompts, *clips: Clip) -> Tensor:
        """Normalised squared errors under clips, shape ``(prompts, examples + 1)``; the weights stay as they are.

        Raises:
            SpecError: The model lacks what a clip names.
        """
        with self.loaded.holding(self.loaded.edit(resolve(clips, self.card))):
            return normalised_errors(predict(self.loaded.model, prompts), prompts)


def make_clippable(model: RegressionModel, cache: Path) -> Clippable:
    """Find the matrices of a model.

    Args:
        model: Its weights must not change from now on.
        cache: Keeps the factors of its matrices.
    """
    facts = facts_of(model)
    card = ModelCard(
        fingerprint=hash_tensors(*model.parameters()),
        dtype="float32",
        weight_bytes=4 * facts["parameters_total"],
        **facts,
    )
    loaded = LoadedModel(model=model, layout=find_layout(model), factors=FactorCache(cache))
    return Clippable(loaded=loaded, card=card)


def all_clips(card: ModelCard) -> list[Clip]:
    """A clip for each block, module and published rate; of rates that leave the same model, the least."""
    distinct: dict[Fingerprint, Clip] = {}
    for layer, module, rate in product(range(card.n_layers), MODULES, RATES):
        clip = Clip(layer=layer, module=module, clip_rate=rate)
        distinct.setdefault(fingerprint_of([clip], card), clip)
    return [*distinct.values()]
