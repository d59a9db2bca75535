from clipsweep.analysis.figures.words import SUBJECT, in_points, parts_of, percent, rate_words, whole_points
from tests.analysis.figures.frames import points_frame
from tests.analysis.figures.scores.test_curves import POINTS, answered


def test_scores_are_percent_and_differences_points() -> None:
    assert percent(0.7481) == "74.8 %"
    assert [in_points(0.0351), in_points(-0.1)] == ["+3.5 points", "-10.0 points"]
    assert [whole_points(gain) for gain in (0.0351, -0.004, -0.006)] == ["+4", "0", "-1"]


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
