"""Studies of text from their file to their answer: a tiny model, documents that are made up."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import clipsweep
from clipsweep.orchestrator.comparison.words import describe_studies
from clipsweep.orchestrator.reporting.report_facts import write_study_report
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.status.answer import describe_front, describe_winner
from clipsweep.orchestrator.status.select_rows import parse_selection
from clipsweep.orchestrator.status.steps import describe_steps
from clipsweep.orchestrator.status.watcher import describe_best
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import SpecError, StudyError
from tests.conftest import tiny_study
from tests.orchestrator.stored import latest_rows, status_of, take_snapshot

pytestmark = pytest.mark.slow
SPACE = {"layers": [0, 1], "modules": ["mlp", "attn"], "clip_rates": [0.3, 0.6, 0.9], "shots": [0]}


def run(folder: Path, model: Path, **search: Any) -> Path:
    """Run a study of text in a folder, of which it gives the one that holds its rows."""
    rng, words = random.Random(0), ("film", "plot", "dull", "good", "bad", "fun", "actor", "scene", "long", "short")
    if not (rows := folder / "rows.jsonl").exists():
        texts = [" ".join(rng.choices(words, k=rng.randint(20, 40))) for _ in range(160)]
        rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    text = {"path": str(rows), "length": 16}
    task = {"name": "reviews", "text": text, "validation_size": 100, "test_size": 30}
    name = "-".join(str(value) for value in search.values() if not isinstance(value, list))
    run_study(
        check_study(tiny_study(model, task=task, space=SPACE, search=search) | {"name": name}),
        folder / name,
        folder / "cache",
        Console(quiet=True),
    )
    return folder / name


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("texts")


@pytest.fixture(scope="module")
def grid(place: Path, tiny_gptj: Path) -> Path:
    return run(place, tiny_gptj, driver="grid")


@pytest.fixture(scope="module")
def halved(place: Path, tiny_gptj: Path) -> Path:
    return run(place, tiny_gptj, driver="grid", race="halving")


def test_the_winner_is_the_point_of_least_nll(grid: Path) -> None:
    rows = latest_rows(grid)
    least = min((row for row in rows.values() if row.split == "validation"), key=lambda row: row.score("nll"))
    winner = take_snapshot(grid).standings.winner
    assert winner is not None
    assert (winner.point.clips, winner.score) == (least.clips, least.nll)
    assert all(row.accuracy is None for row in rows.values())


def test_the_answer_is_told_in_nats_and_perplexity(grid: Path) -> None:
    snapshot = take_snapshot(grid)
    winner, baseline, gain = describe_winner(snapshot.standings).splitlines()
    assert " nll " in winner
    assert "(perplexity " in baseline
    assert "nats per token on test (perplexity " in gain
    assert "nats per token on validation" in describe_best(snapshot.standings)
    assert "(perplexity " in describe_front(snapshot.standings)
    best = clipsweep.open_study(grid).best()
    assert best is not None
    assert best["gain"]["metric"] == "nll"


def test_the_best_rows_are_those_of_least_nll(grid: Path) -> None:
    shown = parse_selection([], None, 5).best_by("nll").of(latest_rows(grid).values())
    scores = [row.score("nll") for row in shown]
    assert scores == sorted(scores)


def test_a_race_lets_the_best_see_all_windows(halved: Path, grid: Path) -> None:
    assert status_of(halved)["pruned"] > 0
    whole = latest_rows(grid)
    for trial_id, row in latest_rows(halved).items():
        if row.is_complete and trial_id in whole:
            assert row.score("nll") == pytest.approx(whole[trial_id].score("nll"), abs=1e-9)


@pytest.mark.parametrize(
    "search",
    [
        {"driver": "bayes", "n_trials": 5, "race": "halving"},
        {"driver": "bayes", "n_trials": 4, "sampler": "nsga2", "objectives": ["accuracy", "parameters"]},
        {"driver": "compose", "min_gain": 0.001},
    ],
    ids=["tpe-halved", "two-objectives", "compose"],
)
def test_other_searches_come_to_an_answer(place: Path, tiny_gptj: Path, search: dict[str, Any]) -> None:
    folder = run(place, tiny_gptj, **search)
    assert status_of(folder)["state"] == "done"
    winner = take_snapshot(folder).standings.winner
    assert winner is not None
    assert winner.score <= winner.baseline_score
    assert all("nats per token" in line for line in describe_steps(take_snapshot(folder))[1:])


def test_the_report_says_that_no_example_can_change(grid: Path, tmp_path: Path) -> None:
    def unused() -> Any:
        raise AssertionError("no rows of the task are needed")

    page = write_study_report(take_snapshot(grid), unused, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Texts are not answered right or wrong" in page


def test_a_text_turns_no_example(grid: Path) -> None:
    trial = next(row for row in latest_rows(grid).values() if row.clips).trial_id
    with pytest.raises(StudyError, match="scored texts, which are not answered right or wrong, so that no example tu"):
        clipsweep.open_study(grid).flips(trial)


def test_studies_of_text_are_compared_in_nats(grid: Path, halved: Path) -> None:
    found = clipsweep.compare([grid, halved]).found
    words = describe_studies(found, 3)  # type: ignore[arg-type]
    assert "gain in nats per token" in words
    assert "with the same likelihood of every window" in words
    assert found.document(1)["pairs"][0]["metric"] == "nll"  # type: ignore[call-arg]


def test_text_and_answers_are_neither_compared_nor_drawn_together(grid: Path, finished_study: Path) -> None:
    with pytest.raises(StudyError, match="is judged by nll of text, .* by accuracy of answers; expected studies of on"):
        clipsweep.compare([grid, finished_study])
    with pytest.raises(StudyError, match="scores text, tiny answers; expected studies of one kind of task"):
        clipsweep.figure("figure1", [grid, finished_study])


def test_points_of_text_cannot_be_judged_by_accuracy(grid: Path) -> None:
    with pytest.raises(StudyError, match="the trials have no accuracy, as their task is text; expected nll"):
        clipsweep.points(grid, metric="accuracy")
    assert clipsweep.points(grid)["gain"].notna().all()


def test_a_race_by_right_and_wrong_is_refused(place: Path, tiny_gptj: Path) -> None:
    with pytest.raises((StudyError, SpecError), match="expected 'halving'"):
        run(place, tiny_gptj, driver="grid", race="test")
