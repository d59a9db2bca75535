from clipsweep.analysis.figures.answers.best_points import best_points, names_of, rows_of, short_label
from clipsweep.trials.spec.clip import Clip
from tests.analysis.figures.frames import joint_point, points_frame, trials_frame
from tests.analysis.winners.points import BASE, EQUAL, GOOD, make_point
from tests.analysis.winners.points import rows_of as answers


def test_the_untouched_model_comes_first_and_then_the_best() -> None:
    points = points_frame([GOOD, EQUAL, BASE, make_point(4)], answers(base=[5], mlp_1_0__5=[6], mlp_2_0__5=[9]))
    ((title, held),) = best_points(points, 5)
    assert title == ""
    assert [short_label(point) for point in held] == ["untouched", "mlp 2 at 0.5", "mlp 1 at 0.5"]
    assert [len(held) for _, held in best_points(points, 1)] == [2]


def test_points_of_the_same_trials_count_once() -> None:
    twice = make_point(1)
    points = points_frame([BASE, GOOD, twice], answers(base=[5], mlp_1_0__5=[6]))
    assert [len(held) for _, held in best_points(points, 5)] == [2]


def test_a_study_without_the_untouched_model_is_left_out() -> None:
    assert list(best_points(points_frame([GOOD, EQUAL], answers(mlp_1_0__5=[6], mlp_2_0__5=[9])), 5)) == []


def test_several_clips_are_named_one_after_the_other() -> None:
    points = points_frame([joint_point("j", (2, "mlp", 0.5), (3, "mlp", 0.5), (1, "attn", 0.9))], answers(j=[6]))
    assert short_label(points.iloc[0].to_dict()) == "mlp 2-3 at 0.5, attn 1 at 0.9"


def test_a_kind_is_named_and_its_rate_where_it_has_a_meaning_and_no_name_stands_twice() -> None:
    clips = [Clip(layer=4, module="mlp", clip_rate=0.9, kind=kind) for kind in ("svd", "random", "zero", "zero")]
    idle = Clip(layer=5, module="mlp", clip_rate=0)
    points = [{"is_baseline": False, "clips": (clip, idle)} for clip in clips]
    names = ["mlp 4 at 0.9", "mlp 4 at 0.9 (random, seed 0)", "mlp 4 (zero)", "mlp 4 (zero) (2)"]
    assert names_of(points) == names


def test_each_number_of_shots_has_its_own() -> None:
    points = points_frame([BASE, GOOD], answers(base=[5], mlp_1_0__5=[6]))
    both = [*points.to_dict("records"), *points.assign(shots=0).to_dict("records")]
    assert [title for title, _ in best_points(type(points)(both), 5)] == ["0 shots", "4 shots"]


def test_the_trials_of_a_point_are_found_in_their_order() -> None:
    trials = trials_frame(answers(base=[5, 6, 7]).values())
    assert rows_of(trials, ["base-2", "base-0"])["accuracy"].tolist() == [0.7, 0.5]
