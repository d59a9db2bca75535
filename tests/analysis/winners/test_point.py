import pytest

from clipsweep.analysis.winners.point import describe_shots


@pytest.mark.parametrize(("shots", "words"), [(0, "0 shots"), (1, "1 shot"), (2, "2 shots")])
def test_one_shot_is_no_plural(shots: int, words: str) -> None:
    assert describe_shots(shots) == words
