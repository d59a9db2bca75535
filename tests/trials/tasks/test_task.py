from dataclasses import replace
from pathlib import Path

import pytest

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.tasks.load import load_task
from tests.trials.tasks.test_load import EPISODES, sst2
from tests.trials.tokens.tokenizers import make_task, with_answers


def test_the_fingerprint_covers_the_rows_of_every_split(cache: Path) -> None:
    sizes = [EPISODES, replace(EPISODES, validation_size=31), replace(EPISODES, test_size=41)]
    assert len({load_task(settings, cache).fingerprint for settings in sizes}) == 3


def test_demonstrations_are_balanced_and_nested(cache: Path) -> None:
    task = load_task(EPISODES, cache)
    four, ten = task.draw_demonstrations(4, 0), task.draw_demonstrations(10, 0)
    assert ten[:4] == four
    assert sum(row.gold for row in four) == 2
    assert sum(row.gold for row in ten) == 5
    assert task.draw_demonstrations(10, 1) != ten


def test_more_demonstrations_than_a_class_has_rows_are_refused(sst2_folder: Path, cache: Path) -> None:
    words = "100 demonstrations of task 'sst2' are 50 of each class, but the class of answer ' negative' has 30 rows"
    with pytest.raises(TaskError, match=words):
        load_task(replace(sst2(sst2_folder), demonstrations=100), cache)


def test_more_shots_than_rows_are_refused(sst2_folder: Path, cache: Path) -> None:
    with pytest.raises(TaskError, match="50 shots of task 'sst2' need more rows of the class of answer"):
        load_task(sst2(sst2_folder), cache).draw_demonstrations(50, 0)


def test_of_label_words_the_most_common_one_is_known() -> None:
    task = make_task("a", "b", "c")
    assert (task.most_common, task.guessing) == ({"validation": 2 / 3}, {})


def test_of_choices_that_differ_by_row_what_guessing_scores_is_known() -> None:
    task = make_task("a", "b")
    first, second = task.splits["validation"]
    chosen = replace(task, splits={"validation": (replace(first, answers=(" x", " y", " z", " w")), second)})
    assert (chosen.most_common, chosen.guessing) == ({}, {"validation": (1 / 4 + 1 / 2) / 2})


def test_nothing_is_chosen_among_open_answers() -> None:
    task = with_answers(make_task("a", "b"), " same")
    opened = replace(task, definition=replace(task.definition, scoring=Scoring.GREEDY))
    assert (opened.most_common, opened.guessing) == ({}, {})


def test_demonstrations_of_an_open_answer_are_drawn_without_classes() -> None:
    task = make_task("a", "b", query="{text} is", answers=(" {text}",))
    assert {row.gold for row in task.demonstrations} == {0}
    assert len(task.draw_demonstrations(2, 0)) == 2
