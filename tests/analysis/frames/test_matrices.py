from typing import Any

import numpy as np
import pytest

from clipsweep.analysis.frames.matrices import margins, outcomes
from clipsweep.analysis.frames.trial_frame import trial_frame
from clipsweep.analysis.row.arrays import make_table
from clipsweep.analysis.row.row import SCHEMA, Record
from clipsweep.analysis.store.rows import Attempts
from clipsweep.trials.base.errors import StudyError
from tests.analysis.store.rows import failed_record, stored_record


def frame_of(*records: Record) -> Any:
    return trial_frame(Attempts.of(make_table(records, SCHEMA)).latest())


def test_each_trial_is_a_row_of_the_matrix() -> None:
    frame = frame_of(stored_record("a", outcomes=(True, False, True)), stored_record("b", outcomes=(False, True, True)))
    assert outcomes(frame).tolist() == [[True, False, True], [False, True, True]]
    assert margins(frame).tolist() == [[1.5, -0.25, 1.5], [-0.25, 1.5, 1.5]]


def test_trials_without_margins_are_none_there() -> None:
    frame = frame_of(stored_record("a"), stored_record("b") | {"margins": None})
    assert np.isnan(margins(frame)).tolist() == [[False, False], [True, True]]


def test_trials_of_different_numbers_of_examples_are_refused() -> None:
    frame = frame_of(stored_record("a"), failed_record(trial_id="b"))
    with pytest.raises(StudyError, match="have seen 0 to 2 examples; expected as many in each"):
        outcomes(frame)


def test_a_frame_of_something_else_is_refused() -> None:
    frame = frame_of(stored_record("a"))
    with pytest.raises(StudyError, match="no column 'margins'"):
        margins(frame.drop(columns="margins"))


def test_no_trials_make_an_empty_matrix() -> None:
    frame = frame_of(stored_record("a"))
    assert outcomes(frame.iloc[:0]).shape == (0, 0)
