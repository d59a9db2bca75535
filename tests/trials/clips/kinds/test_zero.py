from clipsweep.trials.clips.resolve import resolve
from tests.trials.kinds_in_place import kind_clip
from tests.trials.models.test_card import CARD


def test_all_rates_are_one_trial_that_keeps_nothing_of_the_matrix() -> None:
    resolved = [resolve([kind_clip("zero", 1, "q", rate)], CARD) for rate in (0.0, 0.5, 0.99)]
    assert len({each.fingerprint for each in resolved}) == 1
    assert {each.parameters_kept for each in resolved} == {10_000 - 20 * 40}
