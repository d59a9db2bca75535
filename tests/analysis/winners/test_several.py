"""Several tasks in one score, solved by hand: weighted means, gains by task, guards."""

from dataclasses import replace
from typing import Any

import pytest

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.gain import measure_gain
from clipsweep.analysis.winners.pareto import rate_points
from clipsweep.analysis.winners.pick import pick
from clipsweep.analysis.winners.point import Point, ScoredTask
from clipsweep.analysis.winners.scores import mean_score, seed_spread
from clipsweep.analysis.winners.several import broken_guards
from clipsweep.analysis.winners.standings import Standings, winners_document
from clipsweep.trials.spec.clip import Clip
from tests.analysis.store.rows import stored_row, text_row

A = ScoredTask(name="a", share=0.75, n_trials=1, metric="accuracy")
B = ScoredTask(name="b", share=0.25, n_trials=1, metric="accuracy", lose_at_most=0.1)


def point_of(layer: int | None, tasks: tuple[ScoredTask, ...] = (A, B)) -> Point:
    """A point whose trials are ``1-a`` and ``1-b``, and its baseline's ``base-a`` and ``base-b``."""
    name = "base" if layer is None else str(layer)
    ids = {each: tuple(f"{each}-{task.name}" for task in tasks) for each in (name, "base")}
    clips = () if layer is None else (Clip(layer=layer, module="mlp", clip_rate=0.5),)
    return Point(clips=clips, shots=4, trial_ids=ids[name], baseline_ids=ids["base"], tasks=tasks)


def rows_of(**right: tuple[int, int]) -> dict[str, StoredRow]:
    """Rows of both tasks: how many of ten, and of twenty, outcomes are right."""
    rows = {}
    for name, counts in right.items():
        for task, count, total in zip("ab", counts, (10, 20), strict=True):
            key = f"{name.removeprefix('_')}-{task}"
            rows[key] = stored_row(key, outcomes=tuple(number < count for number in range(total)))
    return rows


ROWS = rows_of(base=(5, 10), _1=(8, 9), _2=(10, 7))


def test_a_score_is_the_weighted_mean_of_the_tasks() -> None:
    assert mean_score(("1-a", "1-b"), ROWS, "accuracy", (A, B)) == pytest.approx(0.75 * 0.8 + 0.25 * 0.45)


def test_seeds_are_averaged_within_a_task_before_tasks_are_weighed() -> None:
    rows = {key: stored_row(key, outcomes=(n < 2, n < 1)) for n, key in enumerate(("a0", "a1", "b"))}  # 1, 0.5, 0
    tasks = (replace(A, n_trials=2), B)
    assert mean_score(("a0", "a1", "b"), rows, "accuracy", tasks) == pytest.approx(0.75 * 0.75)
    spread = 0.75 * (1 - 0.5) / 2**0.5  # of scores of two seeds, in which b counts the same
    assert seed_spread(("a0", "a1", "b"), rows, "accuracy", tasks) == pytest.approx(spread)


def test_there_is_no_score_while_a_task_has_none_though_it_does_not_count() -> None:
    guard = (replace(A, share=1.0), replace(B, share=0.0))
    assert mean_score(("1-a", "missing"), ROWS, "accuracy", guard) is None
    assert mean_score(("1-a", "1-b"), ROWS, "accuracy", guard) == 0.8


def test_a_gain_is_the_weighted_mean_of_the_tasks_gains() -> None:
    clipped, base = ([ROWS[f"{name}-{task}"] for task in "ab"] for name in ("1", "base"))
    gain = measure_gain(clipped, base, tasks=(A, B))
    assert gain.estimate == pytest.approx(0.75 * 0.3 - 0.25 * 0.05)
    assert gain.low < gain.estimate < gain.high


def test_a_guard_alone_has_no_part_in_the_gain() -> None:
    clipped, base = ([ROWS[f"{name}-{task}"] for task in "ab"] for name in ("1", "base"))
    guard = (replace(A, share=1.0), replace(B, share=0.0))
    assert measure_gain(clipped, base, tasks=guard) == measure_gain(clipped[:1], base[:1])


def test_a_point_that_loses_more_on_a_guard_than_it_may_cannot_win() -> None:
    better, safe = point_of(2), point_of(1)  # 15 points are lost on b, and 5
    (broken,) = broken_guards(better, ROWS)
    assert (broken.task, broken.lose_at_most) == ("b", 0.1)
    assert broken.lost == pytest.approx(0.15)
    assert broken_guards(safe, ROWS) == []
    assert pick([point_of(None), better, safe], ROWS) == safe


def test_a_loss_of_just_as_much_is_allowed() -> None:
    exact = (A, replace(B, lose_at_most=0.15))  # 0.5 - 0.35 is more than 0.15 in binary
    assert broken_guards(point_of(2, exact), ROWS) == []


def test_the_untouched_model_wins_where_every_better_point_breaks_a_guard() -> None:
    winner = Standings([point_of(None), point_of(2)], ROWS).winner
    assert winner is not None
    assert winner.is_untouched
    assert winner.barred is not None
    assert winner.barred.point == point_of(2)


def test_a_barred_point_that_is_no_better_than_the_winner_is_not_told_of() -> None:
    rows = ROWS | rows_of(_2=(5, 2))
    winner = Standings([point_of(None), point_of(1), point_of(2)], rows).winner
    assert winner is not None
    assert winner.barred is None


def test_points_that_break_a_guard_are_on_no_front() -> None:
    rated = rate_points([point_of(None), point_of(1), point_of(2)], ROWS)
    assert [each.point for each in rated] == [point_of(None), point_of(1)]


def test_the_document_tells_each_task_and_what_was_barred() -> None:
    standings = Standings([point_of(None), point_of(1), point_of(2)], ROWS)
    assert standings.winner is not None
    document: dict[str, Any] = winners_document(standings, standings.winner)
    told = [(task["task"], task["score"], task["baseline_score"]) for task in document["tasks"]]
    assert told == [("a", 0.8, 0.5), ("b", 0.45, 0.5)]
    assert document["barred"]["guards"][0]["task"] == "b"
    assert document["barred"]["score"] == pytest.approx(0.75 + 0.25 * 0.35)


def test_text_guards_by_the_nats_that_a_token_may_take_more() -> None:
    text = ScoredTask(name="b", share=0.0, n_trials=1, metric="nll", lose_at_most=0.5)
    point = point_of(1, (replace(A, share=1.0), text))
    rows = rows_of(base=(5, 10), _1=(8, 9))
    rows |= {"base-b": text_row([-20.0, -20.0], (10, 10), "base-b"), "1-b": text_row([-26.0, -26.0], (10, 10), "1-b")}
    (broken,) = broken_guards(point, rows)
    assert broken.metric == "nll"
    assert broken.lost == pytest.approx(0.6)
    assert broken_guards(replace(point, tasks=(point.tasks[0], replace(text, lose_at_most=0.7))), rows) == []
    assert mean_score(point.trial_ids, rows, "accuracy", point.tasks) == 0.8
