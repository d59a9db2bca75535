"""Optuna's side of a Bayesian search: its storage, its samplers, its trials. The home of optuna.

The storage is a cache. What is known comes from the results table; what the storage lacks of it is added on opening.
"""

from __future__ import annotations

import json
import logging
import os
import warnings
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import StorageInternalError
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage
from optuna.storages.journal import BaseJournalBackend, JournalFileBackend, JournalStorage
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from clipsweep.orchestrator.drivers.bayes.database import without_password
from clipsweep.orchestrator.drivers.bayes.encoding import Parameter, Params
from clipsweep.trials.base.errors import StudyError, WriteError, first_line
from clipsweep.trials.base.os_words import word_os_error
from clipsweep.trials.base.passwords import hide_password

Direction = Literal["maximize", "minimize"]
P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger(__name__)
optuna.logging.set_verbosity(optuna.logging.ERROR)
TRIAL_ID, SOURCE = "trial_id", "source"
STARTUP_SHARE, LEAST_STARTUP, MOST_STARTUP = 1 / 3, 4, 12
LEAST_POPULATION, MOST_POPULATION = 6, 50
GENERATIONS = 6
LEAST_SOURCE = 10  # CMA-ES starts from the best tenth of what is known, which must not be empty
UNPICKLED = {"cmaes"}  # samplers whose state Optuna unpickles from the storage, whoever wrote it there


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where Optuna keeps its trials: a journal in a folder, a database, or, with neither, memory.

    Attributes:
        journal: File of Optuna's journal storage.
        url: Of a database, which counts before the journal.
        name: Of the study in it.
    """

    journal: Path | None = None
    url: str | None = None
    name: str = "search"


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerSettings:
    """Which sampler, and how it starts.

    Attributes:
        name: Key ``search.sampler``.
        seed: Already mixed with what is known, so that a resumed sampler draws anew.
        budget: Trials that it has; None if that is not known.
        joint: Whether trials have several clips, and so many axes.
    """

    name: str
    seed: int
    budget: int | None = None
    joint: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTrial:
    """A trial that was not asked of Optuna.

    Attributes:
        label: What it is found by.
        params: Of the encoding.
        values: One for each objective.
        source: ``"study"``, or the earlier study's folder.
    """

    label: str
    params: Params
    values: Sequence[float]
    source: str = "study"


class _Journal(BaseJournalBackend):
    """Optuna's journal file with one writer: no lock, and no wait for the disk, as what is lost is rebuilt."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = JournalFileBackend(str(path))

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        return self._file.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as journal:
                journal.write("".join(json.dumps(entry, separators=(",", ":")) + "\n" for entry in logs))
        except OSError as error:
            raise WriteError(word_os_error(error, f"writing {self._path}", self._path)) from error


def _told_in_words(method: Callable[P, R]) -> Callable[P, R]:
    """Take a database that stops answering for an error of ours; its own words may hold a password."""

    @wraps(method)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except (SQLAlchemyError, StorageInternalError) as error:
            raise WriteError(
                f"the database of search.storage does not answer ({hide_password(first_line(error))}). What was stored "
                f"of the study is whole; run it again once the database is back."
            ) from None

    return wrapped


class OptunaStudy:
    """One Optuna study, asked and told."""

    def __init__(
        self,
        storage: Storage,
        parameters: Iterable[Parameter],
        directions: Sequence[Direction],
        settings: SamplerSettings,
        known: Sequence[KnownTrial],
    ) -> None:
        """Open or make it: repair its journal, fail what a dead driver left running, add what it lacks.

        A sampler whose state is a pickle keeps it in memory, and learns anew from what is known.

        Raises:
            StudyError: A database that cannot be opened.
        """
        self._distributions = {each.name: _distribution(each) for each in parameters}
        sampler = _make_sampler(settings, self._source_trials(known, directions))
        self._study = _open_study(Storage() if settings.name in UNPICKLED else storage, sampler, directions)
        self.abandoned: list[Params] = self._fail_running()
        self._add_missing(known)

    @_told_in_words
    def ask(self) -> tuple[int, Params]:
        """The number and parameters of a new trial, suggested by the sampler."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a sampler that draws categories at random says so each time
            trial = self._study.ask(self._distributions)
        return trial.number, trial.params

    @_told_in_words
    def start(self, params: Params) -> int:
        """The number of a new trial with parameters that were chosen without the sampler, which would take its time."""
        template = optuna.create_trial(state=TrialState.RUNNING, params=dict(params), distributions=self._distributions)
        storage = self._study._storage
        return storage.get_trial_number_from_id(storage.create_new_trial(self._study._study_id, template))

    @_told_in_words
    def name(self, number: int, label: str) -> None:
        """Note which trial of ours a running one is."""
        self._study._storage.set_trial_user_attr(self._trial_key(number), TRIAL_ID, label)

    @_told_in_words
    def tell(self, number: int, values: Sequence[float] | None) -> None:
        """End a trial with one value for each objective; None if it failed."""
        if values is None:
            self._study.tell(number, state=TrialState.FAIL)
        else:
            self._study.tell(number, list(values))

    @_told_in_words
    def add(self, known: KnownTrial) -> None:
        """Add a trial that was not asked for, unless it is there."""
        self._add_missing([known])

    def _trial_key(self, number: int) -> int:
        return self._study._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)

    def _fail_running(self) -> list[Params]:
        """Fail the trials that a dead driver left; gives the parameters of those that had them all."""
        left = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for trial in left:
            self._study.tell(trial.number, state=TrialState.FAIL)
        return [trial.params for trial in left if trial.params.keys() == self._distributions.keys()]

    def _add_missing(self, known: Sequence[KnownTrial]) -> None:
        stored = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        there = {(trial.user_attrs.get(TRIAL_ID), trial.user_attrs.get(SOURCE, "study")) for trial in stored}
        missing = [each for each in known if (each.label, each.source) not in there]
        self._study.add_trials([self._frozen(each, self._distributions) for each in missing])

    def _frozen(self, known: KnownTrial, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
        genetic = optuna.samplers.NSGAIISampler
        return optuna.create_trial(
            params={name: known.params[name] for name in distributions},
            distributions=dict(distributions),
            values=list(known.values),
            user_attrs={TRIAL_ID: known.label, SOURCE: known.source},
            system_attrs={genetic._get_generation_key(): 0},  # or nsga2 would overlook it
        )

    def _source_trials(self, known: Sequence[KnownTrial], directions: Sequence[Direction]) -> list[FrozenTrial]:
        """What CMA-ES starts from: the known trials by their numbers alone, as it has no categories."""
        numbers = {
            name: each
            for name, each in self._distributions.items()
            if not isinstance(each, CategoricalDistribution) and not each.single()
        }
        return [self._frozen(each, numbers) for each in known] if len(directions) == 1 else []


def _distribution(parameter: Parameter) -> BaseDistribution:
    if parameter.categories:
        return CategoricalDistribution(parameter.categories)
    if parameter.step is None:
        return FloatDistribution(parameter.low, parameter.high)
    return IntDistribution(int(parameter.low), int(parameter.high), step=parameter.step)


def _make_sampler(settings: SamplerSettings, source: list[FrozenTrial]) -> BaseSampler:
    """Optuna's sampler, with first draws and populations that a small budget has room for."""
    seed, budget = settings.seed, settings.budget
    startup = MOST_STARTUP if budget is None else min(MOST_STARTUP, max(LEAST_STARTUP, int(STARTUP_SHARE * budget)))
    population = (
        MOST_POPULATION if budget is None else min(MOST_POPULATION, max(LEAST_POPULATION, budget // GENERATIONS))
    )
    samplers = optuna.samplers
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        match settings.name:
            case "tpe":
                # many axes are learnt faster one by one (benchmark of the search, surface embedded-joint)
                return samplers.TPESampler(seed=seed, n_startup_trials=startup, multivariate=not settings.joint)
            case "gp":
                return samplers.GPSampler(seed=seed, n_startup_trials=startup)
            case "nsga2":
                return samplers.NSGAIISampler(seed=seed, population_size=population)
            case "cmaes":
                start = source if len(source) >= LEAST_SOURCE else None
                return samplers.CmaEsSampler(seed=seed, source_trials=start, warn_independent_sampling=False)
            case "qmc":
                return samplers.QMCSampler(seed=seed, scramble=True, warn_independent_sampling=False)
            case _:
                return samplers.RandomSampler(seed=seed)


def _open_study(storage: Storage, sampler: BaseSampler, directions: Sequence[Direction]) -> optuna.Study:
    def create(opened: BaseStorage) -> optuna.Study:
        study = optuna.create_study(
            storage=opened, sampler=sampler, study_name=storage.name, directions=directions, load_if_exists=True
        )
        study.get_trials(deepcopy=False)
        return study

    if storage.url is not None:
        return create(_open_database(storage.url))
    if storage.journal is None:
        return create(InMemoryStorage())
    _mend_journal(storage.journal)
    try:
        return create(_open_journal(storage.journal))
    except WriteError:
        raise
    except Exception as error:  # whatever Optuna makes of a journal that is not one
        aside = storage.journal.with_name(f"{storage.journal.name}.unreadable")
        os.replace(storage.journal, aside)
        log.warning(
            "%s cannot be read (%s); moved to %s and rebuilt from the results", storage.journal, error, aside.name
        )
        return create(_open_journal(storage.journal))


def _open_database(url: str) -> RDBStorage:
    try:
        return RDBStorage(url)
    except (SQLAlchemyError, ImportError, ValueError, TypeError) as error:
        raise StudyError(
            f"study key 'search.storage' cannot be opened ({without_password(first_line(error), url)}); expected the "
            f"URL of a database that answers: sqlite:///search.db, postgresql://user@host/name. Remove the key to use "
            f"a file."
        ) from None  # whose words may hold the password


def _open_journal(path: Path) -> JournalStorage:
    path.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(_Journal(path))


def _mend_journal(path: Path) -> None:
    """Cut off a last line that a kill left torn; Optuna alone would trip over it at every later line."""
    if not path.is_file():
        return
    with path.open("rb+") as journal:
        content = journal.read()
        if not content.endswith(b"\n"):
            journal.truncate(content.rfind(b"\n") + 1)
