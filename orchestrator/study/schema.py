"""The study file: every key, its type and its default. Where a list is wanted, one value stands for a list of one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, ByteSize, Field, PlainSerializer, model_serializer, model_validator

from clipsweep.analysis.winners.point import BEST_MEAN, ONE_STANDARD_ERROR
from clipsweep.orchestrator.study.kind_section import ONE_MAPPING_IS_A_LIST, Kind
from clipsweep.orchestrator.study.names import DRIVERS, GRID, HALVING, NEIGHBOURS, SEQUENTIAL_TEST
from clipsweep.orchestrator.study.section import (
    ONE_IS_A_LIST,
    Above,
    Count,
    Names,
    Positive,
    Says,
    Section,
    Several,
    Text,
)
from clipsweep.orchestrator.study.task_section import StudyTaskSection, TaskSection, WeightedSection
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.base.passwords import hide_passwords
from clipsweep.trials.clips.spectrum import COMBINATIONS
from clipsweep.trials.models.settings import Dtype, ModelSettings
from clipsweep.trials.screen.screened import DEFAULT_ROWS, LEAST_ROWS
from clipsweep.trials.spec.kinds import DEFAULT_KIND, PUBLISHED_RATES
from clipsweep.trials.spec.modules import MODULES
from clipsweep.trials.tasks.settings import HarnessSettings, TaskSettings

SIZE = "a number with a unit, as in 256MB or 1.5GiB"
LAYERS = (
    "a list of layers and ranges, as in [0, [20, 27]], 'all', or one of {top_condition: k}, {top_gradient: k} with a k "
    "of 1 or more, and {top_screen: share}"
)
RANGE = "a range of layers clipped together, [first, last]"
AT_LEAST_ONE = "a whole number of 1 or more"
GUARD = "a list of guards, as in [{task: rte, lose_at_most: 0.01}]"
RATES = "a list of fractions in [0, 1), or {low: 0.0, high: 0.995}"
LONGEST_NAME = 200  # of the 255 bytes that file systems give a folder's name; studies of several tasks add the task's

Rate = Annotated[float, Field(ge=0, lt=1), Says("a fraction in [0, 1)")]
LayerRange = Annotated[list[int], Field(min_length=2, max_length=2), Says(RANGE)]
ModuleName = Annotated[str, Names(MODULES)]


def _demand_unit(size: Any) -> Any:
    """Refuse a bare number before it is read as bytes: whoever writes 8 means gigabytes."""
    if not isinstance(size, str) or not size[-1:].isalpha():
        raise ValueError(size)
    return size


Size = Annotated[ByteSize, BeforeValidator(_demand_unit), PlainSerializer(lambda size: f"{size:d}B"), Says(SIZE)]
FolderName = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=LONGEST_NAME),
    Says(f"a folder's name: letters, digits, '.', '_' and '-', {LONGEST_NAME} at most, the first a letter or digit"),
]


class ModelSection(Section):
    """Which checkpoint, and how it is loaded."""

    path: Text
    dtype: Dtype = "float32"
    revision: Text | None = None
    allow_bin: bool = False


class ClipsSection(Section):
    """How many clips a trial may have; more than 1 is a joint search, of driver bayes."""

    max: Positive = 1


class RatesSection(Section):
    """Clip rates that are not listed: every fraction in a range, for driver bayes."""

    low: Rate = 0.0
    high: Rate


class ChosenLayers(Section):
    """Of each module, the layers that lead in what is measured before the search."""

    top_condition: Annotated[Positive | None, Says(AT_LEAST_ONE)] = None
    top_screen: Annotated[float | None, Field(gt=0, le=1), Says("a fraction above 0, at most 1")] = None
    top_gradient: Annotated[Positive | None, Says(AT_LEAST_ONE)] = None

    @model_validator(mode="after")
    def check_one(self) -> ChosenLayers:
        """Refuse none, and several."""
        if len(self.plain()) != 1:
            raise ValueError("one rule")
        return self

    @model_serializer
    def plain(self) -> dict[str, int | float]:
        """The one rule, as a file holds it."""
        return {name: value for name, value in self if value is not None}

    @property
    def by_screen(self) -> bool:
        """Whether a screen chooses."""
        return self.top_condition is None


class SpaceSection(Section):
    """The points of the study."""

    layers: Annotated[Several[int | LayerRange] | Literal["all"] | ChosenLayers, Says(LAYERS)] = "all"
    modules: Several[ModuleName] = ["attn", "mlp"]
    shots: Several[Count] | None = None
    demo_seeds: Several[Count] | None = None
    kinds: Annotated[Several[Kind], ONE_MAPPING_IS_A_LIST] = [DEFAULT_KIND]
    clip_rates: Annotated[Several[Rate] | RatesSection, Says(RATES)] = list(PUBLISHED_RATES)
    clips: ClipsSection = ClipsSection()

    @property
    def layer_ranges(self) -> list[list[int]]:
        """Those of the layers that are ranges, as they are written."""
        return [each for each in self.layers if isinstance(each, list)] if isinstance(self.layers, list) else []

    @property
    def screened_layers(self) -> ChosenLayers | None:
        """The layers, where a screen chooses them; else None."""
        return self.layers if isinstance(self.layers, ChosenLayers) and self.layers.by_screen else None


class ScreenSection(Section):
    """One backward pass that predicts what every clip does, before the search begins."""

    rows: Annotated[int, Field(ge=LEAST_ROWS), Says(f"{LEAST_ROWS} rows or more")] = DEFAULT_ROWS


class GuardSection(Section):
    """A task on which the winner must not be worse than the untouched model by more than it may."""

    task: Text
    lose_at_most: Annotated[float, Field(ge=0), Says("a number of 0 or more, of accuracy a fraction below 1")] = 0.0


def _or_none(value: Any) -> Any:
    """Take null for none of them."""
    return [] if value is None else value


class SearchSection(Section):
    """Which trial runs next, and when to stop; ``DRIVERS`` says which driver uses what."""

    driver: Annotated[str, Says(" or ".join(map(repr, DRIVERS)))] = GRID
    sampler: Literal["tpe", "gp", "nsga2", "cmaes", "qmc", "random", "neighbours"] = "tpe"
    seed: Count = 0
    top_k: Positive = 5
    module_condition: Annotated[str, Names(COMBINATIONS)] = "max"
    objectives: Several[Literal["accuracy", "parameters"]] = ["accuracy"]
    winner: Annotated[str, Names((BEST_MEAN, ONE_STANDARD_ERROR))] = BEST_MEAN
    guard: Annotated[list[GuardSection], BeforeValidator(_or_none), Says(GUARD)] = []
    screen: ScreenSection | None = None
    race: Annotated[str, Names((HALVING, NEIGHBOURS, SEQUENTIAL_TEST))] | None = None
    indifference: Rate = 0.005
    error_rate: Annotated[float, Field(gt=0, lt=1), Says("a fraction above 0 and below 1")] = 0.05
    min_gain: Rate = 0.0
    max_clips: Positive | None = None
    n_trials: Positive | None = None
    max_hours: Above | None = None
    max_gpu_hours: Above | None = None
    patience: Positive | None = None
    warm_start: Annotated[list[Text], ONE_IS_A_LIST] = []
    storage: Text | None = None


class ClusterSection(Section):
    """Where trials run."""

    replicas: Count | Literal["auto"] = "auto"
    gpus_per_replica: Above = 1
    cpus_per_replica: Positive = 1
    address: Text | None = None
    microbatch: Positive | Literal["auto"] = "auto"
    activation_budget: Size | Literal["auto"] = "auto"
    hang_after_s: Above = 60

    @property
    def activation_bytes(self) -> int | None:
        """The budget in bytes; None for ``auto``."""
        return None if self.activation_budget == "auto" else int(self.activation_budget)


class Study(Section):
    """A study file, checked."""

    name: FolderName
    model: ModelSection
    task: StudyTaskSection
    space: SpaceSection = SpaceSection()
    search: SearchSection = SearchSection()
    cluster: ClusterSection = ClusterSection()
    theory: bool = False

    def model_settings(self) -> ModelSettings:
        """The model section as the value that replicas take."""
        return ModelSettings(**self.model.model_dump())

    def task_settings(self) -> TaskSettings:
        """The task section as the value that replicas take.

        Raises:
            StudyError: It has several tasks.
        """
        first, *others = self.task.members
        if others:
            names = ", ".join(task.name for task in self.task.members)
            raise StudyError(
                f"study key 'task.weighted' has {len(others) + 1} tasks, {names}; expected one task here. "
                f"Pick one by its name, as in --set task.name={first.name}."
            )
        return settings_of(first)

    def of_task(self, name: str) -> Study:
        """The study of one of its tasks alone, with the shots that it has among the others."""
        task = self.task.member(name)
        alone = StudyTaskSection(**task.model_dump(include=set(TaskSection.model_fields)))
        own = task.shots if isinstance(task, WeightedSection) else None
        own = 0 if own is None and self.task.weighted is not None and task.text is not None else own
        space = self.space if own is None else self.space.model_copy(update={"shots": [own]})
        search = self.search.model_copy(update={"guard": []})
        return self.model_copy(update={"task": alone, "space": space, "search": search})

    def to_yaml(self) -> str:
        """The study file that says exactly this, but for passwords in addresses."""
        return yaml.safe_dump(
            hide_passwords(self.model_dump()), sort_keys=False, allow_unicode=True, default_flow_style=None
        )


def settings_of(task: TaskSection) -> TaskSettings:
    """A task section, or one of several in it, as the value that replicas take."""
    definition = None if task.definition is None else task.definition.define()
    harness = None if task.lm_eval is None else HarnessSettings(**task.lm_eval.model_dump())
    plain = task.model_dump(include=set(TaskSection.model_fields))
    text = None if task.text is None else task.text.settings()
    return TaskSettings(**{**plain, "definition": definition, "lm_eval": harness, "text": text})
