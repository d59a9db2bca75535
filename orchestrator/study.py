"""The study file: every key, its type and its default; strictly checked before anything is loaded."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from trials.errors import StudyError, unknown_name
from trials.values import MODULES, ModelSettings, TaskSettings

SHIPPED = Path(__file__).parent / "studies"
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
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    revision: str | None = None
    allow_bin: bool = False


class TaskSection(_Section):
    """Which task, and which of its rows."""

    name: str
    variant: Literal["paper"] = "paper"
    path: str | None = None
    validation_size: int | None = None
    test_size: int | None = None
    seed: int = 49
    truncate: Literal["error"] = "error"


class ClipsSection(_Section):
    """How many clips a trial may have."""

    max: Literal[1] = 1


class SpaceSection(_Section):
    """The points of the study."""

    layers: Annotated[list[int], Field(min_length=1)] | Literal["all"] = "all"
    modules: Annotated[list[ModuleName], Field(min_length=1)] = ["attn", "mlp"]
    shots: Annotated[list[Count], Field(min_length=1)] = [10]
    demo_seeds: Annotated[list[Count], Field(min_length=1)] = [0]
    clip_rates: Annotated[list[Rate], Field(min_length=1)] = PUBLISHED_RATES
    clips: ClipsSection = ClipsSection()


class SearchSection(_Section):
    """Which trial runs next, and when to stop. ``grid`` uses ``driver`` and ``winner`` only."""

    driver: str = "grid"
    sampler: Literal["tpe", "gp", "nsga2", "cmaes", "qmc", "random"] = "tpe"
    seed: Count = 0
    top_k: Positive = 5
    module_condition: Literal["max"] = "max"
    objectives: list[Literal["accuracy"]] = ["accuracy"]
    winner: Literal["best_mean"] = "best_mean"
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
        return TaskSettings(**self.task.model_dump())

    def to_yaml(self) -> str:
        """The study file that says exactly this."""
        return yaml.safe_dump(self.model_dump(), sort_keys=False, allow_unicode=True, default_flow_style=None)


def load_study(name: str, overrides: Sequence[str] = ()) -> Study:
    """Read a study from a YAML file or by its shipped name.

    Args:
        name: Path of a file, or a name under ``orchestrator/studies``.
        overrides: ``key=value`` each, the key dotted (``space.shots=[0,4]``), the value YAML.

    Raises:
        StudyError: No such study, not YAML, an unknown key, a wrong value.
    """
    path = Path(name).expanduser()
    if not path.is_file():
        path = SHIPPED / f"{name}.yaml"
    if not path.is_file():
        raise StudyError(f"{unknown_name('study', name, shipped_studies())} Or give the path of a YAML file.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise StudyError(f"{path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise StudyError(f"{path} holds {type(content).__name__}; expected the keys {', '.join(Study.model_fields)}.")
    for override in overrides:
        _override(content, override)
    return check_study(content)


def shipped_studies() -> list[str]:
    """Names of the studies that come with clipsweep."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


def check_study(content: dict[str, Any]) -> Study:
    """Check a study's keys and values.

    Raises:
        StudyError: One line for each key that is wrong.
    """
    try:
        study = Study.model_validate(content)
    except ValidationError as error:
        lines = list(dict.fromkeys(_explain(problem) for problem in error.errors(include_url=False)))
        raise StudyError("\n".join(lines)) from error
    _check_effect(study.search)
    _check_cluster(study.cluster)
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


def _check_effect(search: SearchSection) -> None:
    """Refuse search keys that would change nothing: no driver of this version uses them."""
    for key, field in SearchSection.model_fields.items():
        value, default = getattr(search, key), field.get_default()
        if key != "driver" and value != default:
            raise StudyError(
                f"study key 'search.{key}' is {value!r}, but driver {search.driver!r} does not use it; "
                f"expected its default, {default!r}. Remove the key."
            )


def _override(content: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator:
        raise StudyError(f"--set {override!r} has no '='; expected key=value, as in space.shots=[0,4].")
    *sections, last = key.strip().split(".")
    for section in sections:
        content = content.setdefault(section, {})
        if not isinstance(content, dict):
            raise StudyError(f"--set {override!r}: {section!r} is not a section of the study.")
    try:
        content[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise StudyError(f"--set {override!r}: {text!r} is not a YAML value ({error}).") from error


def _explain(problem: Any) -> str:
    """Word one of pydantic's problems: the key, its value, what was expected, and the nearest legal spelling."""
    path = [part for part in problem["loc"] if isinstance(part, int) or part in _all_keys()]
    key = ".".join(map(str, problem["loc"] if problem["type"] == "extra_forbidden" else path))
    if problem["type"] == "extra_forbidden":
        return _explain_unknown(problem["loc"])
    if problem["type"] == "missing":
        return f"study key {key!r} is missing; give it a value."
    expected = problem["msg"].removeprefix("Input should be ").replace("Value error, ", "")
    if key.startswith("space.clip_rates"):
        expected = "a fraction in [0, 1); a rate on the 0-10 scale must be divided by 10 (9.5 becomes 0.95)"
    hint = ""
    if isinstance(problem["input"], str) and key.startswith("space.modules"):
        close = difflib.get_close_matches(problem["input"], MODULES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"study key {key!r} is {problem['input']!r}; expected {expected}.{hint}"


def _explain_unknown(location: tuple[str | int, ...]) -> str:
    *sections, last = map(str, location)
    known = Study.model_fields
    for section in sections:
        annotation = known[section].annotation
        known = annotation.model_fields if isinstance(annotation, type) and issubclass(annotation, BaseModel) else {}
    prefix = "".join(f"{section}." for section in sections)
    return unknown_name("study key", f"{prefix}{last}", [f"{prefix}{name}" for name in known])


def _all_keys() -> set[str]:
    sections = (Study, ModelSection, TaskSection, SpaceSection, ClipsSection, SearchSection, ClusterSection)
    return {key for section in sections for key in section.model_fields}
