import random

import pytest

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.tasks.episodes import LABELS, NEUTRAL, TOPICS, draw_episode, draw_rows
from clipsweep.trials.tasks.generated import GENERATED


def test_no_word_plays_two_parts() -> None:
    words = [*(name.upper() for name in TOPICS), *(word for topic in TOPICS.values() for word in topic)]
    words += [*NEUTRAL, *LABELS]
    assert len(set(words)) == len(words)


def test_rows_are_balanced_and_more_rows_extend_fewer() -> None:
    episode = draw_episode(random.Random(0))
    rows = draw_rows(episode, seed=5, n_rows=40)
    assert draw_rows(episode, seed=5, n_rows=10) == rows[:10]
    assert sum(row["label"] == 1 for row in rows) == 20


def test_a_fixed_episode_is_labelled_by_its_topics_and_a_fresh_one_never() -> None:
    fixed, fresh = (draw_episode(random.Random(0), labels=labels) for labels in (None, LABELS))
    assert [set(words) for words in fixed.topics] == [set(TOPICS[name.lower()]) for name in fixed.labels]
    assert len(fresh.labels) == len(fixed.labels) == 2
    assert set(fresh.labels) < set(LABELS)


def test_more_rows_than_can_be_drawn_are_refused_at_once() -> None:
    with pytest.raises(TaskError, match="expected at most 1,000,000 of a task that draws its rows"):
        GENERATED["episodes"].draw(0, 10**18, None)
