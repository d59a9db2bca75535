"""Combinations of search and space that no driver could carry out, refused from the study file alone."""

from __future__ import annotations

from clipsweep.analysis.winners.point import BEST_MEAN, ONE_STANDARD_ERROR
from clipsweep.orchestrator.study.kind_section import read_kind
from clipsweep.orchestrator.study.names import BAYES, COMPOSE, HALVING, NEIGHBOURS, SEQUENTIAL_TEST
from clipsweep.orchestrator.study.schema import SearchSection, Study
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.kinds import DEFAULT_KIND
from clipsweep.trials.tasks.definition import Objective
from clipsweep.trials.tasks.load import define_task, metric_of

OBJECTIVES = (["accuracy"], ["accuracy", "parameters"])


def check_search(study: Study) -> None:
    """Refuse what the study's driver or sampler cannot do.

    Raises:
        StudyError: The key, its value, and the mend.
        TaskError: The winner's rule asks for the task's metric, but there is no such task.
    """
    _check_rates(study)
    _check_winner(study)
    _check_screen(study)
    _check_likelihoods(study)
    if study.search.driver == BAYES:
        _check_budget(study)
        _check_searched_rates(study)
        _check_objectives(study)
        _check_storage(study.search)
        _check_neighbours(study.search)
        _check_joint(study)
    else:
        if study.search.driver == COMPOSE:
            _check_composition(study)
        _check_enumerable(study)


def _check_rates(study: Study) -> None:
    rates = study.space.clip_rates
    if not isinstance(rates, list) and not rates.low < rates.high:
        raise StudyError(
            f"study key 'space.clip_rates' is {{low: {rates.low}, high: {rates.high}}}; expected low below high, both "
            f"fractions in [0, 1). Raise high, or list the one rate."
        )


def _check_winner(study: Study) -> None:
    if study.search.winner != ONE_STANDARD_ERROR:
        return
    metric = metric_of(study.task_settings())
    if not METRICS[metric].tells_gains:
        raise StudyError(
            f"study key 'search.winner' is {ONE_STANDARD_ERROR!r}, a rule of standard errors of accuracies, but the "
            f"task's metric is {metric!r}; expected {BEST_MEAN!r}."
        )


def _check_screen(study: Study) -> None:
    """Refuse a screen of clips that do not drop the smallest singular values, and a choice among none."""
    kinds, chosen = [read_kind(entry).name for entry in study.space.kinds], study.space.screened_layers
    key = "search.screen" if chosen is None else "space.layers." + next(iter(chosen.plain()))
    if (study.search.screen is not None or chosen is not None) and kinds != [DEFAULT_KIND]:
        raise StudyError(
            f"study key {key!r} predicts what dropping singular values does, but space.kinds is {kinds}; "
            f"expected [{DEFAULT_KIND}]. Remove {key}, or the other kinds."
        )
    if chosen is not None and isinstance(study.space.clip_rates, list) and not any(study.space.clip_rates):
        raise StudyError(
            f"study key {key!r} ranks layers by what clips there do, but space.clip_rates is "
            f"{study.space.clip_rates}; expected a rate above 0. List one."
        )


def _check_likelihoods(study: Study) -> None:
    """Refuse what ``check_likelihoods`` refuses, but of the harness's tasks, which need their documents to be told."""
    search = study.search
    asks = search.race is not None or search.screen is not None or study.space.screened_layers is not None
    if asks and study.task.lm_eval is None:
        check_likelihoods(study, define_task(study.task_settings()))


def check_likelihoods(study: Study, task: Objective) -> None:
    """Refuse races of text that go by right and wrong, and a screen where no label is ahead of others.

    A bet of the test needs differences between known bounds, the race over neighbours outcomes in [0, 1], and a screen
    predicts margins; ``docs/experiments.md`` has the reasons.

    Raises:
        StudyError: The key, its value, and the mend.
    """
    search, chosen = study.search, study.space.screened_layers
    races, screens = search.race in {SEQUENTIAL_TEST, NEIGHBOURS}, search.screen is not None or chosen is not None
    of_text = METRICS[task.metric].of_text
    if races and of_text:
        raise StudyError(
            f"study key 'search.race' is {search.race!r}, which goes by answers that are right or wrong, but the task "
            f"is text, scored by its likelihood; expected {HALVING!r}, which goes by any score, or no race."
        )
    if screens and (of_text or task.scoring is Scoring.GREEDY):
        key = "search.screen" if chosen is None else "space.layers." + next(iter(chosen.plain()))
        what = "is text" if of_text else "has one answer that all others are measured by"
        raise StudyError(
            f"study key {key!r} predicts how far the right label is ahead of other labels, but the task {what}; "
            f"expected a task with labels to choose among. Remove {key}: list layers, or take {{top_condition: 5}}."
        )


def _check_enumerable(study: Study) -> None:
    driver, clips, search = study.search.driver, study.space.clips.max, study.search
    if search.race is not None and search.patience is not None:
        raise StudyError(
            f"study key 'search.patience' is {search.patience}, but in driver {driver!r} with race {search.race!r} no "
            f"point is complete before all have begun. Remove one of the two, or stop by search.n_trials."
        )
    if not isinstance(study.space.clip_rates, list):
        raise StudyError(
            f"study key 'space.clip_rates' is a range, but driver {driver!r} visits listed rates; expected a list. "
            f"List the rates, or set search.driver: bayes."
        )
    if clips > 1:
        raise StudyError(
            f"study key 'space.clips.max' is {clips}, but driver {driver!r} clips one layer and module at a time; "
            f"expected 1. Remove the key, or set search.driver: bayes."
        )


def _check_budget(study: Study) -> None:
    search = study.search
    if not any((search.n_trials, search.max_hours, search.max_gpu_hours, search.patience)):
        raise StudyError(
            "study key 'search.n_trials' is missing: driver 'bayes' does not stop by itself; expected n_trials, "
            "max_hours, max_gpu_hours or patience. Set search.n_trials, say 100."
        )


def _check_searched_rates(study: Study) -> None:
    rates, driver = study.space.clip_rates, study.search.driver
    if isinstance(rates, list) and not any(rates):
        raise StudyError(
            f"study key 'space.clip_rates' is {rates}, which clips nothing; expected a rate above 0 for driver "
            f"{driver!r} to search, as the untouched model is measured anyway."
        )


def _check_joint(study: Study) -> None:
    """Refuse ranges of layers in a joint search, where they would overlap with each other."""
    ranges, clips = study.space.layer_ranges, study.space.clips.max
    if ranges and clips > 1:
        raise StudyError(
            f"study key 'space.layers' has the range {ranges[0]}, but with space.clips.max: {clips} the sampler puts "
            f"layers together itself; expected single layers. Remove the range, or set space.clips.max to 1."
        )


def _check_composition(study: Study) -> None:
    """Refuse what has no meaning where each step is decided by all rows, and its gain."""
    search, clips = study.search, study.space.clips.max
    _check_searched_rates(study)
    if search.race is not None:
        raise StudyError(
            f"study key 'search.race' is {search.race!r}, but driver {COMPOSE!r} decides each step by all rows; "
            f"expected no race. Remove the key."
        )
    if search.winner != BEST_MEAN:
        raise StudyError(
            f"study key 'search.winner' is {search.winner!r}, but driver {COMPOSE!r} ends with what its steps kept; "
            f"expected {BEST_MEAN!r}. Remove the key; search.min_gain says what a clip must gain to be kept."
        )
    if clips > 1:
        raise StudyError(
            f"study key 'space.clips.max' is {clips}, but driver {COMPOSE!r} counts what it keeps by search.max_clips; "
            f"expected 1. Remove the key, or set search.max_clips: {clips}."
        )


def _check_neighbours(search: SearchSection) -> None:
    if search.sampler == NEIGHBOURS and search.race != NEIGHBOURS:
        raise StudyError(
            f"study key 'search.sampler' is {NEIGHBOURS!r}, which chooses points by the race of that name; expected "
            f"search.race: {NEIGHBOURS}, not {search.race or 'null'!s}. Set it, or take tpe."
        )
    if search.sampler == NEIGHBOURS and search.warm_start:
        raise StudyError(
            f"study key 'search.warm_start' is {search.warm_start}, but sampler {NEIGHBOURS!r} learns from this "
            f"study's rows alone; expected no earlier studies. Remove the key, or take tpe."
        )
    if search.race == NEIGHBOURS and search.patience is not None:
        raise StudyError(
            f"study key 'search.patience' is {search.patience}, but in race {NEIGHBOURS!r} hardly a point is complete "
            f"before the end. Remove one of the two: the race stops by itself when hardly more is expected."
        )


def _check_storage(search: SearchSection) -> None:
    if search.sampler == "cmaes" and search.storage is not None:
        raise StudyError(
            "study key 'search.sampler' is 'cmaes', whose state Optuna would unpickle from search.storage; expected "
            "another sampler with a database, as whoever can write to it would run code here. Take tpe, or remove "
            "search.storage."
        )


def _check_objectives(study: Study) -> None:
    search = study.search
    if search.objectives not in OBJECTIVES:
        raise StudyError(
            f"study key 'search.objectives' is {search.objectives}; expected [accuracy] or [accuracy, parameters]."
        )
    if len(search.objectives) == 1:
        return
    if search.sampler == "cmaes":
        raise StudyError(
            "study key 'search.sampler' is 'cmaes', which has one objective; expected another sampler with "
            "search.objectives: [accuracy, parameters]. Take nsga2 or tpe, or remove the second objective."
        )
    if search.race is not None:
        raise StudyError(
            f"study key 'search.race' is {search.race!r}, which compares trials by one score; expected no race with "
            f"search.objectives: [accuracy, parameters]. Remove one of the two."
        )
