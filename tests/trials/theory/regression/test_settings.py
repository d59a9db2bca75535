from dataclasses import replace

import pytest

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.theory.regression.settings import SIZES, Ramp, size_called
from tests.trials.theory.regression.tiny import TINY


def test_a_ramp_grows_by_its_step_and_stays_at_its_end() -> None:
    ramp = Ramp(start=5, stop=8, by=2, every_steps=10)
    assert [ramp.at(step) for step in (0, 9, 10, 20, 1000)] == [5, 5, 7, 8, 8]


@pytest.mark.parametrize("wrong", [{"start": 0}, {"start": 9}, {"by": 0}, {"every_steps": 0}])
def test_a_ramp_that_cannot_be_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(SpecError, match="expected 1 <= start <= stop"):
        Ramp(**{"start": 5, "stop": 8, "by": 1, "every_steps": 10, **wrong})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"n_heads": 3}, "no multiple of n_heads 3"),
        ({"n_dims": Ramp(start=1, stop=1, by=1, every_steps=1)}, "expected 2 dimensions at least"),
        ({"n_dims": Ramp(start=1, stop=5, by=1, every_steps=1)}, "and as many examples"),
        ({"checkpoint_steps": ()}, "expected numbers of steps from 1 on"),
        ({"checkpoint_steps": (20, 10)}, "each above the last"),
        ({"clipped_steps": (11,)}, "expected some of checkpoint_steps"),
        ({"n_prompts": 1}, "expected 2 at least"),
    ],
)
def test_a_size_that_cannot_be_is_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        replace(TINY, **wrong)  # type: ignore[arg-type]


def test_an_unknown_size_is_answered_with_those_there_are() -> None:
    with pytest.raises(SpecError, match=r"no size 'smal'; known: full, small. Did you mean 'small'"):
        size_called("smal")


def test_the_full_size_is_that_of_garg_et_al() -> None:
    full = SIZES["full"]
    assert (full.n_dims.stop, full.n_examples.stop) == (20, 40)
    assert (full.width, full.n_blocks, full.n_heads, full.batch, full.learning_rate) == (256, 12, 8, 64, 1e-4)
    assert full.checkpoint_steps[-1] == 500_000
    assert [full.n_dims.at(step) for step in (0, 2000, 30_000)] == [5, 6, 20]
    assert [full.n_examples.at(step) for step in (0, 2000, 30_000)] == [10, 12, 40]  # and the query: 11 to 41 points
