"""What the Bayesian driver makes of trials that a race stopped: real Optuna, outcomes that are made up."""

from pathlib import Path

import pytest

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.smoothing import accuracy_so_far
from clipsweep.trials.spec.trial import TrialSpec
from tests.analysis.store.rows import changed, columns_of, text_row
from tests.orchestrator.drivers.bayes.test_driver import Search, ended, identify, make_space, row_of


def row_seen(spec: TrialSpec, outcomes: list[bool], *, n_rows: int | None = None) -> StoredRow:
    """A row that has seen so many examples, all answers as far from turning as each other."""
    seen = outcomes[:n_rows]
    state = "complete" if len(seen) == len(outcomes) else "partial"
    return row_of(spec, state, **columns_of(seen, [1.0 if right else -1.0 for right in seen]))


def test_a_stopped_trial_is_told_as_what_it_would_score_on_all_examples(tmp_path: Path) -> None:
    search = Search(tmp_path, n_trials=1)
    untouched, stopped = search.ask(2)
    hard, easy = [True, False], [True, True, True, False, True, True]
    search.driver.tell(untouched, row_seen(untouched.spec, hard + easy, n_rows=8))
    search.driver.tell(stopped, row := row_seen(stopped.spec, hard + easy, n_rows=2))
    [trial] = ended(tmp_path)
    whole = row_seen(untouched.spec, hard + easy, n_rows=8)
    assert trial.value == pytest.approx(accuracy_so_far(whole, smoothed=True))
    assert row.accuracy == 0.5  # on the two hard examples, as the untouched model


def test_a_stopped_trial_is_told_when_the_untouched_model_is_known(tmp_path: Path) -> None:
    search = Search(tmp_path, n_trials=1)
    untouched, stopped = search.ask(2)
    search.driver.tell(stopped, row_seen(stopped.spec, [True, False, True], n_rows=2))
    assert not ended(tmp_path)
    search.driver.tell(untouched, row_seen(untouched.spec, [True, False, True]))
    assert len(ended(tmp_path)) == 1


def test_a_stopped_trial_does_not_wait_for_an_untouched_model_that_failed(tmp_path: Path) -> None:
    search = Search(tmp_path, n_trials=1)
    untouched, stopped = search.ask(2)
    search.driver.tell(untouched, row_of(untouched.spec, "failed"))
    search.driver.tell(stopped, row_seen(stopped.spec, [True, False, True], n_rows=2))
    assert len(ended(tmp_path)) == 1


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_a_seed_that_fails_ends_its_point_and_keeps_no_other_waiting(tmp_path: Path, seeds: tuple[int, ...]) -> None:
    search = Search(tmp_path, space=make_space(demo_seeds=seeds), n_trials=2)
    untouched, *others = search.ask(3 * len(seeds))
    for proposal in others[len(seeds) - 1 :]:
        search.driver.tell(proposal, row_seen(proposal.spec, [True, False, True], n_rows=2))
    search.driver.tell(untouched, row_of(untouched.spec, "failed"))  # of a race in which it fails the other is not told
    assert len(ended(tmp_path)) == 2


@pytest.mark.parametrize("state", ["partial", "pruned"])
def test_a_stopped_trial_waits_for_the_untouched_model_after_resuming_too(tmp_path: Path, state: str) -> None:
    first = Search(tmp_path / "first", n_trials=1)
    untouched, stopped = first.ask(2)
    seen = (row_seen(each.spec, [True, False] * 3, n_rows=2) for each in (untouched, stopped))
    rows = {row.trial_id: changed(row, state=state) for row in seen}
    again = Search(tmp_path, rows, n_trials=1, race="halving")
    assert not ended(tmp_path)
    assert [each.spec for each in again.ask(9)] == [untouched.spec]
    again.driver.tell(untouched, whole := row_seen(untouched.spec, [True, False, True, True, True, True], n_rows=6))
    [trial] = ended(tmp_path)
    assert trial.value == pytest.approx(accuracy_so_far(whole, smoothed=True))


def test_with_rows_that_have_no_margins_all_are_told_by_plain_accuracy(tmp_path: Path) -> None:
    untouched, old = Search(tmp_path / "other", n_trials=2).ask(2)
    rows = {identify(each.spec): row_seen(each.spec, [True, True, False]) for each in (untouched, old)}
    rows[identify(old.spec)] = changed(rows[identify(old.spec)], margins=None)
    search = Search(tmp_path, rows, n_trials=2)
    [*_, new] = search.ask(2)
    search.driver.tell(new, row_seen(new.spec, [True, True, False]))
    assert [trial.value for trial in ended(tmp_path)] == [pytest.approx(2 / 3)] * 2


def test_a_race_leads_the_sampler_by_accuracy_whatever_the_metric(tmp_path: Path) -> None:
    search = Search(tmp_path, space=make_space(metric="macro_f1"), n_trials=1, race="halving")
    for proposal in search.ask(2):
        search.driver.tell(proposal, changed(row_seen(proposal.spec, [True, False]), macro_f1=1.0))
    assert [trial.value for trial in ended(tmp_path)] == [pytest.approx(0.5)]


def test_what_a_resumed_search_knows_of_a_stopped_trial_is_what_it_was_told(tmp_path: Path) -> None:
    search = Search(tmp_path, n_trials=1)
    untouched, stopped = search.ask(2)
    whole, part = (row_seen(each.spec, [True, False] * 3, n_rows=n) for each, n in ((untouched, 6), (stopped, 3)))
    search.driver.tell(untouched, whole)
    search.driver.tell(stopped, part)
    rows = {whole.trial_id: whole, part.trial_id: changed(part, state="pruned", attempt=2)}
    (tmp_path / "again").mkdir()
    Search(tmp_path / "again", rows, n_trials=1, race="halving")
    assert [trial.value for trial in ended(tmp_path)] == [trial.value for trial in ended(tmp_path / "again")]


def text_row_of(spec: TrialSpec, values: list[float], tokens: list[int]) -> StoredRow:
    """The row of a trial that has scored the first windows of ``[10, 20]`` tokens."""
    state = "complete" if len(tokens) == 2 else "partial"
    scored = text_row(values, tokens).record()
    return changed(row_of(spec, state), **{name: scored[name] for name in OF_TEXT}, accuracy=None)


OF_TEXT = ("n_examples", "nll", "loglikelihoods", "tokens", "outcomes", "margins")


def test_of_text_the_sampler_is_told_the_likelihood_which_it_maximises(tmp_path: Path) -> None:
    search = Search(tmp_path, space=make_space(metric="nll"), n_trials=2)
    untouched, whole, stopped = search.ask(3)
    search.driver.tell(untouched, text_row_of(untouched.spec, [-10, -60], [10, 20]))
    search.driver.tell(whole, text_row_of(whole.spec, [-10, -50], [10, 20]))
    search.driver.tell(stopped, text_row_of(stopped.spec, [-8], [10]))
    assert [trial.value for trial in ended(tmp_path)] == pytest.approx([-2.0, -70 / 30 + 0.2])
