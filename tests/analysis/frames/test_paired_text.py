import numpy as np
import pytest

from clipsweep.analysis.frames.matrices import outcomes
from clipsweep.analysis.frames.paired_text import gains_of
from clipsweep.analysis.frames.point_frame import point_frame, points_of_trials
from clipsweep.analysis.frames.trial_frame import trial_frame
from clipsweep.analysis.frames.trial_values import TrialValues
from clipsweep.analysis.winners.gain import measure_gain
from clipsweep.analysis.winners.interval import standard_error
from clipsweep.trials.base.errors import StudyError
from tests.analysis.text_study import STOPPED, text_attempts, text_points, text_standings


def test_a_point_has_the_gain_and_the_error_that_its_rows_give_alone() -> None:
    standings = text_standings()
    frame = point_frame(standings)
    point = frame[frame["label"] == "attn of layer 3 at clip rate 0.9, 0 shots"].iloc[0]
    row, untouched = standings.rows["attn-3-0.9-0"], standings.rows["base-0"]
    assert point["score"] == row.score("nll")
    assert point["gain"] == pytest.approx(measure_gain([row], [untouched]).estimate)
    differences = row.example_scores - untouched.example_scores
    assert point["gain_se"] == pytest.approx(standard_error(differences, row.example_weights))
    assert (point["gained"], point["lost"]) == (np.sum(differences > 0), np.sum(differences < 0))
    assert point["gain"] > 0
    assert point["score"] < point["baseline"]


@pytest.mark.parametrize(("trial_id", "baseline_id"), [("mlp-3-0.9-0", "base-0"), ("test-mlp-3-0.9-0", "test-base-0")])
def test_a_trial_gains_by_the_windows_of_its_own_split(trial_id: str, baseline_id: str) -> None:
    rows = text_standings().rows
    values = TrialValues.of(rows, "nll")
    gains = gains_of(values, values.numbers([[trial_id]]), values.numbers([[baseline_id]]))
    gain = rows[baseline_id].score("nll") - rows[trial_id].score("nll")
    assert gains.gain[0] == pytest.approx(gain, abs=1e-6)
    assert gains.gain[0] == pytest.approx(measure_gain([rows[trial_id]], [rows[baseline_id]]).estimate, abs=1e-6)


def test_a_stopped_point_gains_on_the_windows_that_it_has_seen() -> None:
    standings = text_standings()
    frame = point_frame(standings)
    point = frame[frame["trial_ids"] == (STOPPED,)].iloc[0]
    row, untouched = standings.rows[STOPPED], standings.rows["base-0"]
    seen, weights = untouched.example_scores[:8], row.example_weights
    assert point["gain"] == pytest.approx(np.average(row.example_scores - seen, weights=weights))
    assert np.isnan(point["score"])
    assert point["estimate"] == pytest.approx(untouched.score("nll") - point["gain"])


def test_rows_alone_give_the_same_points() -> None:
    trials = trial_frame(text_attempts(text_points()).latest())
    assert trials.attrs["metric"] == "nll"
    ours, theirs = points_of_trials(trials), point_frame(text_standings())
    assert ours.attrs["metric"] == "nll"
    assert sorted(ours["gain"].dropna()) == sorted(theirs["gain"].dropna())
    winner = ours[ours["is_winner"]].iloc[0]
    assert winner["test_low"] < winner["test_gain"] < winner["test_high"]


def test_texts_have_no_outcomes() -> None:
    trials = trial_frame(text_attempts(text_points()).latest())
    with pytest.raises(StudyError, match="the trials scored texts, which are not right or wrong"):
        outcomes(trials[(trials["state"] == "complete") & (trials["split"] == "test")])
