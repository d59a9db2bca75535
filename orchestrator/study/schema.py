"""The study file: every key, its type and its default; strictly checked before anything is loaded."""

from __future__ import annotations

import difflib
import re
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from clipsweep.orchestrator.drivers.races import TEST
from clipsweep.orchestrator.study.check_search import check_search
from clipsweep.trials.base.errors import StudyError, unknown_name
from clipsweep.trials.spec.trial import MODULES, PAPER, Dtype, ModelSettings, TaskSettings
from clipsweep.trials.tasks.definition import Scoring, Source, Splits, TaskDefinition, Wording

ALGORITHM1 = "algorithm1"
BAYES = "bayes"
GRID = "grid"
STOPPING_RULES = ("n_trials", "max_hours", "max_gpu_hours", "patience")
ANY_DRIVER = {"race", "winner", *STOPPING_RULES}
SEARCH_KEYS = {  # what each driver uses
    GRID: ANY_DRIVER,
    ALGORITHM1: ANY_DRIVER | {"top_k", "module_condition"},
    BAYES: ANY_DRIVER | {"sampler", "seed", "objectives", "warm_start", "storage"},
}
KINDS = {"model_type": "a mapping of its keys, as in {key: value}", "list_type": "a list, as in [0, 1]"}  # of pydantic
HINTS = {f"search.{rule}": " Remove the key for no limit." for rule in STOPPING_RULES}
HINTS["search.race"] = " Remove the key, or give it null, for no race."
PUBLISHED_RATES = [0, 0.1, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995]

Rate = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
ModuleName = Literal["attn", "mlp", "all", "q", "k", "v", "o", "up", "gate", "down", "fc_in", "fc_out"]


UNITS = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def parse_size(text: str) -> int:
    """Bytes of a size such as ``256MB`` or ``1.5GiB``.

    Raises:
        ValueError: It is not a number with one of ``UNITS``.
    """
    match = re.fullmatch(rf"(\d+(?:\.\d+)?) ?({'|'.join(UNITS)})", text)
    if match is None:
        raise ValueError("auto, or a number with one of the units " + ", ".join(UNITS) + ", as in 256MB or 1.5GiB")
    return int(float(match[1]) * UNITS[match[2]])


def _check_size(text: str) -> str:
    if text != "auto":
        parse_size(text)
    return text


Size = Annotated[str, AfterValidator(_check_size)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ModelSection(_Section):
    """Which checkpoint, and how it is loaded."""

    path: str
    dtype: Dtype = "float32"
    revision: str | None = None
    allow_bin: bool = False


class DataSection(_Section):
    """Where the rows of a user's own task come from."""

    path: str
    config: str | None = None
    revision: str | None = None


class SplitsSection(_Section):
    """Which split of the data each of ours is taken from."""

    demonstrations: str = "train"
    validation: str = "train"
    test: str | None = "train"


Answers = Annotated[list[str], Field(min_length=2)]


class DefinitionSection(_Section):
    """A task of the user's own: data, wording, answers, splits, metric."""

    data: DataSection
    query: str
    labels: Answers | Annotated[dict[str | int | bool, str], Field(min_length=2)] | None = None
    candidates: Answers | None = None
    label_column: str = "label"
    demonstration: str | None = None
    alone: str | None = None
    words: dict[str, dict[str, str]] = {}
    splits: SplitsSection = SplitsSection()
    demonstrations: Positive | None = None
    validation_size: Positive | None = None
    shots: Count = 10
    metric: Literal["accuracy", "macro_f1", "gold_logprob"] = "accuracy"
    function: str | None = None

    def define(self) -> TaskDefinition:
        """The definition as the value that replicas take.

        Raises:
            StudyError: Neither labels nor candidates, or both; all of them the same.
            TaskError: A template that is malformed.
        """
        if (self.labels is None) == (self.candidates is None):
            raise StudyError(
                "study key 'task.definition' needs either labels (label words, the same for every row) or candidates "
                "(texts that name columns); give one of the two."
            )
        labels = self.labels if isinstance(self.labels, dict) else dict(enumerate(self.labels or self.candidates or []))
        answers = tuple(dict.fromkeys(labels.values()))
        if len(answers) < 2:
            raise StudyError(
                f"study key 'task.definition' has no answer but {answers[0]!r}; expected two or more that differ."
            )
        wording = Wording(
            query=self.query,
            answers=answers if self.candidates is None else tuple(self.candidates),
            demonstration=self.demonstration,
            alone=self.alone,
            words=self.words,
        )
        return TaskDefinition(
            source=Source(**self.data.model_dump()),
            wording=wording,
            classes={str(value): answers.index(answer) for value, answer in labels.items()},
            splits=Splits(**self.splits.model_dump()),
            demonstrations=self.demonstrations,
            validation_size=self.validation_size,
            shots=self.shots,
            label_column=self.label_column,
            scoring=Scoring.LOGLIKELIHOOD if self.candidates is None else Scoring.MEAN_LOGLIKELIHOOD,
            metric=self.metric,
            function=self.function,
        )


class TaskSection(_Section):
    """Which task, and which of its rows."""

    name: str
    variant: Literal["paper", "release"] = "paper"
    path: str | None = None
    validation_size: int | None = None
    test_size: int | None = None
    demonstrations: Positive | None = None
    seed: int | None = None
    truncate: Literal["error", "demonstrations"] = "error"
    definition: DefinitionSection | None = None


class ClipsSection(_Section):
    """How many clips a trial may have; more than 1 is a joint search, of driver bayes."""

    max: Positive = 1


class RatesSection(_Section):
    """Clip rates that are not listed: every fraction in a range, for driver bayes."""

    low: Rate = 0.0
    high: Rate


class TopCondition(_Section):
    """Of each module, the layers where its condition number is largest."""

    top_condition: Positive


class SpaceSection(_Section):
    """The points of the study."""

    layers: Annotated[list[int], Field(min_length=1)] | Literal["all"] | TopCondition = "all"
    modules: Annotated[list[ModuleName], Field(min_length=1)] = ["attn", "mlp"]
    shots: Annotated[list[Count], Field(min_length=1)] | None = None
    demo_seeds: Annotated[list[Count], Field(min_length=1)] | None = None
    clip_rates: Annotated[list[Rate], Field(min_length=1)] | RatesSection = PUBLISHED_RATES
    clips: ClipsSection = ClipsSection()


class SearchSection(_Section):
    """Which trial runs next, and when to stop; ``SEARCH_KEYS`` says which driver uses what."""

    driver: str = GRID
    sampler: Literal["tpe", "gp", "nsga2", "cmaes", "qmc", "random"] = "tpe"
    seed: Count = 0
    top_k: Positive = 5
    module_condition: Literal["max", "mean", "min"] = "max"
    objectives: Annotated[list[Literal["accuracy", "parameters"]], Field(min_length=1)] = ["accuracy"]
    winner: Literal["best_mean", "one_standard_error"] = "best_mean"
    race: Literal["halving", "test"] | None = None
    indifference: Annotated[float, Field(ge=0, lt=1)] = 0.005
    error_rate: Annotated[float, Field(gt=0, lt=1)] = 0.05
    n_trials: Positive | None = None
    max_hours: Annotated[float, Field(gt=0)] | None = None
    max_gpu_hours: Annotated[float, Field(gt=0)] | None = None
    patience: Positive | None = None
    warm_start: list[str] = []
    storage: str | None = None


class ClusterSection(_Section):
    """Where trials run."""

    replicas: Count | Literal["auto"] = "auto"
    gpus_per_replica: Annotated[float, Field(gt=0)] = 1
    cpus_per_replica: Positive = 1
    address: str | None = None
    microbatch: Positive | Literal["auto"] = "auto"
    activation_budget: Size = "auto"

    @property
    def activation_bytes(self) -> int | None:
        """The budget in bytes; None for ``auto``."""
        return None if self.activation_budget == "auto" else parse_size(self.activation_budget)


class Study(_Section):
    """A study file, checked."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    model: ModelSection
    task: TaskSection
    space: SpaceSection = SpaceSection()
    search: SearchSection = SearchSection()
    cluster: ClusterSection = ClusterSection()

    def model_settings(self) -> ModelSettings:
        """The model section as the value that replicas take."""
        return ModelSettings(**self.model.model_dump())

    def task_settings(self) -> TaskSettings:
        """The task section as the value that replicas take."""
        definition = None if self.task.definition is None else self.task.definition.define()
        return TaskSettings(**{**self.task.model_dump(), "definition": definition})

    def to_yaml(self) -> str:
        """The study file that says exactly this."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True, default_flow_style=None)


def check_study(content: dict[str, Any]) -> Study:
    """Check a study's keys and values.

    Raises:
        StudyError: One line for each key that is wrong.
    """
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        problems = error.errors(include_url=False)
        told = [
            problem for problem in problems if not {"TopCondition", "RatesSection"} & {*problem["loc"]}
        ]  # other forms
        lines = list(dict.fromkeys(_explain(problem) for problem in told))
        raise StudyError("\n".join(lines)) from error
    _check_effect(study)
    check_search(study)
    _check_cluster(study.cluster)
    if study.task.variant != PAPER and study.space.demo_seeds is not None:
        raise StudyError(
            f"study key 'space.demo_seeds' is {study.space.demo_seeds}, but in variant {study.task.variant!r} "
            f"task.seed fixes the demonstrations; remove space.demo_seeds, or set task.seed."
        )
    study.task_settings()  # refuses a definition that cannot be one
    return study


def _check_cluster(cluster: ClusterSection) -> None:
    """Refuse combinations that Ray does not have, or that would have no effect."""
    share = cluster.gpus_per_replica
    if share > 1 and share != int(share):
        raise StudyError(
            f"study key 'cluster.gpus_per_replica' is {share}; expected a share up to 1, or a whole number of GPUs."
        )
    if cluster.replicas == 0 and cluster.address is not None:
        raise StudyError(
            f"study key 'cluster.address' is {cluster.address!r}, but replicas: 0 runs in this process, without Ray. "
            f"Remove one of the two."
        )


def _check_effect(study: Study) -> None:
    """Refuse an unknown driver, and search keys that would change nothing because the driver does not use them."""
    search, by_condition = study.search, isinstance(study.space.layers, TopCondition)
    if search.driver not in SEARCH_KEYS:
        raise StudyError(f"search.driver: {unknown_name('driver', search.driver, SEARCH_KEYS)}")
    if by_condition and search.driver == ALGORITHM1:
        raise StudyError(
            f"study key 'space.layers' is {study.space.layers!r}, but driver {ALGORITHM1!r} ranks the layers itself; "
            f"expected a list of candidates or 'all'. Say how many it keeps with search.top_k."
        )
    used = {"driver", *SEARCH_KEYS[search.driver], *(["module_condition"] if by_condition else [])}
    used |= {"indifference", "error_rate"} if search.race == TEST else set()
    for key, field in SearchSection.model_fields.items():
        value, default = getattr(search, key), field.get_default()
        if key not in used and value != default:
            raise StudyError(
                f"study key 'search.{key}' is {value!r}, but {_searcher(search)} does not use it; "
                f"expected its default, {default!r}. Remove the key."
            )


def _searcher(search: SearchSection) -> str:
    return f"driver {search.driver!r}" + (f" with race {search.race!r}" if search.race else "")


def _explain(problem: Any) -> str:
    """Word one of pydantic's problems: the key, its value, what was expected, and the nearest legal spelling."""
    path = [part for part in problem["loc"] if isinstance(part, int) or part in _all_keys()]
    key = ".".join(map(str, problem["loc"] if problem["type"] == "extra_forbidden" else path))
    if problem["type"] == "extra_forbidden":
        return _explain_unknown(problem["loc"])
    if problem["type"] == "missing":
        return f"study key {key!r} is missing; give it a value."
    expected = problem["msg"].removeprefix("Input should be ").replace("Value error, ", "")
    expected = KINDS.get(problem["type"], expected)
    if key.startswith("space.layers"):
        expected = "a list of layers, 'all', or {top_condition: k} with a k of 1 or more"
    if key.startswith("space.clip_rates"):
        expected = "a fraction in [0, 1); a rate on the 0-10 scale must be divided by 10 (9.5 becomes 0.95)"
        if not isinstance(problem["input"], int | float | str):
            expected = "a list of fractions in [0, 1), or {low: 0.0, high: 0.995}"
    hint = HINTS.get(key, "")
    if isinstance(problem["input"], str) and key.startswith("space.modules"):
        close = difflib.get_close_matches(problem["input"], MODULES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"study key {key!r} is {problem['input']!r}; expected {expected}.{hint}"


def _fields_of(annotation: Any) -> dict[str, FieldInfo]:
    """Keys of a section, or of a section that may be left out."""
    kinds = [each for each in (annotation, *get_args(annotation)) if isinstance(each, type)]
    sections = [each for each in kinds if issubclass(each, BaseModel)]
    return dict(sections[0].model_fields) if sections else {}


def _explain_unknown(location: tuple[str | int, ...]) -> str:
    *sections, last = map(str, location)
    known = dict(Study.model_fields)
    for section in sections:
        known = _fields_of(known[section].annotation)
    prefix = "".join(f"{section}." for section in sections)
    return unknown_name("study key", f"{prefix}{last}", [f"{prefix}{name}" for name in known])


def _all_keys() -> set[str]:
    return {key for section in _Section.__subclasses__() for key in section.model_fields}
