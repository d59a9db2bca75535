"""Frames of several studies: each is judged by its own rules."""

import json

import pandas
import pyarrow
import pytest

from clipsweep.analysis.frames.point_frame import points_of_trials
from clipsweep.analysis.frames.trial_frame import join_frames, trial_frame
from clipsweep.analysis.row.row import SCHEMA, StoredRow
from clipsweep.analysis.store.rows import Attempts
from clipsweep.analysis.winners.points_of_rows import Rules
from clipsweep.trials.base.errors import StudyError
from tests.analysis.winners.test_points_of_rows import row


def frame_of(rules: Rules | None, *rows: StoredRow) -> pandas.DataFrame:
    return trial_frame(
        Attempts.of(pyarrow.Table.from_pylist([each.record() for each in rows], schema=SCHEMA)).latest(), rules
    )


def test_studies_of_one_name_but_other_models_keep_their_own_rules() -> None:
    first = frame_of(Rules(winner="one_standard_error"), row("a", 1, accuracy=0.75, macro_f1=0.5))
    second = frame_of(Rules(metric="macro_f1"), row("b", 1, model_fingerprint="other", accuracy=0.75, macro_f1=0.25))
    for frames in ([first, second], [second, first]):
        joined = join_frames(frames)
        joined.attrs = json.loads(json.dumps(joined.attrs))  # as pandas stores them beside a frame
        scores = points_of_trials(joined).set_index("trial_ids").score
        assert (scores[("a",)], scores[("b",)]) == (0.75, 0.25)


def test_studies_that_would_count_as_one_must_have_the_same_rules() -> None:
    first, second = row("a", 1), row("b", 2)
    assert len(points_of_trials(join_frames([frame_of(Rules(), first), frame_of(Rules(), second)]))) == 2
    with pytest.raises(StudyError, match="of one model and task, and differ in demo_seeds; expected studies of diff"):
        join_frames([frame_of(Rules(demo_seeds=(0,)), first), frame_of(Rules(demo_seeds=(1,)), second)])
