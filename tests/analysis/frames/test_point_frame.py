"""The point frame, with numbers that are worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from clipsweep.analysis.frames.point_frame import join_points, point_frame
from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.gain import measure_gain
from clipsweep.analysis.winners.scores import estimated_score
from clipsweep.analysis.winners.standings import Standings
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.result import TrialState
from tests.analysis.store.rows import changed, failed_record, stored_row
from tests.analysis.winners.points import BASE, EQUAL, GOOD, make_point, rows_of, stopped

TEN = [BASE, GOOD, EQUAL]


def test_a_gain_is_the_mean_of_paired_differences_with_their_standard_error() -> None:
    frame = point_frame(Standings(TEN, rows_of(base=[5], mlp_1_0__5=[8], mlp_2_0__5=[4])))
    differences = np.array([0] * 5 + [1] * 3 + [0] * 2)  # right are the first 5 of ten, then the first 8
    assert frame.gain.tolist() == pytest.approx([0, 0.3, -0.1])
    assert frame.gain_se[1] == pytest.approx(differences.std(ddof=1) / math.sqrt(10))
    assert (frame.gained.tolist(), frame.lost.tolist()) == ([0, 3, 0], [0, 0, 1])
    assert frame.within_noise.tolist() == [True, False, True]  # 0.3 is 1.964 standard errors


def test_over_several_seeds_differences_of_an_example_are_averaged_first() -> None:
    points = [make_point(None, seeds=2), make_point(1, seeds=2)]
    rows = rows_of(base=[5, 3], mlp_1_0__5=[9, 6])
    frame = point_frame(Standings(points, rows))
    pair = [rows["mlp-1-0.5-0"], rows["mlp-1-0.5-1"]], [rows["base-0"], rows["base-1"]]
    differences = np.mean([row.outcomes for row in pair[0]], axis=0) - np.mean(
        [row.outcomes for row in pair[1]], axis=0
    )
    assert frame.gain[1] == pytest.approx(measure_gain(*pair).estimate)
    assert frame.gain_se[1] == pytest.approx(differences.std(ddof=1) / math.sqrt(10))
    assert frame.spread.tolist() == pytest.approx([0.1 * 2**0.5, 0.15 * 2**0.5])
    assert (frame.score[1], frame.baseline[1], frame.n_seeds[1]) == (pytest.approx(0.75), 0.4, 2)
    assert frame.seconds[1] == 1.0  # half a second each


def test_a_trial_cut_short_is_compared_on_the_examples_that_it_has_seen() -> None:
    rows = rows_of(base=[5]) | stopped("mlp-1-0.5-0", (True, True, False, False))
    frame = point_frame(Standings([BASE, GOOD], rows))
    assert (frame.state[1], frame.n_examples[1]) == ("pruned", 4)
    assert math.isnan(frame.score[1])
    assert (frame.gain[1], frame.gained[1], frame.lost[1]) == (-0.5, 0, 2)
    assert frame.estimate[1] == estimated_score(GOOD, rows)


def test_a_point_is_as_far_as_its_least_trial() -> None:
    points = [make_point(None, seeds=2), make_point(1, seeds=2), make_point(2, seeds=2)]
    rows = rows_of(base=[5, 5], mlp_1_0__5=[6]) | rows_of(mlp_2_0__5=[7])
    rows["mlp-2-0.5-1"] = StoredRow.of(failed_record(trial_id="mlp-2-0.5-1"))
    frame = point_frame(Standings(points, rows))
    assert frame.state.tolist() == ["complete", "partial", "failed"]
    assert frame[["score", "gain"]].iloc[1:].isna().all(axis=None)
    assert frame.within_noise.tolist() == [True, True, True]  # nothing is known to be beyond it
    assert frame.trial_ids[1] == ("mlp-1-0.5-0",)


def test_what_is_clipped_stands_in_columns_and_in_words() -> None:
    clips = [Clip(layer=layer, module="mlp", clip_rate=0.9) for layer in (2, 3)]
    spread = [Clip(layer=0, module="mlp", clip_rate=0.9), Clip(layer=3, module="attn", clip_rate=0.5)]
    points = [BASE, replace(GOOD, clips=tuple(clips)), replace(EQUAL, clips=tuple(spread))]
    frame = point_frame(Standings(points, rows_of(base=[5], mlp_1_0__5=[8], mlp_2_0__5=[4])))
    assert frame.label[1] == "mlp of layers 2 to 3 at clip rate 0.9, 4 shots"
    assert (frame.place[1], frame.layer[1], frame.clip_rate[1], frame.kind[1]) == ("layers 2-3", 2, 0.9, "svd")
    assert (frame.module[2], frame.kind[2]) == ("attn+mlp", "svd")
    assert frame.loc[[0, 2], ["place", "layer", "clip_rate"]].isna().all(axis=None)
    assert frame.is_baseline.tolist() == [True, False, False]


def test_a_rate_that_has_no_meaning_is_none() -> None:
    zero = replace(GOOD, clips=(Clip(layer=1, module="mlp", clip_rate=0.5, kind="zero"),))
    frame = point_frame(Standings([BASE, zero], rows_of(base=[5], mlp_1_0__5=[8])))
    assert math.isnan(frame.clip_rate[1])


def test_winners_are_marked_and_test_is_measured_where_both_ran() -> None:
    points = [make_point(None, tested=True), make_point(1, tested=True), make_point(2, tested=True)]
    rows = rows_of(base=[5], mlp_1_0__5=[8], mlp_2_0__5=[4], test_base=[6], test_mlp_1_0__5=[7])
    frame = point_frame(Standings(points, rows))
    assert frame.is_winner.tolist() == frame.is_best.tolist() == [False, True, False]
    assert (frame.test_score[1], frame.test_baseline[1]) == (0.7, 0.6)
    assert frame.test_gain[1] == pytest.approx(0.1)
    assert frame.filter(like="test_").drop(columns="test_ids").iloc[2].isna().all()


def test_an_untouched_model_that_cannot_win_has_its_row() -> None:
    frame = point_frame(Standings([GOOD], rows_of(base=[9], mlp_1_0__5=[8])))
    assert frame.is_baseline.tolist() == [True, False]
    assert frame.is_winner.tolist() == [False, True]


def test_no_points_make_an_empty_frame_of_the_same_columns() -> None:
    empty = point_frame(Standings([], {}))
    assert len(empty) == 0
    assert list(empty) == list(point_frame(Standings([BASE], rows_of(base=[5]))))


def test_frames_of_studies_of_different_metrics_are_joined() -> None:
    rows = rows_of(base=[5])
    rows["base-0"] = changed(rows["base-0"], macro_f1=0.25, state=TrialState.COMPLETE.value)
    frames = [point_frame(Standings([each], rows)) for each in (BASE, replace(BASE, metric="macro_f1"))]
    joined = join_points(frames)
    assert joined.score.tolist() == [0.5, 0.25]
    assert joined.attrs == {"metric": "accuracy"}


def test_a_gain_beyond_its_noise_is_told() -> None:
    rows = {
        "base-0": stored_row("base-0", outcomes=(False,) * 40),
        "mlp-1-0.5-0": stored_row("mlp-1-0.5-0", outcomes=(True,) * 10 + (False,) * 30),
    }
    frame = point_frame(Standings([BASE, GOOD], rows))
    assert frame.within_noise.tolist() == [True, False]
