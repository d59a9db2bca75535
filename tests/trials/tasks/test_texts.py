import pytest

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.spec.kinds import Texts
from clipsweep.trials.tasks.texts import refuse_missing


def test_demonstrations_want_a_shot_and_no_rows() -> None:
    refuse_missing(Texts("demonstrations", 64), shots=1, n_rows=1)
    with pytest.raises(TaskError, match="with 0 shots there are none"):
        refuse_missing(Texts("demonstrations", 64), shots=0, n_rows=100)


def test_rows_of_validation_want_as_many_and_no_shots() -> None:
    refuse_missing(Texts("validation", 64), shots=0, n_rows=64)
    with pytest.raises(TaskError, match="Lower its option rows, or raise task.validation_size"):
        refuse_missing(Texts("validation", 64), shots=9, n_rows=63)
