"""The Bayesian driver against real Optuna and a real journal; scores come from a formula."""

import pickle
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import optuna
import pytest

from clipsweep.analysis.row.row import Record, StoredRow, clip_record
from clipsweep.orchestrator.drivers.bayes.driver import BayesDriver
from clipsweep.orchestrator.drivers.bayes.optuna_study import Storage
from clipsweep.orchestrator.space.proposal import Proposal
from clipsweep.orchestrator.space.space import RateRange, Space
from clipsweep.orchestrator.study.schema import SearchSection
from clipsweep.trials.clips.identity import trial_id
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import TrialSpec
from tests.orchestrator.space.spaces import space_over
from tests.trials.models.test_card import CARD

SAMPLERS = ["tpe", pytest.param("gp", marks=pytest.mark.slow), "nsga2", "cmaes", "qmc", "random"]
RATES = (0.0, 0.1, 0.5, 0.75, 0.9, 0.95)
STARTED = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n) for n in range(10**6))


def make_space(**changes: Any) -> Space:
    """Four layers of both modules at a few rates, with some axes changed."""
    axes: dict[str, Any] = {"layers": (0, 1, 2, 3), "modules": ("attn", "mlp"), "clip_rates": RATES}
    return space_over(**(axes | changes))


def identify(spec: TrialSpec) -> str:
    return trial_id(spec, CARD, "t")


def score(spec: TrialSpec) -> float:
    """Best at layer 3, mlp and a rate of 0.75; several clips add up."""
    return 0.5 + sum(
        0.1 - 0.02 * abs(3 - clip.layer) - 0.1 * abs(0.75 - clip.clip_rate) + 0.01 * (clip.module == "mlp")
        for clip in spec.clips
    )


def row_of(spec: TrialSpec, state: str = "complete", **changes: Any) -> StoredRow:
    """The row of a trial, which scores what the formula says."""
    record: Record = {
        "trial_id": identify(spec),
        "split": spec.split,
        "state": state,
        "shots": spec.shots,
        "demo_seed": spec.demo_seed,
        "clips": [clip_record(clip) for clip in spec.clips],
        "accuracy": score(spec),
        "parameters_kept": resolve(spec.clips, CARD).parameters_kept,
        "n_examples": 100,
        "started_at": next(STARTED),
    }
    return StoredRow.of(record | changes)


class Search:
    """A driver, with the rows that it has been told."""

    def __init__(
        self, folder: Path, rows: Mapping[str, StoredRow] | None = None, *, space: Space | None = None, **search: Any
    ):
        self.rows = dict(rows or {})
        self.asked: list[Proposal] = []
        self.driver = BayesDriver(
            space or make_space(),
            SearchSection.model_validate({"driver": "bayes", "n_trials": 12} | search),
            self.rows,
            storage=Storage(journal=folder / "optuna.journal"),
            identify=identify,
        )

    def ask(self, count: int = 4) -> list[Proposal]:
        asked = self.driver.ask(count)
        self.asked += asked
        return asked

    def answer(self, proposals: list[Proposal], state: str = "complete") -> None:
        for each in proposals:
            key = identify(each.spec)
            if key not in self.rows:
                self.rows[key] = row_of(each.spec, state)
            self.driver.tell(each, self.rows[key])

    def run(self) -> "Search":
        while not self.driver.done:
            self.answer(self.ask())
        return self

    @property
    def clipped(self) -> list[tuple[Clip, ...]]:
        return [each.spec.clips for each in self.asked if each.spec.clips]


def load(folder: Path) -> optuna.Study:
    """As optuna-dashboard opens it."""
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "optuna.journal"))
    return optuna.load_study(study_name=None, storage=optuna.storages.journal.JournalStorage(backend))


def ended(folder: Path, state: optuna.trial.TrialState = optuna.trial.TrialState.COMPLETE) -> list[Any]:
    return load(folder).get_trials(states=(state,))


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(
    "space",
    [
        make_space(),
        make_space(clip_rates=(), rate_range=RateRange(0.0, 0.995), shots=(0, 4, 10)),
        make_space(max_clips=3),
        make_space(max_clips=2, clip_rates=(), rate_range=RateRange(0.2, 0.9), demo_seeds=(0, 1)),
    ],
    ids=["listed", "range", "joint", "joint-range"],
)
def test_every_sampler_searches_every_space(tmp_path: Path, sampler: str, space: Space) -> None:
    search = Search(tmp_path, space=space, sampler=sampler).run()
    points = {(each.spec.shots, each.spec.clips) for each in search.asked}
    assert len(points) == 12 + len(space.shots)
    assert len({identify(each.spec) for each in search.asked}) >= len(points)
    assert max(len(clips) for _, clips in points) <= space.max_clips


@pytest.mark.parametrize("sampler", ["tpe", "cmaes"])
def test_a_sampler_that_learns_finds_the_best_of_a_smooth_space(tmp_path: Path, sampler: str) -> None:
    space = make_space(clip_rates=(), rate_range=RateRange(0.0, 0.995))
    search = Search(tmp_path, space=space, sampler=sampler, n_trials=40).run()
    assert max(row.score("accuracy") for row in search.rows.values()) > 0.5 + 0.1


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_sampler_unpickles_what_stands_in_the_journal_of_a_folder(tmp_path: Path, sampler: str) -> None:
    first = Search(tmp_path, sampler="random", n_trials=8).run()
    study, trap = load(tmp_path), pickle.dumps(Trap(tmp_path / "trapped")).hex()
    told = study.trials[-1]
    state = {f"{prefix}optimizer:0": trap for prefix in ("cma:", "cmawm:", "sepcma:")}
    study.add_trial(
        optuna.create_trial(
            params=told.params, distributions=told.distributions, values=told.values, system_attrs=state
        )
    )
    Search(tmp_path, first.rows, sampler=sampler, n_trials=12).run()
    assert not (tmp_path / "trapped").exists()


def test_gaussian_processes_search_one_clip(tmp_path: Path) -> None:
    assert len(Search(tmp_path, sampler="gp", n_trials=6).run().clipped) == 6


def test_baselines_come_first_one_for_each_shots_and_seed(tmp_path: Path) -> None:
    asked = Search(tmp_path, space=make_space(shots=(4, 10), demo_seeds=(0, 1))).ask(6)
    assert [(each.spec.shots, each.spec.demo_seed) for each in asked[:4]] == [(4, 0), (4, 1), (10, 0), (10, 1)]
    assert [len(each.spec.clips) for each in asked] == [0, 0, 0, 0, 1, 1]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_parallel_suggestions_differ(tmp_path: Path, sampler: str) -> None:
    search = Search(tmp_path, sampler=sampler, n_trials=30)
    search.ask(31)
    assert len({identify(each.spec) for each in search.asked}) == 31


def test_optuna_hears_the_mean_over_demonstration_seeds(tmp_path: Path) -> None:
    search = Search(tmp_path, space=make_space(demo_seeds=(0, 1)), n_trials=1)
    first, second = search.ask(4)[2:]
    search.driver.tell(first, row_of(first.spec, accuracy=0.2))
    assert ended(tmp_path) == []
    search.driver.tell(second, row_of(second.spec, accuracy=0.6))
    (trial,) = ended(tmp_path)
    assert trial.value == pytest.approx(0.4)
    assert trial.user_attrs["trial_id"] == f"{identify(first.spec)},{identify(second.spec)}"


def test_a_resumed_search_goes_on_and_does_not_replay_its_first_draws(tmp_path: Path) -> None:
    first = Search(tmp_path, sampler="random", n_trials=6).run()
    second = Search(tmp_path, first.rows, sampler="random", n_trials=12).run()
    assert len(second.clipped) == 6
    assert not {*first.clipped} & {*second.clipped}
    assert Search(tmp_path, second.rows, sampler="random", n_trials=12).driver.ask(9) == second.asked[:1]


def test_cmaes_has_no_journal_and_resumes_from_the_rows(tmp_path: Path) -> None:
    first = Search(tmp_path, sampler="cmaes", n_trials=4).run()
    second = Search(tmp_path, first.rows, sampler="cmaes", n_trials=20).run()
    assert not (tmp_path / "optuna.journal").exists()
    assert (len(first.clipped), len(second.clipped)) == (4, 16)


@pytest.mark.parametrize("sampler", [each for each in SAMPLERS if each != "cmaes"])
def test_a_deleted_journal_is_rebuilt_from_the_rows(tmp_path: Path, sampler: str) -> None:
    first = Search(tmp_path, sampler=sampler).run()
    before = {(trial.user_attrs["trial_id"], trial.value) for trial in ended(tmp_path) if trial.user_attrs}
    (tmp_path / "optuna.journal").unlink()
    second = Search(tmp_path, first.rows, sampler=sampler, n_trials=20).run()
    after = [(trial.user_attrs.get("trial_id"), trial.value) for trial in ended(tmp_path)]
    assert len(before) == len(first.clipped)
    assert before <= {*after}
    assert len(second.clipped) == 8


def test_nothing_is_added_twice(tmp_path: Path) -> None:
    rows = Search(tmp_path, sampler="random").run().rows
    count = len(ended(tmp_path))
    Search(tmp_path, rows)
    assert len(ended(tmp_path)) == count


@pytest.mark.parametrize("tail", ['{"op_code":5,"wor', "{"])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, tail: str) -> None:
    rows = Search(tmp_path).run().rows
    with (tmp_path / "optuna.journal").open("a") as journal:
        journal.write(tail)
    assert len(Search(tmp_path, rows, n_trials=14).run().clipped) == 2
    assert not list(tmp_path.glob("*.unreadable"))


def test_an_unreadable_journal_is_moved_aside_and_rebuilt(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = Search(tmp_path).run().rows
    path = tmp_path / "optuna.journal"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:5], "no json", *lines[5:]]) + "\n")
    Search(tmp_path, rows)
    assert (tmp_path / "optuna.journal.unreadable").is_file()
    assert "rebuilt from the results" in caplog.text
    assert len(ended(tmp_path)) == 12


def test_trials_that_a_dead_driver_left_running_are_failed_and_asked_again(tmp_path: Path) -> None:
    dead = Search(tmp_path)
    dead.answer(dead.ask(5))
    left = dead.ask(3)
    again = Search(tmp_path, dead.rows)
    assert len(ended(tmp_path, optuna.trial.TrialState.FAIL)) == 3
    assert len(ended(tmp_path, optuna.trial.TrialState.RUNNING)) == 0
    asked = [each.spec for each in again.ask(4)[1:]]
    assert asked == [each.spec for each in left]
    assert len(again.run().clipped) == 12 - 4


def test_a_failed_trial_is_asked_again_by_the_next_run_and_not_by_this_one(tmp_path: Path) -> None:
    search = Search(tmp_path, n_trials=4)
    search.answer(search.ask(3)[:1])
    failed = search.asked[1:]
    search.answer(failed, "failed")
    search.run()
    assert len(search.clipped) == 4
    resumed = Search(tmp_path, search.rows, n_trials=4)
    assert {each.spec for each in resumed.ask(9)[1:]} == {each.spec for each in failed}
    assert resumed.driver.done


def test_every_point_of_a_small_space_is_found_and_then_it_is_done(tmp_path: Path) -> None:
    space = make_space(layers=(0, 1), clip_rates=(0.0, 0.5, 0.9))
    search = Search(tmp_path, space=space, n_trials=100).run()
    assert len(search.clipped) == len({*search.clipped}) == 2 * 2 * 2


@pytest.mark.parametrize("max_clips", [1, 2])
def test_rates_that_leave_the_same_ranks_do_not_stall_the_search(tmp_path: Path, max_clips: int) -> None:
    space = make_space(
        layers=(0,), clip_rates=(), rate_range=RateRange(0.5, 0.7), max_clips=max_clips
    )  # ranks 6 to 10 of 20
    search = Search(tmp_path, space=space, n_trials=60).run()
    assert {*map(identify, (each.spec for each in search.asked))} == {*search.rows}
    assert len(search.rows) >= 1 + (2 * 5 if max_clips == 1 else 25)


def test_a_suggestion_of_a_known_point_is_told_at_once(tmp_path: Path) -> None:
    search = Search(tmp_path, space=make_space(layers=(0,), modules=("q",)), sampler="random", n_trials=5).run()
    trials = ended(tmp_path)
    assert len(trials) > len(search.clipped) == 5
    assert {trial.value for trial in trials} <= {row.accuracy for row in search.rows.values()}


def test_rows_of_other_spaces_and_of_the_test_split_do_not_count(tmp_path: Path) -> None:
    specs = [
        TrialSpec(model="m", task="t", shots=shots, demo_seed=0, split=split, clips=(clip,))
        for shots, split, clip in (
            (5, "validation", Clip(layer=0, module="mlp", clip_rate=0.5)),
            (4, "test", Clip(layer=0, module="mlp", clip_rate=0.5)),
            (4, "validation", Clip(layer=0, module="mlp", clip_rate=0.51)),
            (4, "validation", Clip(layer=0, module="q", clip_rate=0.5)),
        )
    ]
    rows = {identify(spec): row_of(spec) for spec in specs}
    assert len(Search(tmp_path, rows).run().clipped) == 12


def test_two_objectives_are_accuracy_up_and_parameters_down(tmp_path: Path) -> None:
    Search(tmp_path, objectives=["accuracy", "parameters"], sampler="nsga2", n_trials=20).run()
    study = load(tmp_path)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.best_trials
    assert all(trial.values[1] <= CARD.parameters_total for trial in study.best_trials)


@pytest.mark.parametrize("sampler", ["tpe", pytest.param("gp", marks=pytest.mark.slow), "nsga2", "qmc", "random"])
def test_samplers_of_two_objectives_run(tmp_path: Path, sampler: str) -> None:
    search = Search(tmp_path, objectives=["accuracy", "parameters"], sampler=sampler).run()
    assert len(search.clipped) == 12


def test_rows_of_an_earlier_study_are_told_and_may_run_again(tmp_path: Path) -> None:
    earlier = Search(tmp_path / "a", sampler="random", n_trials=15).run()
    driver = BayesDriver(
        make_space(layers=(0, 1, 2)),
        SearchSection(driver="bayes", n_trials=5),
        warm={"a": earlier.rows},
        storage=Storage(journal=tmp_path / "b" / "optuna.journal"),
        identify=identify,
    )
    inside = [row for row in earlier.rows.values() if row.clips and row.clips[0].layer < 3]
    told = [trial.user_attrs["source"] for trial in ended(tmp_path / "b")]
    assert told == ["a"] * len(inside)
    assert len(driver.ask(10)) == 1 + 5


def test_without_a_journal_everything_is_in_memory(tmp_path: Path) -> None:
    driver = BayesDriver(make_space(), SearchSection(driver="bayes", n_trials=3))
    for proposal in driver.ask(9):
        driver.tell(proposal, row_of(proposal.spec))
    assert driver.done
    assert not list(tmp_path.iterdir())


def test_a_database_may_be_the_storage(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'search.db'}"
    driver = BayesDriver(make_space(), SearchSection(driver="bayes", n_trials=2), storage=Storage(url=url, name="s"))
    for proposal in driver.ask(9):
        driver.tell(proposal, row_of(proposal.spec))
    assert len(optuna.load_study(study_name="s", storage=url).trials) == 2
