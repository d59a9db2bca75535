from pathlib import Path

import pytest

from clipsweep.analysis.figures.words import (
    SUBJECT,
    Scale,
    distinct,
    few_letters,
    in_points,
    model_name,
    parts_of,
    percent,
    rate_words,
)
from tests.analysis.figures.frames import points_frame
from tests.analysis.figures.scores.test_curves import POINTS, answered


def test_scores_are_percent_and_differences_points() -> None:
    assert percent(0.7481) == "74.8 %"
    assert [in_points(0.0351), in_points(-0.1)] == ["+3.5 points", "-10.0 points"]


def test_gains_of_less_than_ten_points_have_a_tenth_in_cells() -> None:
    gains = (0.1449, 0.1546, 0.09996, 0.0351, 0.0026, -0.006, -0.0004)
    assert [few_letters(gain) for gain in gains] == ["+14", "+15", "+10", "+3.5", "+0.3", "-0.6", "0"]


def test_log_probabilities_are_nats() -> None:
    nats, share = Scale("gold_logprob"), Scale("macro_f1")
    assert (nats.score(-1.1372), share.score(0.7481)) == ("-1.137 nats", "74.8 %")
    assert (nats.gain(0.0104), share.gain(0.0351)) == ("+0.010 nats", "+3.5 points")
    assert (nats.gain_axis().title, share.gain_axis().title) == (
        "gain in gold logprob, nats",
        "gain in macro f1, points",
    )


def test_names_that_read_alike_are_numbered() -> None:
    assert distinct(["a", "b", "a", "a"]) == ["a", "b", "a (2)", "a (3)"]


def test_the_name_of_a_model_is_the_last_part_of_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "linked").symlink_to("snapshots/0a1b2c")
    places = ("EleutherAI/gpt-j-6b", "/models/gpt-j-6b/", "linked", ".")
    assert [model_name(place) for place in places] == ["gpt-j-6b", "gpt-j-6b", "linked", tmp_path.name]


def test_a_title_says_what_tells_a_part_from_the_others() -> None:
    frame = points_frame(POINTS, answered())[1:].assign(model=["a/x", "a/x", "b/y", "b/y"])
    assert [title for title, _ in parts_of(frame, [*SUBJECT, "module", "shots"])] == ["x", "y"]
    assert [title for title, _ in parts_of(frame.head(2), [*SUBJECT, "module"])] == [""]


def test_the_name_of_a_study_stands_for_its_model() -> None:
    frame = points_frame(POINTS, answered())[1:].assign(model=["x", "x", "y", "y"], study=["s", "s", "t", "t"])
    assert [title for title, _ in parts_of(frame, SUBJECT)] == ["s", "t"]
    half = frame.assign(study=["s", "s", "s", "t"])
    assert [title for title, _ in parts_of(half, SUBJECT)] == ["s, x", "s, y", "t, y"]


def test_few_rates_are_words_of_an_axis() -> None:
    assert rate_words([0.995, 0.5, 0.5, 0.0]) == ["0", "0.5", "0.995"]
    assert rate_words([0.5, 0.70531]) is None  # drawn by a search
    assert rate_words([number / 20 for number in range(19)]) is None
