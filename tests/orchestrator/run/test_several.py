"""Studies of several tasks in one score: a real model, a row for each task, drivers, guards, resumes, replicas."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

import clipsweep
from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.cli import app
from clipsweep.orchestrator.comparison.sides import read_sides
from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.plan.ahead import look_ahead, task_notes
from clipsweep.orchestrator.plan.estimate import plan_study
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.upkeep.verify import verify_study
from clipsweep.trials.base.errors import StudyError
from tests.conftest import tiny_study
from tests.orchestrator.drivers.test_assemble import interrupt_at
from tests.orchestrator.run.test_session import stable
from tests.orchestrator.stored import all_rows, latest_rows, status_of, take_snapshot

SIZES = {"validation_size": 20, "test_size": 12}
TASKS = [{"name": "episodes", "weight": 3, **SIZES}, {"name": "topics", "weight": 1, **SIZES | {"validation_size": 24}}]
SPACE = {"layers": [0, 1], "modules": ["mlp"], "clip_rates": [0.5, 0.9], "shots": [2]}
N_POINTS = 5


def several(model: Path, *, tasks: list[dict[str, Any]] = TASKS, **sections: Any) -> dict[str, Any]:
    """A small study of two tasks."""
    content = tiny_study(model, **{"space": SPACE} | sections)
    return content | {"task": {"weighted": tasks}}


def run(content: dict[str, Any], folder: Path, cache: Path) -> Snapshot:
    run_study(check_study(content), folder, cache, Console(quiet=True))
    return take_snapshot(folder)


@pytest.fixture(scope="module")
def whole(tiny_gptj: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one that has run to its end; for reading."""
    folder = tmp_path_factory.mktemp("several")
    run(several(tiny_gptj), folder / "s", folder / "cache")
    return folder / "s"


def scores_by_hand(rows: list[StoredRow], shares: dict[str, float]) -> dict[tuple[Any, ...], float]:
    """The weighted mean of each clip's validation rows."""
    scores: dict[tuple[Any, ...], float] = {}
    for row in rows:
        if row.split == "validation":
            scores[row.clips] = scores.get(row.clips, 0.0) + shares[row.task] * row.score("accuracy")
    return scores


def test_each_point_has_a_row_for_each_task_and_is_judged_by_their_weighted_mean(whole: Path) -> None:
    rows = list(latest_rows(whole).values())
    assert sum(row.split == "validation" for row in rows) == 2 * N_POINTS
    seen = {(row.task, row.n_examples) for row in rows if row.split == "validation"}
    assert seen == {("episodes", 20), ("topics", 24)}
    scores = scores_by_hand(rows, {"episodes": 0.75, "topics": 0.25})
    winner = take_snapshot(whole).standings.winner
    assert winner is not None
    assert winner.score == pytest.approx(max(scores.values()))
    assert scores[winner.point.clips] == pytest.approx(winner.score)
    assert winner.baseline_score == pytest.approx(scores[()])


def test_the_winner_and_its_baseline_run_on_the_test_rows_of_every_task(whole: Path) -> None:
    winner = take_snapshot(whole).standings.winner
    assert winner is not None
    tested = {(row.task, row.clips) for row in latest_rows(whole).values() if row.split == "test"}
    assert {(task, clips) for task in ("episodes", "topics") for clips in ((), winner.point.clips)} <= tested
    assert all(each.test_scores is not None for each in winner.by_task)


def test_the_rows_of_a_task_are_those_of_a_study_of_that_task_alone(
    whole: Path, tiny_gptj: Path, tmp_path: Path, cache: Path
) -> None:
    alone = {key: value for key, value in TASKS[1].items() if key != "weight"}
    run(tiny_study(tiny_gptj, space=SPACE) | {"task": alone}, tmp_path / "alone", cache)
    together = latest_rows(whole)
    for key, row in latest_rows(tmp_path / "alone").items():
        if row.split == "validation":
            assert (together[key].outcomes == row.outcomes).all()


def test_other_weights_are_answered_from_what_is_stored(
    whole: Path, tiny_gptj: Path, tmp_path: Path, cache: Path
) -> None:
    run(several(tiny_gptj), tmp_path / "s", cache)
    before = len(all_rows(tmp_path / "s"))
    reweighted = [TASKS[0] | {"weight": 0}, TASKS[1]]
    guard = {"guard": [{"task": "episodes", "lose_at_most": 0.9}]}
    snapshot = run(several(tiny_gptj, tasks=reweighted, search=guard), tmp_path / "s", cache)
    added = list(all_rows(tmp_path / "s"))[before:]
    assert {row.split for row in added} <= {"test"}  # of another winner
    winner = snapshot.standings.winner
    assert winner is not None
    by_hand = scores_by_hand(list(latest_rows(whole).values()), {"episodes": 0, "topics": 1})
    assert winner.score == pytest.approx(max(by_hand.values()))


def test_an_interrupted_study_ends_with_the_rows_of_one_that_was_not(
    whole: Path, tiny_gptj: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, 3)
        run(several(tiny_gptj), tmp_path / "s", cache)
    assert len(all_rows(tmp_path / "s")) < 2 * N_POINTS
    run(several(tiny_gptj), tmp_path / "s", cache)
    assert stable(latest_rows(tmp_path / "s")) == stable(latest_rows(whole))
    assert len(all_rows(tmp_path / "s")) == len(latest_rows(whole))


@pytest.mark.ray
def test_rows_do_not_depend_on_the_number_of_replicas(
    ray_cluster: None, whole: Path, tiny_gptj: Path, tmp_path: Path, cache: Path
) -> None:
    run(several(tiny_gptj, cluster={"replicas": 2}), tmp_path / "s", cache)
    assert stable(latest_rows(tmp_path / "s")) == stable(latest_rows(whole))


def test_what_is_ahead_is_what_runs(tiny_gptj: Path, whole: Path, tmp_path: Path, cache: Path) -> None:
    study = check_study(several(tiny_gptj))
    plan = plan_study(study, tmp_path / "s", cache)
    assert (plan["trials"], plan["trials_to_run"], plan["tasks"]) == (10, 10, ["episodes", "topics"])
    opened = take_snapshot(whole).opened
    assert look_ahead(opened, Ledger(opened)).missing == {}
    assert status_of(whole)["state"] == "done"
    assert status_of(whole)["total"] == len(latest_rows(whole))


@pytest.mark.parametrize(
    "search",
    [
        {"driver": "bayes", "sampler": "random", "n_trials": 4},
        {"driver": "bayes", "sampler": "tpe", "n_trials": 3, "objectives": ["accuracy", "parameters"]},
        {"driver": "algorithm1", "top_k": 1},
        {"driver": "compose"},
        {"driver": "grid", "patience": 1},
    ],
)
def test_every_driver_takes_several_tasks_and_is_resumed(
    search: dict[str, Any], tiny_gptj: Path, tmp_path: Path, cache: Path
) -> None:
    content = several(tiny_gptj, search=search | {"guard": [{"task": "topics", "lose_at_most": 0.2}]})
    if search["driver"] == "algorithm1":
        content["space"] = SPACE | {"layers": "all"}
    snapshot = run(content, tmp_path / "s", cache)
    by_task = {task: {row.clips for row in snapshot.rows.values() if row.task == task and row.split == "validation"}
               for task in ("episodes", "topics")}  # fmt: skip
    assert by_task["episodes"] == by_task["topics"]
    assert snapshot.standings.winner is not None
    stored = len(all_rows(tmp_path / "s"))
    run(content, tmp_path / "s", cache)
    assert len(all_rows(tmp_path / "s")) == stored


def guarded_by_hand(rows: dict[tuple[str, tuple[Any, ...]], float], lose_at_most: float) -> float:
    """The best score on episodes among the clips that lose no more than so much on topics."""
    clips = {each for _, each in rows}
    allowed = [each for each in clips if rows["topics", ()] - rows["topics", each] <= lose_at_most + 1e-9]
    return max(rows["episodes", each] for each in allowed)


@pytest.mark.parametrize("lose_at_most", [0.0, 0.05, 0.5])
def test_the_winner_is_the_best_that_breaks_no_guard(
    lose_at_most: float, whole: Path, tiny_gptj: Path, tmp_path: Path, cache: Path
) -> None:
    tasks = [TASKS[0], TASKS[1] | {"weight": 0}]
    guard = {"guard": [{"task": "topics", "lose_at_most": lose_at_most}]}
    content = several(tiny_gptj, tasks=tasks, search=guard)
    winner = run(content, tmp_path / "s", cache).standings.winner
    validation = [row for row in latest_rows(whole).values() if row.split == "validation"]
    rows = {(row.task, row.clips): row.score("accuracy") for row in validation}
    assert winner is not None
    assert winner.score == guarded_by_hand(rows, lose_at_most)
    highest = max(score for (task, _), score in rows.items() if task == "episodes")
    assert (winner.barred is not None) == (highest > winner.score)


def test_compose_keeps_no_clip_that_breaks_a_guard(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    guard = {"driver": "compose", "guard": [{"task": "topics", "lose_at_most": 0.0}]}
    snapshot = run(several(tiny_gptj, search=guard), tmp_path / "s", cache)
    for each in snapshot.opened.compositions(snapshot.rows):
        kept = [point for point in snapshot.standings.points if point.clips == each.kept.clips]
        scores = {row.task: row for row in map(snapshot.rows.get, kept[0].trial_ids) if row is not None}
        base = {row.task: row for row in map(snapshot.rows.get, kept[0].baseline_ids) if row is not None}
        assert scores["topics"].score("accuracy") >= base["topics"].score("accuracy")


def test_tasks_have_their_own_shots_where_the_study_has_none(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    own = [TASKS[0] | {"shots": 1}, TASKS[1] | {"shots": 0}]
    space = {**{key: value for key, value in SPACE.items() if key != "shots"}, "shots": None, "demo_seeds": [0, 1]}
    snapshot = run(several(tiny_gptj, tasks=own, space=space), tmp_path / "s", cache)
    assert {(row.task, row.shots) for row in snapshot.rows.values()} == {("episodes", 1), ("topics", 0)}
    points = snapshot.standings.points
    assert {point.shots for point in points} == {1}
    assert [task.n_trials for task in points[0].tasks] == [2, 1]  # without demonstrations all seeds are one
    run(several(tiny_gptj, tasks=own, space=space), tmp_path / "s", cache)
    assert len(all_rows(tmp_path / "s")) == len(snapshot.rows)


def test_a_pure_guard_may_be_text(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "rows").mkdir()
    lines = [json.dumps({"text": f"the film number {number} was dull " * 6}) for number in range(12)]
    (tmp_path / "rows" / "train.jsonl").write_text("\n".join(lines) + "\n")
    text = {"name": "plain", "weight": 0, "text": {"path": str(tmp_path / "rows"), "length": 16}, "validation_size": 6}
    guard = {"guard": [{"task": "plain", "lose_at_most": 5.0}]}
    snapshot = run(several(tiny_gptj, tasks=[TASKS[0], text], search=guard), tmp_path / "s", cache)
    winner = snapshot.standings.winner
    assert winner is not None
    assert [(each.task.metric, each.task.share) for each in winner.by_task] == [("accuracy", 1.0), ("nll", 0.0)]
    assert {(row.task, row.shots) for row in snapshot.rows.values()} == {("episodes", 2), ("plain", 0)}
    assert (tmp_path / "s" / "report.html").is_file()


def test_two_texts_are_one_score_of_which_less_is_better(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    tasks = []
    for name, weight, words in (("films", 3, "the film was dull and long "), ("rivers", 1, "a river runs to the sea ")):
        (tmp_path / name).mkdir()
        lines = [json.dumps({"text": f"{number} {words * (4 + number % 3)}"}) for number in range(12)]
        (tmp_path / name / "train.jsonl").write_text("\n".join(lines) + "\n")
        text = {"path": str(tmp_path / name), "length": 16}
        tasks.append({"name": name, "weight": weight, "text": text, "validation_size": 6})
    space = {key: value for key, value in SPACE.items() if key != "shots"}
    content = several(tiny_gptj, tasks=tasks)
    snapshot = run(content | {"space": space}, tmp_path / "s", cache)
    scores: dict[tuple[Any, ...], float] = {}
    for row in snapshot.rows.values():
        if row.split == "validation":
            assert row.nll is not None
            assert row.loglikelihoods is not None
            assert row.tokens is not None
            assert row.nll == pytest.approx(-float(row.loglikelihoods.sum()) / float(row.tokens.sum()), rel=1e-5)
            scores[row.clips] = scores.get(row.clips, 0.0) + {"films": 0.75, "rivers": 0.25}[row.task] * row.nll
    winner = snapshot.standings.winner
    assert winner is not None
    assert len(scores) == N_POINTS
    assert winner.point.clips == min(scores, key=scores.__getitem__)
    assert winner.score == pytest.approx(min(scores.values()))
    assert winner.baseline_score == pytest.approx(scores[()])


def test_every_file_and_row_of_it_is_whole(whole: Path) -> None:
    verified = verify_study(take_snapshot(whole).opened)
    assert not verified.faults


def test_the_answer_tells_what_each_task_scores(whole: Path) -> None:
    study = clipsweep.open_study(whole)
    document, words = study.best(), study.describe()
    assert document is not None
    assert words is not None
    assert [task["task"] for task in document["tasks"]] == ["episodes", "topics"]
    assert "scores    weighted mean of accuracy on episodes and topics, 3 : 1" in words
    assert "task      episodes (75 % of the score): accuracy" in words
    assert "task      topics (25 % of the score)" in words


def test_the_report_has_the_winner_by_task_and_tells_trials_apart(whole: Path) -> None:
    page = (whole / "report.html").read_text(encoding="utf-8")
    assert "The winner by task" in page
    assert "tiny on" not in page
    assert "episodes+topics" in page
    assert '"key":"task"' in page.replace(" ", "")


def test_the_point_frame_has_the_weighted_scores(whole: Path) -> None:
    frame, standings = clipsweep.points(whole), take_snapshot(whole).standings
    assert set(frame.task) == {"episodes+topics"}
    assert standings.winner is not None
    winner = frame[frame.is_winner].iloc[0]
    assert winner.score == pytest.approx(standings.winner.score)
    assert winner.gain == pytest.approx(standings.winner.score - standings.winner.baseline_score)
    assert winner.n_examples == 44


def test_a_winner_is_written_and_checked_on_each_task(whole: Path, tmp_path: Path, cache: Path) -> None:
    trial = next(row.trial_id for row in latest_rows(whole).values() if row.clips and row.task == "topics")
    study = clipsweep.open_study(whole)
    written = study.apply(tmp_path / "out", trial=trial, check=True)
    assert written["check"]["differ"] == 0
    assert "topics" in (tmp_path / "out" / "README.md").read_text()
    assert study.flips(trial).row.task == "topics"


def test_studies_of_several_tasks_are_not_compared(whole: Path, finished_study: Path) -> None:
    with pytest.raises(StudyError, match="has several tasks in one score .episodes.topics.; expected studies of one"):
        read_sides([whole, finished_study])


def test_what_asks_for_one_task_says_so(whole: Path, tmp_path: Path) -> None:
    outcome = CliRunner().invoke(app, ["evaluate", "embedded", "--task", str(whole / "study.yaml")])
    assert outcome.exit_code == 2
    assert "has 2 tasks, episodes, topics; expected one task here" in outcome.output + (outcome.stderr or "")


def test_a_task_without_test_rows_keeps_all_from_the_test(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    tasks = [TASKS[0], TASKS[1] | {"test_size": 0}]
    content = several(tiny_gptj, tasks=tasks)
    (note,) = task_notes(prepare(check_study(content), tmp_path / "s", cache).opened)
    assert "nothing is run on test, as topics has no test rows" in note
    snapshot = run(content, tmp_path / "s", cache)
    assert {row.split for row in snapshot.rows.values()} == {"validation"}


def test_a_folder_of_one_task_is_no_folder_of_others(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    run(tiny_study(tiny_gptj, space=SPACE), tmp_path / "s", cache)
    with pytest.raises(StudyError, match="rows of another study"):
        run(several(tiny_gptj), tmp_path / "s", cache)


def test_a_study_of_other_tasks_is_refused_with_the_names_of_both(
    whole: Path, tiny_gptj: Path, tmp_path: Path, cache: Path
) -> None:
    shutil.copytree(whole, tmp_path / "s")
    (tmp_path / "plain.txt").write_text("the film was dull and long " * 40)
    plain = {"name": "plain", "weight": 0, "text": {"path": str(tmp_path / "plain.txt"), "length": 16}, "test_size": 0}
    tasks = [TASKS[0] | {"seed": 4}, plain]
    content = several(tiny_gptj, tasks=tasks, search={"guard": [{"task": "plain"}]})
    with pytest.raises(StudyError, match="rows of another study") as refused:
        run(content, tmp_path / "s", cache)
    told = str(refused.value)
    assert "set of tasks: stored 'episodes, topics', asked for 'episodes, plain'" in told
    assert "task episodes.seed: stored 49, asked for 4" in told
    assert "{" not in told


def test_one_of_several_tasks_is_shown_by_its_name(whole: Path) -> None:
    command = ["task", "show", str(whole / "study.yaml")]
    refused = CliRunner().invoke(app, command)
    assert "Pick one by its name, as in --set task.name=episodes." in refused.output + (refused.stderr or "")
    for name in ("episodes", "topics"):
        shown = CliRunner().invoke(app, [*command, "--set", f"task.name={name}"])
        assert shown.exit_code == 0, shown.output
        assert f"task        {name} (fingerprint" in shown.output
